//! Amounts of resources, to be read and to be kept. Whose they are is left to [`super::inventory`].

use super::amount::Amount;
use super::entity::Name;
use super::list::List;
use std::fmt;

/// Amounts of the resources that the model knows by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resources {
    /// Millicores.
    pub cpu: Amount,
    /// Bytes.
    pub memory: Amount,
    /// Bytes.
    pub ephemeral_storage: Amount,
}

/// The same and amounts of other resources, in 16 bytes as long as there is nothing odd: every container has two.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Packed(Form);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Form {
    Short([Short; 3]),
    /// Where an amount is too odd, or others are there.
    Whole(Box<Whole>),
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Whole {
    known: Resources,
    others: List<(Name, u64)>,
}

/// One more than an amount's digits in binary without the zeros behind them, and how many those are; nothing for none.
type Short = [u8; 5];

/// The bits that tell how many zeros there are.
const ZEROS: u32 = 6;

/// None where there are more digits than 34: 16 GiB and one byte, say.
fn shortened(amount: Amount) -> Option<Short> {
    let Some(amount) = amount.get() else { return Some(Short::default()) };
    let zeros = amount.trailing_zeros() % u64::BITS;
    let digits = amount >> zeros;
    let short = digits.checked_add(1)?.checked_mul(1 << ZEROS)? | u64::from(zeros);
    let [0, 0, 0, short @ ..] = short.to_be_bytes() else { return None };
    Some(short)
}

fn lengthened(short: Short) -> Amount {
    let [a, b, c, d, e] = short;
    let short = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
    let digits = (short >> ZEROS).checked_sub(1);
    digits.map(|digits| digits << (short & ((1 << ZEROS) - 1))).into()
}

impl Packed {
    /// The same with amounts of resources that the model does not know by name, in whole units: `nvidia.com/gpu`.
    #[must_use]
    pub fn with(self, others: impl Into<List<(Name, u64)>>) -> Self {
        let (known, others) = (self.get(), others.into());
        if others.is_empty() { known.into() } else { Self(Form::Whole(Box::new(Whole { known, others }))) }
    }

    /// The amounts of resources that the model does not know by name.
    pub fn others(&self) -> &[(Name, u64)] {
        match &self.0 {
            Form::Short(_) => &[],
            Form::Whole(whole) => &whole.others,
        }
    }

    /// The amounts of those that it knows.
    pub fn get(&self) -> Resources {
        match &self.0 {
            Form::Short(short) => {
                let [cpu, memory, ephemeral_storage] = short.map(lengthened);
                Resources { cpu, memory, ephemeral_storage }
            }
            Form::Whole(whole) => whole.known,
        }
    }
}

impl From<Resources> for Packed {
    fn from(resources: Resources) -> Self {
        let Resources { cpu, memory, ephemeral_storage } = resources;
        match [cpu, memory, ephemeral_storage].map(shortened) {
            [Some(cpu), Some(memory), Some(storage)] => Self(Form::Short([cpu, memory, storage])),
            _ => Self(Form::Whole(Box::new(Whole { known: resources, others: List::default() }))),
        }
    }
}

impl Default for Packed {
    fn default() -> Self {
        Resources::default().into()
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.get(), self.others()).fmt(f)
    }
}
