//! The resource metrics API of old, ours beside the original's: who uses how much cpu and memory.

use crate::tape_differences::Reason;
use crate::tape_judge::{Bench, Case};
use crate::tape_player::ANSWERED;
use crate::tape_series::{Reasons, ensure};
use heapster::model::time::Timestamp;
use heapster::wire::rfc3339;
use serde_json::Value;
use std::time::Duration;

/// The root at which the original answered, and the one of the releases before it.
pub const ROOT: &str = "/apis/metrics.k8s.io/v1alpha1";
pub const OLD_ROOT: &str = "/apis/metrics/v1alpha1";
/// How long the whole may be asked.
const BOUND: Duration = Duration::from_secs(600);

/// Compares two answers below [`ROOT`], both of status 200.
pub fn compare(bench: &Bench<'_>, case: &Case, theirs: &Value, ours: &Value) -> Result<Reasons, String> {
    let mut reasons = Reasons::new();
    if theirs.get("items").is_none() {
        one(bench, case, theirs, ours, &mut reasons)?;
        return Ok(reasons);
    }
    let items = |list: &Value| list["items"].as_array().cloned().unwrap_or_default();
    let (told, own) = (items(theirs), items(ours));
    let name = |item: &Value| {
        let text = |member: &str| item["metadata"][member].as_str().unwrap_or_default().to_owned();
        (text("namespace"), text("name"))
    };
    ensure!(own.is_sorted_by(|a, b| name(a) < name(b)), "ours are not sorted");
    if !told.is_sorted_by(|a, b| name(a) < name(b)) {
        reasons.insert(Reason::Sorted);
    }
    if own.is_empty() {
        ensure!(theirs == ours, "{ours} instead of {theirs}");
    }
    for item in &told {
        ensure!(own.iter().any(|each| name(each) == name(item)), "{:?} is missing", name(item));
    }
    for item in &own {
        match told.iter().find(|each| name(each) == name(item)) {
            Some(theirs) => one(bench, case, theirs, item, &mut reasons)?,
            None => {
                whole(bench, item)?;
                reasons.insert(Reason::UnratedPod);
            }
        }
    }
    Ok(reasons)
}

/// A pod of ours that the original left out: it lacked the rate of one of its containers.
pub fn whole(bench: &Bench<'_>, ours: &Value) -> Result<(), String> {
    let stamp = stamp(ours)?;
    let round = bench.original.round(stamp).ok_or("a stamp of no round")?;
    let usages = usages(ours);
    ensure!(!usages.is_empty(), "no container");
    let rates = usages.iter().map(|(path, _)| bench.original.rate(round, path, "cpu/usage_rate"));
    ensure!(rates.into_iter().any(|rate| rate.is_none()), "the original should have had {ours}");
    usages.iter().try_for_each(|(path, usage)| is_expected(bench, stamp, path, usage))
}

fn one(
    bench: &Bench<'_>,
    case: &Case,
    theirs: &Value,
    ours: &Value,
    reasons: &mut Reasons,
) -> Result<(), String> {
    let created = |item: &Value| item["metadata"]["creationTimestamp"].as_str().and_then(rfc3339::parse);
    let date = chrono::DateTime::parse_from_rfc2822(case.theirs.reply.header("date")).unwrap();
    ensure!(created(theirs) == Some(Timestamp::from_seconds(date.timestamp())), "another moment");
    let made = created(ours).ok_or("no creationTimestamp")?;
    ensure!((ANSWERED..ANSWERED.after(BOUND)).contains(&made), "creationTimestamp {made:?}");
    ensure!(
        ours["timestamp"] == theirs["timestamp"],
        "{} instead of {}",
        ours["timestamp"],
        theirs["timestamp"]
    );
    if ours["window"] != theirs["window"] {
        let own = format!("{}s", crate::tape::RESOLUTION.as_secs());
        ensure!(ours["window"] == own.as_str() && theirs["window"] == "1m0s", "window {}", ours["window"]);
        reasons.insert(Reason::WindowLength);
    }
    let mut same = ours.clone();
    same["window"] = theirs["window"].clone();
    same["metadata"]["creationTimestamp"] = theirs["metadata"]["creationTimestamp"].clone();
    ensure!(same == *theirs, "{ours} instead of {theirs}");
    let (stamp, usages) = (stamp(ours)?, usages(ours));
    ensure!(!usages.is_empty(), "nothing is used");
    usages.iter().try_for_each(|(path, usage)| is_expected(bench, stamp, path, usage))
}

fn stamp(item: &Value) -> Result<Timestamp, String> {
    item["timestamp"].as_str().and_then(rfc3339::parse).ok_or_else(|| format!("no timestamp: {item}"))
}

/// Whoever an item tells of, by its path below `model/`, and what it uses.
fn usages(item: &Value) -> Vec<(String, Value)> {
    let text = |member: &str| item["metadata"][member].as_str().unwrap_or_default();
    match item["containers"].as_array() {
        None => vec![(format!("nodes/{}", text("name")), item["usage"].clone())],
        Some(containers) => {
            let pod = format!("namespaces/{}/pods/{}", text("namespace"), text("name"));
            let path =
                |container: &Value| format!("{pod}/containers/{}", container["name"].as_str().unwrap());
            containers.iter().map(|container| (path(container), container["usage"].clone())).collect()
        }
    }
}

fn is_expected(bench: &Bench<'_>, stamp: Timestamp, path: &str, usage: &Value) -> Result<(), String> {
    for (member, metric, scale) in [("cpu", "cpu/usage_rate", 1000.0), ("memory", "memory/working_set", 1.0)]
    {
        let expected = bench.oracle.value(stamp, path, metric, "");
        let found = crate::walk::quantity(&usage[member], scale) as f64;
        ensure!(expected == Some(found), "{path}: {member} {found} is not {expected:?}");
    }
    Ok(())
}
