//! Templates and env files through the real binary: made of what the vault gives, published like any other file.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use keyferry_emulator::{DEFAULT_CLIENT, Permission, Refusal};
use rustix::process::Signal;

use crate::harness::{Ended, World, until_holds};

fn world(secrets: &[(&str, &str)]) -> World {
    let world = World::new();
    for (name, value) in secrets {
        world.emulator.put_secret("demo", name, value);
    }
    world
}

/// A configuration of two directories, `out` and `more`; the template of `out` is in a file.
fn config(world: &World, rest: &str) -> String {
    format!("{}{rest}", world.preamble(&["demo"]))
        .replace("/OUT", world.out().to_str().unwrap())
        .replace("/MORE", world.root.path().join("more").to_str().unwrap())
        .replace("/ROOT", world.root.path().to_str().unwrap())
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

fn generation(dir: &Path) -> PathBuf {
    fs::read_link(dir.join("..data")).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

const DATABASE: &str = "
secrets:
  db-user: {from: keyvault:demo/secrets/db-user, file: false}
  db-password: keyvault:demo/secrets/db-password
  licence: {from: keyvault:demo/secrets/licence, optional: true}
  other: keyvault:demo/secrets/other
env:
  DATABASE_URL: {template: \"postgres://{{ secrets['db-user'] | urlencode }}:{{ secrets['db-password'] | urlencode }}@db/app\"}
  DB_PASSWORD: {secret: db-password}
  LICENCE: {secret: licence}
files:
  - {dir: /OUT, include: [db-password], mode: \"0640\", envFile: app.env}
  - {dir: /MORE, include: [other, licence], mode: \"0400\"}
templates:
  - {dir: /OUT, destination: conf/settings.json, source: /ROOT/settings.json.j2}
  - {dir: /MORE, destination: licence.txt, contents: \"{{ secrets.licence | default('none') }}\"}
";

const SETTINGS: &str =
    "{\n  \"user\": \"{{ secrets['db-user'] }}\",\n  \"password\": {{ secrets['db-password'] | tojson }}\n}\n";

fn database(world: &World) -> String {
    fs::write(world.root.path().join("settings.json.j2"), SETTINGS).unwrap();
    config(world, DATABASE)
}

/// What a shell makes of the env file.
fn sourced(file: &Path, variable: &str) -> String {
    let script = format!(". {}; printf %s \"${variable}\"", file.display());
    let output = Command::new("sh").args(["-euc", &script]).env_clear().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn they_are_published_beside_the_secrets_they_are_made_of() {
    let (user, password) = ("me \"too\"\\", "p@ss/wörd $HOME `id`\n#\u{1}");
    let world = world(&[("db-user", user), ("db-password", password), ("other", "o")]);
    let config = database(&world);
    world.init(&config, &[]).expect(0, &[]);
    let settings = world.out().join("conf/settings.json");
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&settings).unwrap()).unwrap();
    assert_eq!(json, serde_json::json!({"user": user, "password": password}));
    let env_file = world.out().join("app.env");
    assert_eq!(sourced(&env_file, "DB_PASSWORD"), password);
    let url = "postgres://me%20%22too%22%5C:p%40ss%2Fw%C3%B6rd%20%24HOME%20%60id%60%0A%23%01@db/app";
    assert_eq!(sourced(&env_file, "DATABASE_URL"), url);
    assert!(!world.read("app.env").unwrap().contains("LICENCE"), "what is optional and missing is not set");
    let more = world.root.path().join("more");
    assert_eq!(fs::read_to_string(more.join("licence.txt")).unwrap(), "none");
    // No wider than the strictest of what is in them: the licence is published with 0400 elsewhere.
    assert_eq!((mode(&settings), mode(&env_file), mode(&world.out().join("db-password"))), (0o640, 0o400, 0o640));

    // A restart takes them over as they are.
    let before = (inode(&settings), inode(&env_file), generation(&world.out()), generation(&more));
    world.init(&config, &[]).expect(0, &[]);
    assert_eq!((inode(&settings), inode(&env_file), generation(&world.out()), generation(&more)), before);
    // Under another mode they are written anew.
    world.init(&config.replace("0640", "0440"), &[]).expect(0, &[]);
    assert_eq!((mode(&settings), mode(&env_file)), (0o440, 0o400));
    assert_eq!(inode(&env_file), before.1, "but not what has the same");

    let get = crate::harness::end(&mut world.keyferry(&config, &["get", "db-user"]));
    assert_eq!((get.code, get.stdout), (Some(0), user.as_bytes().to_vec()));
}

#[test]
fn a_rotation_makes_anew_what_it_is_in_and_nothing_else() {
    let world = world(&[("db-user", "u"), ("db-password", "p"), ("licence", "l"), ("other", "o")]);
    let agent = world.run(&format!("{}refresh: {{interval: 7d, settle: 0s}}\n", database(&world)));
    let more = world.root.path().join("more");
    let (settings, env_file) = (world.out().join("conf/settings.json"), world.out().join("app.env"));
    until_holds(&more.join("licence.txt"), "l");
    until_holds(&env_file, "DATABASE_URL='postgres://u:p@db/app'\nDB_PASSWORD='p'\nLICENCE='l'\n");
    let before = (generation(&world.out()), inode(&settings), inode(&env_file));

    world.emulator.put_secret("demo", "other", "o2");
    agent.signal(Signal::HUP);
    until_holds(&more.join("other"), "o2");
    assert_eq!((generation(&world.out()), inode(&settings), inode(&env_file)), before);

    let untouched = (generation(&more), inode(&more.join("licence.txt")));
    world.emulator.put_secret("demo", "db-user", "u2");
    agent.signal(Signal::HUP);
    until_holds(&env_file, "DATABASE_URL='postgres://u2:p@db/app'\nDB_PASSWORD='p'\nLICENCE='l'\n");
    until_holds(&settings, "{\n  \"user\": \"u2\",\n  \"password\": \"p\"\n}\n");
    assert_eq!((generation(&more), inode(&more.join("licence.txt"))), untouched);
    agent.wait_for("published generation 2", 2);
    let told = agent.lines().into_iter().find(|line| line.contains("app.env, conf/settings.json"));
    assert!(told.is_some(), "both at once, and not the password: {:#?}", agent.lines());
}

const QUOTED: &str = "
secrets: {a: keyvault:demo/secrets/a}
env: {A: {secret: a}}
refresh: {interval: 7d, settle: 0s}
files: {dir: /OUT, envFile: app.env}
templates:
  - {dir: /OUT, destination: app.conf, contents: \"a = {{ secrets.a }}\"}
";

#[test]
fn what_cannot_be_rendered_keeps_its_last_good_content_and_holds_nobody_up() {
    let world = world(&[("a", "1")]);
    let config = config(&world, QUOTED);
    let agent = world.run(&config);
    let env_file = world.out().join("app.env");
    until_holds(&env_file, "A='1'\n");
    let before = inode(&env_file);
    let rotate = |value: &str| {
        world.emulator.put_secret("demo", "a", value);
        agent.signal(Signal::HUP);
        until_holds(&world.out().join("app.conf"), &format!("a = {value}"));
    };
    rotate("it's");
    assert_eq!((world.read("app.env").as_deref(), inode(&env_file)), (Some("A='1'\n"), before));
    let reason = "env.A: a value with a single quote cannot be written to an env file";
    agent.wait_for(&format!("{} cannot be rendered: {reason}", env_file.display()), 1);
    rotate("it's 2");
    rotate("2");
    until_holds(&env_file, "A='2'\n");
    agent.wait_for("app.env is rendered again", 1);
    assert_eq!(agent.count("cannot be rendered"), 1, "once: {:#?}", agent.lines());
    rotate("it's 3");
    agent.wait_for("cannot be rendered", 2);
    agent.stop();

    // Nor does a restart lose it; but then there is somebody to be told.
    let ended = world.init(&config, &[]);
    ended.expect(65, &[&format!("{} cannot be rendered: {reason}", env_file.display())]);
    assert_eq!(ended.last_words().len(), 1, "{ended:#?}");
    assert_eq!(world.read("app.env").as_deref(), Some("A='2'\n"));
    assert_eq!(world.read("a").as_deref(), Some("it's 3"));
}

#[test]
fn init_says_where_and_why_and_does_not_wait() {
    let cases = [
        (
            "x\n{{ secrets.a }}{{ secrets.absent }}",
            ":2: the secret 'absent' is not there: ask before, {% if secrets['absent'] is defined %}",
        ),
        ("{{ secrets.a | int }}", ":1: an operation, filter or test cannot work with these values"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", ":1: this is too much work"),
    ];
    for (text, reason) in cases {
        let world = world(&[("a", "value")]);
        let template = world.root.path().join("app.j2");
        fs::write(&template, text).unwrap();
        let rest = "
secrets: {a: keyvault:demo/secrets/a, absent: {from: keyvault:demo/secrets/absent, optional: true}}
files: {dir: /OUT}
templates: [{dir: /OUT, destination: app.conf, source: /ROOT/app.j2}]
";
        let ended = world.init(&config(&world, rest), &["--timeout", "10m"]);
        let place =
            format!("{} cannot be rendered: {}{reason}", world.out().join("app.conf").display(), template.display());
        ended.expect(65, &[&place]);
        assert_eq!(world.read("a").as_deref(), Some("value"), "the others are published");
        assert_eq!(world.read("app.conf"), None);
    }
}

#[test]
fn a_restart_keeps_what_was_made_of_what_cannot_be_had_any_more() {
    let world = world(&[("db-user", "u"), ("db-password", "p"), ("licence", "l"), ("other", "o")]);
    let config = database(&world);
    world.init(&config, &[]).expect(0, &[]);
    let (settings, env_file) = (world.out().join("conf/settings.json"), world.out().join("app.env"));
    let before = (inode(&settings), inode(&env_file), generation(&world.out()));
    // Of one of its secrets nothing is known; the other has rotated.
    world.emulator.put_secret("demo", "db-password", "p2");
    world.emulator.deny(DEFAULT_CLIENT, "demo", Permission::Get, Some("db-user"), Refusal::ForbiddenByRbac);
    world.init(&config, &["--timeout", "2s"]).expect(77, &["secret db-user"]);
    assert_eq!(world.read("db-password").as_deref(), Some("p2"));
    assert_eq!((inode(&settings), inode(&env_file)), (before.0, before.1));
    assert_ne!(generation(&world.out()), before.2);
}

#[test]
fn a_wrong_template_is_told_with_everything_else_before_anything_is_fetched() {
    let world = world(&[("a", "1")]);
    fs::write(world.root.path().join("app.j2"), "a\n  {{ secrets.b }}\n{{ secrets.a | nothing }}").unwrap();
    fs::write(world.root.path().join("binary.j2"), b"\xff").unwrap();
    let rest = "
secrets: {a: keyvault:demo/secrets/a}
files: {dir: /OUT}
templates:
  - {dir: /OUT, destination: a, source: /ROOT/app.j2}
  - {dir: /OUT, destination: b, source: /ROOT/none.j2}
  - {dir: /OUT, destination: c, source: /ROOT/binary.j2}
  - {dir: /OUT, destination: d, source: /ROOT}
";
    let ended = world.init(&config(&world, rest), &[]);
    let app = world.root.path().join("app.j2").display().to_string();
    let pieces = [
        "KEYFERRY_CONFIG_YAML:9:",
        &format!("templates.0.source: {app}:2:6: there is no secret 'b' in 'secrets:'"),
        &format!("templates.0.source: {app}:3:16: there is no filter 'nothing'"),
        "templates.1.source: this file cannot be read: there is no such file",
        "templates.2.source: this file cannot be read: it is not UTF-8",
        "templates.3.source: this file cannot be read: it is no regular file",
    ];
    ended.expect(78, &pieces);
    assert_eq!(world.emulator.requests().len(), 0);
    assert_eq!(told(&ended), 5, "{ended:#?}");
}

fn told(ended: &Ended) -> usize {
    ended.stderr.lines().count()
}
