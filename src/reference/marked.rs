//! References where anything else may stand as well: in a process's environment. Only a text that is a reference as a whole
//! and says so is one; a vault's bare address is left alone, because applications are given vaults' addresses for their own
//! use.

use super::Reference;
use super::wrapped::{self, BRACES};

/// How a connection without its workspace begins.
const CONNECTIONS: &str = "azureml://connections/";
/// What templates and shells put around what they replace; `${{` is Azure ML's own.
const OTHER_BRACES: [(&str, &str); 4] = [("${", "}"), ("$(", ")"), ("{{", "}}"), ("{", "}")];

impl Reference {
    /// The reference that a variable's value is, or what is wrong with it; none for any other value. One that would be a
    /// reference without what stands around it is told how to be one: nobody wants that text itself.
    pub fn marked(value: &str) -> Option<Result<Self, String>> {
        near(value).map(Err).or_else(|| beginning(value).map(|_| Self::parse(value)))
    }
}

/// What a text begins with that says that it is a reference.
fn beginning(value: &str) -> Option<&'static str> {
    let lower = value.to_ascii_lowercase();
    // Azure ML's own variables name models and datastores by 'azureml:' and 'azureml://' too, with any path behind them.
    let is_connection = lower.strip_prefix("azureml://").is_some_and(|rest| {
        let in_workspace =
            || rest.split_once("/connections/").is_some_and(|(before, _)| !before.contains("/datastores/"));
        rest.starts_with("connections/") || rest.starts_with("subscriptions/") && in_workspace()
    });
    if is_connection {
        return Some("azureml://");
    }
    let app_service = || wrapped::begins_app_service(value).map(|_| "@Microsoft.KeyVault(");
    ["keyvault:", "entra:", BRACES].into_iter().find(|scheme| lower.starts_with(scheme)).or_else(app_service)
}

/// What is wrong with a text that is nearly marked. Nothing of it is shown but a reference in its canonical form: it may be a
/// secret.
fn near(value: &str) -> Option<String> {
    let (inner, around) = bare(value);
    let mended = connection(inner);
    let text = mended.as_deref().unwrap_or(inner);
    let in_braces = around.contains(&"braces");
    let around = (!around.is_empty()).then(|| format!("there are {} around it", listed(&around)));
    let misspelt = mended.is_some().then(|| format!("a connection begins with '{CONNECTIONS}'"));
    let wrong: Vec<String> = around.into_iter().chain(misspelt).collect();
    if wrong.is_empty() {
        return None;
    }
    let (scheme, wrong) = (beginning(text)?, wrong.join(", and "));
    match Reference::parse(text) {
        Ok(reference) => Some(format!("it is nearly a reference, but {wrong}: write '{reference}'")),
        // Words that happen to begin so, and what others put in braces: Spring's ${keyvault:default}, Confluent's
        // ${keyVault:secret}.
        Err(_) if in_braces && mended.is_none() || inner.contains(|c: char| c.is_whitespace() || is_quote(c)) => None,
        Err(_) => Some(format!(
            "it is nearly a reference, but {wrong}, and the rest is none either (it is not shown here, in case it is a \
             secret): write one that begins with '{scheme}'"
        )),
    }
}

/// A text without what stands around it, and what that is.
fn bare(value: &str) -> (&str, Vec<&'static str>) {
    let (mut inner, mut around) = (value, Vec::new());
    while let Some((next, what)) = without(inner) {
        inner = next;
        if !around.contains(&what) {
            around.push(what);
        }
    }
    (inner, around)
}

fn without(text: &str) -> Option<(&str, &'static str)> {
    let in_braces = |(open, close): &(&str, &str)| text.strip_prefix(open)?.strip_suffix(close);
    let blanks = Some((text.trim(), "blanks"));
    let quotes = || Some((text.trim_matches(is_quote), "quotes"));
    let braces = || {
        let inner = OTHER_BRACES.iter().filter(|_| !text.starts_with(BRACES)).find_map(in_braces);
        inner.map(|inner| (inner, "braces"))
    };
    let is_less = |(inner, _): &(&str, _)| inner.len() < text.len();
    blanks.filter(is_less).or_else(|| quotes().filter(is_less)).or_else(braces)
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '\u{201c}' | '\u{201d}' | '\u{2018}' | '\u{2019}')
}

fn listed(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => words.join(""),
    }
}

/// A connection whose beginning is misspelt, as it should be. No model or datastore is called so.
fn connection(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_at_checked("azureml:".len())?;
    let rest = rest.trim_start_matches('/');
    let (word, name) = rest.split_once('/')?;
    let is_one = ["connections", "connection"].iter().any(|known| word.eq_ignore_ascii_case(known));
    let is_misspelt = is_one && scheme.eq_ignore_ascii_case("azureml:") && beginning(text).is_none();
    is_misspelt.then(|| format!("{CONNECTIONS}{name}"))
}

#[cfg(test)]
mod tests;
