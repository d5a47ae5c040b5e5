//! Points as InfluxDB's line protocol, with the measurements, tags and fields of Heapster's InfluxDB sink
//! (`metrics/sinks/influxdb/influxdb.go`). Writing only.
//!
//! Three things cannot be written so that every reader understands the same: an empty tag, which is left out; a backslash,
//! which some read as itself and some as the beginning of an escape; a line break or another control character, which ends
//! the line. The latter two are written as the characters that picture them (`＼`, `␊`), so that no two names fall together.

use super::entity_labels;
use crate::model::entity::{EntityRef, Labels};
use crate::model::inventory::NodeInventory;
use crate::model::label_copier::LabelCopier;
use crate::model::metric::Value;
use crate::model::shard;
use crate::model::time::Timestamp;
use std::borrow::Cow;
use std::io::Write;

/// Labels that are no tags: each would make a new series of what is the same one to people.
const NO_TAGS: [&str; 4] = ["pod_id", "namespace_id", "hostname", "host_id"];
/// What ends a tag or a field's name unless it is escaped.
const OF_TAGS: &[char] = &[',', '=', ' '];
/// What ends a measurement unless it is escaped.
const OF_MEASUREMENTS: &[char] = &[',', ' '];

/// The tags of an entity, or of a labelled part of it, sorted, each with a comma before it; `pod_id` if that is wanted. What
/// is summed up by one shard of several has its tag.
pub fn tags(
    cluster_name: &str,
    shard: Option<&str>,
    entity: EntityRef<'_>,
    part: Option<&Labels>,
    facts: Option<&NodeInventory>,
    copier: &LabelCopier,
    pod_id: bool,
) -> String {
    let labels = entity_labels::of(entity, facts, copier);
    let mut tags: Vec<(&str, &str)> =
        labels.iter().map(|(label, value)| (label.as_str(), value.as_str())).collect();
    tags.retain(|(label, _)| !NO_TAGS.contains(label) || pod_id && *label == "pod_id");
    tags.extend(part.into_iter().flat_map(Labels::iter));
    tags.push(("cluster_name", cluster_name));
    tags.extend(shard::label(shard, entity));
    tags.retain(|(_, value)| !value.is_empty());
    tags.sort_unstable();
    let mut text = String::with_capacity(256);
    for (label, value) in &tags {
        text.push(',');
        escape(label, OF_TAGS, &mut text);
        text.push('=');
        escape(value, OF_TAGS, &mut text);
    }
    text
}

/// Parts that Heapster did not have, and that are in others: whoever sums over all parts of a metric would count them
/// twice.
const WITHIN_OTHERS: [(&str, &str); 4] = [
    ("interface", ""),
    ("resource_id", "imagefs"),
    ("resource_id", "containerfs"),
    ("resource_id", "ephemeral-storage"),
];

/// What sets a part of a metric apart from those that Heapster had: a word for behind the first slash of the name. None
/// for a part that it had, or none.
pub fn set_apart(part: Option<&Labels>) -> Option<&'static str> {
    let mut labels = part.into_iter().flat_map(Labels::iter);
    labels.find_map(|(label, value)| {
        let within = WITHIN_OTHERS.iter().find(|(own, id)| *own == label && (id.is_empty() || *id == value));
        within.map(|(own, id)| if id.is_empty() { *own } else { *id })
    })
}

/// The measurement and the field of a metric, escaped: its whole name and `value`, or what stands before and behind its
/// first slash. What sets a part apart stands behind that slash.
pub fn names(metric: &str, apart: Option<&str>, with_fields: bool) -> (String, String) {
    let (measurement, field) = parted(metric, apart, with_fields);
    let (mut escaped, mut name) = (String::new(), String::new());
    escape(&measurement, OF_MEASUREMENTS, &mut escaped);
    escape(&field, OF_TAGS, &mut name);
    (escaped, name)
}

/// The same as they are.
pub fn parted(metric: &str, apart: Option<&str>, with_fields: bool) -> (String, String) {
    let whole = match (apart, metric.split_once('/')) {
        (Some(apart), Some((group, rest))) => Cow::Owned(format!("{group}/{apart}/{rest}")),
        _ => Cow::Borrowed(metric),
    };
    let (measurement, field) = match whole.split_once('/') {
        Some(parts) if with_fields => parts,
        _ => (&*whole, "value"),
    };
    (measurement.to_owned(), field.to_owned())
}

/// A text as it is read back: what cannot be written is pictured.
pub fn pictured(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape(text, &[], &mut out);
    out
}

/// Appends a line. Whether it could be: whole numbers end at 2^63 - 1 there.
pub fn line(out: &mut Vec<u8>, names: &(String, String), tags: &str, value: Value, stamp: Timestamp) -> bool {
    let (measurement, field) = names;
    let whole = match value {
        Value::Integer(whole) => match i64::try_from(whole) {
            Ok(whole) => Some(whole),
            Err(_) => return false,
        },
        Value::Float(_) => None,
    };
    for text in [measurement, tags, " ", field, "="] {
        out.extend_from_slice(text.as_bytes());
    }
    // Writing to memory cannot fail.
    let _ = match (whole, value) {
        (Some(whole), _) => write!(out, "{whole}i {}", stamp.nanos()),
        (None, Value::Float(float)) => write!(out, "{float} {}", stamp.nanos()),
        (None, Value::Integer(_)) => Ok(()),
    };
    out.push(b'\n');
    true
}

fn escape(text: &str, special: &[char], out: &mut String) {
    for each in text.chars() {
        match each {
            '\\' => out.push('＼'),
            '\u{7f}' => out.push('␡'),
            // The pictures of the control characters stand in the same order as they.
            control @ '\0'..='\u{1f}' => {
                out.push(char::from_u32(u32::from(control) + 0x2400).unwrap_or('\u{fffd}'));
            }
            _ => {
                if special.contains(&each) {
                    out.push('\\');
                }
                out.push(each);
            }
        }
    }
}
