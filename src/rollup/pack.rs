//! One column of numbers as few bytes: frame of reference, a common factor taken out, as many bits a number as the
//! widest needs. Any number can be read without its neighbours. What the numbers mean is left to [`super::block`].
//!
//! Layout: width in bits (1 byte), factor (1 byte: low six bits a power of two, high two a power of 125), the smallest
//! number (LEB128), then the differences to it, divided by the factor, packed little-endian and padded to a byte.

/// 5^3, 5^6, 5^9: with the power of two they take out 10^3, 10^6 and 10^9, the usual steps of clocks.
const FIVES: [u64; 4] = [1, 125, 15_625, 1_953_125];

/// The largest common factor of these numbers that can be taken out, as the byte that stands for it, a power of two and a
/// power of 125.
pub(super) fn factor(numbers: impl Iterator<Item = u64> + Clone) -> (u8, u32, u64) {
    let all = numbers.clone().fold(0, |all, number| all | number);
    if all == 0 {
        return (0, 0, 1);
    }
    let shift = all.trailing_zeros();
    let (mut marks, mut divisor) = (low_byte(u64::from(shift)), 1);
    for (mark, next) in [(0x40, 125), (0x80, 15_625), (0xc0, 1_953_125)] {
        if !numbers.clone().all(|number| (number >> shift).is_multiple_of(next)) {
            break;
        }
        (marks, divisor) = (low_byte(u64::from(shift)) | mark, next);
    }
    (marks, shift, divisor)
}

/// A number times the factor that the byte stands for.
pub(super) fn unfactor(number: u64, marks: u8) -> u64 {
    let divisor = FIVES.get(usize::from(marks >> 6)).copied().unwrap_or(1);
    number.wrapping_mul(divisor) << (marks & 0x3f)
}

/// Appends a column to `out`.
pub fn pack(values: &[u64], out: &mut Vec<u8>) {
    let base = values.iter().copied().min().unwrap_or(0);
    let (marks, shift, divisor) = factor(values.iter().map(|value| value - base));
    let most = values.iter().copied().max().unwrap_or(0) - base;
    let width = u64::BITS - ((most >> shift) / divisor).leading_zeros();
    out.push(low_byte(u64::from(width)));
    out.push(marks);
    write_varint(base, out);
    if width == 0 {
        return;
    }
    let (mut pending, mut bits) = (0_u64, 0);
    for value in values {
        let part = (value - base) >> shift;
        let part = if divisor == 1 { part } else { part / divisor };
        pending |= part << bits;
        if bits + width < 64 {
            bits += width;
        } else {
            out.extend_from_slice(&pending.to_le_bytes());
            pending = part.checked_shr(64 - bits).unwrap_or(0);
            bits = bits + width - 64;
        }
    }
    out.extend(pending.to_le_bytes().into_iter().take(usize::try_from(bits.div_ceil(8)).unwrap_or(0)));
}

/// A packed column of a known count of numbers.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    base: u64,
    width: u32,
    shift: u32,
    factor: u64,
    count: usize,
    payload: &'a [u8],
}

impl<'a> Column<'a> {
    /// The column of `count` numbers that `bytes` begin with, and the bytes behind it. None where they are too few.
    pub fn split(bytes: &'a [u8], count: usize) -> Option<(Self, &'a [u8])> {
        let (&[width, factor], rest) = bytes.split_first_chunk()?;
        if width > 64 {
            return None;
        }
        let (base, rest) = read_varint(rest)?;
        let (payload, rest) = rest.split_at_checked((usize::from(width) * count).div_ceil(8))?;
        let fives = FIVES.get(usize::from(factor >> 6)).copied()?;
        let shift = u32::from(factor & 0x3f);
        Some((Self { base, width: u32::from(width), shift, factor: fives, count, payload }, rest))
    }

    /// The number at `index`. None at the end.
    pub fn get(&self, index: usize) -> Option<u64> {
        if index >= self.count {
            return None;
        }
        if self.width == 0 {
            return Some(self.base);
        }
        let bit = index * usize::try_from(self.width).ok()?;
        let bytes = self.payload.get(bit / 8..)?;
        let raw = match bytes.first_chunk() {
            // At most seven bits of the eight bytes are not the number's.
            Some(whole) if self.width <= 57 => {
                (u64::from_le_bytes(*whole) >> (bit % 8)) & (u64::MAX >> (64 - self.width))
            }
            _ => self.at_end(bytes, bit % 8)?,
        };
        Some(self.base.wrapping_add(raw.wrapping_mul(self.factor) << self.shift))
    }

    fn at_end(&self, bytes: &[u8], bit: usize) -> Option<u64> {
        let mut window = [0; 16];
        for (to, from) in window.iter_mut().zip(bytes.iter().take(9)) {
            *to = *from;
        }
        u64::try_from((u128::from_le_bytes(window) >> bit) & ((1_u128 << self.width) - 1)).ok()
    }

    /// Every number.
    pub fn iter(&self) -> impl Iterator<Item = u64> + use<'a> {
        let Self { base, shift, factor, payload, .. } = *self;
        let mask = u64::MAX.checked_shr(u64::BITS - self.width).unwrap_or(0);
        let (whole, width) = (self.width <= 57, usize::try_from(self.width).unwrap_or(0));
        let column = *self;
        (0..self.count).map(move |index| {
            let bit = index * width;
            match payload.get(bit / 8..).and_then(<[u8]>::first_chunk) {
                Some(bytes) if whole => {
                    let raw = (u64::from_le_bytes(*bytes) >> (bit % 8)) & mask;
                    base.wrapping_add(raw.wrapping_mul(factor) << shift)
                }
                _ => column.get(index).unwrap_or(base),
            }
        })
    }
}

/// The lowest eight bits.
#[allow(clippy::as_conversions)]
pub(super) const fn low_byte(value: u64) -> u8 {
    (value & 0xff) as u8
}

/// Appends a number in LEB128.
pub(super) fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    out.push(low_byte(value));
}

/// The number that `bytes` begin with, and the bytes behind it. None where there is none.
pub(super) fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}
