//! The variables that a caller may have, one by one: what each is, and by what one can tell whether it should be made anew.
//! Pure.

use hyper::{Response, StatusCode};
use serde::ser::Error as _;
use serde::{Serialize, Serializer};

use super::board::Shown;
use super::env::is_visible;
use super::unready;
use crate::config::serve::Visible;
use crate::render::Variable;
use crate::secret::SecretValue;
use crate::serve::answer::{JSON, answer};
use crate::serve::body::{Body, secret};
use crate::serve::guard::Refusal;
use crate::snapshot::Standing;

#[derive(Serialize)]
struct Listing {
    variables: Vec<Listed>,
}

/// Without value and trouble it is made of what is optional and not there.
#[derive(Serialize)]
struct Listed {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    value: Option<SecretValue>,
    /// The editions of what goes into it beside an access token, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<Trouble>,
}

#[derive(Serialize)]
struct Trouble {
    code: &'static str,
    message: String,
}

/// What could be made a variable is text.
#[expect(clippy::ref_option, reason = "so it is called")]
fn text<S: Serializer>(value: &Option<SecretValue>, to: S) -> Result<S::Ok, S::Error> {
    let text = value.as_ref().map(SecretValue::expose).map(str::from_utf8).transpose();
    text.map_err(S::Error::custom)?.serialize(to)
}

/// `GET /v1/variables`: those that are made of nothing but what the caller may see. `run` tells editions that a run counts
/// from those of another.
pub(super) fn variables(shown: Option<&Shown>, visible: &Visible, run: &str) -> Result<Response<Body>, Refusal> {
    let snapshot = &shown.ok_or_else(unready)?.snapshot;
    let listed = |(name, variable): (&String, &Variable)| {
        let trouble = |code, message| (None, Some(Trouble { code, message }));
        let (value, trouble) = match snapshot.standing(name, variable) {
            Standing::Set(value) => (Some(value), None),
            Standing::Unset => (None, None),
            Standing::Awaited(secret) => trouble("NoValueYet", format!("{name}: the secret {secret} has no value yet")),
            Standing::Failed(reason) => trouble("CannotBeMade", reason),
        };
        let token = snapshot.beside_token(variable, run);
        Listed { name: name.clone(), value, token, trouble }
    };
    let variables = snapshot.env.0.iter().filter(|(_, variable)| is_visible(variable, visible)).map(listed);
    let listing = Listing { variables: variables.collect() };
    // Our own types have no keys but strings.
    let text = SecretValue::new(serde_json::to_vec(&listing).unwrap_or_default());
    Ok(answer(StatusCode::OK, JSON, secret(text)))
}
