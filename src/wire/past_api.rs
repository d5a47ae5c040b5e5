//! What the historical API alone has: lengths of buckets, names of aggregations, and buckets as JSON (Heapster
//! `metrics/api/v1/{historical_handlers,types}.go`). Series and names are those of `model_api`.

use super::go_json::pretty;
use super::rfc3339;
use crate::model::metric::Value;
use crate::model::past::{AGGREGATIONS, Aggregation, Bucket};
use serde::Serialize;
use std::collections::BTreeMap;

/// Why a text is no length of a bucket. The beginnings are Heapster's and Go's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBucket {
    /// It has no room for a number and a unit.
    #[error("unable to parse bucket size: {0:?} is too short to be a duration")]
    Short(String),
    /// It ends otherwise.
    #[error("unable to parse bucket size: {0:?} has no known duration suffix; give ms, s, m, h or d")]
    Suffix(String),
    /// There is no number before the unit.
    #[error("strconv.ParseUint: parsing {0:?}: invalid syntax; give a bucket such as 5m")]
    Number(String),
    /// The number is too large.
    #[error("strconv.ParseUint: parsing {0:?}: value out of range; give a bucket such as 5m")]
    Large(String),
    /// It is no length at all.
    #[error("unable to parse bucket size: {0:?} is no time at all; give a bucket such as 5m")]
    Zero(String),
}

/// The length of a bucket in milliseconds.
///
/// # Errors
/// What is wrong with it.
pub fn bucket(text: &str) -> Result<i64, BadBucket> {
    if text.chars().count() < 2 {
        return Err(BadBucket::Short(text.to_owned()));
    }
    let units = [("ms", 1_i64), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    // As Heapster: two letters are too many where nothing but one would stand before them.
    let unit = |(unit, _): &&(&str, i64)| text.ends_with(unit) && (*unit != "ms" || text.len() > 2);
    let Some((unit, millis)) = units.iter().find(unit) else {
        return Err(BadBucket::Suffix(text.to_owned()));
    };
    let number = text.strip_suffix(unit).unwrap_or_default();
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadBucket::Number(number.to_owned()));
    }
    let length = number.parse::<i64>().ok().and_then(|number| number.checked_mul(*millis));
    // What has no nanoseconds that can be told is longer than any history.
    match length.filter(|length| *length <= i64::MAX / 1_000_000) {
        Some(0) => Err(BadBucket::Zero(text.to_owned())),
        Some(length) => Ok(length),
        None => Err(BadBucket::Large(number.to_owned())),
    }
}

/// The aggregations of these names, parted by commas, each once.
///
/// # Errors
/// The first that is none.
pub fn aggregations(text: &str) -> Result<Vec<Aggregation>, String> {
    let mut all = Vec::new();
    for name in text.split(',') {
        let found = AGGREGATIONS.iter().find(|(own, _)| *own == name).ok_or_else(|| name.to_owned())?;
        if !all.contains(&found.1) {
            all.push(found.1);
        }
    }
    Ok(all)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    buckets: Vec<One>,
    bucket_size: i64,
}

#[derive(Serialize)]
struct One {
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    average: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    median: Option<Number>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    percentiles: BTreeMap<String, Number>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Number {
    IntValue(u64),
    FloatValue(f64),
}

impl From<Value> for Number {
    fn from(value: Value) -> Self {
        match value {
            Value::Integer(whole) => Self::IntValue(whole),
            Value::Float(float) => Self::FloatValue(float),
        }
    }
}

fn one(bucket: &Bucket) -> One {
    let value = |how| bucket.values.iter().find(|(own, _)| *own == how).map(|(_, value)| *value);
    let percentile = |(how, value): &(Aggregation, Value)| match how {
        Aggregation::Percentile(percent) => Some((percent.to_string(), Number::from(*value))),
        _ => None,
    };
    One {
        timestamp: rfc3339::format(bucket.at),
        count: value(Aggregation::Count).and_then(|count| match count {
            Value::Integer(count) => Some(count),
            Value::Float(_) => None,
        }),
        average: value(Aggregation::Average).map(Number::from),
        maximum: value(Aggregation::Maximum).map(Number::from),
        minimum: value(Aggregation::Minimum).map(Number::from),
        median: value(Aggregation::Median).map(Number::from),
        percentiles: bucket.values.iter().filter_map(percentile).collect(),
    }
}

/// Buckets of so many nanoseconds, the last of which may be shorter.
pub fn buckets(buckets: &[Bucket], nanos: i64) -> String {
    let told = Told { buckets: buckets.iter().map(one).collect(), bucket_size: size(buckets, nanos) };
    // Texts and numbers cannot fail to be JSON.
    pretty(&told, 0).unwrap_or_default()
}

/// Those of several, one after the other.
pub fn several(all: &[Vec<Bucket>], nanos: i64) -> String {
    let told = all.iter().map(|buckets| {
        let told = Told { buckets: buckets.iter().map(one).collect(), bucket_size: size(buckets, nanos) };
        serde_json::to_string(&told).unwrap_or_default()
    });
    told.collect::<Vec<_>>().join(",")
}

/// Heapster told the length of the largest bucket that there is.
const fn size(buckets: &[Bucket], nanos: i64) -> i64 {
    if buckets.is_empty() { 0 } else { nanos }
}
