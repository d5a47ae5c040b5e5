//! One answer of ours beside the original's: equal, or different for reasons that are told and hold, or neither.

use crate::tape::{Recorded, Reply};
use crate::tape_differences::Reason;
use crate::tape_expected::Oracle;
use crate::tape_original::Original;
use crate::tape_series::{self, Asked, Reasons, ensure};
use heapster::model::time::Timestamp;
use heapster::wire::rfc3339;
use serde_json::Value;
use std::collections::BTreeSet;

/// One request with both answers.
pub struct Case {
    pub theirs: Recorded,
    pub ours: Reply,
    /// When ours was asked for, by the tape.
    pub at: Timestamp,
}

/// What cases are judged by.
pub struct Bench<'o> {
    pub oracle: &'o Oracle,
    pub original: Original<'o>,
}

impl Case {
    /// The request in one line.
    pub fn request(&self) -> String {
        let Recorded { method, path, headers, .. } = &self.theirs;
        let headers = headers.iter().map(|(name, value)| format!(" {name}: {value}"));
        format!("{method} {path}{}", headers.collect::<String>())
    }
}

/// Why the answers of a case differ.
pub fn judge(bench: &Bench<'_>, case: &Case) -> Result<Reasons, String> {
    let (theirs, ours) = (&case.theirs.reply, &case.ours);
    match &*case.theirs.path {
        "/metrics" => {
            ensure!(ours.status == 200 && ours.text().ends_with("# EOF\n"), "no self metrics");
            return Ok([Reason::SelfMetrics].into());
        }
        "/debug/pprof/cmdline" => {
            ensure!(ours.status == 404, "the command line is shown");
            return Ok([Reason::CommandLine].into());
        }
        _ => {}
    }
    ensure!(ours.status == theirs.status, "status {} instead of {}", ours.status, theirs.status);
    for header in ["content-type", "content-encoding"] {
        let (theirs, ours) = (theirs.header(header), ours.header(header));
        ensure!(ours == theirs, "{header}: {ours:?} instead of {theirs:?}");
    }
    match (theirs.json(), ours.json()) {
        (Some(theirs), Some(ours)) => json(bench, case, &theirs, &ours),
        _ => text(case, &theirs.text(), &ours.text()),
    }
}

fn text(case: &Case, theirs: &str, ours: &str) -> Result<Reasons, String> {
    if theirs == ours {
        return Ok(Reasons::new());
    }
    // Up to where Go goes on in its own words, and with what to send instead.
    let common = theirs.bytes().zip(ours.bytes()).take_while(|(a, b)| a == b).count();
    let (at_least, helpful) = match &theirs[..theirs.find(' ').unwrap_or(0)] {
        "timestamp" => (theirs.rfind(": cannot parse").unwrap_or(usize::MAX), ours.contains("; give ")),
        "invalid" => (theirs.len(), ours.contains("; give ")),
        _ => (usize::MAX, false),
    };
    ensure!(case.ours.status == 400 && common >= at_least && helpful, "{ours:?} instead of {theirs:?}");
    Ok([Reason::ErrorText].into())
}

fn json(bench: &Bench<'_>, case: &Case, theirs: &Value, ours: &Value) -> Result<Reasons, String> {
    let (path, query) = case.theirs.path.split_once('?').unwrap_or((&case.theirs.path, ""));
    let Some(model) = path.strip_prefix("/api/v1/model/") else {
        return Err("not judged yet".into());
    };
    if theirs.is_array() {
        return list(bench, model, theirs, ours);
    }
    let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
    let pairs: std::collections::BTreeMap<String, String> = pairs.collect();
    let given = |name: &str| pairs.get(name).filter(|value| !value.is_empty());
    let time =
        |name: &str, default| given(name).map_or(Ok(default), |text| rfc3339::parse(text).ok_or("no time"));
    let span =
        (time("start", Timestamp::from_nanos(i64::MIN))?, time("end", Timestamp::from_nanos(i64::MAX))?);
    let labels = given("labels").map_or("", String::as_str);
    let (entity, metric) = match model.strip_prefix("metrics/") {
        Some(metric) => ("", metric),
        None => model.split_once("/metrics/").ok_or("no series")?,
    };
    let compare = |entity: &str, theirs: &Value, ours: &Value| {
        let asked = Asked { entity, metric, labels, span, at: case.at };
        tape_series::compare((bench.oracle, &bench.original), &asked, theirs, ours)
    };
    match entity.split_once("/pod-list/") {
        None => compare(entity, theirs, ours),
        Some((namespace, pods)) => {
            let items = |answer: &Value| answer["items"].as_array().cloned().unwrap_or_default();
            let (theirs, ours) = (items(theirs), items(ours));
            let pods: Vec<&str> = pods.split(',').collect();
            ensure!(ours.len() == pods.len() && theirs.len() == pods.len(), "{} items", ours.len());
            let mut reasons = Reasons::new();
            for ((pod, theirs), ours) in pods.into_iter().zip(&theirs).zip(&ours) {
                reasons.extend(compare(&format!("{namespace}/pods/{pod}"), theirs, ours)?);
            }
            Ok(reasons)
        }
    }
}

/// Lists: of the same names, ours sorted. Names of metrics may be more here, and are all that the bytes have.
fn list(bench: &Bench<'_>, model: &str, theirs: &Value, ours: &Value) -> Result<Reasons, String> {
    let names = |list: &Value| serde_json::from_value::<Vec<String>>(list.clone()).map_err(|e| e.to_string());
    let (theirs, ours) = (names(theirs)?, names(ours)?);
    let mut reasons = Reasons::new();
    if !theirs.is_sorted() {
        reasons.insert(Reason::Sorted);
    }
    let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
    ensure!(
        ours.is_sorted_by(|a, b| place(a) < place(b)),
        "ours are not sorted, or not all different: {ours:?}"
    );
    let model = model.trim_end_matches('/');
    let metrics_of = if model == "metrics" { Some("") } else { model.strip_suffix("/metrics") };
    let Some(entity) = metrics_of else {
        ensure!(set(&theirs) == set(&ours), "{ours:?} instead of {theirs:?}");
        return Ok(reasons);
    };
    let expected = bench.oracle.names(entity);
    ensure!(expected == set(&ours), "{ours:?} are not the metrics that the bytes have: {expected:?}");
    ensure!(set(&theirs).is_subset(&expected), "not all of {theirs:?} are among {ours:?}");
    if theirs.len() < ours.len() {
        reasons.insert(Reason::MoreMetrics);
    }
    Ok(reasons)
}

/// Where a name stands in a sorted list. Keys stand by what they are of, then by each name.
fn place(name: &str) -> (usize, Vec<&str>) {
    let kinds = [
        "cluster",
        "namespace:",
        "node:",
        "node:/container:",
        "namespace:/pod:",
        "namespace:/pod:/container:",
    ];
    let parts: Vec<&str> = name.split('/').collect();
    let kind: Vec<&str> =
        parts.iter().map(|part| part.find(':').map_or(*part, |end| &part[..=end])).collect();
    let kind = kind.join("/");
    (kinds.iter().position(|each| *each == kind).unwrap_or(0), parts)
}
