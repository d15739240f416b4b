//! Drives the real binary against the emulator, as a pod would: a scrubbed environment with what the workload identity
//! webhook injects, a directory on tmpfs, nothing else.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use keyferry_emulator::{Assertion, DEFAULT_CLIENT, DEFAULT_TENANT, Emulator, Logged, Service, Settings};
use tempfile::TempDir;

/// Nothing that a test waits for takes nearly as long on a machine that is not broken.
pub const SOON: Duration = Duration::from_mins(1);

/// An emulator, and a pod's file system.
pub struct World {
    pub emulator: Emulator,
    pub root: TempDir,
}

impl World {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        let emulator = Emulator::start(settings).expect("the emulator starts");
        let root = tempfile::Builder::new().prefix("keyferry-it-").tempdir_in("/dev/shm").expect("tmpfs at /dev/shm");
        fs::create_dir(root.path().join("out")).unwrap();
        fs::write(root.path().join("ca.pem"), emulator.ca_pem()).unwrap();
        let world = Self { emulator, root };
        world.write_token(&Assertion::default());
        world
    }

    /// What a cluster would project into the pod; with a newline at its end, as people's mocked ones have.
    pub fn write_token(&self, assertion: &Assertion) {
        fs::write(self.token_file(), format!("{}\n", self.emulator.federated_token(assertion))).unwrap();
    }

    pub fn token_file(&self) -> PathBuf {
        self.root.path().join("token")
    }

    /// The published directory.
    pub fn out(&self) -> PathBuf {
        self.root.path().join("out")
    }

    pub fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.out().join(file)).ok()
    }

    /// The part of every configuration that says where the emulator is.
    pub fn preamble(&self, vaults: &[&str]) -> String {
        let mut text = format!(
            "cloud: {{authorityHost: \"{}\", vaultSuffix: vault.localhost, resourceManager: \"{}\"}}\n\
             tls: {{caFile: {}}}\nvaults:\n",
            self.emulator.authority(),
            self.emulator.management_url(),
            self.root.path().join("ca.pem").display()
        );
        for vault in vaults {
            writeln!(text, "  {vault}: {{url: \"{}\"}}", self.emulator.vault_url(vault)).unwrap();
        }
        text
    }

    /// A configuration of the vault `demo` and one directory; `rest` begins with `secrets:`.
    pub fn config(&self, rest: &str) -> String {
        format!("{}files: {{dir: {}}}\n{rest}", self.preamble(&["demo"]), self.out().display())
    }

    /// The environment that the webhook makes, and consent to the emulator's cloud.
    pub fn environment(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("AZURE_CLIENT_ID", DEFAULT_CLIENT.to_owned()),
            ("AZURE_TENANT_ID", DEFAULT_TENANT.to_owned()),
            ("AZURE_FEDERATED_TOKEN_FILE", self.token_file().display().to_string()),
            ("AZURE_AUTHORITY_HOST", self.emulator.authority()),
            ("KEYFERRY_ALLOW_CUSTOM_CLOUD", "1".to_owned()),
        ])
    }

    /// The binary with this configuration.
    pub fn keyferry(&self, config: &str, args: &[&str]) -> Command {
        let mut command = binary(args);
        command.envs(self.environment()).env("KEYFERRY_CONFIG_YAML", config);
        command
    }

    pub fn init(&self, config: &str, args: &[&str]) -> Ended {
        end(&mut self.keyferry(config, &[&["init"], args].concat()))
    }

    pub fn run(&self, config: &str) -> Running {
        Running::start(&mut self.keyferry(config, &["run", "--log-level", "debug"]))
    }

    /// Requests with a bearer token, to any vault.
    pub fn bearers(&self) -> usize {
        self.emulator.requests().iter().filter(|request| request.bearer).count()
    }

    pub fn requests_to(&self, service: Service) -> Vec<Logged> {
        self.emulator.requests().into_iter().filter(|request| request.service == service).collect()
    }
}

/// The binary in an empty environment.
pub fn binary(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyferry"));
    command.env_clear().args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The same command of the binary as another user, who is in this one group alone.
pub fn as_user(uid: u32, command: &Command) -> Command {
    // By an open file: the other uid need not be let into the directory where the tests were built, which may be one's home.
    static PROGRAM: LazyLock<File> = LazyLock::new(|| File::open(env!("CARGO_BIN_EXE_keyferry")).unwrap());
    let mut other = Command::new(format!("/proc/self/fd/{}", PROGRAM.as_raw_fd()));
    other
        .env_clear()
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .args(command.get_args());
    other.uid(uid).gid(uid).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    other
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub took: Duration,
}

impl Ended {
    #[track_caller]
    pub fn expect(&self, code: i32, pieces: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for piece in pieces {
            assert!(self.stderr.contains(piece), "no {piece:?} in {self:#?}");
        }
    }
}

impl Ended {
    /// How it ended, a line each, as text or out of the JSON of a log.
    pub fn last_words(&self) -> Vec<String> {
        let word = |line: &str| match serde_json::from_str::<serde_json::Value>(line) {
            Ok(event) if event["target"] == "keyferry" => event["message"].as_str().map(str::to_owned),
            Ok(_) => None,
            Err(_) => line.strip_prefix("keyferry: ").map(str::to_owned),
        };
        self.stderr.lines().filter_map(word).collect()
    }

    /// The line about one secret.
    #[track_caller]
    pub fn about(&self, secret: &str) -> String {
        let beginning = format!("secret {secret} (");
        let line = self.last_words().into_iter().find(|line| line.starts_with(&beginning));
        line.unwrap_or_else(|| panic!("no line begins with {beginning:?}: {self:#?}"))
    }
}

/// Says why a test cannot be done here. Where everything must be done, as in the gate, that is a failure.
#[track_caller]
pub fn skip(why: &str) {
    let strict = std::env::var_os("KEYFERRY_TEST_SKIPS_NOTHING").is_some();
    assert!(!strict, "this test may not be skipped here, but {why}");
    println!("skipped: {why}");
}

/// Whether this is root; else the test is skipped.
#[track_caller]
pub fn root_or_skip() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("it needs root");
    }
    root
}

/// Checks every case at the same time, each on a thread of its own: most of them only wait for a deadline.
pub fn at_once<T: Sync>(cases: &[T], check: impl Fn(&T) + Sync) {
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| check(case));
        }
    });
}

/// Runs to the end, which must come within [`SOON`].
pub fn end(command: &mut Command) -> Ended {
    let begun = Instant::now();
    let mut child = command.spawn().expect("the binary starts");
    let pid = child.id();
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let out = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let err = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    let done = eventually(SOON, || child.try_wait().unwrap());
    let Some(status) = done else {
        child.kill().unwrap();
        panic!("{pid} did not end: {}", err.join().unwrap());
    };
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Ended { code, stdout: out.join().unwrap(), stderr: err.join().unwrap(), took: begun.elapsed() }
}

/// Waits for a condition, until a deadline.
pub fn eventually<T>(deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A running agent; killed when dropped.
pub struct Running {
    child: Child,
    log: Arc<(Mutex<Vec<String>>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::null()).spawn().expect("the binary starts");
        let log = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let (stderr, lines) = (child.stderr.take().unwrap(), Arc::clone(&log));
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.0.lock().unwrap().push(line);
                lines.1.notify_all();
            }
        });
        Self { child, log, reader: Some(reader) }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The lines that were logged so far.
    pub fn lines(&self) -> Vec<String> {
        self.log.0.lock().unwrap().clone()
    }

    pub fn count(&self, piece: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(piece)).count()
    }

    /// Waits until a line with this has been logged so many times.
    #[track_caller]
    pub fn wait_for(&self, piece: &str, times: usize) {
        let (lines, changed) = &*self.log;
        let lines = lines.lock().unwrap();
        let (lines, timeout) = changed
            .wait_timeout_while(lines, SOON, |lines| lines.iter().filter(|line| line.contains(piece)).count() < times)
            .unwrap();
        assert!(!timeout.timed_out(), "no {piece:?} x{times} in {lines:#?}");
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// SIGTERM, and how it ends.
    pub fn stop(self) -> (Option<i32>, Vec<String>) {
        let (code, _, lines) = self.end_by(rustix::process::Signal::TERM);
        (code, lines)
    }

    /// A signal; how it ends, after how long, and everything it has logged.
    pub fn end_by(mut self, signal: rustix::process::Signal) -> (Option<i32>, Duration, Vec<String>) {
        let sent = Instant::now();
        self.signal(signal);
        let status = eventually(SOON, || self.child.try_wait().unwrap()).expect("it ends by a signal");
        let took = sent.elapsed();
        self.reader.take().unwrap().join().unwrap();
        (status.code(), took, self.lines())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

/// A port at which nobody should ever knock; it keeps the first words of whoever does.
pub struct Trap {
    pub address: SocketAddr,
    caught: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Trap {
    pub fn set() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let trap = Self { address: listener.local_addr().unwrap(), caught: Arc::default() };
        let caught = Arc::clone(&trap.caught);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut words = vec![0; 4096];
                let length = stream.read(&mut words).unwrap_or(0);
                words.truncate(length);
                caught.lock().unwrap().push(words);
            }
        });
        trap
    }

    pub fn caught(&self) -> Vec<Vec<u8>> {
        self.caught.lock().unwrap().clone()
    }
}

/// Waits until the file holds this.
#[track_caller]
pub fn until_holds(path: &Path, value: &str) {
    let holds = eventually(SOON, || (fs::read_to_string(path).ok()? == value).then_some(()));
    assert!(holds.is_some(), "{} never held {value:?}, but {:?}", path.display(), fs::read_to_string(path));
}
