//! The JSON of a certificate: never more than its public part.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::super::certificate::CertificateSpec;
use super::super::collection::Collection;
use super::super::object::Version;
use super::{Frame, Members, Value, json, listed_identifier};

/// A certificate; the latest comes with its policy, one asked for by version does not.
pub(crate) fn bundle(certificate: &Version<CertificateSpec>, frame: Frame<'_>, latest: bool) -> Value {
    let spec = &certificate.spec;
    let mut members = Members::default();
    members.put("id", certificate.identifier(frame.base));
    if !spec.in_creation {
        members.put("kid", certificate.identifier_in(Collection::Keys, frame.base));
        members.put("sid", certificate.identifier_in(Collection::Secrets, frame.base));
        members.put("x5t", thumbprint(spec));
        members.put("cer", STANDARD.encode(&spec.leaf_der));
    }
    members.put("attributes", Members::attributes(certificate, frame.api_version));
    members.put_tags(certificate);
    if latest {
        let base = certificate.base_identifier(frame.base);
        members.put("policy", policy(certificate, &base));
        members.put("pending", json!({"id": format!("{base}/pending")}));
    }
    members.into()
}

/// A certificate in a list, whose attributes say nothing of recovery.
pub(crate) fn item(certificate: &Version<CertificateSpec>, frame: Frame<'_>, with_version: bool) -> Value {
    let mut members = Members::default();
    members.put("id", listed_identifier(certificate, frame.base, with_version));
    if !certificate.spec.in_creation {
        members.put("x5t", thumbprint(&certificate.spec));
    }
    members.put("attributes", Members::times(certificate));
    members.put_tags(certificate);
    members.put("subject", "");
    members.into()
}

fn thumbprint(spec: &CertificateSpec) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &spec.leaf_der))
}

fn policy(certificate: &Version<CertificateSpec>, base: &str) -> Value {
    let spec = &certificate.spec;
    let mut key = Members::default();
    key.put("exportable", spec.exportable);
    if let Some(jwk) = &spec.key {
        key.put("kty", jwk.kty.clone());
        // A modulus is as long as its key.
        let bits = |n: &String| URL_SAFE_NO_PAD.decode(n).map_or(0, |bytes| bytes.len() * 8);
        key.put_some("key_size", jwk.n.as_ref().map(bits));
        key.put("reuse_key", false);
        key.put_some("crv", jwk.crv.clone());
    }
    json!({
        "id": format!("{base}/policy"),
        "key_props": Value::from(key),
        "secret_props": {"contentType": spec.stored.content_type()},
        "x509_props": {
            "subject": format!("CN={}", spec.name),
            "sans": {},
            "ekus": ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"],
            "key_usage": ["digitalSignature", "keyEncipherment"],
            "validity_months": 12,
            "basic_constraints": {"ca": false},
        },
        "lifetime_actions": [{"trigger": {"lifetime_percentage": 80}, "action": {"action_type": "AutoRenew"}}],
        "issuer": {"name": "Self"},
        "attributes": {"enabled": true, "created": certificate.created, "updated": certificate.created},
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::certificate::Stored;
    use super::super::super::key::Jwk;
    use super::*;

    fn version(in_creation: bool) -> Version<CertificateSpec> {
        let spec = CertificateSpec {
            leaf_der: b"leaf".to_vec(),
            nbf: Some(1),
            exp: Some(2),
            key: Some(Jwk::rsa(&URL_SAFE_NO_PAD.encode([1; 256]), "AQAB")),
            in_creation,
            ..CertificateSpec::new("c", Stored::Pem(String::new()))
        };
        Version { spec, id: "0f".to_owned(), created: 5, updated: 6 }
    }

    const FRAME: Frame<'_> = Frame { base: "https://h", api_version: "7.6" };

    #[test]
    fn a_version_has_no_policy_and_the_latest_has() {
        let attributes = r#"{"enabled":true,"nbf":1,"exp":2,"created":5,"updated":6,"recoveryLevel":"CustomizedRecoverable+Purgeable","recoverableDays":7}"#;
        let pinned = bundle(&version(false), FRAME, false);
        assert_eq!(pinned["attributes"].to_string(), attributes);
        assert_eq!((&pinned["cer"], &pinned["x5t"]), (&"bGVhZg==".into(), &"mHmCQXSO-syyMDhkN7eHOkePW9Q".into()));
        let members: Vec<&String> = pinned.as_object().unwrap().keys().collect();
        assert_eq!(members, ["id", "kid", "sid", "x5t", "cer", "attributes"]);
        let latest = bundle(&version(false), FRAME, true);
        assert_eq!(latest["pending"]["id"], "https://h/certificates/c/pending");
        assert_eq!(latest["policy"]["id"], "https://h/certificates/c/policy");
        assert_eq!(
            latest["policy"]["key_props"],
            json!({"exportable": true, "kty": "RSA", "key_size": 2048, "reuse_key": false})
        );
        assert_eq!(latest["policy"]["secret_props"]["contentType"], "application/x-pem-file");
    }

    #[test]
    fn one_in_creation_is_disabled_and_has_nothing_behind_it() {
        let latest = bundle(&version(true), FRAME, true);
        let members: Vec<&String> = latest.as_object().unwrap().keys().collect();
        assert_eq!(members, ["id", "attributes", "policy", "pending"]);
        assert_eq!(latest["attributes"]["enabled"], false);
    }

    #[test]
    fn an_entry_of_a_list_is_short() {
        let entry = item(&version(false), FRAME, false);
        let members: Vec<&String> = entry.as_object().unwrap().keys().collect();
        assert_eq!(members, ["id", "x5t", "attributes", "subject"]);
        assert_eq!(entry["id"], "https://h/certificates/c");
        assert_eq!(entry["attributes"].to_string(), r#"{"enabled":true,"nbf":1,"exp":2,"created":5,"updated":6}"#);
    }
}
