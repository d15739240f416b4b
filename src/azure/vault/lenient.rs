//! JSON that may be anything: what is looked for is kept if it is of its kind, everything else is passed over without being
//! kept, however much it is.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::moment::UnixTime;
use crate::survey::Stamp;

/// A member that is no object and no list, or whatever it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Scalar {
    #[default]
    Absent,
    Null,
    Bool(bool),
    /// A whole number from 0.
    Number(u64),
    Text(String),
    Other,
}

impl Scalar {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn time(&self) -> Option<UnixTime> {
        match self {
            Self::Number(seconds) => UnixTime::from_seconds(*seconds),
            _ => None,
        }
    }
}

/// An object's `attributes`, as far as they are looked at.
#[derive(Debug, serde::Deserialize, Default)]
#[serde(default)]
pub(super) struct Attributes {
    enabled: Scalar,
    created: Scalar,
    updated: Scalar,
    exp: Scalar,
}

impl Attributes {
    /// `exp` informs; the vault serves expired objects, and so do we. A number that is no time is no expiry.
    pub(super) fn expiry(&self) -> Option<UnixTime> {
        self.exp.time()
    }

    /// What a list shows of an object with these attributes, if it is enabled and says when it was changed.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        let is_enabled = matches!(self.enabled, Scalar::Absent | Scalar::Bool(true));
        let updated = self.updated.time().filter(|_| is_enabled)?;
        Some(Stamp { created: self.created.time(), updated, expires: self.expiry() })
    }
}

/// An object that is read as this, or anything else.
#[derive(Debug)]
pub(super) struct Lenient<T>(Option<T>);

impl<T> Lenient<T> {
    pub(super) fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }
}

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
                Ok(Scalar::Null)
            }

            fn visit_bool<E: Error>(self, is: bool) -> Result<Scalar, E> {
                Ok(Scalar::Bool(is))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar::Number(number))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Scalar, E> {
                Ok(Scalar::Other)
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Scalar, E> {
                Ok(Scalar::Other)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = Option<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Some)
            }

            fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
                Ok(None)
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Option<T>, E> {
                Ok(None)
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Option<T>, E> {
                Ok(None)
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Option<T>, E> {
                Ok(None)
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Option<T>, E> {
                Ok(None)
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Option<T>, E> {
                Ok(None)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<T>, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(None)
            }
        }
        deserializer.deserialize_any(Object(PhantomData)).map(Lenient)
    }
}
