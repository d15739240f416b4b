//! A query's parameters, percent-decoded once (RFC 3986 §2.1). What could be read in two ways is refused: a name twice, one
//! that is not known, half an escape.

use percent_encoding::percent_decode_str;

/// Names and values.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// The parameters, all of which are known, or what is wrong with them.
    pub(super) fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, String> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for parameter in query.unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let malformed = || "the query is malformed".to_owned();
            let (name, value) = decoded(name).zip(decoded(value)).ok_or_else(malformed)?;
            if !known.contains(&name.as_str()) {
                return Err(format!("a parameter is not known here; there are: {}", known.join(", ")));
            }
            if parameters.iter().any(|(other, _)| *other == name) {
                return Err(format!("the parameter '{name}' is given twice"));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// The text, if its escapes are whole and of characters that can be seen. A '+' is itself: nothing here holds a blank.
fn decoded(text: &str) -> Option<String> {
    let is_hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let mut escapes = text.split('%').skip(1).map(str::as_bytes);
    if !escapes.all(|rest| is_hex(rest.first()) && is_hex(rest.get(1))) {
        return None;
    }
    let text = percent_decode_str(text).decode_utf8().ok()?;
    (!text.contains(char::is_control)).then(|| text.into_owned())
}
