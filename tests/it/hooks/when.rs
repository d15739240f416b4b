//! When a hook is run: once for each generation, after it can be seen, and never for what was there before.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use keyferry_emulator::{Logged, SecretSpec, Service};
use rustix::process::Signal;

use super::posts::Application;
use super::{Bench, CANARY};
use crate::harness::{Running, SOON, World, binary, end, eventually, until_holds};

#[test]
fn a_restart_that_adopts_what_is_there_tells_nobody() {
    let bench = Bench::new();
    let application = Application::start(&[]);
    let agent = bench.run(&application.hook());
    bench.rotate(&agent, "a", "1");
    application.until_heard(1);
    agent.stop();
    for round in 2..4 {
        let agent = bench.run(&application.hook());
        // What is heard next is the first that was told.
        bench.rotate(&agent, "b", &round.to_string());
        application.until_heard(round);
        assert_eq!(application.bodies().last().unwrap(), r#"{"generation":2,"secrets":["b"]}"#);
        agent.stop();
    }
    assert_eq!(application.heard().len(), 3);
}

#[test]
fn what_comes_late_after_a_restart_is_told_only_if_it_differs() {
    for (late, told) in [("0", r#"{"generation":3,"secrets":["b"]}"#), ("1", r#"{"generation":2,"secrets":["a"]}"#)] {
        let bench = Bench::new();
        let application = Application::start(&[]);
        bench.run(&application.hook()).stop();
        fs::remove_file(bench.path("in/a")).unwrap();
        let agent = bench.run(&application.hook());
        agent.wait_for("secret a (file:", 1);
        agent.wait_for("1 file of an earlier run stays in", 1);
        bench.put("a", late);
        agent.signal(Signal::HUP);
        agent.wait_for("secret a is fetched again", 1);
        until_holds(&bench.path("out/a"), &format!("{CANARY}-{late}"));
        if late == "0" {
            bench.rotate(&agent, "b", "1");
        }
        application.until_heard(1);
        assert_eq!(application.bodies(), [told], "of a, which is now {late}");
    }
}

#[test]
fn a_generation_counts_once_however_many_directories_show_it() {
    let world = World::new();
    let application = Application::start(&[]);
    for name in ["a", "b", "hidden"] {
        world.emulator.put_secret("demo", name, "1");
    }
    let dirs = ["one", "two"].map(|dir| world.root.path().join(dir));
    for dir in &dirs {
        fs::create_dir(dir).unwrap();
    }
    let [one, two] = dirs.each_ref().map(|dir| dir.display());
    let config = format!(
        "{}files: [{{dir: {one}}}, {{dir: {two}}}]\nrefresh: {{interval: 1s, settle: 2s}}\nsecrets:\n  \
         a: keyvault:demo/secrets/a\n  b: keyvault:demo/secrets/b\n  \
         hidden: {{from: keyvault:demo/secrets/hidden, file: false}}\nonChange:\n{}\n",
        world.preamble(&["demo"]),
        application.hook(),
    );
    let agent = world.run(&config);
    for dir in &dirs {
        until_holds(&dir.join("b"), "1");
    }
    world.emulator.put_secret("demo", "a", "2");
    world.emulator.put_secret("demo", "b", "2");
    application.until_heard(1);
    for dir in &dirs {
        assert_eq!(fs::read_to_string(dir.join("b")).unwrap(), "2", "who is told can see it");
    }
    world.emulator.put_secret("demo", "hidden", "2");
    application.until_heard(2);
    let secrets = |body: &String| serde_json::from_str::<serde_json::Value>(body).unwrap()["secrets"].to_string();
    let told: Vec<String> = application.bodies().iter().map(secrets).collect();
    assert_eq!(told, [r#"["a","b"]"#, r#"["hidden"]"#]);
    agent.wait_for("hook done", 2);
    let (_, lines) = agent.stop();
    assert_eq!(application.heard().len(), 2, "{lines:#?}");
}

#[test]
fn nobody_is_told_before_readers_can_see_it() {
    let bench = Bench::new();
    let application = Application::start(&[]);
    let agent = bench.run(&application.hook());
    // A file lies where the directory was.
    let (out, aside) = (bench.path("out"), bench.path("aside"));
    fs::rename(&out, &aside).unwrap();
    fs::write(&out, "").unwrap();
    bench.put("a", "1");
    agent.signal(Signal::HUP);
    agent.wait_for("cannot publish to", 1);
    assert_eq!(application.heard(), Vec::<String>::new());
    fs::remove_file(&out).unwrap();
    fs::rename(&aside, &out).unwrap();
    application.until_heard(1);
    assert_eq!(fs::read_to_string(out.join("a")).unwrap(), format!("{CANARY}-1"));
    assert_eq!(application.bodies(), [r#"{"generation":2,"secrets":["a"]}"#]);
}

#[test]
fn a_repair_is_no_change() {
    let bench = Bench::new();
    let application = Application::start(&[]);
    let agent = bench.run(&application.hook());
    let generation = bench.path("out").join(fs::read_link(bench.path("out/..data")).unwrap());
    fs::remove_file(generation.join("a")).unwrap();
    agent.signal(Signal::HUP);
    until_holds(&bench.path("out/a"), &format!("{CANARY}-0"));
    bench.rotate(&agent, "b", "1");
    application.until_heard(1);
    assert_eq!(application.bodies(), [r#"{"generation":2,"secrets":["b"]}"#]);
}

#[test]
fn init_tells_nobody() {
    let bench = Bench::new();
    let application = Application::start(&[]);
    fs::remove_file(bench.path("in/b")).unwrap();
    let config = bench.config(&application.hook());
    let mut command = binary(&["init", "--log-level", "debug"]);
    let agent = Running::start(command.env("KEYFERRY_CONFIG_YAML", &config));
    until_holds(&bench.path("out/a"), &format!("{CANARY}-0"));
    bench.put("b", "0");
    let is_there = |file: &Path| eventually(SOON, || file.exists().then_some(()));
    is_there(&bench.path("out/b")).expect("the second generation comes");
    agent.wait_for("published generation 2", 1);
    drop(agent);
    end(binary(&["init"]).env("KEYFERRY_CONFIG_YAML", &config)).expect(0, &[]);
    assert_eq!(application.heard(), Vec::<String>::new());
}

#[test]
fn the_end_is_not_held_up_by_a_hook() {
    let bench = Bench::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let agent = bench.run(&format!("  - {{http: {{url: \"http://127.0.0.1:{port}/\"}}}}"));
    bench.rotate(&agent, "a", "1");
    // It is being told, and says nothing.
    let (_connection, _) = listener.accept().unwrap();
    let (code, took, lines) = agent.end_by(Signal::TERM);
    assert_eq!(code, Some(0), "{lines:#?}");
    assert!(took < std::time::Duration::from_secs(3), "{took:?}");
}

#[test]
fn a_watch_on_the_directory_sees_each_generation_once() {
    use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
    let bench = Bench::new();
    let agent = bench.run("");
    let watch = init(CreateFlags::NONBLOCK).unwrap();
    add_watch(&watch, bench.path("out"), WatchFlags::MOVED_TO).unwrap();
    let mut buffer = [const { std::mem::MaybeUninit::uninit() }; 4096];
    let mut reader = Reader::new(&watch, &mut buffer);
    let mut moved = || Some(reader.next().ok()?.file_name()?.to_str().unwrap().to_owned());
    for round in 1..=3 {
        bench.rotate(&agent, "a", &round.to_string());
        // Taken one by one: of equal ones that nobody has taken yet the kernel keeps one.
        assert_eq!(eventually(SOON, &mut moved).as_deref(), Some("..data"));
    }
    agent.stop();
    assert_eq!(moved(), None);
}

#[test]
fn one_secret_that_rotates_costs_one_get_one_generation_of_its_directory_and_one_call() {
    let (world, application) = (World::new(), Application::start(&[]));
    let dirs = ["one", "two"].map(|dir| world.root.path().join(dir));
    let [one, two] = &dirs;
    let put = |value: &str| {
        // Long enough ago that lists may be trusted.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let created = Some(i64::try_from(now).unwrap() - if value == "1" { 3600 } else { 10 });
        world.emulator.put_secret_with("demo", SecretSpec { created, ..SecretSpec::new("a", value) });
    };
    put("1");
    for name in ["b", "c", "d"] {
        world.emulator.put_secret_with("demo", SecretSpec { created: Some(1), ..SecretSpec::new(name, "1") });
    }
    let config = format!(
        "{}files:\n  - {{dir: {}, include: [a, c]}}\n  - {{dir: {}, include: [b, d]}}\nonChange:\n{}\n\
         refresh: {{interval: 1s, settle: 0s}}\n\
         secrets: {{a: keyvault:demo/secrets/a, b: keyvault:demo/secrets/b, c: keyvault:demo/secrets/c, \
         d: keyvault:demo/secrets/d}}\n",
        world.preamble(&["demo"]),
        one.display(),
        two.display(),
        application.hook()
    );
    let agent = world.run(&config);
    for (dir, name) in [(one, "a"), (one, "c"), (two, "b"), (two, "d")] {
        until_holds(&dir.join(name), "1");
    }
    let shown = |dir: &Path| fs::read_link(dir.join("..data")).unwrap();
    let before = (shown(one), shown(two));
    put("2");
    until_holds(&one.join("a"), "2");
    application.until_heard(1);
    // And two cycles in which nothing has changed.
    let lists = |log: &[Logged]| log.iter().filter(|request| request.bearer && request.path == "/secrets").count();
    let seen = lists(&world.emulator.requests());
    assert!(world.emulator.wait_until(SOON, |log| lists(log) >= seen + 3));
    let gets = world.requests_to(Service::Vault);
    let gets = gets.iter().filter(|request| request.bearer && request.path.starts_with("/secrets/"));
    assert_eq!(
        (gets.count(), world.requests_to(Service::Entra).len()),
        (4 + 1, 1),
        "each once, and what changed twice"
    );
    assert_ne!(shown(one), before.0);
    assert_eq!(shown(two), before.1);
    assert_eq!(application.bodies(), [r#"{"generation":2,"secrets":["a"]}"#]);
    agent.stop();
}
