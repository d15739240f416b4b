use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::secret::{Part, Secret};
use crate::snapshot::Generation;

fn name(name: &str) -> SecretName {
    SecretName::parse(name).unwrap()
}

/// A whole in which `held` and `token` have values, `absent` has none on purpose, of `unknown` nobody has heard, and any other
/// name has lost its own.
fn whole(version: &str) -> Snapshot {
    let secret = |version| Arc::new(Secret::plain(version, SecretValue::new(b"v".to_vec())));
    let held = (name("held"), secret(Version::Upstream(version.to_owned())));
    Snapshot {
        generation: Generation(1),
        secrets: BTreeMap::from([held, (name("token"), secret(Version::Edition(1)))]),
        unknown: [name("unknown")].into(),
        absent: [name("absent")].into(),
        tokens: [name("token")].into(),
        layouts: Arc::default(),
        env: Arc::default(),
        rendered: BTreeMap::new(),
    }
}

fn of(secret: &str) -> Variable {
    Variable::Secret { secret: name(secret), part: Part::Value }
}

#[test]
fn a_variable_is_set_or_not_or_awaited_or_lost() {
    let whole = whole("a");
    let standing = |secret| whole.standing("V", &of(secret));
    assert!(matches!(standing("held"), Standing::Set(value) if value.expose() == b"v"));
    assert!(matches!(standing("absent"), Standing::Unset));
    assert!(matches!(standing("unknown"), Standing::Awaited(secret) if secret == name("unknown")));
    let lost = |reason: &str| reason == "V: the secret revoked has no value any more";
    assert!(matches!(standing("revoked"), Standing::Failed(reason) if lost(&reason)));
}

#[test]
fn beside_a_token_editions_count_and_those_that_a_run_counts_are_that_run_s() {
    assert_eq!(whole("a").beside_token(&of("held"), "run-"), None);
    assert_eq!(whole("a").beside_token(&of("token"), "run-").as_deref(), Some(""));
}
