//! Numbers in one byte each where all of them fit, else in two, else in four. What they stand for is left to whoever holds
//! them.

/// So many numbers, never changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Narrow {
    /// All of them are below 256.
    One(Box<[u8]>),
    /// All of them are below 65,536.
    Two(Box<[u16]>),
    /// Some are not.
    Four(Box<[u32]>),
}

impl Default for Narrow {
    fn default() -> Self {
        Self::One(Box::default())
    }
}

impl Narrow {
    /// These numbers.
    pub fn of(numbers: &[u32]) -> Self {
        match numbers.iter().max() {
            Some(most) if *most > u16::MAX.into() => Self::Four(numbers.into()),
            Some(most) if *most > u8::MAX.into() => Self::Two(narrowed(numbers)),
            _ => Self::One(narrowed(numbers)),
        }
    }

    /// The number at a position.
    pub fn get(&self, at: usize) -> Option<usize> {
        match self {
            Self::One(numbers) => numbers.get(at).map(|number| usize::from(*number)),
            Self::Two(numbers) => numbers.get(at).map(|number| usize::from(*number)),
            Self::Four(numbers) => numbers.get(at).and_then(|number| usize::try_from(*number).ok()),
        }
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        match self {
            Self::One(numbers) => size_of_val(&**numbers),
            Self::Two(numbers) => size_of_val(&**numbers),
            Self::Four(numbers) => size_of_val(&**numbers),
        }
    }
}

/// The same numbers, all of which fit.
fn narrowed<T: TryFrom<u32>>(numbers: &[u32]) -> Box<[T]> {
    numbers.iter().filter_map(|number| T::try_from(*number).ok()).collect()
}
