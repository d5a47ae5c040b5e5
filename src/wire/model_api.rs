//! The model API's JSON (Heapster `metrics/api/v1/types`), byte for byte as go-restful printed it. Writing only.

use super::chunks::Frame;
use super::go_json::{number, quoted};
use super::lenient::GO_ZERO_TIME;
use super::rfc3339;
use crate::model::metric::{Value, to_u64};
use crate::model::time::Timestamp;
use std::fmt::Write;

/// A series' points, oldest first.
pub type Points = [(Timestamp, Value)];

/// A list of names.
pub fn names(names: &[String]) -> String {
    long_names(names.iter().cloned()).collect()
}

/// A list of names in pieces.
pub fn long_names(names: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
    let list = Frame { opens: "[\n  ", parts: ",\n  ", closes: "\n ]", empty: "[]" };
    list.around(names.map(|name| quoted(&name)))
}

/// A series. A metric with a fraction gets its whole part as `value` and itself as `floatValue`.
pub fn series(points: &Points) -> String {
    written(points, &PRETTY)
}

/// Series one after the other, as they stand in the list of several pods.
pub fn several(series: &[Vec<(Timestamp, Value)>]) -> String {
    series.iter().map(|points| written(points, &COMPACT)).collect::<Vec<_>>().join(",")
}

/// What stands around [`several`].
pub const SEVERAL: (&str, &str) = ("{\"items\":[", "]}\n");

/// What stands between the values of a series.
struct Form {
    metrics: &'static str,
    timestamp: &'static str,
    value: &'static str,
    float: &'static str,
    ends_point: &'static str,
    next_point: &'static str,
    ends_points: &'static str,
    latest: &'static str,
    ends: &'static str,
}

const PRETTY: Form = Form {
    metrics: "{\n  \"metrics\": [",
    timestamp: "\n   {\n    \"timestamp\": ",
    value: ",\n    \"value\": ",
    float: ",\n    \"floatValue\": ",
    ends_point: "\n   }",
    next_point: ",",
    ends_points: "\n  ",
    latest: "],\n  \"latestTimestamp\": ",
    ends: "\n }",
};

const COMPACT: Form = Form {
    metrics: "{\"metrics\":[",
    timestamp: "{\"timestamp\":",
    value: ",\"value\":",
    float: ",\"floatValue\":",
    ends_point: "}",
    next_point: ",",
    ends_points: "",
    latest: "],\"latestTimestamp\":",
    ends: "}",
};

fn written(points: &Points, form: &Form) -> String {
    let mut out = String::with_capacity(100 + points.len() * 80);
    out.push_str(form.metrics);
    for (at, (stamp, value)) in points.iter().enumerate() {
        let comma = if at == 0 { "" } else { form.next_point };
        let (whole, float) = match value {
            Value::Integer(whole) => (*whole, None),
            Value::Float(float) => (to_u64(float.trunc()).unwrap_or(0), Some(float)),
        };
        let stamp = rfc3339::format(*stamp);
        // Writing to a string cannot fail.
        let _ = write!(out, "{comma}{}\"{stamp}\"{}{whole}", form.timestamp, form.value);
        if let Some(float) = float {
            let _ = write!(out, "{}{}", form.float, number(*float));
        }
        out.push_str(form.ends_point);
    }
    if !points.is_empty() {
        out.push_str(form.ends_points);
    }
    let latest = points.last().map_or_else(|| GO_ZERO_TIME.to_owned(), |(at, _)| rfc3339::format(*at));
    let _ = write!(out, "{}\"{latest}\"{}", form.latest, form.ends);
    out
}
