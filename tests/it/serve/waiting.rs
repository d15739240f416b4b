//! Who waits for a change: by asking for another value, or by watching.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use serde_json::json;

use super::client::{AT_ONCE, Endpoint, socket};
use crate::harness::{Running, SOON, World, eventually, root_or_skip};

const SECRETS: &str = "refresh: {interval: 1s, settle: 0s}
secrets: {a: keyvault:demo/secrets/a, b: keyvault:demo/secrets/b}
";

fn serving(more: &str) -> (World, Running, Endpoint) {
    let world = World::new();
    world.emulator.put_secret("demo", "a", "1");
    world.emulator.put_secret("demo", "b", "1");
    let running = world.run(&format!("{}{}{SECRETS}", world.preamble(&["demo"]), socket(&world, more)));
    running.wait_for("published generation 1 in serve", 1);
    let endpoint = Endpoint::of(&world);
    (world, running, endpoint)
}

#[test]
fn whoever_waits_hears_of_the_change() {
    let (world, running, endpoint) = serving("");
    let tag = endpoint.get("/v1/secrets/a").header("etag").unwrap();
    let asking = |headers: Vec<String>| {
        let endpoint = endpoint.clone();
        std::thread::spawn(move || {
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            endpoint.ask("GET", "/v1/secrets/a?wait=60s", &headers)
        })
    };
    let waiting =
        [asking(vec![format!("if-none-match: {tag}")]), asking(vec![format!("if-none-match: W/{tag}, \"x\"")])];
    // Who knows another value, or none, has this one at once.
    for known in [&["if-none-match: \"another\""][..], &[]] {
        let other = endpoint.ask("GET", "/v1/secrets/a?wait=60s", known);
        assert_eq!((other.status, other.text().as_str()), (200, "1"));
    }
    world.emulator.put_secret("demo", "b", "2");
    running.wait_for("published generation 2 in serve", 1);
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()), "the other one has changed");
    world.emulator.put_secret("demo", "a", "2");
    for waiting in waiting {
        let reply = waiting.join().unwrap();
        assert_eq!((reply.status, reply.text().as_str()), (200, "2"));
        assert_ne!(reply.header("etag").unwrap(), tag);
    }
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn nobody_waits_longer_than_it_wants_to() {
    let (_world, running, endpoint) = serving("");
    let tag = endpoint.get("/v1/secrets/a").header("etag").unwrap();
    let begun = Instant::now();
    let unchanged = endpoint.ask("GET", "/v1/secrets/a?wait=1s", &[&format!("if-none-match: {tag}")]);
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    assert!((1..10).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!(endpoint.get("/v1/secrets/a?wait=0s").status, 200);
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn at_the_end_all_who_wait_are_answered() {
    let (_world, running, endpoint) = serving("");
    let tag = endpoint.get("/v1/secrets/a").header("etag").unwrap();
    let mut watch = endpoint.watch(&[]);
    assert_eq!(watch.next().unwrap().kind, "");
    let wait = |_| endpoint.begin("GET", "/v1/secrets/a?wait=5m", &[&format!("if-none-match: {tag}")]);
    let waiting: Vec<_> = (0..20).map(wait).collect();
    // Whoever asks after them is answered: they are all there.
    assert_eq!(endpoint.get("/v1/status").status, 200);
    let begun = Instant::now();
    assert_eq!(running.stop().0, Some(0));
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert!(watch.next().is_none());
    for waiting in waiting {
        assert_eq!(waiting.end().status, 304);
    }
}

#[test]
fn whoever_watches_hears_of_each_change_and_never_of_a_value() {
    let (world, running, endpoint) = serving("");
    let mut watch = endpoint.watch(&[]);
    let here = watch.next().unwrap();
    assert_eq!(here.kind, "");
    world.emulator.put_secret("demo", "a", "canary-2");
    let first = watch.next().unwrap();
    assert_eq!((first.kind.as_str(), &first.data), ("change", &json!({"generation": 2, "names": ["a"]})));
    assert_eq!(endpoint.get("/v1/secrets/a").text(), "canary-2", "what is told of can be had");
    world.emulator.put_secret("demo", "b", "canary-2");
    let second = watch.next().unwrap();
    assert_eq!(second.data, json!({"generation": 3, "names": ["b"]}));
    // Whoever was away goes on where it was.
    let mut back = endpoint.watch(&[&format!("last-event-id: {}", here.id)]);
    assert_eq!((back.next().unwrap(), back.next().unwrap()), (first, second));
    // Of another run's nothing is known.
    let mut strange = endpoint.watch(&["last-event-id: 0123-1"]);
    assert_eq!(strange.next().unwrap().kind, "resync");
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn whoever_waits_has_a_share_and_leaves_the_rest_to_others() {
    let (_world, running, endpoint) = serving("");
    let watching: Vec<_> = (0..224).map(|_| endpoint.watch(&[])).collect();
    let refused = endpoint.get("/v1/watch");
    assert_eq!(refused.refusal(), (429, "TooManyWaiting".to_owned()));
    assert_eq!(refused.header("retry-after").as_deref(), Some("1"));
    assert_eq!(endpoint.get("/v1/secrets/a?wait=60s").status, 429);
    assert_eq!(endpoint.get("/v1/secrets/a").status, 200);
    drop(watching);
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn whatever_one_user_holds_the_others_have_their_share() {
    if !root_or_skip() {
        return;
    }
    let world = World::new();
    world.emulator.put_secret("demo", "a", "1");
    world.emulator.put_secret("demo", "b", "1");
    fs::set_permissions(world.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let allow = ", allow: [{uid: 1001}, {uid: 1002}, {uid: 1003}]";
    let running = world.run(&format!("{}{}{SECRETS}", world.preamble(&["demo"]), socket(&world, allow)));
    running.wait_for("published generation 1 in serve", 1);
    let endpoint = Endpoint::of(&world);
    let watching = |uid| endpoint.as_user(uid, |endpoint| (0..74).map(|_| endpoint.watch(&[])).collect::<Vec<_>>());
    let held = [watching(1001), watching(1002)];
    let of = |uid, target: &'static str| endpoint.as_user(uid, move |endpoint| endpoint.get(target).status);
    assert_eq!((of(1001, "/v1/watch"), of(1001, "/v1/secrets/a")), (429, 200));
    // Nor do strangers, of whom each is let go when it has been told.
    for _ in 0..100 {
        assert_eq!(of(1000, "/v1/secrets/a"), 403);
    }
    assert_eq!(watching(1003).len(), 74);
    drop(held);
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn a_set_that_is_written_across_a_look_is_served_as_one() {
    let world = World::new();
    world.emulator.put_secret("demo", "a", "1");
    world.emulator.put_secret("demo", "b", "1");
    let secrets = SECRETS.replace("interval: 1s, settle: 0s", "interval: 7d, settle: 8s");
    let secrets = format!("{secrets}env: {{SET: {{template: \"{{{{ secrets.a }}}}{{{{ secrets.b }}}}\"}}}}\n");
    let running = world.run(&format!("{}{}{secrets}", world.preamble(&["demo"]), socket(&world, "")));
    running.wait_for("published generation 1 in serve", 1);
    let endpoint = Endpoint::of(&world);
    let asked = |name: &str| {
        let path = format!("/secrets/{name}");
        let requests = world.emulator.requests();
        requests.iter().filter(|request| request.bearer && request.path.trim_end_matches('/').ends_with(&path)).count()
    };
    let mut watch = endpoint.watch(&[]);
    watch.next().unwrap();
    let before = asked("b");
    world.emulator.put_secret("demo", "a", "2");
    running.signal(rustix::process::Signal::HUP);
    assert!(eventually(SOON, || (asked("b") > before).then_some(())).is_some());
    // Nothing more would be looked at for a week.
    world.emulator.put_secret("demo", "b", "2");
    assert_eq!(watch.next().unwrap().data["names"], json!(["a", "b"]));
    assert_eq!(endpoint.get("/v1/env").json(), json!({"SET": "22"}));
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn what_is_optional_and_not_there_is_waited_for_too() {
    let world = World::new();
    world.emulator.put_secret("demo", "a", "1");
    let secrets = "refresh: {interval: 1s, settle: 0s}
secrets: {a: keyvault:demo/secrets/a, later: {from: keyvault:demo/secrets/later, optional: true}}
";
    let running = world.run(&format!("{}{}{secrets}", world.preamble(&["demo"]), socket(&world, "")));
    running.wait_for("published generation 1 in serve", 1);
    let endpoint = Endpoint::of(&world);
    let waiting = endpoint.begin("GET", "/v1/secrets/later?wait=60s", &[]);
    assert_eq!(endpoint.get("/v1/secrets/later").status, 404);
    assert_eq!(endpoint.get("/v1/secrets/never?wait=60s").status, 404, "what nobody knows is not waited for");
    world.emulator.put_secret("demo", "later", "here");
    assert_eq!(waiting.end().text(), "here");
    assert_eq!(running.stop().0, Some(0));
}
