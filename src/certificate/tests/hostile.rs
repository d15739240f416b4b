//! Whatever is stored, opening it ends, soon and without a panic.

use super::*;

/// An element of unknown length, as Java's tools write containers.
fn unknown(tag: u8, pieces: &[&[u8]]) -> Vec<u8> {
    [&[tag, 0x80], pieces.concat().as_slice(), &[0, 0]].concat()
}

/// The container's elements: version, the safes' octets, checksum.
fn split(pfx: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let mut reader = Reader::only(pfx, SEQUENCE).unwrap().inside();
    let version = reader.take(INTEGER).unwrap().whole.to_vec();
    let mut info = reader.enter(SEQUENCE).unwrap();
    info.next().unwrap();
    let octets = info.enter(context(0)).unwrap().take(OCTET_STRING).unwrap().body.to_vec();
    (version, octets, reader.next().unwrap().whole.to_vec())
}

const DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];

/// A container around other safes, without a checksum.
fn around(safes: &[u8]) -> SecretValue {
    let content = wrap(context(0), &[&wrap(OCTET_STRING, &[safes])]);
    base64(&wrap(SEQUENCE, &[&[2, 1, 3], &wrap(SEQUENCE, &[DATA, &content])]))
}

fn shrouded_with(iterations: &[u8], copies: usize) -> SecretValue {
    let pbe = [0x06, 0x0a, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x03];
    let parameters = wrap(SEQUENCE, &[&wrap(OCTET_STRING, &[b"salt"]), &wrap(INTEGER, &[iterations])]);
    let algorithm = wrap(SEQUENCE, &[&pbe, &parameters]);
    let key = wrap(SEQUENCE, &[&algorithm, &wrap(OCTET_STRING, &[&[0; 8]])]);
    let kind = [0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x02];
    let bag = wrap(SEQUENCE, &[&kind, &wrap(context(0), &[&key])]).repeat(copies);
    let bags = wrap(context(0), &[&wrap(OCTET_STRING, &[&wrap(SEQUENCE, &[&bag])])]);
    around(&wrap(SEQUENCE, &[&wrap(SEQUENCE, &[DATA, &bags])]))
}

#[test]
fn elements_of_unknown_length_are_read() {
    with_chain(Keys::Rsa, |desk| {
        desk.pfx(&format!("{WITH_CHAIN} {LEGACY}"));
        let (version, octets, mac) = split(&desk.read("made.pfx"));
        let pieces: Vec<Vec<u8>> = octets.chunks(1000).map(|piece| wrap(OCTET_STRING, &[piece]).to_vec()).collect();
        let content = unknown(context(0), &[&unknown(OCTET_STRING | 0x20, &[&pieces.concat()])]);
        let pfx = unknown(SEQUENCE, &[&version, &unknown(SEQUENCE, &[DATA, &content]), &mac]);
        assert_is_the_chain(desk, &open(&base64(&pfx), PKCS12).unwrap(), true);
    });
}

#[test]
fn work_is_bounded() {
    assert_eq!(open(&shrouded_with(&[0x7f, 0xff, 0xff, 0xff], 1), PKCS12).unwrap_err(), Unusable::Effort);
    assert_eq!(open(&shrouded_with(&[0, 0xff, 0xff, 0xff, 0xff], 1), PKCS12).unwrap_err(), Unusable::Effort);
    assert_eq!(open(&shrouded_with(&[1, 0, 0, 0, 0, 0], 1), PKCS12).unwrap_err(), Unusable::Container);
    assert_eq!(open(&shrouded_with(&[0xff], 1), PKCS12).unwrap_err(), Unusable::Container);
    assert_eq!(open(&shrouded_with(&[0], 1), PKCS12).unwrap_err(), Unusable::Container);
    assert_eq!(open(&shrouded_with(&[10], 1), PKCS12).unwrap_err(), Unusable::Password);
    // Each derivation is within bounds, all together are not.
    assert_eq!(open(&shrouded_with(&[0x0f, 0, 0], 1), PKCS12).unwrap_err(), Unusable::Effort);
    with_chain(Keys::Rsa, |desk| {
        let advised = format!("{WITH_CHAIN} {MODERN} -iter 600000");
        assert_is_the_chain(desk, &open(&desk.pfx(&advised), PKCS12).unwrap(), true);
    });
}

#[test]
fn depth_and_number_are_bounded() {
    let many = 200_000;
    for deep in [[0x30, 0x80].repeat(many), [0x30, 0x84, 0x7f, 0xff, 0xff, 0xff].repeat(many), vec![0; 4 << 20]] {
        assert!(open(&base64(&deep), PKCS12).is_err());
        assert!(open(&around(&deep), PKCS12).is_err());
    }
    assert!(open(&SecretValue::new(b"-----BEGIN CERTIFICATE-----\n".repeat(50_000)), PEM).is_err());
    assert!(open(&SecretValue::new(vec![b'A'; 4 << 20]), None).is_err());
    let desk = Desk::new();
    desk.issue("one", "one", None, Keys::P256, false, 90);
    let (key, one) = (desk.text("one.key"), desk.text("one.pem"));
    assert_eq!(open(&pem_value(&[key.repeat(500), one.clone()]), PEM).unwrap_err(), Unusable::TooMany);
    // Thousands of the same are one; thousands of different ones, told by their serial numbers, are too many.
    assert!(open(&pem_value(&[one.repeat(2000)]), PEM).is_ok());
    let der = desk.openssl("x509 -in one.pem -outform DER");
    let serial = der.windows(3).position(|window| window == [0x02, 0x01, 0x02]).unwrap() + 5;
    let mut others = Zeroizing::new(Vec::new());
    for number in 0..1000_u16 {
        let mut other = der.clone();
        // Somewhere in the serial number, whose length `serial` has just passed.
        other[serial + 4..serial + 6].copy_from_slice(&number.to_be_bytes());
        pem::write(&mut others, Kind::Certificate, &other);
    }
    assert_eq!(open(&SecretValue::new(others.to_vec()), PEM).unwrap_err(), Unusable::TooMany);
}

#[test]
fn damage_never_panics() {
    with_chain(Keys::Rsa, |desk| {
        desk.pfx(&format!("{WITH_CHAIN} -certpbe NONE -keypbe NONE -nomac"));
        let plain = desk.read("made.pfx");
        desk.pfx(&format!("{WITH_CHAIN} {LEGACY} -iter 1 -nomac"));
        let sealed = desk.read("made.pfx");
        let leaf = desk.openssl("x509 -in leaf.pem -outform DER");
        for length in (0..plain.len()).step_by(7) {
            assert!(open(&base64(&plain[..length]), PKCS12).is_err(), "{length}");
        }
        for length in 0..leaf.len() {
            assert!(X509::read(&leaf[..length]).is_err(), "{length}");
        }
        let mut runner = TestRunner::new(cases());
        let damage = (0..plain.len(), any::<u8>(), 0..leaf.len(), any::<u8>());
        runner
            .run(&damage, |(at, byte, leaf_at, leaf_byte)| {
                let (mut plain, mut sealed, mut leaf) = (plain.clone(), sealed.clone(), leaf.clone());
                plain[at] = byte;
                sealed[at % 300] = byte;
                leaf[leaf_at] = leaf_byte;
                drop(open(&base64(&plain), PKCS12));
                drop(open(&base64(&sealed), PKCS12));
                drop(X509::read(&leaf));
                Ok(())
            })
            .unwrap();
    });
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(open(&base64(&bytes), PKCS12).is_err());
        prop_assert!(open(&around(&bytes), PKCS12).is_err());
        prop_assert!(open(&SecretValue::new(bytes.clone()), None).is_err());
        prop_assert!(X509::read(&bytes).is_err());
        prop_assert!(PrivateKey::read(&bytes).is_err());
        prop_assert!(PrivateKey::read_sec1(&bytes).is_err());
    }
}
