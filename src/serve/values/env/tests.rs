use std::sync::Arc;

use super::*;
use crate::reference::SecretName;
use crate::render::Variables;
use crate::secret::Part;
use crate::serve::values::board::tests::{shown, whole};

fn of(name: &str) -> Variable {
    Variable::Secret { secret: SecretName::parse(name).unwrap(), part: Part::Value }
}

fn asked(unknown: &[&str], visible: &Visible, syntax: Syntax) -> Result<u16, (u16, &'static str, String)> {
    let mut snapshot = Arc::into_inner(whole(1, &[("a", "1"), ("b", "it's \"$x\" \\")])).unwrap();
    let variables = [("A", "a"), ("B", "b"), ("C", "late"), ("D", "absent")];
    let unknown: Vec<SecretName> = unknown.iter().map(|name| SecretName::parse(name).unwrap()).collect();
    snapshot.env = Arc::new(Variables(variables.map(|(name, secret)| (name.to_owned(), of(secret))).into()));
    snapshot.unknown.extend(unknown);
    let shown = shown(&[Arc::new(snapshot)]);
    env(Some(&shown), visible, syntax)
        .map(|response| response.status().as_u16())
        .map_err(|refusal| (refusal.status.as_u16(), refusal.code, refusal.message))
}

#[test]
fn all_or_nothing_of_what_may_be_seen() {
    let only = |names: &[&str]| Visible::Only(names.iter().map(|name| SecretName::parse(name).unwrap()).collect());
    assert_eq!(asked(&[], &Visible::All, Syntax::Json), Ok(200));
    let early = asked(&["late"], &Visible::All, Syntax::Json).unwrap_err();
    assert_eq!((early.0, early.1), (503, "NoValueYet"));
    assert_eq!(asked(&["late"], &only(&["a", "b"]), Syntax::Json), Ok(200));
    let (status, code, message) = asked(&[], &Visible::All, Syntax::Dotenv).unwrap_err();
    assert_eq!((status, code), (406, "CannotBeExpressed"));
    assert!(message.contains("env.B") && message.contains("format=json") && !message.contains("it's"), "{message}");
    assert_eq!(asked(&[], &only(&["a"]), Syntax::Dotenv), Ok(200));
    let early = env(None, &Visible::All, Syntax::Json).map(drop).unwrap_err();
    assert_eq!(early.status, StatusCode::SERVICE_UNAVAILABLE);
}
