//! The `/stats/` of Heapster 0.18: average, 95th percentile and maximum of the last minute, hour and day. Writing only; of
//! hour and day it tells what it is given, which is what the history holds.

use super::go_json::pretty;
use crate::model::metric::{Value, to_f64, to_u64};
use crate::model::time::{NANOS_PER_SECOND, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Stats<'a> {
    uptime: u64,
    stats: BTreeMap<&'a str, Spans>,
}

#[derive(Serialize)]
struct Spans {
    minute: Figures,
    hour: Figures,
    day: Figures,
}

#[derive(Serialize)]
struct Figures {
    average: u64,
    percentile: u64,
    max: u64,
}

/// The share of points that lie at or below the percentile, in hundredths.
const PERCENTILE: usize = 95;

/// What is told of an entity that has been there for `uptime` seconds: series by their old names, points oldest first.
/// Those without a point are left out.
pub fn stats(uptime: u64, series: &[(&str, Vec<(Timestamp, Value)>)]) -> String {
    let told = series.iter().filter_map(|(name, points)| Some((*name, spans(points)?)));
    // Numbers under names cannot fail to be JSON.
    pretty(&Stats { uptime, stats: told.collect() }, 0).unwrap_or_default()
}

fn spans(points: &[(Timestamp, Value)]) -> Option<Spans> {
    let (newest, _) = points.last()?;
    let last = |seconds: i64| {
        let within = |at: Timestamp| newest.since(at) < seconds.saturating_mul(NANOS_PER_SECOND);
        let values = points.iter().filter(|(at, _)| within(*at)).map(|(_, value)| whole(*value));
        figures(values.collect())
    };
    Some(Spans { minute: last(60)?, hour: last(3_600)?, day: last(86_400)? })
}

fn whole(value: Value) -> u64 {
    match value {
        Value::Integer(whole) => whole,
        Value::Float(float) => to_u64(float.round()).unwrap_or(0),
    }
}

fn figures(mut values: Vec<u64>) -> Option<Figures> {
    values.sort_unstable();
    let rank = (values.len() * PERCENTILE).div_ceil(100);
    let sum: f64 = values.iter().map(|value| to_f64(*value)).sum();
    let count = u64::try_from(values.len()).ok()?;
    Some(Figures {
        average: to_u64((sum / to_f64(count)).round()).unwrap_or(0),
        percentile: *values.get(rank.checked_sub(1)?)?,
        max: *values.last()?,
    })
}
