#![expect(clippy::disallowed_methods, reason = "tests change files")]

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// Far more than a change takes to be noticed, and less than the slow look.
const SOON: Duration = Duration::from_secs(20);

async fn noticed(watch: &mut Watch) -> BTreeSet<PathBuf> {
    timeout(SOON, watch.changed()).await.unwrap()
}

fn following(paths: &[&Path]) -> Watch {
    let mut watch = Watch::begin();
    watch.follow(paths.iter().map(|path| path.to_path_buf()).collect());
    watch
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    (folder, path)
}

#[tokio::test]
async fn writing_replacing_removing_and_making_are_noticed() {
    let (_folder, path) = folder();
    let (one, other) = (path.join("one"), path.join("other"));
    fs::write(&one, "1").unwrap();
    let mut watch = following(&[&one, &other]);
    fs::write(&one, "2").unwrap();
    assert_eq!(noticed(&mut watch).await, BTreeSet::from([one.clone()]));
    fs::write(path.join("new"), "3").unwrap();
    fs::rename(path.join("new"), &one).unwrap();
    assert_eq!(noticed(&mut watch).await, BTreeSet::from([one.clone()]));
    fs::write(&other, "4").unwrap();
    assert_eq!(noticed(&mut watch).await, BTreeSet::from([other.clone()]));
    fs::remove_file(&one).unwrap();
    fs::remove_file(&other).unwrap();
    let mut gone = noticed(&mut watch).await;
    while gone.len() < 2 {
        gone.extend(noticed(&mut watch).await);
    }
    assert_eq!(gone, BTreeSet::from([one, other]));
}

/// A directory as the kubelet makes it for a `ConfigMap`, with one file of this content.
fn config_map(volume: &Path, revision: &str, content: &str) {
    fs::create_dir(volume.join(revision)).unwrap();
    fs::write(volume.join(revision).join("keyferry.yaml"), content).unwrap();
    symlink(revision, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
}

#[tokio::test]
async fn a_config_map_that_flips_is_noticed_each_time() {
    let (_folder, volume) = folder();
    config_map(&volume, "..1", "a");
    let path = volume.join("keyferry.yaml");
    symlink("..data/keyferry.yaml", &path).unwrap();
    let mut watch = following(&[&path]);
    for revision in ["..2", "..3", "..4"] {
        config_map(&volume, revision, "a");
        assert_eq!(noticed(&mut watch).await, BTreeSet::from([path.clone()]), "{revision}");
    }
    // The same file by another way: a link that leads into the volume.
    let (_other, elsewhere) = folder();
    let link = elsewhere.join("link");
    symlink(&path, &link).unwrap();
    let mut watch = following(&[&link]);
    config_map(&volume, "..5", "b");
    assert_eq!(noticed(&mut watch).await, BTreeSet::from([link]));
}

#[tokio::test]
async fn a_directory_that_appears_later_is_followed() {
    let (_folder, path) = folder();
    let file = path.join("later/still/file");
    let mut watch = following(&[&file]);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "1").unwrap();
    assert_eq!(noticed(&mut watch).await, BTreeSet::from([file.clone()]));
    fs::write(&file, "22").unwrap();
    assert_eq!(noticed(&mut watch).await, BTreeSet::from([file]));
}

#[tokio::test]
async fn what_changed_between_two_looks_is_not_lost_with_the_waiting() {
    let (_folder, path) = folder();
    let file = path.join("file");
    fs::write(&file, "1").unwrap();
    let mut watch = following(&[&file]);
    assert!(timeout(Duration::ZERO, watch.changed()).await.is_err(), "nothing has changed");
    fs::write(&file, "22").unwrap();
    watch.follow(BTreeSet::from([file.clone()]));
    assert_eq!(noticed(&mut watch).await, BTreeSet::from([file]));
}

#[tokio::test(start_paused = true)]
async fn without_a_word_everything_is_looked_at_once_a_minute() {
    let (_folder, path) = folder();
    let file = path.join("file");
    fs::write(&file, "1").unwrap();
    let mut watch = following(&[&file]);
    watch.watcher = None;
    let begun = tokio::time::Instant::now();
    fs::write(&file, "22").unwrap();
    while watch.events.try_recv().is_ok() {}
    assert_eq!(watch.changed().await, BTreeSet::from([file]));
    assert!(begun.elapsed() >= UNASKED, "it looked {:?} after", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_given_up_loses_nothing() {
    let (_folder, path) = folder();
    let file = path.join("file");
    fs::write(&file, "1").unwrap();
    let mut watch = following(&[&file]);
    fs::write(&file, "22").unwrap();
    // In the middle of waiting for quiet.
    watch.events.recv().await.unwrap();
    watch.told = true;
    assert!(timeout(QUIET / 2, watch.changed()).await.is_err());
    let begun = tokio::time::Instant::now();
    assert_eq!(watch.changed().await, BTreeSet::from([file]));
    assert!(begun.elapsed() < UNASKED);
}

#[test]
fn links_that_lead_in_a_circle_are_given_up_on() {
    let (_folder, path) = folder();
    symlink("b", path.join("a")).unwrap();
    symlink("a", path.join("b")).unwrap();
    assert_eq!(directories(&path.join("a")), BTreeSet::from([path.clone()]));
    assert_eq!(look(&path.join("a")), None);
}

#[tokio::test]
async fn a_directory_that_is_swapped_as_a_whole_is_followed_on() {
    let (_folder, path) = folder();
    let (dir, file) = (path.join("dir"), path.join("dir/file"));
    fs::create_dir(&dir).unwrap();
    fs::write(&file, "1").unwrap();
    let mut watch = following(&[&file]);
    for number in 0..3 {
        let new = path.join(format!("new{number}"));
        fs::create_dir(&new).unwrap();
        fs::write(new.join("file"), "2").unwrap();
        fs::rename(&dir, path.join(format!("old{number}"))).unwrap();
        fs::rename(new, &dir).unwrap();
        assert_eq!(noticed(&mut watch).await, BTreeSet::from([file.clone()]));
        fs::write(&file, "3, in the new directory").unwrap();
        assert_eq!(noticed(&mut watch).await, BTreeSet::from([file.clone()]));
    }
}

#[test]
fn who_follows_nothing_costs_no_thread_and_no_instance() {
    let (_folder, path) = folder();
    let mut watch = Watch::begin();
    watch.follow(BTreeSet::new());
    assert!(watch.watcher.is_none());
    watch.follow(BTreeSet::from([path.join("file")]));
    assert!(watch.watcher.is_some());
}

#[test]
fn what_cannot_be_watched_is_told_by_its_reason() {
    use notify::ErrorKind;
    let denied = notify::Error::new(ErrorKind::Io(std::io::ErrorKind::PermissionDenied.into()));
    let line = unwatched(Some(Path::new("/secret")), &denied);
    assert!(
        line.starts_with("changes in /secret are noticed up to a minute late, because keyferry's uid may not"),
        "{line}"
    );
    assert!(!line.contains("inotify"), "{line}");
    let line = unwatched(Some(Path::new("/dir")), &notify::Error::new(ErrorKind::MaxFilesWatch));
    assert!(line.contains("max_user_watches"), "{line}");
}
