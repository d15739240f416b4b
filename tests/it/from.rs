//! `keyferry exec --from`: a command gets the variables of an agent that runs beside it, and holds no identity.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use keyferry_emulator::Settings;
use rustix::process::Signal;

use crate::admin;
use crate::exec::{App, plain, stdout};
use crate::harness::{Running, SOON, World, as_user, binary, end, eventually, root_or_skip, until_holds};

const ENV: &str = "secrets: {db: keyvault:demo/secrets/db, other: keyvault:demo/secrets/other}\n\
                   env: {DB: {secret: db}, URL: {template: \"app:{{ secrets.db }}\"}}\n";

fn world() -> World {
    let world = World::new();
    world.emulator.put_secret("demo", "db", "canary-db");
    world.emulator.put_secret("demo", "other", "x");
    fs::set_permissions(world.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    world
}

fn socket(world: &World) -> PathBuf {
    world.root.path().join("api.sock")
}

/// An agent with this socket; `allow` is what follows the path.
fn agent(world: &World, allow: &str, rest: &str) -> Running {
    let serve = format!("serve: {{socket: {{path: {}{allow}}}}}\n", socket(world).display());
    let running =
        world.run(&format!("{}{serve}refresh: {{interval: 1s, settle: 0s}}\n{rest}", world.preamble(&["demo"])));
    running.wait_for("values are served at the socket", 1);
    running
}

/// The command of the application's container: it has no identity and no configuration.
fn exec(world: &World, args: &[&str], script: &str) -> Command {
    let from = format!("unix:{}", socket(world).display());
    let mut command =
        plain(&[&["exec", "--log-level", "info", "--from", &from], args, &["--", "/bin/sh", "-c", script]].concat());
    command.env("PATH", "/usr/bin:/bin");
    command
}

#[test]
fn the_agent_s_variables_are_the_command_s() {
    let world = world();
    // Whoever asks before the agent runs waits for it.
    let got = world.root.path().join("got");
    let script = format!("echo \"$DB $URL\" > {}; exec sleep 1000", got.display());
    let early = Running::start(&mut exec(&world, &[], &script));
    early.wait_for("asking again for variables", 1);
    let running = agent(&world, "", ENV);
    until_holds(&got, "canary-db app:canary-db\n");
    assert_eq!(early.end_by(Signal::TERM).0, Some(128 + 15));
    for once in [&[][..], &["--once"]] {
        let ended = end(exec(&world, once, "env").env("DB", "old").env("VAULT", "https://demo.vault.azure.net/"));
        ended.expect(0, &[]);
        let text = stdout(&ended);
        let variables: Vec<&str> = text.lines().collect();
        for expected in ["DB=canary-db", "URL=app:canary-db", "VAULT=https://demo.vault.azure.net/"] {
            assert!(variables.contains(&expected), "no {expected} in {text}");
        }
        assert!(ended.stderr.contains("served by uid"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("canary"), "{}", ended.stderr);
        let only = end(exec(&world, &[once, &["--only", "DB"]].concat(), "echo \"$DB $URL\"").env("URL", "keyvault:x"));
        assert_eq!(stdout(&only), "canary-db keyvault:x\n");
    }
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn what_cannot_be_given_is_said_and_nothing_is_started() {
    let world = world();
    let started = |command: &mut Command| {
        let ended = end(command);
        assert!(ended.stdout.is_empty(), "{ended:?}");
        ended
    };
    let script = "echo started";
    let short = "startup: {timeout: 1s}";
    started(exec(&world, &[], script).env("KEYFERRY_CONFIG_YAML", short))
        .expect(69, &["no keyferry answers at", "api.sock"]);
    started(exec(&world, &[], script).env("DB", "keyvault:demo/secrets/db"))
        .expect(78, &["the variable DB is a reference", "write it into the agent's configuration"]);
    started(exec(&world, &[], script).env("DB", "'keyvault:demo/secrets/db'"))
        .expect(78, &["the variable DB is nearly a reference"]);
    started(&mut plain(&["exec", "--from", "run/api.sock", "--", "/bin/true"]))
        .expect(64, &["unix: and an absolute path"]);
    let running = agent(
        &world,
        "",
        "secrets: {db: keyvault:demo/secrets/db, gone: keyvault:demo/secrets/gone}\nenv: {DB: {secret: db}, GONE: {secret: gone}}\n",
    );
    // Half an environment is none.
    started(exec(&world, &[], script).env("KEYFERRY_CONFIG_YAML", short))
        .expect(69, &["GONE: the secret gone has no value yet"]);
    world.emulator.put_secret("demo", "gone", "g");
    end(&mut exec(&world, &[], "exit 4")).expect(4, &[]);
    started(&mut exec(&world, &["--only", "DB,NO"], script)).expect(64, &["no variable 'NO'", "--only", "'allow'"]);
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn each_user_gets_its_own_and_others_nothing() {
    if !root_or_skip() {
        return;
    }
    let world = world();
    let allow = ", allow: [{uid: 1000, secrets: [db]}, {uid: 1001, secrets: [other]}]";
    let running = agent(&world, allow, &format!("{ENV}files: {{dir: {}}}\n", world.out().display()));
    running.wait_for("published generation 1", 2);
    let from = format!("unix:{}", socket(&world).display());
    let words = ["exec", "--from", &from, "--", "/bin/sh", "-c", "echo \"$DB $URL\""];
    let of = |uid| end(&mut as_user(uid, &binary(&words)));
    assert_eq!(stdout(&of(1000)), "canary-db app:canary-db\n");
    // It sees a secret, but no variable that is made of what it may see.
    of(1001).expect(77, &["shows no variables to this user, uid 1001", "'allow'"]);
    of(1002).expect(77, &["1002", "serve.socket.allow"]);
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn a_rotation_restarts_it() {
    let world = world();
    let running = agent(&world, "", ENV);
    let script = "echo \"$DB $URL\"; while :; do sleep 0.05; done";
    let mut app = App::start(&mut exec(&world, &["--on-change", "restart"], script));
    assert_eq!(app.next().unwrap(), "canary-db app:canary-db");
    world.emulator.put_secret("demo", "db", "canary-2");
    assert_eq!(app.next().unwrap(), "canary-2 app:canary-2");
    app.signal(Signal::TERM);
    assert_eq!((app.next(), app.end()), (None, 128 + 15));
    assert_eq!(running.stop().0, Some(0));
}

/// A command that is told of changes by a signal, whose log shows each; and how often the agent has been asked for variables.
struct Told {
    running: Running,
    signals: usize,
}

impl Told {
    fn start(world: &World, args: &[&str]) -> Self {
        let args = [&["--on-change", "SIGUSR1"], args].concat();
        let running = Running::start(&mut exec(world, &args, "trap '' USR1; while :; do sleep 0.05; done"));
        running.wait_for("served by uid", 1);
        Self { running, signals: 0 }
    }

    /// Waits for the next signal, because of these.
    #[track_caller]
    fn hears(&mut self, changed: &str) {
        self.signals += 1;
        self.running.wait_for("the command gets SIGUSR1", self.signals);
        let lines = self.running.lines();
        let last = lines.iter().rfind(|line| line.contains("the command gets SIGUSR1")).unwrap();
        assert!(last.contains(&format!("changed: {changed}; ")), "{last}");
    }

    /// Waits until it has looked so many times at what this agent shows.
    fn has_looked(agent: &Running, times: u64) {
        let series = "keyferry_endpoint_requests_total{route=\"variables\",code=\"200\"} ";
        let count = || {
            let text = admin::get(admin::address(agent), "/metrics").1;
            text.lines().find_map(|line| line.strip_prefix(series)?.parse().ok()).unwrap_or(0)
        };
        assert!(eventually(SOON, || (count() >= times).then_some(())).is_some(), "it has looked {} times", count());
    }

    /// That was all that it heard.
    fn end(self) {
        let (_, _, lines) = self.running.end_by(Signal::TERM);
        let signals = lines.iter().filter(|line| line.contains("the command gets SIGUSR1")).count();
        assert_eq!(signals, self.signals, "{lines:#?}");
    }
}

#[test]
fn the_agent_s_own_restart_is_no_change_and_what_has_changed_meanwhile_is() {
    let world = world();
    let config = format!("{ENV}admin: {{listen: \"127.0.0.1:0\"}}\n");
    let running = agent(&world, "", &config);
    let mut told = Told::start(&world, &[]);
    assert_eq!(running.stop().0, Some(0));
    let running = agent(&world, "", &config);
    Told::has_looked(&running, 1);
    world.emulator.put_secret("demo", "db", "canary-2");
    told.hears("DB, URL");
    assert_eq!(running.stop().0, Some(0));
    world.emulator.put_secret("demo", "db", "canary-3");
    let running = agent(&world, "", &config);
    told.hears("DB, URL");
    told.end();
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn a_token_and_what_nobody_has_are_no_change() {
    let world = World::with(Settings { token_lifetime: 6, ..Settings::default() });
    for name in ["db", "key", "other"] {
        world.emulator.put_secret("demo", name, "1");
    }
    let tokens = "secrets: {db: keyvault:demo/secrets/db, key: keyvault:demo/secrets/key, other: keyvault:demo/secrets/other, \
                  token: \"entra:https://cognitiveservices.azure.com/.default\"}\n\
                  env: {DB: {secret: db}, TOKEN: {secret: token}, BOTH: {template: \"{{ secrets.token }} {{ secrets.key }}\"}}\n\
                  admin: {listen: \"127.0.0.1:0\"}\n";
    let running = agent(&world, "", tokens);
    let mut told = Told::start(&world, &[]);
    // Two new tokens, and a secret that no variable is made of.
    running.wait_for("published generation 3 in serve", 1);
    world.emulator.put_secret("demo", "other", "2");
    running.wait_for("in serve: other", 1);
    world.emulator.put_secret("demo", "db", "2");
    told.hears("DB");
    world.emulator.put_secret("demo", "key", "2");
    told.hears("BOTH");
    told.end();
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn what_is_optional_and_not_there_is_taken_away_and_comes() {
    let world = world();
    let optional = "secrets: {db: keyvault:demo/secrets/db, key: {from: keyvault:demo/secrets/key, optional: true}}\n\
                    env: {DB: {secret: db}, KEY: {secret: key}}\n";
    let running = agent(&world, "", optional);
    for only in [&[][..], &["--only", "KEY"]] {
        let ended = end(exec(&world, only, "echo \"[$DB] [${KEY-none}]\"").env("KEY", "placeholder"));
        let expected = if only.is_empty() { "[canary-db] [none]\n" } else { "[] [none]\n" };
        assert_eq!(stdout(&ended), expected, "{ended:?}");
    }
    let mut told = Told::start(&world, &[]);
    world.emulator.put_secret("demo", "key", "k");
    told.hears("KEY");
    told.end();
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn only_what_is_wanted_is_waited_for() {
    let world = world();
    let gone = "secrets: {db: keyvault:demo/secrets/db, gone: keyvault:demo/secrets/gone}\n\
                env: {DB: {secret: db}, GONE: {secret: gone}}\n";
    let running = agent(&world, "", gone);
    let ended = end(&mut exec(&world, &["--only", "DB"], "echo \"$DB\""));
    assert_eq!(stdout(&ended), "canary-db\n", "{ended:?}");
    let short = "startup: {timeout: 1s}";
    let ended = end(exec(&world, &[], "echo started").env("KEYFERRY_CONFIG_YAML", short));
    ended.expect(69, &["GONE: the secret gone has no value yet"]);
    assert!(ended.stdout.is_empty());
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn a_variable_that_the_agent_reads_anew_is_a_change() {
    let world = world();
    let serve = format!("serve: {{socket: {{path: {}}}}}\n", socket(&world).display());
    let file = world.root.path().join("keyferry.yaml");
    let write = |env: &str| {
        let secrets = "secrets: {db: keyvault:demo/secrets/db, other: keyvault:demo/secrets/other}\n";
        fs::write(&file, format!("{}{serve}refresh: {{settle: 0s}}\n{secrets}env: {env}\n", world.preamble(&["demo"])))
            .unwrap();
    };
    write("{DB: {secret: db}}");
    let mut command = crate::harness::binary(&["run", "--config", file.to_str().unwrap()]);
    let running = Running::start(command.envs(world.environment()));
    let mut told = Told::start(&world, &[]);
    write("{DB: {secret: db}, OTHER: {secret: other}}");
    running.signal(Signal::HUP);
    told.hears("OTHER");
    told.end();
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn a_server_that_says_nothing_costs_the_deadline_and_no_more() {
    let world = world();
    let _listener = UnixListener::bind(socket(&world)).unwrap();
    let ended = end(exec(&world, &[], "echo started").env("KEYFERRY_CONFIG_YAML", "startup: {timeout: 1s}"));
    ended.expect(69, &["has not answered until the deadline"]);
    assert!(ended.took < Duration::from_secs(5), "{:?}", ended.took);
}

#[test]
fn whoever_takes_the_socket_over_is_not_believed() {
    if !root_or_skip() {
        return;
    }
    let world = world();
    let running = agent(&world, "", ENV);
    let mut command = exec(&world, &["--on-change", "restart"], "echo \"$DB\"; while :; do sleep 0.05; done");
    command.stderr(Stdio::piped());
    let child = Running::start(&mut command);
    running.wait_for("published generation 1 in serve", 1);
    child.wait_for("served by uid 0", 1);
    assert_eq!(running.stop().0, Some(0));
    fs::remove_file(socket(&world)).ok();
    fs::set_permissions(world.root.path(), fs::Permissions::from_mode(0o777)).unwrap();
    // Another user's process, with a socket of its own in the same place, which answers as an agent would.
    let script = format!(
        "import os, socket; s = socket.socket(socket.AF_UNIX); s.bind('{0}'); os.chmod('{0}', 0o777); s.listen()
while True:
    c, _ = s.accept()
    c.recv(4096)
    body = b'{{\"variables\": [{{\"name\": \"DB\", \"value\": \"another\"}}]}}'
    c.sendall(b'HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\nconnection: close\\r\\n\\r\\n' % len(body) + body)
    c.close()
",
        socket(&world).display()
    );
    let mut other = Command::new("python3");
    // Ended with the test, however that ends.
    let other = Running::start(other.args(["-c", &script]).uid(1000).stderr(Stdio::piped()));
    child.wait_for("is served by uid 1000 now, and was by uid 0 before", 1);
    let (code, _, lines) = child.end_by(Signal::TERM);
    assert_eq!(code, Some(128 + 15));
    assert!(!lines.iter().any(|line| line.contains("changed:")), "{lines:#?}");
    other.signal(Signal::KILL);
}

#[test]
fn what_is_no_agent_is_not_believed() {
    let world = world();
    let listener = UnixListener::bind(socket(&world)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]").unwrap();
        }
    });
    end(&mut exec(&world, &[], "echo started")).expect(69, &["answers in another way than this version does"]);
}

#[test]
fn of_a_configuration_only_what_it_needs_is_looked_at() {
    let world = world();
    let running = agent(&world, "", ENV);
    // The agent's own, in a container that has neither its files, its consent to the cloud nor its identity.
    let agents = format!(
        "{}{ENV}templates: [{{dir: /run/x, destination: a, source: /no/such/template.j2}}]\n\
         files: {{dir: /run/x}}\n",
        world.preamble(&["demo"])
    );
    let run = |config: &str| {
        let mut command = exec(&world, &[], "echo \"$DB\"");
        end(command.env("KEYFERRY_CONFIG_YAML", config).env("AZURE_AUTHORITY_HOST", "https://login.nowhere.example"))
    };
    let ended = run(&format!("{agents}startup: {{timeout: 1s}}\n"));
    ended.expect(0, &[]);
    assert_eq!(stdout(&ended), "canary-db\n");
    // What it needs, and how a configuration is written, is still looked at; all of it at once.
    let ended = run(&format!("{agents}startup: {{timeout: 0s}}\nexec: {{onChange: reload}}\nserv: {{}}\n"));
    ended.expect(78, &["startup.timeout: expected a duration", "exec.onChange: expected", "serv: "]);
    assert!(ended.stdout.is_empty());
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn a_path_that_can_never_lead_to_an_agent_is_refused_at_once() {
    let world = world();
    let at = |name: &str| world.root.path().join(name);
    fs::write(at("file"), "").unwrap();
    let _datagrams = UnixDatagram::bind(at("datagrams")).unwrap();
    symlink(at("circle"), at("circle")).unwrap();
    for (path, piece) in [
        (at("file"), "is there and is no socket"),
        (at("out"), "is there and is no socket"),
        (at("file/api.sock"), "leads through a file"),
        (at("datagrams"), "is a socket of another kind"),
        (at("circle"), "leads round in a circle of links"),
        (at(&"x".repeat(108)), "is longer than a socket's path may be, 107 bytes"),
    ] {
        let from = format!("unix:{}", path.display());
        let ended = end(&mut plain(&["exec", "--from", &from, "--", "/bin/echo", "started"]));
        ended.expect(78, &[path.to_str().unwrap(), piece]);
        assert!(ended.stdout.is_empty());
        assert!(ended.took < Duration::from_secs(10), "{:?}", ended.took);
    }
    // One that an agent has left behind may have another soon.
    drop(UnixListener::bind(socket(&world)).unwrap());
    let ended = end(exec(&world, &[], "echo started").env("KEYFERRY_CONFIG_YAML", "startup: {timeout: 1s}"));
    ended.expect(69, &["no keyferry answers at"]);
}

#[test]
fn a_server_that_speaks_no_http_is_no_matter_of_permissions() {
    let world = world();
    let listener = UnixListener::bind(socket(&world)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            stream.unwrap().write_all(b"SSH-2.0-OpenSSH_9.9\r\n").ok();
        }
    });
    let config = "startup: {timeout: 1s}";
    let ended = end(exec(&world, &[], "echo started").env("KEYFERRY_CONFIG_YAML", config));
    ended.expect(69, &["gave no HTTP answer: is it keyferry's?"]);
    assert!(ended.stdout.is_empty());
    let served =
        format!("{}serve: {{socket: {{path: {}}}}}\n{ENV}", world.preamble(&["demo"]), socket(&world).display());
    for args in [&["status"][..], &["refresh"], &["env"]] {
        end(&mut world.keyferry(&served, args)).expect(69, &["gave no HTTP answer: is it keyferry's?"]);
    }
}
