//! Amounts of the resources that the model knows by name, to be read and to be kept. Whose they are is left to
//! [`super::inventory`].

use super::amount::Amount;
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

/// The same in 16 bytes instead of 24: every container has two.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Packed(Form);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Form {
    Short([Short; 3]),
    /// Where an amount is too odd.
    Whole(Box<Resources>),
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
    /// The amounts.
    pub fn get(&self) -> Resources {
        match &self.0 {
            Form::Short(short) => {
                let [cpu, memory, ephemeral_storage] = short.map(lengthened);
                Resources { cpu, memory, ephemeral_storage }
            }
            Form::Whole(whole) => **whole,
        }
    }
}

impl From<Resources> for Packed {
    fn from(resources: Resources) -> Self {
        let Resources { cpu, memory, ephemeral_storage } = resources;
        match [cpu, memory, ephemeral_storage].map(shortened) {
            [Some(cpu), Some(memory), Some(storage)] => Self(Form::Short([cpu, memory, storage])),
            _ => Self(Form::Whole(Box::new(resources))),
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
        self.get().fmt(f)
    }
}
