//! Keys: their public halves, and what is refused.

use keyferry_emulator::{Jwk, KeySpec};
use serde_json::{Value, json as value};

use crate::client::{API, Rig, code, json, pages};

#[test]
fn a_key_is_found_latest_or_by_version_and_shows_its_public_half() {
    let rig = Rig::new();
    let first = rig.emulator.put_key("demo", KeySpec::new("sign", Jwk::rsa("bg", "AQAB")));
    let tags = [("k".to_owned(), "v".to_owned())].into();
    rig.emulator.put_key("demo", KeySpec { tags, ..KeySpec::new("sign", Jwk::ec("P-521", "eA", "eQ").in_hsm()) });
    let token = rig.token();
    let rsa = json(rig.get(&format!("/keys/sign/{first}?{API}"), &token));
    let key_ops = ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"];
    let kid = rig.url(&format!("/keys/sign/{first}"));
    assert_eq!(rsa["key"], value!({"kid": kid, "kty": "RSA", "key_ops": key_ops, "n": "bg", "e": "AQAB"}));
    assert_eq!((&rsa["attributes"]["exportable"], &rsa["attributes"]["hsmPlatform"]), (&false.into(), &"0".into()));
    assert_eq!((rsa.get("managed"), rsa.get("tags")), (None, None));
    let ec = json(rig.get(&format!("/keys/SIGN?{API}"), &token));
    assert_eq!((&ec["key"]["kty"], &ec["key"]["crv"]), (&"EC-HSM".into(), &"P-521".into()));
    assert_eq!(ec["tags"], value!({"k": "v"}));
}

#[test]
fn keys_are_listed_by_kid() {
    let rig = Rig::new();
    for number in 0..26 {
        rig.emulator.put_key("demo", KeySpec::new(&format!("k{number:02}"), Jwk::rsa("bg", "AQAB")));
    }
    let lists = pages(&rig, &format!("/keys?{API}"));
    assert_eq!(lists.iter().map(Vec::len).collect::<Vec<_>>(), [25, 1]);
    let first = lists[0][0].as_object().unwrap();
    assert_eq!(first.keys().collect::<Vec<_>>(), ["kid", "attributes"]);
    assert_eq!(first["kid"], rig.url("/keys/k00"));
    let versions = pages(&rig, &format!("/keys/k00/versions?{API}")).concat();
    assert!(versions[0]["kid"].as_str().unwrap().starts_with(&rig.url("/keys/k00/")));
}

#[test]
fn a_key_can_be_disabled_and_deleted() {
    let rig = Rig::new();
    rig.emulator.put_key("demo", KeySpec::new("sign", Jwk::rsa("bg", "AQAB")));
    let token = rig.token();
    let get = || rig.get(&format!("/keys/sign?{API}"), &token);
    assert!(rig.emulator.update_key("demo", "sign", None, |key| key.enabled = false));
    assert_eq!(code(get()), (403, "Forbidden".to_owned(), Value::from("KeyDisabled")));
    assert!(rig.emulator.delete_key("demo", "sign"));
    assert_eq!(code(get()), (404, "KeyNotFound".to_owned(), Value::Null));
    assert!(!rig.emulator.update_key("demo", "sign", None, |key| key.enabled = true));
}
