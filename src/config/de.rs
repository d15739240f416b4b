//! Reads types out of a [`Node`] with serde. Errors know the node they are about, and never quote its value.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserializer, Error as _, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::node::{Node, Value};

/// What is wrong, and with which node.
#[derive(Debug)]
pub(super) struct Error {
    pub(super) id: Option<usize>,
    /// The key that an unknown one was probably meant to be.
    pub(super) meant: Option<&'static str>,
    pub(super) message: String,
}

impl Error {
    fn at(mut self, node: &Node) -> Self {
        self.id.get_or_insert(node.id);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { id: None, meant: None, message: message.to_string() }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match unexpected {
            Unexpected::Bool(true) => "true",
            Unexpected::Bool(false) => "false",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Str(_) => "text",
            Unexpected::Unit | Unexpected::Option => "nothing",
            Unexpected::Seq => "a list",
            Unexpected::Map => "a mapping",
            _ => "something else",
        };
        let expected = plainly(expected);
        let quotes = matches!((expected.as_str(), found), ("text", "a number" | "true" | "false"));
        let hint = if quotes { ": put it in quotes" } else { "" };
        Self::custom(format!("expected {expected}, found {found}{hint}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format!("expected {}", plainly(expected)))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format!("expected {}", expected.join(" or ")))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let field = shown_key(field);
        let near = expected.iter().map(|known| (distance(&field, known), *known)).min();
        let meant = near.filter(|(distance, _)| *distance <= 2).map(|(_, known)| known);
        let hint = match meant {
            Some(meant) => format!("did you mean '{meant}'?"),
            None => format!("known here: {}", expected.join(", ")),
        };
        Self { meant, ..Self::custom(format!("unknown key '{field}': {hint}")) }
    }
}

/// A key for a message, escaped and short. One that is long and no word may be a line of another file, and that one a
/// secret's.
pub(super) fn shown_key(key: &str) -> String {
    let is_word = key.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '/'));
    if !is_word && key.chars().count() > 20 {
        return "(no word, not shown)".to_owned();
    }
    key.chars().take(80).flat_map(char::escape_default).collect()
}

/// How many characters to insert, remove or replace (Levenshtein), row by row.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for ((b, diagonal), above) in b.chars().zip(&row).zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(a != b)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// What serde expects, in the words of people who write YAML.
fn plainly(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "a boolean" => "true or false".to_owned(),
        "a string" => "text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "u32" => format!("a whole number from 0 to {}, without quotes", u32::MAX),
        _ => expected,
    }
}

/// Plain scalars by YAML 1.2's core schema; quoted ones are text.
fn scalar<'de, V: Visitor<'de>>(text: &str, plain: bool, visitor: V) -> Result<V::Value, Error> {
    if !plain {
        return visitor.visit_str(text);
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return visitor.visit_unit(),
        "true" | "True" | "TRUE" => return visitor.visit_bool(true),
        "false" | "False" | "FALSE" => return visitor.visit_bool(false),
        _ => {}
    }
    let looks_like_a_number = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    match (text.parse::<u64>(), text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(number), _, _) => visitor.visit_u64(number),
        (_, Ok(number), _) => visitor.visit_i64(number),
        (_, _, Ok(number)) if looks_like_a_number => visitor.visit_f64(number),
        _ => visitor.visit_str(text),
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match &self.value {
            Value::Scalar { text, plain } => scalar(text, *plain, visitor),
            Value::List(items) => visitor.visit_seq(SeqDeserializer::new(items.iter().map(|(_, item)| item))),
            Value::Mapping(entries) => {
                visitor.visit_map(MapDeserializer::new(entries.iter().map(|(k, v)| (Key(k), v))))
            }
        };
        result.map_err(|error| error.at(self))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    /// Nothing is an empty mapping: what is left when all its entries are commented out.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_null() {
            let empty: std::iter::Empty<(Key<'de>, &Node)> = std::iter::empty();
            return visitor.visit_map(MapDeserializer::new(empty)).map_err(|error: Error| error.at(self));
        }
        if matches!(self.value, Value::List(_)) {
            // serde's derived types would read one as their members in order.
            return Err(Error::invalid_type(Unexpected::Seq, &visitor).at(self));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Some(text) = self.text() else { return Err(Error::unknown_variant("", variants).at(self)) };
        visitor.visit_enum(text.into_deserializer()).map_err(|error: Error| error.at(self))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for &'de Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// A key is text, whatever it looks like.
#[derive(Clone, Copy)]
struct Key<'a>(&'a Node);

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.0.text().unwrap_or_default()).map_err(|error: Error| error.at(self.0))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for Key<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
