//! The uid of an object, in as little memory as it can be told in exactly. Whose it is is left to
//! [`super::inventory`].

use super::entity::Name;
use std::fmt;

/// A uid: printed exactly as it was told.
///
/// The API server gives every object a random UUID in canonical form, lower case with dashes; that has 122 bits of its
/// own and is held as those. Anything else is held as text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Uid(Form);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Form {
    Random(Random),
    Text(Name),
}

/// The 122 bits of a random UUID (RFC 9562, section 5.4). Cut so that 6 bits are left in 16 bytes, by which the compiler
/// tells it from a text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Random {
    most: [u8; 15],
    last: LastTwo,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum LastTwo {
    B00,
    B01,
    B10,
    B11,
}

/// How many digits are in each group of the canonical form.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// The bits behind the variant.
const LOW: u128 = (1 << 62) - 1;
/// The bits between version and variant.
const MIDDLE: u128 = (1 << 12) - 1;

impl Uid {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        matches!(&self.0, Form::Text(text) if text.is_empty())
    }

    /// How many bytes it takes beside the holder's.
    pub fn more_bytes(&self) -> usize {
        match &self.0 {
            Form::Random(_) => 0,
            Form::Text(text) => text.len(),
        }
    }
}

impl Random {
    fn parse(text: &str) -> Option<Self> {
        let mut groups = text.split('-');
        let mut uuid = 0_u128;
        for digits in GROUPS {
            let group = groups.next().filter(|group| group.len() == digits)?;
            for digit in group.bytes() {
                // Upper case would not be printed as it came.
                let digit = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return None,
                };
                uuid = (uuid << 4) | u128::from(digit);
            }
        }
        let bits = ((uuid >> 80) << 74) | (((uuid >> 64) & MIDDLE) << 62) | (uuid & LOW);
        let [_, most @ ..] = (bits >> 2).to_be_bytes();
        let last = match bits & 0b11 {
            0b00 => LastTwo::B00,
            0b01 => LastTwo::B01,
            0b10 => LastTwo::B10,
            _ => LastTwo::B11,
        };
        let random = Self { most, last };
        // Another version or variant comes out as another number.
        (groups.next().is_none() && random.uuid() == uuid).then_some(random)
    }

    fn uuid(self) -> u128 {
        let last = match self.last {
            LastTwo::B00 => 0b00,
            LastTwo::B01 => 0b01,
            LastTwo::B10 => 0b10,
            LastTwo::B11 => 0b11,
        };
        let bits = self.most.iter().fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte)) << 2 | last;
        ((bits >> 74) << 80) | (4 << 76) | (((bits >> 62) & MIDDLE) << 64) | (0b10 << 62) | (bits & LOW)
    }
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        Self(Random::parse(text).map_or_else(|| Form::Text(text.into()), Form::Random))
    }
}

impl From<String> for Uid {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<Name> for Uid {
    fn from(text: Name) -> Self {
        Self(Random::parse(&text).map_or(Form::Text(text), Form::Random))
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let random = match &self.0 {
            Form::Random(random) => random.uuid(),
            Form::Text(text) => return f.write_str(text),
        };
        let [a, b, c, d] = [96, 80, 64, 48].map(|behind| random >> behind);
        let few = |bits: u128| bits & 0xffff;
        write!(f, "{a:08x}-{:04x}-{:04x}-{:04x}-{:012x}", few(b), few(c), few(d), random & 0xffff_ffff_ffff)
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
