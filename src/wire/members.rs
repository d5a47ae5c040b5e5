//! Reading JSON objects and lists as they come, without a struct in between: each member is handed to whoever takes it
//! in. What is no object costs only itself. What a member means is left to the format.

use super::lenient::Leaf;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::fmt;

/// Takes in an object, member by member.
pub trait Members<'de> {
    /// The names of members, one of them for all that nobody reads.
    type Key: Deserialize<'de>;

    /// Takes in one member, whose value must be read or [skipped](skip). Of a member given twice the later counts.
    ///
    /// # Errors
    /// Only when the JSON itself is broken.
    fn take<A: MapAccess<'de>>(&mut self, key: Self::Key, map: &mut A) -> Result<(), A::Error>;
}

/// Takes in a list, element by element.
pub trait Elements<'de> {
    /// Takes in the next element, which should be an object, and tells whether it was one. None at the end.
    ///
    /// # Errors
    /// Only when the JSON itself is broken.
    fn next<A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<Option<Leaf<()>>, A::Error>;
}

/// Leaves out the value of a member.
///
/// # Errors
/// Only when the JSON itself is broken.
pub fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

/// Hands an object to what takes it in, and tells whether it was one.
#[derive(Debug)]
pub struct Object<'m, M>(pub &'m mut M);

/// Hands a list to what takes it in, and tells how much of it was no object: the list itself where it is none. None
/// where there is nothing.
#[derive(Debug)]
pub struct List<'m, L>(pub &'m mut L);

/// What every value but one kind is visited as.
macro_rules! no_use {
    ($value:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any JSON value")
        }
        fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
            Ok($value)
        }
    };
}

impl<'de, M: Members<'de>> DeserializeSeed<'de> for Object<'_, M> {
    type Value = Leaf<()>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Leaf<()>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, M: Members<'de>> Visitor<'de> for Object<'_, M> {
    type Value = Leaf<()>;

    no_use!(Leaf::Broken);

    fn visit_unit<E: Error>(self) -> Result<Leaf<()>, E> {
        Ok(Leaf::Absent)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Leaf<()>, A::Error> {
        while let Some(key) = map.next_key()? {
            self.0.take(key, &mut map)?;
        }
        Ok(Leaf::Is(()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Leaf<()>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Leaf::Broken)
    }
}

impl<'de, L: Elements<'de>> DeserializeSeed<'de> for List<'_, L> {
    type Value = Option<u64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, L: Elements<'de>> Visitor<'de> for List<'_, L> {
    type Value = Option<u64>;

    no_use!(Some(1));

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Some(1))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut broken = 0;
        while let Some(element) = self.0.next(&mut list)? {
            broken += u64::from(element == Leaf::Broken);
        }
        Ok(Some(broken))
    }
}
