//! A column of small signed numbers as few bits: what most of them are costs one bit, any other a Golomb-Rice code. Read
//! from the first to the one that is asked for. What the numbers mean is left to [`super::past`].
//!
//! Layout: nothing at all where every number is 0. Else the scheme (two high bits) and the Rice parameter (1 byte), a
//! factor as in [`super::pack`] (1 byte), the scheme's base (LEB128), then the codes, lowest bit first.

use super::pack::{factor, low_byte, read_varint, unfactor, write_varint};

/// A longer run of ones says that the code itself follows in 64 bits: no number costs more than 89 bits.
const LONGEST_RUN: u32 = 24;

/// What is coded in place of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    /// The number.
    Plain,
    /// How much it is above the base, the smallest: counters that all go one way, instants one window apart.
    Above,
    /// A bit that says whether it is not the base, the commonest, and if so the difference: most of a cluster idles.
    Common,
}

/// Appends a column to `out`. `codes` is room to work in: whoever writes many columns need not make it anew.
pub fn write(numbers: &[i64], codes: &mut Vec<u64>, out: &mut Vec<u8>) {
    if numbers.iter().all(|number| *number == 0) {
        return;
    }
    let (scheme, base) = choose(numbers);
    let is_coded = |number: i64| scheme != Scheme::Common || number != base;
    let coded = || numbers.iter().copied().filter(|number| is_coded(*number));
    let differences = || coded().map(|number| number.wrapping_sub(base));
    codes.clear();
    match scheme {
        Scheme::Above => codes.extend(differences().map(i64::cast_unsigned)),
        Scheme::Plain | Scheme::Common => codes.extend(differences().map(i64::unsigned_abs)),
    }
    let (marks, shift, divisor) = factor(codes.iter().copied());
    for (code, difference) in codes.iter_mut().zip(differences()) {
        let part = *code >> shift;
        // Nearly always there is none, and a division costs more than all the rest.
        let part = if divisor == 1 { part } else { part / divisor };
        *code = match scheme {
            Scheme::Above => part,
            Scheme::Plain | Scheme::Common if difference < 0 => zigzag(part.cast_signed().wrapping_neg()),
            Scheme::Plain | Scheme::Common => zigzag(part.cast_signed()),
        };
    }
    let rice = parameter(codes);
    let scheme_bits = match scheme {
        Scheme::Plain => 0,
        Scheme::Above => 1 << 6,
        Scheme::Common => 2 << 6,
    };
    out.push(scheme_bits | low_byte(u64::from(rice)));
    out.push(marks);
    write_varint(zigzag(base), out);
    let mut bits = Writer { out, pending: 0, used: 0 };
    if scheme == Scheme::Common {
        let mut codes = codes.iter();
        for number in numbers {
            bits.put(u64::from(is_coded(*number)), 1);
            if is_coded(*number) {
                bits.rice(codes.next().copied().unwrap_or(0), rice);
            }
        }
    } else {
        codes.iter().for_each(|code| bits.rice(*code, rice));
    }
    bits.end();
}

/// The scheme that promises to be shortest, and its base.
fn choose(numbers: &[i64]) -> (Scheme, i64) {
    // Boyer and Moore's vote: if any number is more than half of them, it is this one.
    let (mut common, mut lead) = (0, 0_usize);
    for number in numbers {
        match lead {
            0 => (common, lead) = (*number, 1),
            _ if *number == common => lead += 1,
            _ => lead -= 1,
        }
    }
    if lead > 0 && numbers.iter().filter(|number| **number == common).count() * 2 > numbers.len() {
        return (Scheme::Common, common);
    }
    let (mut least, mut plain, mut sum) = (i64::MAX, 0_u128, 0_i128);
    for number in numbers {
        least = least.min(*number);
        plain += u128::from(zigzag(*number));
        sum += i128::from(*number);
    }
    let above = sum - i128::from(least) * i128::try_from(numbers.len()).unwrap_or(0);
    if above.unsigned_abs() < plain { (Scheme::Above, least) } else { (Scheme::Plain, 0) }
}

/// The Rice parameter with which these codes are shortest, looked for on both sides of their mean's width.
fn parameter(codes: &[u64]) -> u32 {
    let count = u64::try_from(codes.len()).unwrap_or(u64::MAX);
    let bits = |rice: u32| {
        let runs = codes.iter().map(|code| (code >> rice).min(88)).fold(0, u64::wrapping_add);
        count.saturating_mul(u64::from(rice)).saturating_add(runs)
    };
    let sum = codes.iter().copied().fold(0, u64::saturating_add);
    let mean = sum / count.max(1);
    let mut rice = (u64::BITS - mean.leading_zeros()).min(63);
    let mut best = bits(rice);
    while let Some(less) = rice.checked_sub(1) {
        let shorter = bits(less);
        if shorter > best {
            break;
        }
        (rice, best) = (less, shorter);
    }
    while rice < 63 {
        let shorter = bits(rice + 1);
        if shorter >= best {
            break;
        }
        (rice, best) = (rice + 1, shorter);
    }
    rice
}

/// The sign in the lowest bit.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(code: u64) -> i64 {
    (code >> 1).cast_signed() ^ -(code & 1).cast_signed()
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
    pending: u64,
    used: u32,
}

impl Writer<'_> {
    /// At most 32 bits.
    fn put(&mut self, bits: u64, count: u32) {
        self.pending |= bits << self.used;
        self.used += count;
        if self.used >= 32 {
            let [a, b, c, d, ..] = self.pending.to_le_bytes();
            self.out.extend_from_slice(&[a, b, c, d]);
            self.pending >>= 32;
            self.used -= 32;
        }
    }

    /// Any number of bits.
    fn put_long(&mut self, bits: u64, count: u32) {
        let low = count.min(32);
        self.put(bits & ((1 << low) - 1), low);
        if count > 32 {
            self.put(bits >> 32 & ((1_u64 << (count - 32)) - 1), count - 32);
        }
    }

    fn rice(&mut self, code: u64, rice: u32) {
        match u32::try_from(code >> rice) {
            Ok(run) if run < LONGEST_RUN && run + 1 + rice <= 32 => {
                let low = code & ((1 << rice) - 1);
                self.put(((1 << run) - 1) | (low << (run + 1)), run + 1 + rice);
            }
            Ok(run) if run <= LONGEST_RUN => {
                self.put((1 << run) - 1, run + 1);
                self.put_long(code, rice);
            }
            _ => {
                self.put((1 << (LONGEST_RUN + 1)) - 1, LONGEST_RUN + 1);
                self.put_long(code, 64);
            }
        }
    }

    fn end(&mut self) {
        let bytes = usize::try_from(self.used.div_ceil(8)).unwrap_or(0);
        self.out.extend(self.pending.to_le_bytes().into_iter().take(bytes));
    }
}

/// A column's numbers, read one after the other.
#[derive(Debug)]
pub struct Numbers<'a> {
    scheme: Scheme,
    rice: u32,
    marks: u8,
    base: i64,
    bytes: &'a [u8],
    /// The next bit.
    at: usize,
}

impl<'a> Numbers<'a> {
    /// The column that these bytes are. None where they are none.
    pub fn of(bytes: &'a [u8]) -> Option<Self> {
        let Some((&[first, marks], rest)) = bytes.split_first_chunk() else {
            // Nothing written: every number is the commonest, 0.
            let nothing = Self { scheme: Scheme::Plain, rice: 0, marks: 0, base: 0, bytes, at: 0 };
            return bytes.is_empty().then_some(nothing);
        };
        let (base, bytes) = read_varint(rest)?;
        let scheme = match first >> 6 {
            0 => Scheme::Plain,
            1 => Scheme::Above,
            _ => Scheme::Common,
        };
        Some(Self { scheme, rice: u32::from(first & 0x3f), marks, base: unzigzag(base), bytes, at: 0 })
    }

    /// The next 57 bits or more, the ones behind the end as 0.
    fn window(&self) -> u64 {
        let bytes = self.bytes.get(self.at / 8..).unwrap_or_default();
        let whole = bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let window = whole.unwrap_or_else(|| {
            let mut padded = [0; 8];
            for (to, from) in padded.iter_mut().zip(bytes) {
                *to = *from;
            }
            u64::from_le_bytes(padded)
        });
        window >> (self.at % 8)
    }

    fn take(&mut self, count: u32) -> u64 {
        let mut bits = self.window() & ((1_u64 << count.min(32)) - 1);
        self.at += usize::try_from(count.min(32)).unwrap_or(0);
        if count > 32 {
            bits |= (self.window() & ((1_u64 << (count - 32)) - 1)) << 32;
            self.at += usize::try_from(count - 32).unwrap_or(0);
        }
        bits
    }

    fn code(&mut self) -> u64 {
        let run = self.window().trailing_ones();
        if run > LONGEST_RUN {
            self.at += usize::try_from(LONGEST_RUN + 1).unwrap_or(0);
            return self.take(64);
        }
        self.at += usize::try_from(run + 1).unwrap_or(0);
        u64::from(run) << self.rice | self.take(self.rice)
    }

    /// The next number.
    pub fn read(&mut self) -> i64 {
        if self.bytes.is_empty() || (self.scheme == Scheme::Common && self.take(1) == 0) {
            return self.base;
        }
        let code = self.code();
        let difference = match self.scheme {
            Scheme::Above => unfactor(code, self.marks).cast_signed(),
            Scheme::Plain | Scheme::Common => {
                let part = unzigzag(code);
                let size = unfactor(part.unsigned_abs(), self.marks).cast_signed();
                if part < 0 { size.wrapping_neg() } else { size }
            }
        };
        self.base.wrapping_add(difference)
    }
}
