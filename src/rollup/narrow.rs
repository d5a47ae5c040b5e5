//! Numbers in two bytes each where all of them fit, else in four. What they stand for is left to whoever holds them.

/// So many numbers, never changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Narrow {
    /// All of them are below 65,536.
    Two(Box<[u16]>),
    /// Some are not.
    Four(Box<[u32]>),
}

impl Default for Narrow {
    fn default() -> Self {
        Self::Two(Box::default())
    }
}

impl Narrow {
    /// These numbers.
    pub fn of(numbers: &[u32]) -> Self {
        let two: Result<Box<[u16]>, _> = numbers.iter().map(|number| u16::try_from(*number)).collect();
        two.map_or_else(|_| Self::Four(numbers.into()), Self::Two)
    }

    /// The number at a position.
    pub fn get(&self, at: usize) -> Option<usize> {
        match self {
            Self::Two(numbers) => numbers.get(at).map(|number| usize::from(*number)),
            Self::Four(numbers) => numbers.get(at).and_then(|number| usize::try_from(*number).ok()),
        }
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Two(numbers) => size_of_val(&**numbers),
            Self::Four(numbers) => size_of_val(&**numbers),
        }
    }
}
