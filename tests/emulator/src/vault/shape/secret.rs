//! The JSON of a secret.

use super::super::certificate::PKCS12;
use super::super::collection::Collection;
use super::super::object::Version;
use super::super::secret::SecretSpec;
use super::{Frame, Members, Value, listed_identifier};

/// The only api-version seen that puts the id first.
const ID_FIRST: &str = "7.6-preview.1";

/// A secret with its value.
pub(crate) fn bundle(secret: &Version<SecretSpec>, frame: Frame<'_>) -> Value {
    let mut members = Members::default();
    let id = secret.identifier(frame.base);
    if frame.api_version == ID_FIRST {
        members.put("id", id);
        members.put("value", secret.spec.value.clone());
        members.put_some("contentType", content_type(secret));
    } else {
        members.put("value", secret.spec.value.clone());
        members.put_some("contentType", content_type(secret));
        members.put("id", id);
    }
    members.put_some("managed", secret.spec.certificate.then_some(true));
    members.put("attributes", Members::attributes(secret, frame.api_version));
    members.put_tags(secret);
    if secret.spec.certificate {
        members.put("kid", secret.identifier_in(Collection::Keys, frame.base));
    }
    members.into()
}

/// A secret in a list: no value.
pub(crate) fn item(secret: &Version<SecretSpec>, frame: Frame<'_>, with_version: bool) -> Value {
    let mut members = Members::default();
    members.put_some("contentType", content_type(secret));
    members.put("id", listed_identifier(secret, frame.base, with_version));
    members.put_some("managed", secret.spec.certificate.then_some(true));
    members.put("attributes", Members::attributes(secret, frame.api_version));
    members.put_tags(secret);
    members.into()
}

fn content_type(secret: &Version<SecretSpec>) -> Option<&str> {
    secret.spec.content_type.as_deref().or(secret.spec.certificate.then_some(PKCS12))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(spec: SecretSpec) -> Version<SecretSpec> {
        Version { spec, id: "0f".to_owned(), created: 5, updated: 6 }
    }

    fn frame(api_version: &str) -> Frame<'_> {
        Frame { base: "https://h", api_version }
    }

    #[test]
    fn a_plain_secret_has_no_member_it_does_not_need() {
        let plain = version(SecretSpec::new("n", "v"));
        let attributes = r#""attributes":{"enabled":true,"created":5,"updated":6,"recoveryLevel":"CustomizedRecoverable+Purgeable","recoverableDays":7}"#;
        assert_eq!(
            bundle(&plain, frame("7.6")).to_string(),
            format!(r#"{{"value":"v","id":"https://h/secrets/n/0f",{attributes}}}"#)
        );
        assert_eq!(
            bundle(&plain, frame("7.6-preview.1")).to_string(),
            format!(r#"{{"id":"https://h/secrets/n/0f","value":"v",{attributes}}}"#)
        );
        assert_eq!(
            item(&plain, frame("7.6"), false).to_string(),
            format!(r#"{{"id":"https://h/secrets/n",{attributes}}}"#)
        );
    }

    #[test]
    fn a_secret_behind_a_certificate_says_so() {
        let secret = version(SecretSpec { certificate: true, exp: Some(9), nbf: Some(8), ..SecretSpec::new("n", "v") });
        let bundle = bundle(&secret, frame("7.0"));
        assert_eq!(bundle["contentType"], "application/x-pkcs12");
        assert_eq!(bundle["kid"], "https://h/keys/n/0f");
        assert_eq!(bundle["managed"], true);
        assert!(bundle["attributes"].get("recoverableDays").is_none());
        assert!(item(&secret, frame("7.6"), true).get("kid").is_none());
    }
}
