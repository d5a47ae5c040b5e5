//! Kubernetes quantities: `250m`, `1Gi`, `1e3` (apimachinery `pkg/api/resource/quantity.go`), read and written.

/// A quantity in thousandths, rounded up as Go's `MilliValue` does. None where it is none, negative or above u64.
pub fn millis(text: &str) -> Option<u64> {
    scaled(text, 1_000)
}

/// A quantity in whole units, rounded up as Go's `Value` does. None where it is none, negative or above u64.
pub fn units(text: &str) -> Option<u64> {
    scaled(text, 1)
}

/// An amount in thousandths in its canonical form: `142m`, `2`, `3k`.
pub fn of_millis(millis: u64) -> String {
    canonical(millis, 1_000, &["m", "", "k", "M", "G", "T", "P"])
}

/// An amount of bytes in its canonical form: `1000`, `10244Ki`, `734Mi`.
pub fn of_bytes(bytes: u64) -> String {
    canonical(bytes, 1_024, &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"])
}

/// The amount with the largest suffix that leaves it whole; 0 has none.
fn canonical(mut amount: u64, step: u64, suffixes: &[&str]) -> String {
    let mut suffix = 0;
    while amount != 0 && amount.is_multiple_of(step) && suffix + 1 < suffixes.len() {
        amount /= step;
        suffix += 1;
    }
    match amount {
        0 => "0".to_owned(),
        amount => format!("{amount}{}", suffixes.get(suffix).copied().unwrap_or_default()),
    }
}

fn scaled(text: &str, per_unit: u128) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = (text.get(..end)?, text.get(end..)?);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty())
        || fraction.contains('.')
        || whole.len() + fraction.len() > 30
    {
        return None;
    }
    let digits: u128 = [whole, fraction].concat().parse().ok()?;
    let (up, down) = factor(suffix)?;
    let down = down.checked_mul(10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?)?;
    let value = digits.checked_mul(up)?.checked_mul(per_unit)?.div_ceil(down);
    u64::try_from(value).ok()
}

/// What a suffix multiplies by and divides by.
fn factor(suffix: &str) -> Option<(u128, u128)> {
    const K: u128 = 1_000;
    const KI: u128 = 1_024;
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, K * K * K),
        "u" => (1, K * K),
        "m" => (1, K),
        "k" => (K, 1),
        "M" => (K * K, 1),
        "G" => (K * K * K, 1),
        "T" => (K * K * K * K, 1),
        "P" => (K * K * K * K * K, 1),
        "E" => (K * K * K * K * K * K, 1),
        "Ki" => (KI, 1),
        "Mi" => (KI * KI, 1),
        "Gi" => (KI * KI * KI, 1),
        "Ti" => (KI * KI * KI * KI, 1),
        "Pi" => (KI * KI * KI * KI * KI, 1),
        "Ei" => (KI * KI * KI * KI * KI * KI, 1),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = 10_u128.checked_pow(exponent.unsigned_abs())?;
            if exponent < 0 { (1, power) } else { (power, 1) }
        }
    })
}
