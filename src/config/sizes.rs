//! Sizes in bytes as settings write them: `512Mi`, `1Gi`, `1000000`. How large one may be is left to the setting.

/// Units and the powers of two that they stand for.
const UNITS: [(&str, u32); 4] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40)];

/// A size. None where it is none, or zero, or more than there can be.
pub fn parse(text: &str) -> Option<usize> {
    let unit = UNITS.iter().find_map(|(unit, power)| Some((text.strip_suffix(unit)?, *power)));
    let (number, power) = unit.unwrap_or((text, 0));
    let size = number.trim().parse::<usize>().ok()?.checked_mul(1_usize.checked_shl(power)?)?;
    (size > 0).then_some(size)
}

/// Whether a size is at least 2 to the one power and at most 2 to the other.
pub fn fits(size: usize, least: u32, most: u32) -> bool {
    (1_usize.checked_shl(least).unwrap_or(0)..=1_usize.checked_shl(most).unwrap_or(usize::MAX))
        .contains(&size)
}

/// 2 to this power as a size.
pub fn show(power: u32) -> String {
    let fitting = UNITS.iter().rev().find(|(_, unit)| *unit <= power);
    let (unit, of) = fitting.copied().unwrap_or(("", 0));
    format!("{}{unit}", 1_u64 << (power - of))
}
