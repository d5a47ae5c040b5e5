//! Bodies whose every figure moves, cheaply: a node's summary is written once, then only its numbers and instants are,
//! between pieces of the text that stay. Figures that are one in a kubelet stay one. Its shape is the simulator's; who asks for it is left to `simulate`.

use std::collections::HashMap;
use std::ops::Range;

/// How many seconds go by between two figures of a volume.
const VOLUME_INTERVAL: i64 = 60;
const PAGE: u64 = 4_096;
/// Parts of one in which a counter's growth is reckoned, so that rare events are counted too.
const FINE: u64 = 1_024;

/// What stands in a place that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An instant in whole seconds.
    Time { interval: i64 },
    /// A sum that only grows.
    Counter,
    /// A figure that wanders around where it began, in steps of a unit.
    Gauge { unit: u64 },
    /// The same, written in hundredths.
    Hundredths,
    /// What stands in that slot: kubelets tell one file system's figures of every container that writes to it, and a
    /// pod's traffic once more as its only interface's.
    Copy { of: usize },
    /// What that slot leaves of a limit: memory that is available is what the working set has not taken.
    Left { of: usize, limit: u64 },
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Where the text before it ends; the text after it begins at `after`.
    before: u32,
    after: u32,
    kind: Kind,
    /// A counter's growth in a thousand and twenty-fourth a second; what a gauge wanders around.
    base: u64,
    /// What stands there now; a counter's in parts of one.
    value: u64,
}

/// One node's body.
#[derive(Debug)]
pub struct Moving {
    text: Vec<u8>,
    slots: Vec<Slot>,
    random: u64,
    day: (i64, [u8; 11]),
}

impl Moving {
    /// The body that begins as this text. `housekeeping` is the seconds between two measurements of one entity.
    pub fn new(text: Vec<u8>, housekeeping: i64, seed: u64) -> Self {
        let mut moving =
            Self { slots: Vec::new(), random: seed, day: (i64::MIN, *b"1970-01-01T"), text: Vec::new() };
        let mut at = 0;
        let mut volumes_until = 0_usize;
        let mut twins = Twins::default();
        let (mut started, mut age) = (0, 1);
        while let Some((key, value_at)) = next_member(&text, at) {
            at = value_at;
            let interval = if value_at < volumes_until { VOLUME_INTERVAL } else { housekeeping.max(1) };
            match (key, text[value_at]) {
                (b"network", _) => twins.network_from = moving.slots.len(),
                (b"volume", b'[') => {
                    volumes_until = value_at + text[value_at..].iter().position(|b| *b == b']').unwrap()
                }
                (b"startTime", b'"') => started = seconds_of(&text[value_at + 1..value_at + 21]),
                (b"time", b'"') => {
                    let value = seconds_of(&text[value_at + 1..value_at + 21]);
                    age = value.saturating_sub(started).max(1);
                    let kind = Kind::Time { interval };
                    moving.slots.push(slot(value_at + 1, value_at + 21, kind, 0, value));
                    at = value_at + 22;
                }
                (_, b'0'..=b'9') => {
                    let end = value_at
                        + text[value_at..].iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
                    moving.number(key, value_at..end, &text[value_at..end], age);
                    if moving.slots.last().is_some_and(|slot| slot.before as usize == value_at) {
                        moving.tie(key, &text[value_at..end], &mut twins);
                    }
                    at = end;
                }
                _ => {}
            }
        }
        moving.text = text;
        moving
    }

    /// Whether a number moves, and how. `age`: for how many seconds counters have counted.
    fn number(&mut self, key: &[u8], place: Range<usize>, digits: &[u8], age: u64) {
        let value: f64 = std::str::from_utf8(digits).unwrap().parse().unwrap();
        let seed = self.next();
        let (kind, value) = match key {
            b"usageCoreNanoSeconds"
            | b"pageFaults"
            | b"majorPageFaults"
            | b"rxBytes"
            | b"txBytes"
            | b"rxErrors"
            | b"txErrors" => (Kind::Counter, value as u64),
            // On a machine that measures pressure hardly any total stays at nought.
            b"total" if value == 0.0 => (Kind::Counter, seed % 2_000_000_000),
            b"total" => (Kind::Counter, value as u64),
            b"avg10" | b"avg60" | b"avg300" if value == 0.0 => (Kind::Hundredths, seed % 300),
            b"avg10" | b"avg60" | b"avg300" => (Kind::Hundredths, (value * 100.0) as u64),
            b"usageBytes"
            | b"workingSetBytes"
            | b"rssBytes"
            | b"availableBytes"
            | b"usedBytes"
            | b"swapUsageBytes"
            | b"swapAvailableBytes" => (Kind::Gauge { unit: PAGE }, value as u64),
            b"usageNanoCores" | b"inodesFree" | b"inodesUsed" | b"process_count" | b"curproc" => {
                (Kind::Gauge { unit: 1 }, value as u64)
            }
            _ => return,
        };
        let slot = match kind {
            Kind::Counter => slot(place.start, place.end, kind, value * FINE / age, value * FINE),
            _ => slot(place.start, place.end, kind, value, value),
        };
        self.slots.push(slot);
    }

    /// Has the slot made last follow another one, or the other way round, where a kubelet's would.
    fn tie(&mut self, key: &[u8], digits: &[u8], twins: &mut Twins) {
        let last = self.slots.len() - 1;
        let with = match key {
            b"workingSetBytes" => last.checked_sub(2),
            b"swapUsageBytes" => last.checked_sub(1),
            _ => None,
        };
        if let Some(available) = with.filter(|at| twins.available.contains(at)) {
            let limit = self.slots[available].value + self.slots[last].value;
            self.slots[available].kind = Kind::Left { of: last, limit };
        }
        match key {
            b"swapAvailableBytes" | b"availableBytes" => twins.available.push(last),
            _ => {}
        }
        let same = twins.first.entry((key.to_vec(), digits.to_vec())).or_insert(last);
        let of = match key {
            b"availableBytes" | b"inodesFree" => *same,
            b"rxBytes" | b"rxErrors" | b"txBytes" | b"txErrors" if *same >= twins.network_from => *same,
            _ => {
                *same = last;
                return;
            }
        };
        if of != last {
            self.slots[last].kind = Kind::Copy { of };
        }
    }

    /// Appends the body of the instant `now`, in seconds since the epoch.
    pub fn write(&mut self, now: i64, out: &mut Vec<u8>) {
        self.go_on(now);
        let mut copied = 0;
        out.reserve(self.text.len() + self.text.len() / 16);
        for slot in &self.slots {
            out.extend_from_slice(&self.text[copied..slot.before as usize]);
            copied = slot.after as usize;
            let value = match slot.kind {
                Kind::Copy { of } => self.slots[of].told(),
                Kind::Left { of, limit } => limit.saturating_sub(self.slots[of].told()),
                _ => slot.told(),
            };
            match slot.kind {
                Kind::Time { .. } => write_time(&mut self.day, value as i64, out),
                Kind::Hundredths => {
                    write_digits(value / 100, out);
                    let (tenths, rest) = ((value / 10 % 10) as u8, (value % 10) as u8);
                    match (tenths, rest) {
                        (0, 0) => {}
                        (_, 0) => out.extend_from_slice(&[b'.', b'0' + tenths]),
                        _ => out.extend_from_slice(&[b'.', b'0' + tenths, b'0' + rest]),
                    }
                }
                _ => write_digits(value, out),
            }
        }
        out.extend_from_slice(&self.text[copied..]);
    }

    /// Moves every figure to the instant `now`.
    fn go_on(&mut self, now: i64) {
        let mut passed = 0;
        for at in 0..self.slots.len() {
            let random = self.next();
            let slot = &mut self.slots[at];
            match slot.kind {
                Kind::Time { interval } => {
                    let before = slot.value as i64;
                    passed = ((now - before) / interval * interval).max(0) as u64;
                    slot.value += passed;
                }
                Kind::Counter => slot.value += (slot.base * passed * (128 + random % 256)) >> 8,
                Kind::Gauge { unit } if passed > 0 => {
                    slot.value = wandered(slot.value, slot.base, unit, random)
                }
                Kind::Hundredths if passed > 0 => slot.value = wandered(slot.value, slot.base, 1, random),
                Kind::Gauge { .. } | Kind::Hundredths | Kind::Copy { .. } | Kind::Left { .. } => {}
            }
        }
    }

    /// The next number of SplitMix64.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// What was found while the slots were made.
#[derive(Default)]
struct Twins {
    /// The first slot of each key and digits; of traffic the first of the network that is being told.
    first: HashMap<(Vec<u8>, Vec<u8>), usize>,
    /// The first slot of that network.
    network_from: usize,
    /// Slots of what is available.
    available: Vec<usize>,
}

impl Slot {
    /// Its own figure, as it is written.
    fn told(&self) -> u64 {
        if self.kind == Kind::Counter { self.value / FINE } else { self.value }
    }
}

fn slot(from: usize, to: usize, kind: Kind, base: u64, value: u64) -> Slot {
    Slot { before: u32::try_from(from).unwrap(), after: u32::try_from(to).unwrap(), kind, base, value }
}

/// A step of at most a thirty-second of the base, at least of one unit, turned back where it strays beyond a quarter. What
/// began at nought stays there, as swap does on a machine without it.
fn wandered(value: u64, base: u64, unit: u64, random: u64) -> u64 {
    if base == 0 {
        return 0;
    }
    let units = (base / unit / 32).max(1);
    let step = random % (units + 1) * unit;
    let up = if value > base + base / 4 { false } else { value < base - base / 4 || random >> 63 == 1 };
    if up { value + step } else { value.saturating_sub(step) }
}

/// The key and where the value begins of the next member at or after `at`. Strings here hold no escapes.
fn next_member(text: &[u8], mut at: usize) -> Option<(&[u8], usize)> {
    loop {
        let open = at + text.get(at..)?.iter().position(|byte| *byte == b'"')?;
        let close = open + 1 + text[open + 1..].iter().position(|byte| *byte == b'"')?;
        if text.get(close + 1) == Some(&b':') {
            let value = close + 2 + usize::from(text.get(close + 2) == Some(&b' '));
            return (value < text.len()).then(|| (&text[open + 1..close], value));
        }
        at = close + 1;
    }
}

fn seconds_of(text: &[u8]) -> u64 {
    let text = std::str::from_utf8(text).unwrap();
    u64::try_from(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp()).unwrap()
}

fn write_time(known: &mut (i64, [u8; 11]), seconds: i64, out: &mut Vec<u8>) {
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    if known.0 != day {
        let text = chrono::DateTime::from_timestamp(seconds, 0).unwrap().format("%Y-%m-%dT").to_string();
        *known = (day, text.as_bytes().try_into().unwrap());
    }
    out.extend_from_slice(&known.1);
    let two = |n: i64| [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
    let ([a, b], [c, d], [e, f]) = (two(second / 3_600), two(second / 60 % 60), two(second % 60));
    out.extend_from_slice(&[a, b, b':', c, d, b':', e, f, b'Z']);
}

fn write_digits(mut value: u64, out: &mut Vec<u8>) {
    let (mut text, mut from) = ([0_u8; 20], 20);
    loop {
        from -= 1;
        text[from] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[from..]);
}
