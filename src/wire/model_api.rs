//! The model API's JSON (Heapster `metrics/api/v1/types`), byte for byte as go-restful printed it. Writing only.

use super::lenient::GO_ZERO_TIME;
use super::rfc3339;
use crate::model::metric::{Value, to_u64};
use crate::model::time::Timestamp;
use std::fmt::Write;

/// A list of names.
pub fn names(names: &[String]) -> String {
    if names.is_empty() {
        return "[]".to_owned();
    }
    let items: Vec<String> = names.iter().map(|name| format!("  {}", quoted(name))).collect();
    format!("[\n{}\n ]", items.join(",\n"))
}

/// A series: points oldest first. A metric with a fraction gets its whole part as `value` and itself as `floatValue`.
pub fn series(points: &[(Timestamp, Value)]) -> String {
    let latest = points.last().map_or_else(|| GO_ZERO_TIME.to_owned(), |(at, _)| rfc3339::format(*at));
    if points.is_empty() {
        return format!("{{\n  \"metrics\": [],\n  \"latestTimestamp\": \"{latest}\"\n }}");
    }
    let mut out = String::with_capacity(100 + points.len() * 80);
    out.push_str("{\n  \"metrics\": [\n");
    for (at, (stamp, value)) in points.iter().enumerate() {
        let comma = if at == 0 { "" } else { ",\n" };
        // Writing to a string cannot fail.
        let _ =
            write!(out, "{comma}   {{\n    \"timestamp\": \"{}\",\n    \"value\": ", rfc3339::format(*stamp));
        let _ = match value {
            Value::Integer(whole) => write!(out, "{whole}\n   }}"),
            Value::Float(float) => {
                let whole = to_u64(float.trunc()).unwrap_or(0);
                write!(out, "{whole},\n    \"floatValue\": {}\n   }}", number(*float))
            }
        };
    }
    let _ = write!(out, "\n  ],\n  \"latestTimestamp\": \"{latest}\"\n }}");
    out
}

/// A finite number as JSON; 0 for what JSON cannot say.
fn number(value: f64) -> String {
    serde_json::Number::from_f64(value).map_or_else(|| "0".to_owned(), |number| number.to_string())
}

/// A JSON string with the characters escaped that Go escapes for HTML.
fn quoted(text: &str) -> String {
    let plain = serde_json::Value::from(text).to_string();
    plain.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}
