//! The template engine, as narrow as it can be made: no loader, no debug output, undefined is an error, work and length
//! are bounded. A template sees the secrets that it names, and nothing else.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, escape_formatter};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::{Escape, Failure, LONGEST, Template, Use, Values, text};
use crate::secret::{Part, SecretValue};

/// The one variable that templates know.
pub(super) const SECRETS: &str = "secrets";

/// How much work a template may make. One unit is a step, or 64 bytes that are read or written: enough for the longest
/// value through several filters, and over in a second.
const FUEL: u64 = 2_000_000;

/// All but the unreserved characters of RFC 3986 §2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How templates are read: as written, down to the last line feed.
pub(super) fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder().keep_trailing_newline(true).build().unwrap_or_default()
}

/// An engine that knows no template.
pub(super) fn engine(escape: Escape) -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_syntax(syntax());
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(FUEL));
    // They show what is no template's business, and nest values without end.
    engine.remove_global("debug");
    engine.remove_global("namespace");
    engine.remove_filter("pprint");
    engine.add_filter("urlencode", |text: &str| utf8_percent_encode(text, RESERVED).to_string());
    engine.add_filter("b64encode", |text: &str| STANDARD.encode(text));
    engine.set_auto_escape_callback(move |_| match escape {
        Escape::None => AutoEscape::None,
        escape => AutoEscape::Custom(escape.name().into()),
    });
    engine.set_formatter(write);
    engine
}

/// Writes a value where a template puts it.
fn write(output: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let escape = match state.auto_escape() {
        AutoEscape::Custom(name) if !value.is_safe() => Escape::named(name).unwrap_or(Escape::None),
        AutoEscape::Custom(_) => Escape::None,
        _ => return escape_formatter(output, state, value),
    };
    let whole = value.as_str().map_or_else(|| value.to_string().into(), std::borrow::Cow::Borrowed);
    let escaped = Zeroizing::new(escape.apply(&whole).map_err(unfit)?);
    output.write_str(&escaped).map_err(Error::from)
}

/// A reason of ours, which holds no value: told apart by its type from the engine's, which may.
#[derive(Debug)]
struct Unfit(&'static str);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Unfit {}

fn unfit(reason: &'static str) -> Error {
    Error::from(ErrorKind::InvalidOperation).with_source(Unfit(reason))
}

/// Puts the values into the template.
pub(super) fn render(template: &Template, values: &Values) -> Result<SecretValue, Failure> {
    let failed = |line: Option<usize>, reason: &str| template.failure(line, reason);
    let engine = engine(template.escape);
    let compiled = engine.template_from_named_str(&template.name, &template.text);
    let compiled = compiled.map_err(|error| failed(error.line(), &reason(&error)))?;
    let secrets = secrets(&template.uses, values).map_err(|(line, reason)| failed(Some(line), &reason))?;
    let mut written = Bounded(Vec::with_capacity(template.text.len()));
    let result = compiled.render_captured_to(BTreeMap::from([(SECRETS, Value::from(secrets))]), &mut written).map(drop);
    let written = SecretValue::new(written.0);
    let Err(error) = result else { return Ok(written) };
    if error.kind() == ErrorKind::UndefinedError {
        return Err(failed(error.line(), &undefined(template, error.line(), values)));
    }
    Err(failed(error.line(), &reason(&error)))
}

/// What the template sees: of the secrets that it names those that are there.
fn secrets(uses: &[Use], values: &Values) -> Result<BTreeMap<String, Value>, (usize, String)> {
    let (mut secrets, mut parts) = (BTreeMap::new(), BTreeMap::<String, BTreeMap<&str, Value>>::new());
    for Use { secret, part, first_line, .. } in uses {
        let value = text(secret, *part, values).map_err(|reason| (*first_line, reason))?;
        let value = value.map(Value::from);
        if *part == Part::Value {
            secrets.extend(value.map(|value| (secret.to_string(), value)));
        } else {
            // Also of a certificate that is not there one may ask whether its parts are.
            parts.entry(secret.to_string()).or_default().extend(value.map(|value| (part.name(), value)));
        }
    }
    secrets.extend(parts.into_iter().map(|(name, parts)| (name, Value::from(parts))));
    Ok(secrets)
}

/// The engine's reason in our words: its own quote values.
fn reason(error: &Error) -> String {
    let ours = error.source().and_then(|source| source.downcast_ref::<Unfit>());
    match (error.kind(), ours) {
        (_, Some(Unfit(reason))) => (*reason).to_owned(),
        (ErrorKind::OutOfFuel, None) => "this is too much work for a template".to_owned(),
        (ErrorKind::WriteFailure, None) => "what it makes is longer than 4 MiB".to_owned(),
        (ErrorKind::InvalidOperation, None) => "an operation, filter or test cannot work with these values".to_owned(),
        (kind, None) => kind.to_string(),
    }
}

/// What of the template is not there, as far as it can be told.
fn undefined(template: &Template, line: Option<usize>, values: &Values) -> String {
    let is_absent = |used: &&Use| !values.contains_key(&used.secret);
    let is_here = |used: &&Use| line.is_some_and(|line| (used.first_line..=used.last_line).contains(&line));
    let Some(absent) = template.uses.iter().filter(is_here).find(is_absent) else {
        return "something here is not defined".to_owned();
    };
    let name = &absent.secret;
    format!("the secret '{name}' is not there: ask before, {{% if {SECRETS}['{name}'] is defined %}}, or leave it out")
}

/// Takes so much and no more.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len().saturating_add(bytes.len()) > LONGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
