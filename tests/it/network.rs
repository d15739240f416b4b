//! A network that swallows packets: in a namespace of its own, so that the agent's names and routes are the test's.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::{Ended, binary, end};

/// A network namespace with one interface behind which nobody is.
struct Void {
    name: String,
    /// Files that replace those of `/etc` in it.
    etc: PathBuf,
}

impl Void {
    /// None, and why on standard output, where namespaces cannot be made.
    fn new(name: &str) -> Option<Self> {
        let name = format!("keyferry-{name}-{}", std::process::id());
        let etc = PathBuf::from("/etc/netns").join(&name);
        if !rustix::process::geteuid().is_root() {
            crate::harness::skip("making a network namespace needs root");
            return None;
        }
        if let Err(reason) = ip(&["netns", "add", &name]) {
            crate::harness::skip(&format!("no network namespace: {reason}"));
            return None;
        }
        let void = Self { name, etc };
        fs::create_dir_all(&void.etc).unwrap();
        // The other end of the pair is up and nobody's: what is sent to the neighbour's address there is dropped.
        let script = "link set lo up
            link add here type veth peer name there
            addr add 10.99.0.1/24 dev here
            link set here up
            link set there up
            neigh add 10.99.0.2 lladdr 02:00:00:00:99:02 nud permanent dev here";
        for line in script.lines() {
            let words: Vec<&str> = ["-n", void.name.as_str()].into_iter().chain(line.split_whitespace()).collect();
            if let Err(reason) = ip(&words) {
                crate::harness::skip(&format!("{line}: {reason}"));
                return None;
            }
        }
        Some(void)
    }

    fn etc(&self, file: &str, text: &str) {
        fs::write(self.etc.join(file), text).unwrap();
    }

    /// `keyferry init --timeout 8s` in it, of one vault that is there by name only, and of a local file.
    fn init(&self, root: &TempDir) -> Ended {
        fs::write(root.path().join("token"), "a.b.c").unwrap();
        fs::write(root.path().join("fine"), "fine").unwrap();
        fs::create_dir(root.path().join("out")).unwrap();
        let root = root.path().display();
        let config = format!(
            "cloud: {{authorityHost: \"https://login.dead.test/\", vaultSuffix: vault.dead.test}}\n\
             files: {{dir: {root}/out}}\n\
             secrets:\n  good: \"file:{root}/fine\"\n  bad: \"keyvault:https://one.vault.dead.test/secrets/bad\"\n"
        );
        let keyferry = binary(&[]);
        let mut command = Command::new("ip");
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.args(["netns", "exec", &self.name]).arg(keyferry.get_program()).args(["init", "--timeout", "8s"]);
        command
            .env("AZURE_CLIENT_ID", "11111111-1111-4111-8111-111111111111")
            .env("AZURE_TENANT_ID", "22222222-2222-4222-8222-222222222222")
            .env("AZURE_FEDERATED_TOKEN_FILE", format!("{root}/token"))
            .env("AZURE_AUTHORITY_HOST", "https://login.dead.test/")
            .env("KEYFERRY_ALLOW_CUSTOM_CLOUD", "1")
            .env("KEYFERRY_CONFIG_YAML", config);
        end(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))
    }
}

impl Drop for Void {
    fn drop(&mut self) {
        ip(&["netns", "del", &self.name]).unwrap_or_default();
        fs::remove_dir_all(&self.etc).unwrap_or_default();
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

fn assert_ended_on_time(ended: &Ended, root: &TempDir, codes: &[&str]) {
    ended.expect(69, &[]);
    assert!((Duration::from_secs(7)..Duration::from_secs(11)).contains(&ended.took), "{ended:#?}");
    let line = ended.about("bad");
    assert!(codes.iter().any(|code| line.contains(code)), "{line}");
    assert!(!ended.stderr.contains("secret good ("), "{ended:#?}");
    assert_eq!(fs::read_to_string(root.path().join("out/good")).unwrap(), "fine");
}

fn root() -> TempDir {
    tempfile::Builder::new().prefix("keyferry-it-").tempdir_in("/dev/shm").unwrap()
}

#[test]
fn a_network_that_swallows_packets_costs_the_deadline_and_no_more() {
    let Some(void) = Void::new("swallow") else { return };
    void.etc("hosts", "10.99.0.2 login.dead.test one.vault.dead.test\n");
    let root = root();
    let ended = void.init(&root);
    println!("network: packets vanish | init --timeout 8s ended after {:.1?}", ended.took);
    assert_ended_on_time(&ended, &root, &["(timeout)", "(connect)"]);
}

#[test]
fn a_name_server_that_says_nothing_does_not_hold_up_the_end() {
    let Some(void) = Void::new("dns") else { return };
    void.etc("hosts", "127.0.0.1 localhost\n");
    void.etc("resolv.conf", "nameserver 10.99.0.2\noptions ndots:5\nsearch one.test two.test three.test\n");
    void.etc("nsswitch.conf", "hosts: files dns\n");
    let root = root();
    let ended = void.init(&root);
    println!("network: name server mute | init --timeout 8s ended after {:.1?}", ended.took);
    assert_ended_on_time(&ended, &root, &["(timeout)", "(dns)", "(connect)"]);
}

#[test]
fn the_hosts_file_comes_before_the_name_server() {
    let Some(void) = Void::new("hosts") else { return };
    // As `hostAliases` of a pod. Nobody listens there, which is known at once; the name server says nothing.
    void.etc("hosts", "127.0.0.1 localhost\n127.0.0.1\tlogin.dead.test  ONE.vault.dead.test # ours\n");
    void.etc("resolv.conf", "nameserver 10.99.0.2\noptions ndots:5\nsearch one.test two.test three.test\n");
    void.etc("nsswitch.conf", "hosts: files dns\n");
    let root = root();
    let ended = void.init(&root);
    assert_ended_on_time(&ended, &root, &["(refused)"]);
}

#[test]
fn a_network_without_a_way_out_is_told_as_such() {
    let Some(void) = Void::new("nowhere") else { return };
    void.etc("hosts", "192.0.2.1 login.dead.test one.vault.dead.test\n");
    let root = root();
    let ended = void.init(&root);
    assert_ended_on_time(&ended, &root, &["(unreachable)"]);
}
