//! One series of ours beside the original's: every point of ours is what the bytes say, every point of theirs is what the
//! original made of them, and where the two are not the same it is told why.

use crate::tape_differences::Reason;
use crate::tape_expected::{Oracle, Series, is_pod, is_sum, tolerance};
use crate::tape_original::{Original, entities, sample, value};
use heapster::model::metric::{Form, Metric, modern_name};
use heapster::model::time::Timestamp;
use heapster::wire::rfc3339;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Why two answers differ; empty where they are equal.
pub type Reasons = BTreeSet<Reason>;

/// What Go writes for a time that was never set.
const GO_ZERO_TIME: &str = "0001-01-01T00:00:00Z";
/// The metrics that the original kept for 15 minutes.
const LONG: [&str; 2] = ["cpu/usage_rate", "memory/usage"];
/// How long after the last byte of an answer the original had decoded it, at most.
const DECODED: f64 = 100.0;

/// Which series was asked for.
pub struct Asked<'a> {
    /// The entity's path below `model/`.
    pub entity: &'a str,
    pub metric: &'a str,
    /// As the API takes them.
    pub labels: &'a str,
    pub span: (Timestamp, Timestamp),
    pub at: Timestamp,
}

/// Fails with a message unless something holds.
macro_rules! ensure {
    ($holds:expr, $($message:tt)*) => {
        let holds: bool = $holds;
        if !holds {
            return Err(format!($($message)*));
        }
    };
}
pub(crate) use ensure;

type Point = (u64, Option<f64>);

fn points(series: &Value) -> Result<Vec<(Timestamp, Point)>, String> {
    let members =
        |value: &Value| value.as_object().map(|members| members.keys().cloned().collect::<Vec<_>>());
    ensure!(members(series) == Some(vec!["latestTimestamp".into(), "metrics".into()]), "no series: {series}");
    let points = series["metrics"].as_array().ok_or("no series")?.iter().map(|point| {
        let known = ["floatValue", "timestamp", "value"];
        ensure!(
            members(point).is_some_and(|names| names.iter().all(|name| known.contains(&&**name))),
            "{point}"
        );
        let stamp = point["timestamp"].as_str().and_then(rfc3339::parse).ok_or("no stamp")?;
        Ok((
            stamp,
            (point["value"].as_u64().ok_or("no value")?, point.get("floatValue").and_then(Value::as_f64)),
        ))
    });
    let points: Vec<_> = points.collect::<Result<_, String>>()?;
    let latest = points.iter().map(|(stamp, _)| *stamp).max();
    let latest = latest.map_or_else(|| GO_ZERO_TIME.to_owned(), rfc3339::format);
    ensure!(series["latestTimestamp"] == latest.as_str(), "latestTimestamp is not {latest}");
    Ok(points)
}

/// Compares two series.
pub fn compare(
    (oracle, original): (&Oracle, &Original<'_>),
    asked: &Asked<'_>,
    theirs: &Value,
    ours: &Value,
) -> Result<Reasons, String> {
    let asked = &Asked { metric: modern_name(asked.metric), ..*asked };
    let (theirs, ours) = (points(theirs)?, points(ours)?);
    let mut reasons = Reasons::new();
    if !theirs.is_sorted() {
        reasons.insert(Reason::Ascending);
    }
    ensure!(ours.is_sorted_by_key(|(stamp, _)| *stamp), "ours do not ascend");
    let expected = oracle.series(asked.entity, asked.metric, asked.labels, asked.at);
    are_expected(&expected, asked, &ours)?;
    let theirs: BTreeMap<Timestamp, u64> = theirs.into_iter().map(|(at, (value, _))| (at, value)).collect();
    let ours: BTreeMap<Timestamp, Point> = ours.into_iter().collect();
    if let Some(lost) = theirs.keys().find(|stamp| !ours.contains_key(stamp)) {
        return Err(format!("ours has no point at {}", rfc3339::format(*lost)));
    }
    let oldest = original.oldest(asked.at);
    for (stamp, (value, float)) in &ours {
        let told = theirs.get(stamp);
        let forgotten = *stamp <= oldest && !LONG.contains(&asked.metric);
        ensure!(!(forgotten && told.is_some()), "the original should have forgotten {stamp:?}");
        if forgotten {
            reasons.insert(Reason::History);
            continue;
        }
        is_theirs(&expected, original, asked, *stamp, told.copied())?;
        if let Some(float) = float
            && told.is_some()
        {
            ensure!(float.trunc() == *value as f64, "{value} is not the whole part of {float}");
            reasons.insert(Reason::Fraction);
        }
        if told != Some(value) {
            let reason = why(oracle, original, asked, *stamp);
            let case = format!("{} at {}: {told:?} and {value}", asked.entity, rfc3339::format(*stamp));
            let holds = match reason {
                Some(Reason::Uptime) => told.is_some_and(|told| is_later(original, *stamp, *told, *value)),
                Some(Reason::Restarts) => told.copied() == running_restarts(original, asked.entity, *stamp),
                reason => reason.is_some(),
            };
            ensure!(holds, "{case} ({reason:?})");
            reasons.extend(reason);
        }
    }
    Ok(reasons)
}

/// Ours is what the bytes say, point by point.
fn are_expected(expected: &Series, asked: &Asked<'_>, ours: &[(Timestamp, Point)]) -> Result<(), String> {
    let mut expected = expected.clone();
    expected.retain(|stamp, _| (asked.span.0..=asked.span.1).contains(stamp));
    let stamps: Vec<&Timestamp> = ours.iter().map(|(stamp, _)| stamp).collect();
    ensure!(stamps == expected.keys().collect::<Vec<_>>(), "ours has stamps {stamps:?}, not {expected:?}");
    let known = Metric::ALL.iter().find(|metric| metric.descriptor().name == asked.metric);
    let whole = known.is_none_or(|metric| metric.descriptor().form == Form::Integer);
    let near = tolerance(asked.metric, asked.entity);
    for ((stamp, (value, float)), expected) in ours.iter().zip(expected.values()) {
        ensure!(float.is_none() == whole, "floatValue at {}", rfc3339::format(*stamp));
        let found = float.unwrap_or(*value as f64);
        ensure!((found - expected).abs() <= near, "{found} at {} is not {expected}", rfc3339::format(*stamp));
    }
    Ok(())
}

/// Theirs is what the original made of the same bytes: then what is said of it is true.
fn is_theirs(
    expected: &Series,
    original: &Original<'_>,
    asked: &Asked<'_>,
    stamp: Timestamp,
    told: Option<u64>,
) -> Result<(), String> {
    let round = original.round(stamp).ok_or("a stamp of no round")?;
    let made = match asked.metric {
        "uptime" | "restart_count" => return Ok(()),
        _ if is_sum(asked.entity) => original.sum(round, asked.entity, asked.metric),
        metric if metric.ends_with("_rate") => original.rate(round, asked.entity, metric),
        _ => expected.get(&stamp).copied(),
    };
    let made = made.map(|made| made.trunc() as u64);
    ensure!(made == told, "the original told {told:?} at {}, not {made:?}", rfc3339::format(stamp));
    Ok(())
}

/// Why a point of ours is not the original's.
fn why(oracle: &Oracle, original: &Original<'_>, asked: &Asked<'_>, stamp: Timestamp) -> Option<Reason> {
    let round = original.round(stamp)?;
    let before = original.round(round.window.step(-1).end());
    let previous = round.previous.map(|at| &original.rounds[at]);
    if is_sum(asked.entity) {
        let missed = oracle.answers.iter().any(|one| one.window == round.window && one.told.is_none());
        let carried = missed && before.is_some_and(|before| before.answers.len() > round.answers.len());
        return match asked.metric {
            _ if carried => Some(Reason::Carried),
            "cpu/usage_rate" => Some(Reason::SummedRates),
            _ => None,
        };
    }
    let counter = match asked.metric {
        "uptime" => return Some(Reason::Uptime),
        "restart_count" => return Some(Reason::Restarts),
        metric => metric.strip_suffix("_rate")?,
    };
    let waited = previous.map(|previous| previous.window) != before.map(|before| before.window);
    let (now, then) =
        (sample(round, asked.entity, counter)?, previous.and_then(|p| sample(p, asked.entity, counter)));
    match then {
        _ if waited => Some(Reason::LateRound),
        None => Some(Reason::Bridged),
        Some(_) if is_pod(asked.entity) => Some(Reason::OwnInstants),
        Some((.., at)) if at == now.2 => Some(Reason::HeldRate),
        Some(_) => None,
    }
}

/// The original's uptime went on until the answer was decoded.
pub fn is_later(original: &Original<'_>, stamp: Timestamp, theirs: u64, ours: u64) -> bool {
    let Some(round) = original.round(stamp) else { return false };
    let took = round.answers.iter().map(|(answer, _)| answer.done.since(answer.at) as f64 / 1e6);
    let longest = took.fold(0.0, f64::max);
    (0.0..=longest + DECODED).contains(&(theirs as f64 - ours as f64))
}

/// The restarts of those containers that the kubelet told of; none where it told of none.
fn running_restarts(original: &Original<'_>, entity: &str, stamp: Timestamp) -> Option<u64> {
    let round = original.round(stamp)?;
    let runs = |path: &&str| value(round, path, "@start").is_some();
    let containers =
        if is_pod(entity) { entities(round, &format!("{entity}/containers/")) } else { vec![entity] };
    let running = containers.into_iter().filter(runs);
    running
        .map(|path| value(round, path, "restart_count")?.as_u64())
        .collect::<Option<Vec<_>>>()
        .and_then(|restarts| (is_pod(entity) || !restarts.is_empty()).then(|| restarts.into_iter().sum()))
}
