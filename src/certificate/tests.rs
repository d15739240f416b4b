use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::der::{INTEGER, OCTET_STRING, Reader, SEQUENCE, context, wrap};
use openssl::{Desk, Kind as Keys, base64, with_chain};

mod hostile;
mod openssl;

const LEGACY: &str = "-certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1 -iter 2000";
const MODERN: &str = "-certpbe AES-256-CBC -keypbe AES-256-CBC -macalg sha256";
const WITH_CHAIN: &str = "-inkey leaf.key -in leaf.pem -certfile chain.pem";
const PKCS12: Option<&str> = Some("application/x-pkcs12");
const PEM: Option<&str> = Some("application/x-pem-file");

/// A property's cases, where the fixture is made once for all of them.
fn cases() -> ProptestConfig {
    ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() }
}

fn pem_value(texts: &[String]) -> SecretValue {
    SecretValue::new(texts.concat().into_bytes())
}

fn part(certificate: &Certificate, part: Part) -> String {
    String::from_utf8(certificate.parts[&part].expose().to_vec()).unwrap()
}

/// The parts are those of the chain on the desk, to the byte as openssl writes them, and openssl takes them.
fn assert_is_the_chain(desk: &Desk, certificate: &Certificate, has_root: bool) {
    let (leaf, middle, root) = (desk.text("leaf.pem"), desk.text("middle.pem"), desk.text("root.pem"));
    let key = desk.text("leaf.key");
    assert_eq!(part(certificate, Part::Leaf), leaf);
    assert_eq!(part(certificate, Part::Chain), middle);
    assert_eq!(part(certificate, Part::Fullchain), format!("{leaf}{middle}"));
    assert_eq!(part(certificate, Part::Ca), if has_root { root } else { middle.clone() });
    assert_eq!(part(certificate, Part::Key), key);
    assert_eq!(part(certificate, Part::Bundle), format!("{key}{leaf}{middle}"));
    for (part, value) in &certificate.parts {
        desk.write(part.name(), value.expose());
    }
    assert!(desk.agrees("verify -CAfile root.pem -untrusted chain leaf"));
    assert!(desk.agrees("verify -partial_chain -CAfile ca -untrusted fullchain leaf"));
    assert!(desk.agrees("pkey -in key -check -noout"));
    assert_eq!(desk.openssl("pkey -in bundle -pubout"), desk.openssl("x509 -in fullchain -noout -pubkey"));
}

#[test]
fn a_container_gives_all_parts() {
    for keys in [Keys::Rsa, Keys::P256, Keys::P384, Keys::P521, Keys::P256K] {
        with_chain(keys, |desk| {
            for options in [LEGACY, MODERN] {
                let stored = desk.pfx(&format!("{WITH_CHAIN} {options}"));
                let certificate = open(&stored, PKCS12).unwrap_or_else(|error| panic!("{keys:?} {options}: {error}"));
                assert_is_the_chain(desk, &certificate, true);
                assert_eq!(certificate.parts[&Part::Pfx].expose(), desk.read("made.pfx"));
                assert!(certificate.missing.is_empty());
                assert!(desk.agrees("pkcs12 -in pfx -passin pass: -noout"));
            }
        });
    }
}

#[test]
fn containers_of_other_makes_are_opened_too() {
    with_chain(Keys::Rsa, |desk| {
        for options in [
            "",
            "-legacy -certpbe PBE-SHA1-3DES",
            "-certpbe AES-128-CBC -keypbe AES-192-CBC -macalg sha384",
            "-certpbe NONE -keypbe NONE -macalg sha512",
            "-certpbe des-ede3-cbc -keypbe PBE-SHA1-3DES -nomac",
        ] {
            let stored = desk.pfx(&format!("{WITH_CHAIN} {options}"));
            let certificate = open(&stored, None).unwrap_or_else(|error| panic!("{options}: {error}"));
            assert_eq!(part(&certificate, Part::Key), desk.text("leaf.key"), "{options}");
            assert_eq!(part(&certificate, Part::Chain), desk.text("middle.pem"), "{options}");
        }
    });
}

#[test]
fn pem_gives_all_parts_in_whatever_order() {
    for keys in [Keys::Rsa, Keys::P384] {
        with_chain(keys, |desk| {
            let [key, leaf, middle, root] =
                ["leaf.key", "leaf.pem", "middle.pem", "root.pem"].map(|name| desk.text(name));
            let windows = leaf.replace('\n', "\r\n");
            let noted = format!("Bag Attributes\n    localKeyID: 01\n{middle}");
            for texts in [
                vec![key.clone(), leaf.clone(), middle.clone(), root.clone()],
                vec![root.clone(), middle.clone(), leaf.clone(), key.clone()],
                vec![middle.clone(), key.clone(), root.clone(), windows, leaf.clone()],
                vec![noted, leaf.clone(), root, key.clone(), middle.clone()],
            ] {
                let certificate = open(&pem_value(&texts), PEM).unwrap();
                assert_is_the_chain(desk, &certificate, true);
                assert_eq!(certificate.missing, BTreeMap::from([(Part::Pfx, Missing::Pfx)]));
            }
            // What the service converts keeps the content type that is stored.
            let certificate = open(&pem_value(&[key, leaf, middle]), PKCS12).unwrap();
            assert_is_the_chain(desk, &certificate, false);
        });
    }
}

#[test]
fn the_order_of_what_is_stored_does_not_matter() {
    let desk = Desk::new();
    let mut texts = Vec::new();
    for (name, issuer) in [("root", None), ("upper", Some("root")), ("middle", Some("upper")), ("leaf", Some("middle"))]
    {
        desk.issue(name, name, issuer, Keys::P256, name != "leaf", 900);
        texts.push(desk.text(&format!("{name}.pem")));
    }
    desk.issue("stranger", "upper", None, Keys::P256, true, 900);
    let ordered = [&*texts[3], &*texts[2], &*texts[1]].concat();
    texts.extend([desk.text("leaf.key"), desk.text("stranger.pem")]);
    let orders = Just(texts.clone()).prop_shuffle();
    let mut runner = TestRunner::new(cases());
    let check = |shuffled: Vec<String>| {
        let certificate = open(&pem_value(&shuffled), PEM).unwrap();
        prop_assert_eq!(part(&certificate, Part::Fullchain), ordered.clone());
        prop_assert_eq!(part(&certificate, Part::Ca), texts[0].clone());
        Ok(())
    };
    runner.run(&orders, check).unwrap();
}

#[test]
fn the_end_is_the_leaf_s() {
    let desk = Desk::new();
    desk.issue("old", "old", None, Keys::P256, false, -1);
    let certificate = open(&pem_value(&[desk.text("old.key"), desk.text("old.pem")]), PEM).unwrap();
    let shown = String::from_utf8(desk.openssl("x509 -in old.pem -noout -enddate -dateopt iso_8601")).unwrap();
    let time = |time: UnixTime| {
        let time = std::time::SystemTime::UNIX_EPOCH + time.since_epoch();
        humantime::format_rfc3339_seconds(time).to_string().replace('T', " ")
    };
    assert_eq!(shown, format!("notAfter={}\n", time(certificate.not_after)));
}

#[test]
fn a_certificate_that_issued_itself_is_its_own_authority() {
    let desk = Desk::new();
    desk.issue("self", "self", None, Keys::P256, false, 90);
    let certificate = open(&desk.pfx("-inkey self.key -in self.pem"), PKCS12).unwrap();
    let text = desk.text("self.pem");
    assert_eq!([Part::Leaf, Part::Fullchain, Part::Ca].map(|name| part(&certificate, name)), [&*text, &*text, &*text]);
    assert_eq!(part(&certificate, Part::Chain), "");
}

#[test]
fn without_an_issuer_there_is_no_ca() {
    with_chain(Keys::Rsa, |desk| {
        let certificate = open(&desk.pfx("-inkey leaf.key -in leaf.pem"), PKCS12).unwrap();
        assert_eq!(certificate.missing, BTreeMap::from([(Part::Ca, Missing::Ca)]));
        assert_eq!(part(&certificate, Part::Fullchain), desk.text("leaf.pem"));
    });
}

#[test]
fn without_a_key_the_public_parts_can_be_had() {
    with_chain(Keys::Rsa, |desk| {
        for stored in [
            desk.pfx("-nokeys -in chain.pem -certfile leaf.pem"),
            pem_value(&["root.pem", "leaf.pem", "middle.pem"].map(|name| desk.text(name))),
        ] {
            let certificate = open(&stored, PKCS12).unwrap();
            assert_eq!(part(&certificate, Part::Leaf), desk.text("leaf.pem"));
            assert_eq!(part(&certificate, Part::Chain), desk.text("middle.pem"));
            assert_eq!(part(&certificate, Part::Ca), desk.text("root.pem"));
            let missing = [Part::Key, Part::Bundle, Part::Pfx].map(|part| (part, Missing::Key(part)));
            assert_eq!(certificate.missing, BTreeMap::from(missing));
            assert!(
                Missing::Key(Part::Bundle).to_string().contains("so there is no bundle: its policy is not exportable")
            );
        }
    });
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    with_chain(Keys::Rsa, |desk| {
        let texts = ["middle.key", "leaf.pem", "root.pem"].map(|name| desk.text(name));
        assert_eq!(open(&pem_value(&texts), PEM).unwrap_err(), Unusable::Mismatch);
    });
    let desk = Desk::new();
    desk.issue("one", "one", None, Keys::P256, false, 90);
    desk.issue("two", "two", None, Keys::P256, false, 90);
    let texts = ["one.key", "two.pem"].map(|name| desk.text(name));
    assert_eq!(open(&pem_value(&texts), PEM).unwrap_err(), Unusable::Mismatch);
    // Two keys are no trouble as long as one fits.
    let texts = ["one.key", "two.key", "two.pem"].map(|name| desk.text(name));
    assert_eq!(part(&open(&pem_value(&texts), PEM).unwrap(), Part::Key), desk.text("two.key"));
}

#[test]
fn older_forms_of_keys_become_pkcs8() {
    for (keys, old) in [(Keys::Rsa, "rsa -traditional"), (Keys::P256, "ec"), (Keys::P521, "ec -no_public")] {
        with_chain(keys, |desk| {
            let text = String::from_utf8(desk.openssl(&format!("{old} -in leaf.key"))).unwrap();
            assert!(!text.contains("BEGIN PRIVATE KEY"));
            let certificate = open(&pem_value(&[text, desk.text("leaf.pem")]), PEM).unwrap();
            desk.write("own.key", part(&certificate, Part::Key));
            assert!(part(&certificate, Part::Key).starts_with("-----BEGIN PRIVATE KEY-----\n"));
            assert_eq!(desk.openssl("pkey -in own.key -pubout"), desk.openssl("pkey -in leaf.key -pubout"));
        });
    }
}

#[test]
fn attributes_after_a_key_are_dropped() {
    with_chain(Keys::P256, |desk| {
        let der = desk.openssl("pkcs8 -topk8 -nocrypt -in leaf.key -outform DER");
        // What Key Vault was seen to append: key usage, digital signature.
        let usage = wrap(0x31, &[&[0x03, 0x02, 0x07, 0x80]]);
        let attribute = wrap(SEQUENCE, &[&[0x06, 0x03, 0x55, 0x1d, 0x0f], &usage]);
        let body = Reader::only(&der, SEQUENCE).unwrap().body;
        let mut text = Zeroizing::new(Vec::new());
        pem::write(&mut text, Kind::PrivateKey, &wrap(SEQUENCE, &[body, &wrap(context(0), &[&attribute])]));
        let text = String::from_utf8(text.to_vec()).unwrap();
        let stored = pem_value(&[text, desk.text("leaf.pem"), desk.text("middle.pem"), desk.text("root.pem")]);
        assert_is_the_chain(desk, &open(&stored, PEM).unwrap(), true);
    });
}

#[test]
fn strangers_are_left_out_and_loops_end() {
    let desk = Desk::new();
    for (name, issuer) in [("root", None), ("middle", Some("root")), ("leaf", Some("middle")), ("stranger", None)] {
        desk.issue(name, name, issuer, Keys::P256, name != "leaf", 900);
    }
    let [key, leaf, middle, root, stranger] =
        ["leaf.key", "leaf.pem", "middle.pem", "root.pem", "stranger.pem"].map(|name| desk.text(name));
    // The same root, signed by the stranger; and the stranger by it: a ring.
    desk.certify("root", "root", Some("stranger"), true, 900);
    let crossed = desk.text("root.pem");
    desk.certify("stranger", "stranger", Some("root"), true, 900);
    let ring = desk.text("stranger.pem");

    let all = [&stranger, &crossed, &key, &root, &middle, &leaf, &middle, &leaf, &root].map(Clone::clone);
    let certificate = open(&pem_value(&all), PEM).unwrap();
    assert_eq!(part(&certificate, Part::Chain), middle);
    assert_eq!(part(&certificate, Part::Ca), root);

    // With no root of its own, the chain goes on to the one who has signed it.
    let crossed_only = [&crossed, &stranger, &key, &middle, &leaf].map(Clone::clone);
    let certificate = open(&pem_value(&crossed_only), PEM).unwrap();
    assert_eq!(part(&certificate, Part::Fullchain), format!("{leaf}{middle}{crossed}"));
    assert_eq!(part(&certificate, Part::Ca), stranger);

    let ring_only = [&ring, &crossed, &key, &middle, &leaf, &crossed].map(Clone::clone);
    let certificate = open(&pem_value(&ring_only), PEM).unwrap();
    assert_eq!(part(&certificate, Part::Chain), format!("{middle}{crossed}{ring}"));
}

#[test]
fn of_two_certificates_for_one_key_the_later_is_taken() {
    let desk = Desk::new();
    desk.issue("site", "site", None, Keys::P256, false, 30);
    let (key, old) = (desk.text("site.key"), desk.text("site.pem"));
    desk.certify("site", "site", None, false, 90);
    let new = desk.text("site.pem");
    for texts in [[&key, &old, &new], [&new, &old, &key]] {
        assert_eq!(part(&open(&pem_value(&texts.map(Clone::clone)), PEM).unwrap(), Part::Leaf), new);
    }
}

#[test]
fn containers_that_cannot_be_opened_say_why() {
    let desk = Desk::new();
    desk.issue("leaf", "leaf", None, Keys::P256, false, 90);
    let with = |options: &str| open(&desk.pfx(&format!("-inkey leaf.key -in leaf.pem {options}")), PKCS12).unwrap_err();
    assert_eq!(with("-legacy -certpbe PBE-SHA1-RC2-40"), Unusable::Unsupported("RC2 of 40 bits"));
    assert_eq!(
        with("-legacy -certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-RC2-128"),
        Unusable::Unsupported("RC2 of 128 bits")
    );
    assert_eq!(with("-legacy -certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-RC4-128"), Unusable::Unsupported("RC4"));
    assert_eq!(with("-keypbe camellia-256-cbc"), Unusable::Unsupported("an uncommon algorithm"));
    assert_eq!(with("-macalg md5"), Unusable::Unsupported("MD5"));
    assert_eq!(with("-passout pass:secret"), Unusable::Password);
    assert_eq!(with("-passout pass:secret -nomac"), Unusable::Password);
    assert!(Unusable::Unsupported("RC4").is_of_the_container() && !Unusable::Mismatch.is_of_the_container());
}

#[test]
fn what_is_no_certificate_is_told_apart() {
    let open = |text: &str, content_type| open(&SecretValue::new(text.as_bytes().to_vec()), content_type).unwrap_err();
    let block = |label: &str, text: &str| format!("-----BEGIN {label}-----\n{text}-----END {label}-----\n");
    let table = [
        ("", None, Unusable::Neither),
        ("hunter2", PKCS12, Unusable::Neither),
        ("aHVudGVyMg==", PKCS12, Unusable::Neither),
        ("aHVudGVyMg==", PEM, Unusable::Pem),
        ("-----BEGIN CERTIFICATE-----\nMIIB", PEM, Unusable::Pem),
        (&block("CERTIFICATE", "*\n"), PEM, Unusable::Pem),
        (&block("CERTIFICATE", "MAA=\n"), PEM, Unusable::Certificate),
        (&block("PRIVATE KEY", "MAA=\n"), PEM, Unusable::Key),
        (&block("ENCRYPTED PRIVATE KEY", "MAA=\n"), PEM, Unusable::EncryptedKey),
        (&block("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\n\nMAA=\n"), PEM, Unusable::EncryptedKey),
        (&block("PUBLIC KEY", "MAA=\n"), PEM, Unusable::Empty),
        (&block("X509 CRL", "MAA=\n"), PEM, Unusable::Empty),
    ];
    for (text, content_type, expected) in table {
        assert_eq!(open(text, content_type), expected, "{text}");
    }
    let desk = Desk::new();
    desk.openssl("genpkey -algorithm ED25519 -out ed.key");
    assert_eq!(open(&desk.text("ed.key"), PEM), Unusable::KeyKind);
}

#[test]
fn parts_have_names() {
    for part in Part::OF_CERTIFICATE {
        assert_eq!(Part::named(part.name()), Some(part));
    }
    for unknown in ["", "value", "Key", "cert", "tls.crt"] {
        assert_eq!(Part::named(unknown), None);
    }
}
