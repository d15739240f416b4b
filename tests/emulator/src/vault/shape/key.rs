//! The JSON of a key: its public half.

use super::super::key::{Jwk, KeySpec};
use super::super::object::Version;
use super::{Frame, Members, Value, json, listed_identifier};

/// A key.
pub(crate) fn bundle(key: &Version<KeySpec>, frame: Frame<'_>) -> Value {
    let mut attributes = Members::attributes(key, frame.api_version);
    attributes.put_some("exportable", (!key.spec.certificate).then_some(false));
    attributes.put("hsmPlatform", if key.spec.key.is_in_hsm() { "2" } else { "0" });
    let mut members = Members::default();
    members.put("key", jwk(&key.spec.key, key.identifier(frame.base)));
    members.put("attributes", attributes);
    members.put_tags(key);
    members.put_some("managed", key.spec.certificate.then_some(true));
    members.into()
}

/// A key in a list: its identifier is called `kid` there too.
pub(crate) fn item(key: &Version<KeySpec>, frame: Frame<'_>, with_version: bool) -> Value {
    let mut members = Members::default();
    members.put("kid", listed_identifier(key, frame.base, with_version));
    members.put("attributes", Members::attributes(key, frame.api_version));
    members.put_tags(key);
    members.put_some("managed", key.spec.certificate.then_some(true));
    members.into()
}

fn jwk(key: &Jwk, kid: String) -> Members {
    let mut members = Members::default();
    members.put("kid", kid);
    members.put("kty", key.kty.clone());
    members.put("key_ops", key_ops(key));
    members.put_some("n", key.n.clone());
    members.put_some("e", key.e.clone());
    members.put_some("crv", key.crv.clone());
    members.put_some("x", key.x.clone());
    members.put_some("y", key.y.clone());
    members
}

fn key_ops(key: &Jwk) -> Value {
    if !key.key_ops.is_empty() {
        return json!(key.key_ops);
    }
    if key.crv.is_some() {
        return json!(["sign", "verify"]);
    }
    json!(["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"])
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame<'_> = Frame { base: "https://h", api_version: "7.6" };

    fn version(spec: KeySpec) -> Version<KeySpec> {
        Version { spec, id: "0f".to_owned(), created: 5, updated: 6 }
    }

    #[test]
    fn a_key_has_the_members_of_its_kind() {
        let times = r#""enabled":true,"created":5,"updated":6,"recoveryLevel":"CustomizedRecoverable+Purgeable","recoverableDays":7"#;
        let rsa = version(KeySpec::new("k", Jwk::rsa("bg", "AQAB")));
        assert_eq!(
            bundle(&rsa, FRAME).to_string(),
            format!(
                r#"{{"key":{{"kid":"https://h/keys/k/0f","kty":"RSA","key_ops":["encrypt","decrypt","sign","verify","wrapKey","unwrapKey"],"n":"bg","e":"AQAB"}},"attributes":{{{times},"exportable":false,"hsmPlatform":"0"}}}}"#
            )
        );
        let ec = bundle(&version(KeySpec::new("k", Jwk::ec("P-256", "eA", "eQ").in_hsm())), FRAME);
        let expected = r#"{"kid":"https://h/keys/k/0f","kty":"EC-HSM","key_ops":["sign","verify"],"crv":"P-256","x":"eA","y":"eQ"}"#;
        assert_eq!(ec["key"].to_string(), expected);
        assert_eq!(
            item(&rsa, FRAME, false).to_string(),
            format!(r#"{{"kid":"https://h/keys/k","attributes":{{{times}}}}}"#)
        );
    }

    #[test]
    fn a_key_behind_a_certificate_is_managed_and_silent_on_export() {
        let spec = KeySpec { certificate: true, ..KeySpec::new("k", Jwk::rsa("bg", "AQAB")) };
        let key = bundle(&version(spec), FRAME);
        assert_eq!(key["managed"], true);
        assert!(key["attributes"].get("exportable").is_none());
    }
}
