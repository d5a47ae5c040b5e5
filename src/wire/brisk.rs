//! JSON read in one pass as kubelets write it, faster than by a reader for every case. Whatever is out of
//! the ordinary, broken JSON above all, is refused without a word: that is left to serde_json, which has one.
//!
//! Refused are strings with escapes, integers of twenty digits and more, and values deeper than [`MAX_DEPTH`].

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// How deep values may lie in each other.
pub const MAX_DEPTH: u32 = 32;

/// The text is not read here: see [`self`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of the ordinary")
    }
}

impl std::error::Error for Refused {}

impl Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Reads the one value that a text is.
///
/// # Errors
/// Where it is out of the ordinary, or `read` fails.
pub fn read<'de, T>(
    text: &'de str,
    read: impl FnOnce(&mut Reader<'de>) -> Result<T, Refused>,
) -> Result<T, Refused> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let value = read(&mut reader)?;
    match reader.next_token() {
        None => Ok(value),
        Some(_) => Err(Refused),
    }
}

/// A text, and how far it was read.
#[derive(Debug)]
pub struct Reader<'de> {
    text: &'de str,
    at: usize,
    depth: u32,
}

/// Eight times the same byte.
const fn eight(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The highest bit of every byte that is 0, and perhaps of some behind it.
const fn zeros(bytes: u64) -> u64 {
    bytes.wrapping_sub(eight(1)) & !bytes & eight(0x80)
}

/// The highest bit of the first of eight bytes, lowest first, that ends a string or is none of it, and perhaps of some
/// behind it.
const fn ends_string(bytes: u64) -> u64 {
    let control = bytes.wrapping_sub(eight(0x20)) & !bytes & eight(0x80);
    zeros(bytes ^ eight(b'"')) | zeros(bytes ^ eight(b'\\')) | control
}

/// How many of eight bytes come before the first one whose highest bit is set.
fn before(marks: u64) -> usize {
    usize::try_from(marks.trailing_zeros() / 8).unwrap_or(0)
}

/// How many of eight bytes, lowest first, are digits before any other, and the number that these are.
fn digits(bytes: u64) -> (usize, u64) {
    let values = bytes ^ eight(b'0');
    let others = (((values & eight(0x7f)) + eight(0x76)) | values) & eight(0x80);
    let count = before(others);
    // Noughts in front make eight of them. Neighbours are put together, then pairs, then fours.
    let shift = (others.trailing_zeros() & 0x78).wrapping_neg() & 0x3f;
    let eight = if count == 0 { 0 } else { values << shift };
    let pairs = eight.wrapping_mul(10).wrapping_add(eight >> 8);
    let (high, low) = (pairs & 0x0000_00ff_0000_00ff, pairs >> 16 & 0x0000_00ff_0000_00ff);
    let sum = high.wrapping_mul(0x000f_4240_0000_0064).wrapping_add(low.wrapping_mul(0x0000_2710_0000_0001));
    (count, sum >> 32)
}

const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

impl<'de> Reader<'de> {
    fn rest(&self) -> &'de [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next eight bytes, lowest first; noughts behind the end.
    #[inline]
    fn chunk(&self, at: usize) -> u64 {
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        match rest.first_chunk() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => last_chunk(rest),
        }
    }

    /// The next byte that is no white space, which is not passed. None at the end.
    #[inline]
    fn next_token(&mut self) -> Option<u8> {
        loop {
            match *self.text.as_bytes().get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    #[inline]
    fn pass(&mut self, wanted: u8) -> Result<(), Refused> {
        if self.next_token() != Some(wanted) {
            return Err(Refused);
        }
        self.at += 1;
        Ok(())
    }

    /// The string whose opening quote is next.
    #[inline]
    fn string(&mut self) -> Result<&'de str, Refused> {
        self.pass(b'"')?;
        let start = self.at;
        let mut end = start;
        loop {
            // A nought, as behind the end, is none of a string.
            match ends_string(self.chunk(end)) {
                0 => end += 8,
                marks => {
                    end += before(marks);
                    break;
                }
            }
        }
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return Err(Refused);
        }
        self.at = end + 1;
        self.text.get(start..end).ok_or(Refused)
    }

    fn word(&mut self, word: &str) -> Result<(), Refused> {
        let there = self.rest().starts_with(word.as_bytes());
        self.at += word.len();
        if there { Ok(()) } else { Err(Refused) }
    }

    /// The whole number whose first digit is next. None where it goes on as another kind of number.
    #[inline]
    fn whole(&mut self) -> Result<Option<u64>, Refused> {
        let start = self.at;
        let (mut length, mut value) = digits(self.chunk(start));
        let mut more = length;
        while more == 8 && length < 24 {
            let part;
            (more, part) = digits(self.chunk(start + length));
            value = value.wrapping_mul(POWERS.get(more).copied().unwrap_or(0)).wrapping_add(part);
            length += more;
        }
        let bytes = self.text.as_bytes();
        match bytes.get(start + length) {
            Some(b'.' | b'e' | b'E') => return Ok(None),
            // Twenty digits may be too many; a nought comes first only alone.
            _ if length == 0 || length > 19 || (length > 1 && bytes.get(start) == Some(&b'0')) => {
                return Err(Refused);
            }
            _ => self.at += length,
        }
        Ok(Some(value))
    }

    /// The number that is next, with whatever fraction and exponent it has.
    fn fraction(&mut self) -> Result<f64, Refused> {
        let rest = self.rest();
        let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let length = rest.iter().take_while(|byte| is_part(byte)).count();
        let number = self.text.get(self.at..self.at + length).ok_or(Refused)?;
        if !is_number(number.as_bytes()) {
            return Err(Refused);
        }
        self.at += length;
        number.parse().ok().filter(|number: &f64| number.is_finite()).ok_or(Refused)
    }

    fn deeper(&mut self) -> Result<(), Refused> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Refused) } else { Ok(()) }
    }

    fn negative<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Refused> {
        let start = self.at;
        self.at += 1;
        match self.whole()? {
            Some(value) if value > 0 => visitor.visit_i64(0_i64.checked_sub_unsigned(value).ok_or(Refused)?),
            // Serde_json makes a double of -0.
            Some(_) => visitor.visit_f64(-0.0),
            None => {
                self.at = start;
                visitor.visit_f64(self.fraction()?)
            }
        }
    }
}

/// Up to seven bytes, lowest first, and noughts behind them.
#[cold]
fn last_chunk(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |all, byte| all << 8 | u64::from(*byte))
}

/// Whether it is a JSON number with a fraction, an exponent or both.
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, rest) = text.split_at(digits(text));
    let rest = match rest.strip_prefix(b".") {
        Some(fraction) if digits(fraction) == 0 => return false,
        Some(fraction) => fraction.get(digits(fraction)..).unwrap_or_default(),
        None => rest,
    };
    let rest = match rest {
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => match digits(exponent) {
            0 => return false,
            all => exponent.get(all..).unwrap_or_default(),
        },
        rest => rest,
    };
    rest.is_empty() && !whole.is_empty() && (whole.len() == 1 || whole.first() != Some(&b'0'))
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Refused;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.next_token().ok_or(Refused)? {
            b'0'..=b'9' => match self.whole()? {
                Some(value) => visitor.visit_u64(value),
                None => visitor.visit_f64(self.fraction()?),
            },
            b'"' => visitor.visit_borrowed_str(self.string()?),
            b'{' => {
                self.deeper()?;
                let mut all = All { reader: self, state: State::First };
                let value = visitor.visit_map(&mut all)?;
                all.end(b'}', value)
            }
            b'[' => {
                self.deeper()?;
                let mut all = All { reader: self, state: State::First };
                let value = visitor.visit_seq(&mut all)?;
                all.end(b']', value)
            }
            b't' => self.word("true").and_then(|()| visitor.visit_bool(true)),
            b'f' => self.word("false").and_then(|()| visitor.visit_bool(false)),
            b'n' => self.word("null").and_then(|()| visitor.visit_unit()),
            b'-' => self.negative(visitor),
            _ => Err(Refused),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    First,
    Later,
    Ended,
}

/// The members of an object or the elements of a list.
struct All<'r, 'de> {
    reader: &'r mut Reader<'de>,
    state: State,
}

impl All<'_, '_> {
    /// Goes to the next one, if there is one before `close`.
    #[inline]
    fn step(&mut self, close: u8) -> Result<bool, Refused> {
        let reader = &mut *self.reader;
        match (reader.next_token().ok_or(Refused)?, self.state) {
            (_, State::Ended) => return Ok(false),
            (byte, _) if byte == close => {
                reader.at += 1;
                reader.depth -= 1;
                self.state = State::Ended;
                return Ok(false);
            }
            (b',', State::Later) => {
                reader.at += 1;
                // No comma before the end.
                if reader.next_token() == Some(close) {
                    return Err(Refused);
                }
            }
            (_, State::First) => self.state = State::Later,
            _ => return Err(Refused),
        }
        Ok(true)
    }

    /// Not every visitor goes on until it is told that there is no more.
    #[inline]
    fn end<T>(mut self, close: u8, value: T) -> Result<T, Refused> {
        if self.state != State::Ended && self.step(close)? { Err(Refused) } else { Ok(value) }
    }
}

impl<'de> MapAccess<'de> for &mut All<'_, 'de> {
    type Error = Refused;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        if !self.step(b'}')? {
            return Ok(None);
        }
        let key = self.reader.string()?;
        seed.deserialize(serde::de::value::BorrowedStrDeserializer::new(key)).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        self.reader.pass(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

impl<'de> SeqAccess<'de> for &mut All<'_, 'de> {
    type Error = Refused;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        if self.step(b']')? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }
}
