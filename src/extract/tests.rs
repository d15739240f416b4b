use super::*;
use crate::secret::Version;

fn cut(property: Option<&str>, decode: Option<Decode>, value: &[u8]) -> Result<Vec<u8>, Unusable> {
    let secret = Secret::plain(Version::Unversioned, SecretValue::new(value.to_vec()));
    let cut = Cut { property: property.map(str::to_owned), decode, ..Cut::default() };
    cut.apply(&secret).map(|cut| cut.part(Part::Value).unwrap().expose().to_vec())
}

#[test]
fn the_whole_value_stays_as_it_is() {
    assert_eq!(cut(None, None, b" \x00\xff\n").unwrap(), b" \x00\xff\n");
}

#[test]
fn a_property_is_taken_by_its_exact_name() {
    let json = br#"{"user":"ann","n":5,"o":{"a":[1]},"t":true,"z":null,"a.b":"dot","esc":"\u00e4\n"}"#;
    let table: [(&str, Result<&[u8], Unusable>); 8] = [
        ("user", Ok(b"ann")),
        ("n", Ok(b"5")),
        ("o", Ok(br#"{"a":[1]}"#)),
        ("t", Ok(b"true")),
        ("a.b", Ok(b"dot")),
        ("esc", Ok("ä\n".as_bytes())),
        ("z", Err(Unusable::Null("z".to_owned()))),
        ("User", Err(Unusable::NoSuchProperty("User".to_owned()))),
    ];
    for (property, expected) in table {
        assert_eq!(cut(Some(property), None, json), expected.map(<[u8]>::to_vec), "{property}");
    }
    for not_an_object in [&b"plain"[..], b"[1]", b"\"text\"", b"", b"{\"a\":1", b"\xff"] {
        assert_eq!(cut(Some("p"), None, not_an_object), Err(Unusable::NotAnObject("p".to_owned())));
    }
}

#[test]
fn text_is_decoded() {
    assert_eq!(cut(None, Some(Decode::Base64), b"aGk+/w==").unwrap(), b"hi>\xff");
    assert_eq!(cut(None, Some(Decode::Base64), b"aGk+\r\n/w \n").unwrap(), b"hi>\xff");
    assert_eq!(cut(None, Some(Decode::Base64), b"aGk-_w=="), Err(Unusable::NotBase64));
    assert_eq!(cut(None, Some(Decode::Hex), b"00fF\n").unwrap(), b"\x00\xff");
    assert_eq!(cut(None, Some(Decode::Hex), b"0"), Err(Unusable::NotHex));
    assert_eq!(cut(Some("k"), Some(Decode::Base64), br#"{"k":"aGk="}"#).unwrap(), b"hi");
    assert_eq!(cut(None, Some(Decode::Base64), b"").unwrap(), b"");
}

#[test]
fn what_is_expected_of_a_value_is_checked_last() {
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let table: [(Expect, &str, bool); 12] = [
        (Expect::NonEmpty, "x", true),
        (Expect::NonEmpty, "", false),
        (Expect::NonEmpty, " \n", false),
        (Expect::Json, "{\"a\": [1]}", true),
        (Expect::Json, "5", true),
        (Expect::Json, "{", false),
        (Expect::Json, "", false),
        (Expect::Pem, pem, true),
        (Expect::Pem, "", false),
        (Expect::Pem, "-----BEGIN CERTIFICATE-----\nAAAA\n", false),
        (Expect::Pem, "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", false),
        (Expect::Pem, "hunter2", false),
    ];
    for (expect, value, is_it) in table {
        let secret = Secret::plain(Version::Unversioned, SecretValue::new(value.as_bytes().to_vec()));
        let cut = Cut { expect: Some(expect), ..Cut::default() };
        let code = cut.apply(&secret).err().map(|error| error.code());
        assert_eq!(code, (!is_it).then_some("unexpected"), "{expect:?} {value:?}");
    }
}

#[test]
fn what_expect_has_no_part_in_has_a_code_of_its_own() {
    let failed = [cut(Some("p"), None, b"{}"), cut(None, Some(Decode::Hex), b"x")];
    for error in failed.map(Result::unwrap_err) {
        assert_eq!(error.code(), "unusable", "{error}");
    }
}
