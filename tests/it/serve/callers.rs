//! Who may call: by the kernel's word, on a socket and over TCP.

use serde_json::json;

use super::client::{Endpoint, socket};
use crate::harness::{World, root_or_skip};

const SECRETS: &str = "refresh: {interval: 1s, settle: 0s}
secrets: {a: keyvault:demo/secrets/a, b: keyvault:demo/secrets/b}
env: {A: {secret: a}, B: {secret: b}, BOTH: {template: \"{{ secrets.a }}{{ secrets.b }}\"}}
";

fn world() -> World {
    let world = World::new();
    world.emulator.put_secret("demo", "a", "1");
    world.emulator.put_secret("demo", "b", "1");
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(world.root.path(), everybody).unwrap();
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
