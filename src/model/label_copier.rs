//! How the labels of an object become labels of its points (Heapster `metrics/util/label_copier.go`): all of them joined
//! in one, and some as labels of their own.

use super::entity::Labels;
use std::collections::BTreeSet;

/// The label that all of an object's labels are joined in.
pub const JOINED: &str = "labels";

/// The rules of joining and storing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelCopier {
    separator: String,
    ignored: BTreeSet<String>,
    stored: Vec<(String, String)>,
}

impl Default for LabelCopier {
    /// Everything is joined with commas, nothing is stored by itself.
    fn default() -> Self {
        Self::new(",", [], [])
    }
}

impl LabelCopier {
    /// Rules that part labels by `separator`, leave out those `ignored`, and store each label of `stored` under the name
    /// beside it, ignored or not.
    pub fn new(
        separator: impl Into<String>,
        ignored: impl IntoIterator<Item = String>,
        stored: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        Self {
            separator: separator.into(),
            ignored: ignored.into_iter().collect(),
            stored: stored.into_iter().collect(),
        }
    }

    /// The labels as one text: `key:value`, sorted.
    pub fn joined(&self, labels: &Labels) -> String {
        let pairs = labels.iter().filter(|(key, _)| !self.ignored.contains(*key));
        let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key}:{value}")).collect();
        pairs.join(&self.separator)
    }

    /// The labels that are stored by themselves, with the names under which they are.
    pub fn stored<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = (&'a str, &'a str)> {
        let value = |label: &str| labels.iter().find(|(key, _)| *key == label).map(|(_, value)| value);
        self.stored.iter().filter_map(move |(label, name)| Some((name.as_str(), value(label)?)))
    }
}
