//! Keys: what is published is what openssl writes for the same key.

use std::fs;

use keyferry_emulator::{Jwk, KeySpec};

use super::authority::{P256, P384, P521, RSA, openssl};
use crate::harness::{World, end};

#[test]
fn a_public_key_is_the_one_that_openssl_writes() {
    let desk = tempfile::tempdir().unwrap();
    for (kind, options) in [("rsa", RSA), ("p256", P256), ("p384", P384), ("p521", P521)] {
        openssl(desk.path(), &format!("genpkey {options} -out {kind}.key"));
        let expected = openssl(desk.path(), &format!("pkey -in {kind}.key -pubout"));
        let der = openssl(desk.path(), &format!("pkey -in {kind}.key -pubout -outform DER"));
        let jwk = Jwk::from_spki(&der).unwrap();
        for jwk in [jwk.clone(), jwk.in_hsm()] {
            let world = World::new();
            world.emulator.put_key("demo", KeySpec::new("sign", jwk));
            let config =
                world.config("secrets: {sign: {from: keyvault:demo/keys/sign, expect: pem, file: sign.pem}}\n");
            world.init(&config, &[]).expect(0, &[]);
            assert_eq!(fs::read(world.out().join("sign.pem")).unwrap(), expected, "{kind}");
            openssl(&world.out(), "pkey -pubin -in sign.pem -noout");
            let got = end(&mut world.keyferry(&config, &["get", "keyvault:demo/keys/sign"]));
            assert_eq!((got.code, got.stdout), (Some(0), expected.clone()), "{kind}");
        }
    }
}

#[test]
fn a_key_follows_its_rotation_and_a_pinned_one_stays() {
    let desk = tempfile::tempdir().unwrap();
    let made = |name: &str| {
        openssl(desk.path(), &format!("genpkey {P256} -out {name}.key"));
        let der = openssl(desk.path(), &format!("pkey -in {name}.key -pubout -outform DER"));
        let pem = openssl(desk.path(), &format!("pkey -in {name}.key -pubout"));
        (KeySpec::new("sign", Jwk::from_spki(&der).unwrap()), String::from_utf8(pem).unwrap())
    };
    let ((old, old_pem), (new, new_pem)) = (made("old"), made("new"));
    let world = World::new();
    let version = world.emulator.put_key("demo", old);
    let agent = world.run(&world.config(&format!(
        "refresh: {{interval: 1s, settle: 0s}}\n\
         secrets: {{latest: keyvault:demo/keys/sign, pinned: keyvault:demo/keys/sign/{version}}}\n"
    )));
    crate::harness::until_holds(&world.out().join("latest"), &old_pem);
    world.emulator.put_key("demo", new);
    crate::harness::until_holds(&world.out().join("latest"), &new_pem);
    assert_eq!(world.read("pinned"), Some(old_pem));
    agent.stop();
}
