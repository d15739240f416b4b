//! The variables that a caller may have, written down. Pure.

use hyper::header::{HeaderValue, VARY};
use hyper::{Response, StatusCode};

use super::board::Shown;
use super::unready;
use crate::config::serve::Visible;
use crate::render::{Syntax, Variable};
use crate::serve::answer::{JSON, answer};
use crate::serve::body::{Body, secret};
use crate::serve::guard::Refusal;

/// `GET /v1/env`: the variables that are made of nothing but what the caller may see.
pub(super) fn env(shown: Option<&Shown>, visible: &Visible, syntax: Syntax) -> Result<Response<Body>, Refusal> {
    let snapshot = &shown.ok_or_else(unready)?.snapshot;
    let is_visible = |variable: &Variable| is_visible(variable, visible);
    let wanted = snapshot.env.0.values().filter(|variable| is_visible(variable));
    if wanted.flat_map(Variable::uses).any(|(name, _)| snapshot.unknown.contains(name)) {
        // Half an environment would look like a whole one.
        return Err(unready());
    }
    let values = snapshot.env.values_of(is_visible, &snapshot.secrets).map_err(|failure| {
        let message = format!("a variable cannot be made: {failure}");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "CannotBeRendered", message)
    })?;
    let written = syntax.write(&values).map_err(|failure| {
        let message = format!("not every value can be written as {}: {failure}; ask for '?format=json'", syntax.name());
        Refusal::new(StatusCode::NOT_ACCEPTABLE, "CannotBeExpressed", message)
    })?;
    let kind = match syntax {
        Syntax::Json => JSON,
        Syntax::Dotenv | Syntax::Sh | Syntax::EnvFile => HeaderValue::from_static("text/plain; charset=utf-8"),
    };
    let mut response = answer(StatusCode::OK, kind, secret(written));
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

/// Whether the variable is made of nothing but what may be seen.
pub(super) fn is_visible(variable: &Variable, visible: &Visible) -> bool {
    variable.uses().all(|(name, _)| visible.shows(name))
}

#[cfg(test)]
mod tests;
