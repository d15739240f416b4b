//! What the tests of the files sink share: directories on tmpfs, snapshots, and processes under other uids.

#![expect(clippy::disallowed_methods, reason = "tests look at files with the standard library")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use std::{env, fs};

use keyferry::config::Directory;
use keyferry::files::FilesSink;
use keyferry::plan::Content;
use keyferry::ports::{Published, Sink, SinkError};
use keyferry::reference::SecretName;
use keyferry::secret::{Part, Secret, SecretValue, Version};
use keyferry::snapshot::{Generation, Snapshot};
use tempfile::TempDir;

/// The uid that keyferry runs as where it matters, and the neighbour's.
pub(crate) const OURS: u32 = 10_001;
pub(crate) const THEIRS: u32 = 10_002;

/// A directory on tmpfs, and the settings of a sink for `app` in it.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) root: TempDir,
    pub(crate) settings: Directory,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::within(Path::new("/dev/shm"))
    }

    pub(crate) fn within(parent: &Path) -> Self {
        let root = tempfile::tempdir_in(parent).unwrap();
        chmod(root.path(), 0o711);
        let settings = settings(&root.path().join("app"));
        Self { root, settings }
    }

    /// Makes the directory as kubelet makes an `emptyDir`, or otherwise.
    pub(crate) fn made(self, mode: u32) -> Self {
        fs::create_dir(self.dir()).unwrap();
        chmod(self.dir(), mode);
        self
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.settings.dir
    }

    pub(crate) fn sink(&self) -> FilesSink {
        FilesSink::new(&self.settings)
    }

    /// The path that `..data` leads to.
    pub(crate) fn generation(&self) -> PathBuf {
        self.dir().join(fs::read_link(self.dir().join("..data")).unwrap())
    }

    pub(crate) fn publish(&self, sink: &mut FilesSink, files: &[(&str, &str)]) -> Published {
        try_publish(sink, self.dir(), files).unwrap()
    }

    /// Asserts that the directory shows these files and nothing else, by path and in `..data`.
    pub(crate) fn assert_shows(&self, files: &[(&str, &str)]) {
        assert_shows(self.dir(), files);
    }
}

pub(crate) fn settings(dir: &Path) -> Directory {
    Directory {
        dir: dir.into(),
        include: Vec::new(),
        mode: 0o400,
        group: None,
        allow_disk: false,
        rendered: BTreeMap::new(),
    }
}

/// A snapshot whose only layout is the directory's.
pub(crate) fn snapshot<'a>(dir: &Path, files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Arc<Snapshot> {
    let mut secrets = BTreeMap::new();
    let mut layout = BTreeMap::new();
    for (number, (path, value)) in files.into_iter().enumerate() {
        let name = SecretName::parse(&format!("s{number}")).unwrap();
        let value = SecretValue::new(value.into());
        secrets.insert(name.clone(), Arc::new(Secret::plain(Version::Unversioned, value)));
        layout.insert(PathBuf::from(path), Content::Secret { secret: name, part: Part::Value });
    }
    let layouts = Arc::new(BTreeMap::from([(dir.to_path_buf(), layout)]));
    let (unknown, rendered) = (BTreeSet::new(), BTreeMap::new());
    let (absent, tokens, env) = (BTreeSet::new(), BTreeSet::new(), Arc::default());
    Arc::new(Snapshot { generation: Generation(1), secrets, unknown, absent, tokens, layouts, env, rendered })
}

pub(crate) fn try_publish(sink: &mut FilesSink, dir: &Path, files: &[(&str, &str)]) -> Result<Published, SinkError> {
    sink.publish(&snapshot(dir, files.iter().copied()), Instant::now())
}

pub(crate) fn changed(published: &Published) -> Vec<&str> {
    let paths = published.changed.iter().chain(&published.removed);
    let mut paths: Vec<&str> = paths.map(|path| path.to_str().unwrap()).collect();
    paths.sort_unstable();
    paths
}

pub(crate) fn assert_shows(dir: &Path, files: &[(&str, &str)]) {
    let wanted: BTreeMap<PathBuf, String> =
        files.iter().map(|(path, value)| (PathBuf::from(path), (*value).to_owned())).collect();
    assert_eq!(tree(&dir.join("..data")), wanted);
    for (path, value) in &wanted {
        assert_eq!(&fs::read_to_string(dir.join(path)).unwrap(), value, "{}", path.display());
    }
    let visible: BTreeSet<PathBuf> =
        wanted.keys().map(|path| PathBuf::from(path.components().next().unwrap().as_os_str())).collect();
    let names: BTreeSet<PathBuf> =
        names(dir).into_iter().filter(|name| !name.starts_with("..")).map(Into::into).collect();
    assert_eq!(names, visible);
}

/// The files below a directory by their relative paths.
pub(crate) fn tree(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for name in names(dir) {
        let path = dir.join(&name);
        if path.is_dir() {
            found.extend(tree(&path).into_iter().map(|(below, value)| (Path::new(&name).join(below), value)));
        } else {
            found.insert(name.into(), fs::read_to_string(path).unwrap());
        }
    }
    found
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The names of keyferry's own in a directory: `..data`, `..lock`, generations and leftovers.
pub(crate) fn own_names(dir: &Path) -> Vec<String> {
    names(dir).into_iter().filter(|name| name.starts_with("..")).collect()
}

pub(crate) fn generations(dir: &Path) -> Vec<String> {
    names(dir).into_iter().filter(|name| name.starts_with("..g")).collect()
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// What nobody may change in a file that stays: inode, size and time of writing.
pub(crate) fn identity(path: &Path) -> (u64, u64, i64, i64) {
    let meta = fs::metadata(path).unwrap();
    (meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec())
}

/// Whether the test may change uids and mount; says so if it skips.
pub(crate) use crate::harness::root_or_skip;

/// This test binary again, running one ignored test as a process of its own.
pub(crate) fn child(test: &str) -> Command {
    child_of(env::current_exe().unwrap(), test)
}

fn child_of(program: impl AsRef<OsStr>, test: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]).stdout(Stdio::piped());
    command.stdin(Stdio::null());
    command
}

/// The same under another uid: no capabilities, no supplementary groups.
pub(crate) fn child_as(uid: u32, gid: u32, test: &str) -> Command {
    // By an open file: the other uid need not be let into the directory where the tests were built, which may be one's home.
    static OURSELVES: LazyLock<File> = LazyLock::new(|| File::open(env::current_exe().unwrap()).unwrap());
    let mut command = child_of(format!("/proc/self/fd/{}", OURSELVES.as_raw_fd()), test);
    command.uid(uid).gid(gid);
    command
}

/// Runs a child to its end and returns what it printed; a failed one fails the test.
pub(crate) fn finish(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// A tmpfs of its own, unmounted at the end.
#[derive(Debug)]
pub(crate) struct Mount {
    root: TempDir,
}

impl Mount {
    pub(crate) fn tmpfs(options: &str) -> Self {
        let root = tempfile::tempdir_in("/dev/shm").unwrap();
        chmod(root.path(), 0o711);
        let mount = Self { root };
        mount.again(options);
        mount
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    /// Mounts another one over it, or changes it with `remount`.
    pub(crate) fn again(&self, options: &str) {
        run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(self.path()));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Whatever was mounted over each other comes off one by one.
        while Command::new("umount").arg("-l").arg(self.path()).stderr(Stdio::null()).status().unwrap().success() {}
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// Waits for the condition, and fails if it has not come in a minute.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(Instant::now() < deadline, "waited a minute for {what}");
        std::thread::yield_now();
    }
}

/// Random enough for tests.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new() -> Self {
        use std::hash::{BuildHasher, Hasher};
        let seed = std::hash::RandomState::new().build_hasher().finish();
        println!("seed {seed}");
        Self(seed | 1)
    }

    /// A number below `end`.
    pub(crate) fn roll(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % end
    }
}
