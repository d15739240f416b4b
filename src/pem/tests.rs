use super::*;
use proptest::prelude::*;

fn written(kind: Kind, der: &[u8]) -> String {
    let mut text = Zeroizing::new(Vec::new());
    write(&mut text, kind, der);
    String::from_utf8(text.to_vec()).unwrap()
}

#[test]
fn lines_have_64_columns_and_the_last_one_ends() {
    let text = written(Kind::PublicKey, &[0xff; 49]);
    let (line, rest) = ("/".repeat(64), "/w==");
    assert_eq!(text, format!("-----BEGIN PUBLIC KEY-----\n{line}\n{rest}\n-----END PUBLIC KEY-----\n"));
    assert_eq!(written(Kind::Certificate, &[0xff; 48]).lines().count(), 3);
}

#[test]
fn protected_keys_are_recognised() {
    assert!(is_encrypted(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n"));
    assert!(is_encrypted(b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n"));
    assert!(!is_encrypted(written(Kind::PrivateKey, b"key").as_bytes()));
    assert!(is_pem(b"note\n-----BEGIN X") && !is_pem(b"MIIB") && !is_pem(b""));
}

proptest! {
    #[test]
    fn what_is_written_is_read(ders in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..4)) {
        let text = ders.iter().map(|der| written(Kind::EcPrivateKey, der)).collect::<Vec<_>>().join("a note\n");
        let read = blocks(text.as_bytes()).unwrap();
        prop_assert!(read.iter().all(|(kind, _)| *kind == Kind::EcPrivateKey));
        let read: Vec<Vec<u8>> = read.into_iter().map(|(_, der)| der.expose().to_vec()).collect();
        prop_assert_eq!(read, ders);
    }

    #[test]
    fn any_text_is_survived(text in "(-----BEGIN |-----END |CERTIFICATE|PRIVATE KEY|-----|\n|MAA=|.){0,20}") {
        drop(blocks(text.as_bytes()));
    }
}
