//! `keyferry exec --from`: a command gets the variables of an agent that runs beside it, and holds no identity.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use keyferry_emulator::Settings;
use rustix::process::Signal;

use crate::exec::{App, LISTENS, plain, stdout};
use crate::harness::{Running, SOON, World, end, eventually, root_or_skip};

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
    world.run(&format!("{}{serve}refresh: {{interval: 1s, settle: 0s}}\n{rest}", world.preamble(&["demo"])))
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
    let mut early = exec(&world, &[], "echo \"$DB $URL $PLAIN\"").env("PLAIN", "p").spawn().unwrap();
    let running = agent(&world, "", ENV);
    let status = eventually(SOON, || early.try_wait().unwrap()).expect("it ends");
    assert!(status.success());
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
    started(&mut plain(&["exec", "--from", "run/api.sock", "--", "/bin/true"]))
        .expect(64, &["unix: and an absolute path"]);
    let running = agent(
        &world,
        "",
        "secrets: {db: keyvault:demo/secrets/db, gone: keyvault:demo/secrets/gone}\nenv: {DB: {secret: db}, GONE: {secret: gone}}\n",
    );
    // Half an environment is none.
    started(exec(&world, &[], script).env("KEYFERRY_CONFIG_YAML", short)).expect(69, &["there is no value yet"]);
    world.emulator.put_secret("demo", "gone", "g");
    end(&mut exec(&world, &[], "exit 4")).expect(4, &[]);
    started(&mut exec(&world, &["--only", "DB,NO"], script)).expect(77, &["no variable NO", "--only"]);
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
    let of = |uid| end(exec(&world, &[], "echo \"$DB $URL\"").uid(uid).gid(uid));
    assert_eq!(stdout(&of(1000)), "canary-db app:canary-db\n");
    // It sees a secret, but no variable that is made of what it may see.
    of(1001).expect(77, &["shows no variables to this user, uid 1001", "'allow'"]);
    of(1002).expect(77, &["1002", "serve.socket.allow"]);
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn a_rotation_restarts_it_and_the_agent_s_own_restart_does_not() {
    let world = world();
    let running = agent(&world, "", ENV);
    let script = "echo \"$DB $URL\"; while :; do sleep 0.05; done";
    let mut app = App::start(&mut exec(&world, &["--on-change", "restart"], script));
    assert_eq!(app.next().unwrap(), "canary-db app:canary-db");
    world.emulator.put_secret("demo", "db", "canary-2");
    assert_eq!(app.next().unwrap(), "canary-2 app:canary-2");
    // The agent goes and comes back, with another value that nobody has told of.
    assert_eq!(running.stop().0, Some(0));
    world.emulator.put_secret("demo", "db", "canary-3");
    let running = agent(&world, "", ENV);
    assert_eq!(app.next().unwrap(), "canary-3 app:canary-3");
    assert_eq!(running.stop().0, Some(0));
    let running = agent(&world, "", ENV);
    let asked = || world.emulator.requests().len();
    running.wait_for("published generation 1 in serve", 1);
    let before = asked();
    assert!(eventually(SOON, || (asked() > before + 1).then_some(())).is_some());
    app.signal(Signal::TERM);
    assert_eq!(app.next(), None, "it was not started again");
    assert_eq!(app.end(), 128 + 15);
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn a_signal_tells_of_what_it_has_and_a_token_is_no_change() {
    let world = World::with(Settings { token_lifetime: 6, ..Settings::default() });
    world.emulator.put_secret("demo", "db", "1");
    world.emulator.put_secret("demo", "other", "1");
    let tokens = "secrets: {db: keyvault:demo/secrets/db, other: keyvault:demo/secrets/other, \
                  token: \"entra:https://cognitiveservices.azure.com/.default\"}\n\
                  env: {DB: {secret: db}, TOKEN: {secret: token}}\n";
    let running = agent(&world, "", tokens);
    let mut app = App::start(&mut exec(&world, &["--on-change", "SIGUSR1"], LISTENS));
    assert_eq!(app.next().unwrap(), "ready");
    // Two new tokens, and a secret that no variable is made of.
    running.wait_for("published generation 3 in serve", 1);
    world.emulator.put_secret("demo", "other", "2");
    let asked = || world.emulator.requests().iter().filter(|request| request.path.ends_with("/other")).count();
    let before = asked();
    assert!(eventually(SOON, || (asked() > before + 1).then_some(())).is_some());
    world.emulator.put_secret("demo", "db", "2");
    assert_eq!(app.next().unwrap(), "USR1", "the first of them");
    app.signal(Signal::TERM);
    assert_eq!((app.next().unwrap().as_str(), app.end()), ("TERM", 3));
    assert_eq!(running.stop().0, Some(0));
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
    // Another user's process, with a socket of its own in the same place.
    let script = format!(
        "import socket; s = socket.socket(socket.AF_UNIX); s.bind('{0}'); import os; os.chmod('{0}', 0o777); s.listen(); \
         print('listens', flush=True); import time; time.sleep(1000)",
        socket(&world).display()
    );
    let mut other = Command::new("python3").args(["-c", &script]).uid(1000).stdout(Stdio::piped()).spawn().unwrap();
    child.wait_for("is served by uid 1000 now, and was by uid 0 before", 1);
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(child.end_by(Signal::TERM).0, Some(128 + 15));
}

#[test]
fn what_is_no_agent_is_not_believed() {
    let world = world();
    let listener = UnixListener::bind(socket(&world)).unwrap();
    let server = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]").unwrap();
        }
    });
    end(&mut exec(&world, &[], "echo started")).expect(69, &["answers in another way than this version does"]);
    server.join().unwrap();
}
