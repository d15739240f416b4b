//! A hostile neighbour: another uid that may rename, plant and remove anything in the directory, during publishes.

#![expect(clippy::disallowed_methods, reason = "tests look at files with the standard library")]

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use keyferry::files::FilesSink;
use rustix::fs::{CWD, Mode, mknodat};

use super::desk::{
    Desk, Dice, OURS, THEIRS, assert_shows, child_as, chmod, names, root_or_skip, settings, try_publish, wait_for,
};

/// What nothing may change outside of the directory.
type Canary = BTreeMap<PathBuf, (u32, u32, u32, i64, i64, Option<Vec<u8>>)>;

/// Files and directories of keyferry's uid and of root: some that the neighbour may link or enter, some that only
/// keyferry could change.
fn plant_canary(root: &Path) {
    fs::create_dir(root).unwrap();
    for (owner, name) in [(OURS, "ours"), (0, "roots")] {
        for (mode, kind) in [(0o700, "closed"), (0o755, "readable"), (0o777, "open")] {
            let dir = root.join(format!("{name}-{kind}"));
            fs::create_dir_all(dir.join("below")).unwrap();
            for file in ["a", "b", "below/c"] {
                fs::write(dir.join(file), format!("canary {name} {kind} {file}")).unwrap();
                chown(dir.join(file), Some(owner), Some(owner)).unwrap();
                chmod(&dir.join(file), if kind == "closed" { 0o600 } else { 0o644 });
            }
            for dir in [dir.join("below"), dir] {
                chown(&dir, Some(owner), Some(owner)).unwrap();
                chmod(&dir, mode);
            }
        }
    }
    chmod(root, 0o755);
}

fn look_at(path: &Path, found: &mut Canary) {
    let meta = fs::symlink_metadata(path).unwrap();
    let bytes = meta.is_file().then(|| fs::read(path).unwrap());
    found.insert(path.into(), (meta.mode(), meta.uid(), meta.gid(), meta.mtime(), meta.mtime_nsec(), bytes));
    if meta.is_dir() {
        for name in names(path) {
            look_at(&path.join(name), found);
        }
    }
}

fn canary(root: &Path) -> Canary {
    let mut found = Canary::new();
    look_at(root, &mut found);
    found
}

fn assert_untouched(root: &Path, before: &Canary) {
    let after = canary(root);
    let differing: Vec<_> =
        before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(differing.is_empty(), "{differing:?}");
}

#[test]
fn a_neighbour_in_a_world_writable_directory_reaches_nothing_outside() {
    besieged(0o777, None, OURS);
}

#[test]
fn a_neighbour_in_a_setgid_directory_of_its_group_reaches_nothing_outside() {
    besieged(0o2777, Some(3000), 3000);
}

/// A thousand publishes under attack, and one after it.
fn besieged(mode: u32, group: Option<u32>, gid: u32) {
    if !root_or_skip() {
        return;
    }
    let desk = Desk::new().made(mode);
    if group.is_some() {
        chown(desk.dir(), None, group).unwrap();
        chmod(desk.dir(), mode);
    }
    let outside = desk.root.path().join("outside");
    plant_canary(&outside);
    let before = canary(&outside);
    let done = desk.root.path().join("done");
    fs::create_dir(&done).unwrap();
    chmod(&done, 0o777);

    let start = |uid, gid, test: &str| {
        let mut command = child_as(uid, gid, test);
        prepare(&mut command, &desk, &outside, &done, group);
        command.spawn().unwrap()
    };
    let mut sink = Kill(start(OURS, gid, "files::neighbour::child_publishes"));
    // Of the same group: it may read, and enter the generations; that gives it nothing more to write.
    let attack = Kill(start(THEIRS, gid, "files::neighbour::child_attacks"));
    wait_for("a thousand publishes", || done.join("thousand").exists() || sink.0.try_wait().unwrap().is_some());
    drop(attack);
    assert_untouched(&outside, &before);
    fs::write(done.join("over"), "").unwrap();
    wait_for("the last publish", || sink.0.try_wait().unwrap().is_some());
    let mut output = String::new();
    std::io::Read::read_to_string(&mut sink.0.stdout.take().unwrap(), &mut output).unwrap();
    println!("{output}");
    assert!(sink.0.wait().unwrap().success(), "{output}");
    assert_untouched(&outside, &before);
    let last = files(u64::MAX);
    for (path, value) in &last {
        let meta = fs::metadata(desk.dir().join(path)).unwrap();
        assert_eq!(&fs::read_to_string(desk.dir().join(path)).unwrap(), value);
        assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (OURS, gid, 0o440), "{path}");
    }
}

/// A process that does not outlive the test.
struct Kill(Child);

impl Drop for Kill {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn prepare(command: &mut Command, desk: &Desk, outside: &Path, done: &Path, group: Option<u32>) {
    command.env("DIR", desk.dir()).env("OUTSIDE", outside).env("DONE", done);
    if let Some(group) = group {
        command.env("GROUP", group.to_string());
    }
}

fn files(number: u64) -> [(&'static str, String); 4] {
    [
        ("a", number.to_string()),
        ("b", format!("{number}{number}")),
        ("sub/c", number.to_string()),
        ("d", "still".into()),
    ]
}

fn path_from(name: &str) -> PathBuf {
    env::var_os(name).unwrap().into()
}

#[test]
#[ignore = "keyferry, in the tests above: without capabilities"]
fn child_publishes() {
    let (dir, done) = (path_from("DIR"), path_from("DONE"));
    let mut settings = settings(&dir);
    settings.mode = 0o440;
    settings.group = env::var("GROUP").ok().map(|group| group.parse().unwrap());
    let mut sink = FilesSink::new(&settings);
    let mut publish = |number| {
        let values = files(number);
        let files: Vec<(&str, &str)> = values.iter().map(|(path, value)| (*path, value.as_str())).collect();
        let begun = Instant::now();
        let result = try_publish(&mut sink, &dir, &files);
        (result, begun.elapsed())
    };
    wait_for("the neighbour", || fs::exists(done.join("attacking")).unwrap());
    let (mut refused, mut repairs, mut slowest) = (BTreeMap::new(), BTreeMap::new(), Duration::ZERO);
    for number in 0..1000 {
        let (result, took) = publish(number);
        slowest = slowest.max(took);
        match result {
            Ok(published) => {
                for told in published.repaired {
                    *repairs.entry(told).or_insert(0_usize) += 1;
                }
            }
            Err(error) => *refused.entry(format!("{}; {}", error.reason, error.fix)).or_insert(0_usize) += 1,
        }
    }
    println!("refused {refused:#?}\nrepaired {repairs:#?}\nslowest {slowest:?}");
    assert!(!repairs.is_empty());
    assert!(slowest < Duration::from_secs(5), "something waited: {slowest:?}");
    fs::write(done.join("thousand"), "").unwrap();
    wait_for("the end of the attack", || fs::exists(done.join("over")).unwrap());
    let (result, _) = publish(u64::MAX);
    println!("after the attack: {result:?}");
    result.unwrap();
    let (result, _) = publish(u64::MAX);
    let published = result.unwrap();
    assert_eq!((published.changed, published.repaired), (vec![], vec![]), "nothing was left to put right");
    let last = files(u64::MAX);
    // What the neighbour left under other names is its own.
    for name in names(&dir).into_iter().filter(|name| name.starts_with("theirs")) {
        let path = dir.join(name);
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            fs::remove_dir_all(path).ok()
        } else {
            fs::remove_file(path).ok()
        };
    }
    let shown: Vec<(&str, &str)> = last.iter().map(|(path, value)| (*path, value.as_str())).collect();
    for (path, value) in shown {
        assert_eq!(fs::read_to_string(dir.join(path)).unwrap(), value);
    }
    // Wherever it was moved: of what was published, the shown generation is left and the one before, at most.
    let mut found = Canary::new();
    for path in names(&dir).into_iter().map(|name| dir.join(name)) {
        if fs::symlink_metadata(&path).unwrap().is_dir() && fs::read_dir(&path).is_ok() {
            look_at(&path, &mut found);
        }
    }
    let values = found.iter().filter(|(_, what)| what.1 == OURS && what.5.is_some()).count();
    assert!(values == 4 || values == 8, "{found:#?}");
}

#[test]
#[ignore = "the neighbour, in the tests above"]
fn child_attacks() {
    let (dir, outside, done) = (path_from("DIR"), path_from("OUTSIDE"), path_from("DONE"));
    let mut dice = Dice::new();
    fs::write(done.join("attacking"), "").unwrap();
    loop {
        for _ in 0..50 {
            attack(&dir, &outside, &done, &mut dice);
        }
        // Now and then it lets one through, so that there is something to attack.
        if dice.roll(3) == 0 {
            thread::sleep(Duration::from_micros(u64::try_from(dice.roll(3000)).unwrap()));
        }
    }
}

/// One random thing; most fail, because the name is gone by then.
fn attack(dir: &Path, outside: &Path, workshop: &Path, dice: &mut Dice) {
    const NAMES: [&str; 7] = ["..data", "..data", "..data_tmp", "..lock", "a", "sub", "d"];
    let found = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect::<Vec<_>>();
    let pick = |dice: &mut Dice, prefixes: &[&str]| {
        let fitting: Vec<_> = found
            .iter()
            .filter(|name| prefixes.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes())))
            .collect();
        (!fitting.is_empty()).then(|| dir.join(fitting[dice.roll(fitting.len())]))
    };
    let target = match dice.roll(4) {
        0 => pick(dice, &["..g"]),
        1 => pick(dice, &["..tmp-", "..g"]),
        _ => Some(dir.join(NAMES[dice.roll(NAMES.len())])),
    };
    let Some(target) = target else { return };
    let aside = dir.join(format!("theirs{}", dice.roll(8)));
    match dice.roll(8) {
        0 => return drop(fs::remove_file(&target)),
        // Two names of ours exchanged.
        1 => {
            let Some(other) = pick(dice, &["..g", "..data", "theirs"]) else { return };
            drop(fs::rename(&target, &aside));
            drop(fs::rename(&other, &target));
            return drop(fs::rename(&aside, &other));
        }
        2 => drop(fs::remove_file(&target)),
        _ => drop(fs::rename(&target, &aside)),
    }
    let victims = ["ours-closed", "ours-readable", "ours-open", "roots-closed", "roots-open", "ours-readable/below"];
    let victim = outside.join(victims[dice.roll(victims.len())]);
    drop(match dice.roll(8) {
        0 => symlink(&victim, &target),
        1 => symlink(victim.join("a"), &target),
        2 => fs::hard_link(victim.join("a"), &target),
        3 => mknodat(CWD, &target, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o666), 0).map_err(Into::into),
        4 => UnixListener::bind(&target).map(drop),
        5 => fs::create_dir(&target),
        // Made elsewhere, so that the neighbour does not follow a link of its own.
        6 => full_directory(&workshop.join(format!("full{}", dice.roll(usize::MAX))), &victim, &target),
        _ => fs::rename(&aside, &target),
    });
    // Room for the next ones.
    if dice.roll(16) == 0 {
        drop(fs::remove_dir_all(&aside));
        drop(fs::remove_file(&aside));
    }
}

fn full_directory(at: &Path, victim: &Path, target: &Path) -> std::io::Result<()> {
    fs::create_dir_all(at.join("x/y"))?;
    fs::write(at.join("x/y/z"), "")?;
    symlink(victim, at.join("x/link")).ok();
    fs::set_permissions(at, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    fs::rename(at, target)
}

/// The neighbour is quick, but the same things done one by one must end well every single time.
#[test]
fn a_hundred_attacks_between_publishes_are_each_put_right() {
    if !root_or_skip() {
        return;
    }
    let desk = Desk::new().made(0o777);
    let outside = desk.root.path().join("outside");
    plant_canary(&outside);
    let before = canary(&outside);
    let mut dice = Dice::new();
    let mut sink = desk.sink();
    for number in 0..300 {
        let values = files(number);
        let files: Vec<(&str, &str)> = values.iter().map(|(path, value)| (*path, value.as_str())).collect();
        desk.publish(&mut sink, &files);
        for path in files.iter().map(|file| file.0) {
            assert!(desk.dir().join(path).is_file());
        }
        for _ in 0..dice.roll(12) {
            attack(desk.dir(), &outside, desk.root.path(), &mut dice);
        }
        desk.publish(&mut sink, &files);
        for (path, value) in &files {
            assert_eq!(fs::read_to_string(desk.dir().join(path)).unwrap(), *value);
        }
        assert_untouched(&outside, &before);
    }
    assert_shows_ours(&desk);
}

fn assert_shows_ours(desk: &Desk) {
    for name in names(desk.dir()).into_iter().filter(|name| name.starts_with("theirs")) {
        let path = desk.dir().join(name);
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
    let values = files(299);
    let files: Vec<(&str, &str)> = values.iter().map(|(path, value)| (*path, value.as_str())).collect();
    assert_shows(desk.dir(), &files);
}
