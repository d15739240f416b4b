//! Who may call: by the kernel's word, on a socket and over TCP.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::json;

use super::client::{Endpoint, Reply, socket};
use crate::harness::{Running, World, end, root_or_skip, skip};

const SECRETS: &str = "refresh: {interval: 1s, settle: 0s}
secrets: {a: keyvault:demo/secrets/a, b: keyvault:demo/secrets/b}
env: {A: {secret: a}, B: {secret: b}, BOTH: {template: \"{{ secrets.a }}{{ secrets.b }}\"}}
";

fn world() -> World {
    let world = World::new();
    world.emulator.put_secret("demo", "a", "1");
    world.emulator.put_secret("demo", "b", "1");
    fs::set_permissions(world.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    world
}

#[test]
fn without_a_list_it_is_for_keyferry_s_own_user() {
    if !root_or_skip() {
        return;
    }
    let world = world();
    let running = world.run(&format!("{}{}{SECRETS}", world.preamble(&["demo"]), socket(&world, "")));
    running.wait_for("published generation 1 in serve", 1);
    let endpoint = Endpoint::of(&world);
    assert_eq!(endpoint.get("/v1/secrets/a").status, 200);
    for target in
        ["/v1/secrets/a", "/v1/secrets/absent", "/v1/env", "/v1/secrets", "/v1/status", "/v1/watch", "/nothing"]
    {
        let refused = endpoint.as_user(1000, |endpoint| endpoint.get(target));
        assert_eq!(refused.refusal(), (403, "CallerNotAllowed".to_owned()), "{target}");
        assert_eq!(refused.json()["error"]["uid"], 1000);
        assert!(refused.text().contains("name it in 'serve.socket.allow'"), "{refused:?}");
    }
    assert_eq!(endpoint.as_user(1000, |endpoint| endpoint.ask("POST", "/v1/refresh", &[])).status, 403);
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn each_user_sees_its_own_and_nothing_of_the_rest() {
    if !root_or_skip() {
        return;
    }
    let world = world();
    let allow = ", allow: [{uid: 1000, secrets: [a]}, {uid: 1001}]";
    let running = world.run(&format!("{}{}{SECRETS}", world.preamble(&["demo"]), socket(&world, allow)));
    running.wait_for("published generation 1 in serve", 1);
    let endpoint = Endpoint::of(&world);
    let of = |uid, target: &'static str| endpoint.as_user(uid, move |endpoint| endpoint.get(target));
    assert_eq!(of(1000, "/v1/secrets/a").text(), "1");
    let forbidden = of(1000, "/v1/secrets/b");
    let absent = of(1000, "/v1/secrets/c");
    assert_eq!((forbidden.status, forbidden.body), (404, absent.body));
    assert_eq!(of(1001, "/v1/secrets/b").text(), "1");
    assert_eq!(endpoint.get("/v1/secrets/a").refusal().1, "CallerNotAllowed", "its own user is not named");
    assert_eq!(of(1000, "/v1/env").json(), json!({"A": "1"}));
    assert_eq!(of(1001, "/v1/env").json(), json!({"A": "1", "B": "1", "BOTH": "11"}));
    for (uid, target) in [(1000, "/v1/secrets"), (1000, "/v1/status"), (1001, "/v1/secrets"), (1001, "/v1/status")] {
        let said = of(uid, target).json();
        assert_eq!(said["secrets"].as_array().unwrap().len(), if uid == 1000 { 1 } else { 2 }, "{said}");
        assert_eq!(said.get("directories").is_some(), uid == 1001 && target == "/v1/status", "{said}");
    }
    let mut watch = endpoint.as_user(1000, |endpoint| endpoint.watch(&[]));
    watch.next().unwrap();
    world.emulator.put_secret("demo", "b", "2");
    running.wait_for("published generation 2 in serve", 1);
    world.emulator.put_secret("demo", "a", "2");
    assert_eq!(watch.next().unwrap().data, json!({"generation": 3, "names": ["a"]}));
    assert_eq!(running.stop().0, Some(0));
}

/// A configuration that serves over TCP.
fn http(world: &World, more: &str) -> String {
    format!("{}serve: {{http: {{listen: \"127.0.0.1:0\"{more}}}}}\n{SECRETS}", world.preamble(&["demo"]))
}

#[test]
fn over_tcp_the_kernel_says_who_calls() {
    if !root_or_skip() {
        return;
    }
    let world = world();
    let running = world.run(&http(&world, ", allow: [{uid: 1000, secrets: [a]}, {uid: 0}]"));
    running.wait_for("published generation 1 in serve", 1);
    let endpoint = Endpoint::http(&running);
    let of = |uid| endpoint.as_user(uid, |endpoint| endpoint.get("/v1/secrets/a"));
    assert_eq!(of(1000).text(), "1");
    assert_eq!(of(0).text(), "1");
    let refused = of(1001);
    assert_eq!(
        (refused.refusal(), &refused.json()["error"]["uid"]),
        ((403, "CallerNotAllowed".to_owned()), &json!(1001))
    );
    // The number that the kernel shows for all whom it cannot map is nobody's.
    assert_eq!(of(65534).refusal(), (403, "CallerUnknown".to_owned()));
    assert_eq!(running.stop().0, Some(0));
}

/// A request by a shell in namespaces of its own, as another container of the pod has them.
fn in_namespaces(uid: &str, flags: &[&str], port: u16) -> Option<Reply> {
    let request = "GET /v1/secrets/a HTTP/1.1\\r\\nhost: localhost\\r\\nkeyferry-request: true\\r\\nconnection: close\\r\\n\\r\\n";
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && printf '{request}' >&3 && cat <&3");
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", uid, "--regid", uid, "--clear-groups", "unshare"])
        .args(flags)
        .args(["bash", "-c", &script]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    (!output.stdout.is_empty()).then(|| Reply::parse(&output.stdout))
}

#[test]
fn a_container_that_shares_the_network_is_its_user_and_not_whom_it_says_it_is() {
    if !root_or_skip() {
        return;
    }
    let world = world();
    let running = world.run(&http(&world, ", allow: [{uid: 5000}, {uid: 0}]"));
    running.wait_for("published generation 1 in serve", 1);
    let Endpoint::Tcp(address) = Endpoint::http(&running) else { panic!() };
    // Root in a user namespace of its own, with processes and mounts of its own.
    let container = ["--user", "--map-root-user", "--pid", "--fork", "--mount"];
    let named = in_namespaces("5000", &container, address.port()).unwrap();
    assert_eq!((named.status, named.text().as_str()), (200, "1"));
    let stranger = in_namespaces("5001", &container, address.port()).unwrap();
    assert_eq!((stranger.refusal().1.as_str(), &stranger.json()["error"]["uid"]), ("CallerNotAllowed", &json!(5001)));
    // Whoever does not share the network does not get here at all.
    assert!(in_namespaces("5000", &["--user", "--map-root-user", "--net"], address.port()).is_none());
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn whom_its_own_namespace_cannot_map_it_does_not_take_for_anybody() {
    if !root_or_skip() {
        return;
    }
    let world = world();
    let path = world.root.path().join("api.sock");
    let both = format!(
        "{}serve: {{socket: {{path: {}, allow: [{{uid: 0}}]}}, http: {{listen: \"127.0.0.1:0\", allow: [{{uid: 0}}]}}}}\n{SECRETS}",
        world.preamble(&["demo"]),
        path.display()
    );
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", env!("CARGO_BIN_EXE_keyferry"), "run"]).env_clear().stdin(Stdio::null());
    command.envs(world.environment()).env("KEYFERRY_CONFIG_YAML", both).stderr(Stdio::piped());
    let running = Running::start(&mut command);
    running.wait_for("published generation 1 in serve", 1);
    for endpoint in [Endpoint::of(&world), Endpoint::http(&running)] {
        let of = |uid| endpoint.as_user(uid, |endpoint| endpoint.get("/v1/secrets/a"));
        assert_eq!(of(0).text(), "1");
        assert_eq!(of(1000).refusal(), (403, "CallerUnknown".to_owned()));
    }
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn a_token_file_stands_in_for_the_kernel() {
    let world = world();
    let file = world.root.path().join("api.token");
    let config = http(&world, &format!(", tokenFile: {}", file.display()));
    let running = world.run(&config);
    running.wait_for("published generation 1 in serve", 1);
    let endpoint = Endpoint::http(&running);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o440);
    let token = fs::read_to_string(&file).unwrap();
    let with = |token: &str| endpoint.ask("GET", "/v1/secrets/a", &[&format!("authorization: Bearer {token}")]);
    assert_eq!(with(&token).text(), "1");
    let without = endpoint.get("/v1/secrets/a");
    assert_eq!(without.refusal(), (401, "TokenMissing".to_owned()));
    assert_eq!(without.header("www-authenticate").as_deref(), Some("Bearer"));
    assert_eq!(with(&token[1..]).status, 401);
    assert_eq!(endpoint.ask("GET", "/v1/secrets/a?token=x", &[]).status, 401);
    let (code, lines) = running.stop();
    assert_eq!(code, Some(0));
    assert!(!lines.iter().any(|line| line.contains(&token)));
    let running = world.run(&config);
    let endpoint = Endpoint::http(&running);
    let old = endpoint.ask("GET", "/v1/secrets/a", &[&format!("authorization: Bearer {token}")]);
    assert_eq!(old.status, 401, "it is another one after each start");
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn over_ipv6_and_where_netlink_is_refused_it_says_the_same() {
    if !root_or_skip() {
        return;
    }
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        return skip("strace is missing");
    }
    let world = world();
    fs::write(world.root.path().join("a"), "1").unwrap();
    let (refused, root) = (world.root.path().join("refused"), world.root.path().display());
    for listen in ["[::1]:0", "127.0.0.1:0"] {
        for is_refused in [false, true] {
            let config = format!(
                "files: {{dir: {root}/out}}\nserve: {{http: {{listen: \"{listen}\", allow: [{{uid: 1000}}]}}}}\n\
                 secrets: {{a: \"file:{root}/a\"}}\n"
            );
            // As a sandbox refuses it. What is traced stays this process's child (-D).
            let mut command = Command::new(if is_refused { "strace" } else { env!("CARGO_BIN_EXE_keyferry") });
            if is_refused {
                command.args(["-D", "-f", "-qq", "-e", "trace=connect", "-e", "inject=connect:error=EPERM", "-o"]);
                command.arg(&refused).arg(env!("CARGO_BIN_EXE_keyferry"));
            }
            command.arg("run").stdin(Stdio::null()).stderr(Stdio::piped()).env("KEYFERRY_CONFIG_YAML", config);
            let running = Running::start(&mut command);
            running.wait_for("published generation 1 in serve", 1);
            let endpoint = Endpoint::http(&running);
            let of = |uid| endpoint.as_user(uid, |endpoint| endpoint.get("/v1/secrets/a"));
            assert_eq!(of(1000).text(), "1", "{listen} {is_refused}");
            let stranger = of(1001);
            assert_eq!(stranger.refusal().1, "CallerNotAllowed", "{listen} {is_refused}");
            assert_eq!(stranger.json()["error"]["uid"], 1001);
            assert_eq!(running.stop().0, Some(0));
        }
        let traced = fs::read_to_string(&refused).unwrap();
        assert!(traced.lines().any(|line| line.contains("AF_NETLINK") && line.contains("EPERM")), "{traced}");
    }
}

#[test]
fn a_token_file_is_on_no_disk_unless_that_is_wanted() {
    let world = world();
    // Whatever this is, it is no memory of ours.
    let refused = end(&mut world.keyferry(&http(&world, ", tokenFile: /proc/self/token"), &["run"]));
    refused.expect(78, &["serve.http.tokenFile /proc/self/token is not on tmpfs", "`allowDisk: true`"]);
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = disk.path().join("token");
    let running = world.run(&format!("{}allowDisk: true\n", http(&world, &format!(", tokenFile: {}", file.display()))));
    running.wait_for("published generation 1 in serve", 1);
    assert!(file.exists());
    assert_eq!(running.stop().0, Some(0));
}
