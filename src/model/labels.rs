//! Pairs of label and value that belong together, in one piece of memory. Whose they are is left to [`super::entity`] and
//! [`super::inventory`].

use super::list::List;
use super::pool::Held;
use std::fmt;

/// What tells several values of one metric of one entity apart, or what an object of the API server is labelled with:
/// sorted pairs of label and value. Cloning is cheap, and a holder takes 8 bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(List<u8>);

/// The label of nearly every part of an entity: it is kept as [`USUAL`] alone.
pub(super) const RESOURCE: &str = "resource_id";
const USUAL: u8 = 254;
/// Stands before a length of eight bytes; a shorter text than [`USUAL`] has its length alone before it.
const LONG: u8 = 255;

fn put(text: &str, bytes: &mut Vec<u8>) {
    match u8::try_from(text.len()) {
        _ if text == RESOURCE => return bytes.push(USUAL),
        Ok(length) if length < USUAL => bytes.push(length),
        _ => {
            bytes.push(LONG);
            // No memory holds a text that is longer than a u64 can tell.
            bytes.extend(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        }
    }
    bytes.extend_from_slice(text.as_bytes());
}

/// The next text of `rest`, which is behind it then.
fn take<'t>(rest: &mut &'t [u8]) -> Option<&'t str> {
    let (first, behind) = rest.split_first()?;
    let (length, behind) = match *first {
        USUAL => {
            *rest = behind;
            return Some(RESOURCE);
        }
        LONG => {
            let (length, behind) = behind.split_first_chunk()?;
            (usize::try_from(u64::from_be_bytes(*length)).ok()?, behind)
        }
        length => (usize::from(length), behind),
    };
    let (text, behind) = behind.split_at_checked(length)?;
    *rest = behind;
    std::str::from_utf8(text).ok()
}

impl Labels {
    /// The set of these pairs, whatever their order.
    pub fn new<K: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let pairs: Vec<(K, V)> = pairs.into_iter().collect();
        let mut sorted: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (k.as_ref(), v.as_ref())).collect();
        sorted.sort_unstable();
        let mut bytes = Vec::new();
        for (label, value) in sorted {
            put(label, &mut bytes);
            put(value, &mut bytes);
        }
        Self(bytes.into())
    }

    /// Whether it is the very same set, not only an equal one.
    pub fn is(&self, other: &Self) -> bool {
        self.0.is(&other.0)
    }

    /// The value of a label.
    pub fn get(&self, label: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == label).map(|(_, value)| value)
    }

    /// The pairs, sorted by label.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || take(&mut rest).zip(take(&mut rest)))
    }

    /// How many bytes it takes beside the holder's, where nobody else has it.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.iter().cmp(other.iter())
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Held for Labels {
    fn has_others(&self) -> bool {
        self.0.has_others()
    }
}
