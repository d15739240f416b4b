//! The JSON of a secret: which members there are, and in which order.

use serde_json::{Map, Value, json};

use super::secret::SecretVersion;

/// The only api-version seen that puts the id first.
const ID_FIRST: &str = "7.6-preview.1";
/// The api-version that does not tell the recoverable days yet.
const WITHOUT_DAYS: &str = "7.0";

/// A secret with its value.
pub(crate) fn bundle(secret: &SecretVersion, base: &str, api_version: &str) -> Value {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    let id = format!("{base}/secrets/{}/{}", secret.spec.name, secret.id);
    if api_version == ID_FIRST {
        put("id", id.into());
        put("value", secret.spec.value.clone().into());
        content_type(secret).map(|text| put("contentType", text));
    } else {
        put("value", secret.spec.value.clone().into());
        content_type(secret).map(|text| put("contentType", text));
        put("id", id.into());
    }
    if secret.spec.certificate {
        put("managed", true.into());
    }
    put("attributes", attributes(secret, api_version));
    if !secret.spec.tags.is_empty() {
        put("tags", json!(secret.spec.tags));
    }
    if secret.spec.certificate {
        put("kid", format!("{base}/keys/{}/{}", secret.spec.name, secret.id).into());
    }
    Value::Object(members)
}

/// A secret in a list: no value, and the version in the id only where versions are listed.
pub(crate) fn item(secret: &SecretVersion, base: &str, with_version: bool, api_version: &str) -> Value {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    let mut id = format!("{base}/secrets/{}", secret.spec.name);
    if with_version {
        id = format!("{id}/{}", secret.id);
    }
    content_type(secret).map(|text| put("contentType", text));
    put("id", id.into());
    if secret.spec.certificate {
        put("managed", true.into());
    }
    put("attributes", attributes(secret, api_version));
    if !secret.spec.tags.is_empty() {
        put("tags", json!(secret.spec.tags));
    }
    Value::Object(members)
}

fn content_type(secret: &SecretVersion) -> Option<Value> {
    let backs_certificate = secret.spec.certificate.then_some("application/x-pkcs12");
    secret.spec.content_type.as_deref().or(backs_certificate).map(Value::from)
}

fn attributes(secret: &SecretVersion, api_version: &str) -> Value {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("enabled", secret.spec.enabled.into());
    secret.spec.nbf.map(|nbf| put("nbf", nbf.into()));
    secret.spec.exp.map(|exp| put("exp", exp.into()));
    put("created", secret.created.into());
    put("updated", secret.updated.into());
    put("recoveryLevel", "CustomizedRecoverable+Purgeable".into());
    if api_version != WITHOUT_DAYS {
        put("recoverableDays", 7.into());
    }
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::super::secret::SecretSpec;
    use super::*;

    fn version(spec: SecretSpec) -> SecretVersion {
        SecretVersion { spec, id: "0f".to_owned(), created: 5, updated: 6 }
    }

    #[test]
    fn a_plain_secret_has_no_member_it_does_not_need() {
        let plain = version(SecretSpec::new("n", "v"));
        let attributes = r#""attributes":{"enabled":true,"created":5,"updated":6,"recoveryLevel":"CustomizedRecoverable+Purgeable","recoverableDays":7}"#;
        assert_eq!(
            bundle(&plain, "https://h", "7.6").to_string(),
            format!(r#"{{"value":"v","id":"https://h/secrets/n/0f",{attributes}}}"#)
        );
        assert_eq!(
            bundle(&plain, "https://h", "7.6-preview.1").to_string(),
            format!(r#"{{"id":"https://h/secrets/n/0f","value":"v",{attributes}}}"#)
        );
        assert_eq!(
            item(&plain, "https://h", false, "7.6").to_string(),
            format!(r#"{{"id":"https://h/secrets/n",{attributes}}}"#)
        );
    }

    #[test]
    fn a_secret_behind_a_certificate_says_so() {
        let secret = version(SecretSpec { certificate: true, exp: Some(9), nbf: Some(8), ..SecretSpec::new("n", "v") });
        let bundle = bundle(&secret, "https://h", "7.0");
        assert_eq!(bundle["contentType"], "application/x-pkcs12");
        assert_eq!(bundle["kid"], "https://h/keys/n/0f");
        assert_eq!(bundle["managed"], true);
        assert!(bundle["attributes"].get("recoverableDays").is_none());
        assert!(item(&secret, "https://h", true, "7.6").get("kid").is_none());
    }
}
