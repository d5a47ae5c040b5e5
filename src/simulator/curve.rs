//! Curves: rates and levels that move like real ones, with their exact integrals, as closed functions of a whole
//! number of seconds. What they stand for is left to `usage`.

/// Scrambles a seed, so that seeds which differ by one give unlike numbers (the finalizer of SplitMix64).
pub const fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The seed of part number `part` of what `seed` stands for.
pub const fn child(seed: u64, part: u64) -> u64 {
    mix(seed ^ part.wrapping_mul(0xD6E8_FEB8_6659_FD93))
}

/// A number from `least` up to but not including `most`, picked by `seed`; `least` when that range is empty.
pub fn pick(seed: u64, least: i64, most: i64) -> i64 {
    let width = u64::try_from(most.saturating_sub(least)).unwrap_or(0).max(1);
    least.saturating_add(i64::try_from(mix(seed) % width).unwrap_or(0))
}

/// A triangle between `-swing` and `swing` that begins `phase` seconds after its bottom; `phase` is below `period`.
#[derive(Clone, Copy, Debug)]
struct Wave {
    swing: i64,
    period: i64,
    phase: i64,
}

impl Wave {
    /// Its height at `t` seconds, times the period.
    fn height(&self, t: i64) -> i64 {
        let u = (t + self.phase).rem_euclid(self.period);
        self.swing * if 2 * u <= self.period { 4 * u - self.period } else { 3 * self.period - 4 * u }
    }

    /// Its integral from 0 to `t` seconds, times the period. A whole period adds nothing.
    fn area(&self, t: i64) -> i64 {
        let u = (t + self.phase).rem_euclid(self.period);
        self.swing * (self.since_bottom(u) - self.since_bottom(self.phase))
    }

    /// The integral from a bottom to `u` seconds later, up to a period, for a swing of one, times the period. The second
    /// half mirrors the first.
    fn since_bottom(&self, u: i64) -> i64 {
        let v = self.period - u;
        if u <= v { u * (2 * u - self.period) } else { -v * (2 * v - self.period) }
    }
}

/// A base with a slow wave (10 to 27 minutes) and a faster one (32 to 95 seconds) on it. It always stays above three
/// eighths of its base.
#[derive(Clone, Copy, Debug)]
pub struct Curve {
    base: i64,
    slow: Wave,
    fast: Wave,
}

impl Curve {
    /// The curve of a seed around `base` units (read as a rate: per second). `base` from 0 to 10^10.
    pub fn new(seed: u64, base: i64) -> Self {
        // One scrambled number cut in pieces: thousands of curves are made for one body.
        let bits = mix(seed);
        let piece = |from: u32, mask: u64| i64::try_from((bits >> from) & mask).unwrap_or(0);
        let slow = Wave { swing: base * 3 / 8, period: 600 + piece(0, 1023), phase: piece(10, 511) };
        let fast = Wave { swing: base / 4, period: 32 + piece(20, 63), phase: piece(30, 31) };
        Self { base, slow, fast }
    }

    /// The curve's value `t` seconds after its beginning.
    pub fn level(&self, t: i64) -> u64 {
        let waves = self.slow.height(t) / self.slow.period + self.fast.height(t) / self.fast.period;
        u64::try_from(self.base + waves).unwrap_or(0)
    }

    /// The curve's integral over the first `t` seconds, rounded down to a whole unit: a counter that never decreases.
    /// Zero where `t` is negative. For `t` up to ten years.
    pub fn total(&self, t: i64) -> u64 {
        if t <= 0 || self.base == 0 {
            return 0;
        }
        // Both waves over their common denominator, so that only the end result is rounded.
        let waves = self.slow.area(t) * self.fast.period + self.fast.area(t) * self.slow.period;
        let waves = waves.div_euclid(self.slow.period * self.fast.period);
        u64::try_from(self.base * t + waves).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_integral_is_the_sum_of_the_levels() {
        let curve = Curve::new(7, 1_000_000);
        let mut summed = 0;
        for t in 0..5_000 {
            // Halves of both ends: exact for a piecewise straight curve but at its corners.
            summed += (curve.level(t) + curve.level(t + 1)) / 2;
        }
        let off = summed.abs_diff(curve.total(5_000));
        assert!(off < summed / 10_000, "{summed} against {}", curve.total(5_000));
    }

    #[test]
    fn a_curve_moves() {
        let curve = Curve::new(3, 1_000);
        let levels: Vec<u64> = (0..3_600).map(|t| curve.level(t)).collect();
        let (low, high) = (levels.iter().min().unwrap(), levels.iter().max().unwrap());
        assert!(*low >= 250 && *high <= 1_750 && high - low > 800, "{low} to {high}");
    }

    #[test]
    fn a_counter_begins_at_zero() {
        assert_eq!(Curve::new(9, 5_000).total(0), 0);
        assert_eq!(Curve::new(9, 5_000).total(-10), 0);
    }
}
