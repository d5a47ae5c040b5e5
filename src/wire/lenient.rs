//! Reading JSON leaf by leaf: a value of the wrong type costs that value, never the whole body. What a leaf means is
//! left to the format that holds it.

use crate::model::metric::to_u64;
use crate::model::time::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// How Go writes an instant that nobody set.
pub const GO_ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// How many numbers of one body may be larger than a double before the body is given up.
const MAX_HUGE_NUMBERS: u64 = 16;

/// Reads a body once more for each number in it that no double can hold, without that number. Tells how many there were.
///
/// # Errors
/// What `read` says of the body when it is not for such a number.
pub fn reread<E>(
    body: &[u8],
    mut read: impl FnMut(&[u8], u64) -> Result<(), E>,
    not_json: impl Fn(&E) -> Option<&serde_json::Error>,
) -> Result<(), E> {
    let mut error = match read(body, 0) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    let mut repaired = body.to_vec();
    for huge in 1..=MAX_HUGE_NUMBERS {
        match not_json(&error).and_then(|error| without_huge_number(&repaired, error)) {
            Some(without) => repaired = without,
            None => return Err(error),
        }
        match read(&repaired, huge) {
            Ok(()) => return Ok(()),
            Err(next) => error = next,
        }
    }
    Err(error)
}

/// The body with the number blanked out that `error` refuses because no double can hold it: valid JSON that the parser
/// has no place for. None where the error is another one.
fn without_huge_number(body: &[u8], error: &serde_json::Error) -> Option<Vec<u8>> {
    if !error.to_string().starts_with("number out of range") {
        return None;
    }
    let line = body
        .split(|byte| *byte == b'\n')
        .take(error.line().checked_sub(1)?)
        .map(|line| line.len() + 1)
        .sum::<usize>();
    let in_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let inside = (line + error.column()).checked_sub(1)?;
    // The parser points into the number, at its last byte, or just behind it.
    let before = body.get(..=inside.min(body.len().checked_sub(1)?))?;
    let last = before.iter().rposition(in_number)? + 1;
    let start = before.get(..last)?.iter().rposition(|byte| !in_number(byte)).map_or(0, |at| at + 1);
    let end = last + body.get(last..)?.iter().take_while(|byte| in_number(byte)).count();
    let mut body = body.to_vec();
    let number = body.get_mut(start..end)?;
    number.fill(b' ');
    number.get_mut(..4)?.copy_from_slice(b"null");
    Some(body)
}

/// A member that may be missing, null, or something that it should not be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Leaf<T> {
    /// Missing or null.
    #[default]
    Absent,
    /// There.
    Is(T),
    /// There, and of no use.
    Broken,
}

impl<T> Leaf<T> {
    /// The value, if it is there.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            _ => None,
        }
    }

    /// The value, if it is there, to be changed.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Is(value) => Some(value),
            _ => None,
        }
    }

    /// The value, if it is there; counts it in `broken` if it was of no use.
    pub fn or_count(&self, broken: &mut u64) -> Option<&T> {
        if matches!(self, Self::Broken) {
            *broken += 1;
        }
        self.get()
    }

    /// The value, if it is there.
    pub fn into_option(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            _ => None,
        }
    }
}

/// What a leaf can be made of. Every reading that is not overridden refuses.
pub trait Readable<'de>: Sized {
    /// From a whole number.
    fn from_u64(_: u64) -> Option<Self> {
        None
    }
    /// From any other number.
    fn from_f64(_: f64) -> Option<Self> {
        None
    }
    /// From a truth value.
    fn from_bool(_: bool) -> Option<Self> {
        None
    }
    /// From text.
    fn from_text(_: Cow<'de, str>) -> Option<Self> {
        None
    }
    /// From an object.
    ///
    /// # Errors
    /// Only when the JSON itself is broken.
    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        drain_map(map)?;
        Ok(None)
    }
    /// From a list.
    ///
    /// # Errors
    /// Only when the JSON itself is broken.
    fn from_list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

fn drain_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

impl Readable<'_> for u64 {
    fn from_u64(value: u64) -> Option<Self> {
        Some(value)
    }
    fn from_f64(value: f64) -> Option<Self> {
        to_u64(value).filter(|_| value.fract() == 0.0)
    }
}

impl Readable<'_> for f64 {
    fn from_u64(value: u64) -> Option<Self> {
        Some(crate::model::metric::to_f64(value))
    }
    fn from_f64(value: f64) -> Option<Self> {
        value.is_finite().then_some(value)
    }
}

impl Readable<'_> for bool {
    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl<'de: 'a, 'a> Readable<'de> for Cow<'a, str> {
    fn from_text(text: Cow<'de, str>) -> Option<Self> {
        Some(text)
    }
}

impl<'de> Readable<'de> for String {
    fn from_text(text: Cow<'de, str>) -> Option<Self> {
        Some(text.into_owned())
    }
}

impl Readable<'_> for Timestamp {
    /// Go's zero time is read as the Unix epoch: both mean that nobody set it.
    fn from_text(text: Cow<'_, str>) -> Option<Self> {
        if text == GO_ZERO_TIME { Some(Self::default()) } else { super::rfc3339::parse(&text) }
    }
}

/// Text or a number, as quantities and ports come; the number as its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Loose(pub String);

impl<'de> Readable<'de> for Loose {
    fn from_u64(value: u64) -> Option<Self> {
        Some(Self(value.to_string()))
    }
    fn from_f64(value: f64) -> Option<Self> {
        Some(Self(value.to_string()))
    }
    fn from_text(text: Cow<'de, str>) -> Option<Self> {
        Some(Self(text.into_owned()))
    }
}

/// An object read by its own `Deserialize`, whose members must all be lenient.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Readable<'de> for Object<T> {
    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|value| Some(Self(value)))
    }
}

/// A list whose elements are each read on their own.
impl<'de, T: Readable<'de>> Readable<'de> for Vec<Leaf<T>> {
    fn from_list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            elements.push(element);
        }
        Ok(Some(elements))
    }
}

/// A map from text to leaves, in the order of the body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map<T>(pub Vec<(String, T)>);

impl<'de, T: Readable<'de>> Readable<'de> for Map<T> {
    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, leaf)) = map.next_entry::<String, Leaf<T>>()? {
            if let Leaf::Is(value) = leaf {
                entries.push((key, value));
            }
        }
        Ok(Some(Self(entries)))
    }
}

impl<'de, T: Readable<'de>> Deserialize<'de> for Leaf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LeafVisitor(PhantomData))
    }
}

struct LeafVisitor<T>(PhantomData<T>);

fn leaf<T>(value: Option<T>) -> Leaf<T> {
    value.map_or(Leaf::Broken, Leaf::Is)
}

impl<'de, T: Readable<'de>> Visitor<'de> for LeafVisitor<T> {
    type Value = Leaf<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Leaf::Absent)
    }
    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Leaf::Absent)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(leaf(T::from_bool(value)))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(leaf(T::from_u64(value)))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(leaf(match u64::try_from(value) {
            Ok(value) => T::from_u64(value),
            Err(_) => T::from_f64(-crate::model::metric::to_f64(value.unsigned_abs())),
        }))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(leaf(T::from_f64(value)))
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(leaf(T::from_text(Cow::Borrowed(text))))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(leaf(T::from_text(Cow::Owned(text.to_owned()))))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::from_map(map).map(leaf)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        T::from_list(list).map(leaf)
    }
}
