//! One answer of ours beside the original's: equal, or different for reasons that are told and hold, or neither.

use crate::tape::{Recorded, Reply};
use crate::tape_differences::Reason;
use crate::tape_expected::Oracle;
use crate::tape_export::{self, Counts};
use crate::tape_original::Original;
use crate::tape_series::{self, Asked, Reasons, ensure};
use crate::tape_usage;
use heapster::api::routes::ROUTES;
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
    /// Ours to the same request below the newer root of the resource metrics, at the same instant.
    pub newer: Option<Reply>,
}

/// What cases are judged by.
pub struct Bench<'o> {
    pub oracle: &'o Oracle,
    pub original: Original<'o>,
}

impl<'o> Bench<'o> {
    pub fn new(oracle: &'o Oracle) -> Self {
        Self { oracle, original: Original::new(oracle) }
    }
}

impl Case {
    /// The request in one line.
    pub fn request(&self) -> String {
        let Recorded { method, path, headers, .. } = &self.theirs;
        let headers = headers.iter().map(|(name, value)| format!(" {name}: {value}"));
        format!("{method} {path}{}", headers.collect::<String>())
    }
}

/// An answer of fewer bytes is not compressed.
const SHORT: usize = 16 * 1_024;

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
        "/" => {
            let page =
                ours.header("content-type").starts_with("text/html") && ours.text().contains("<h1>Heapster");
            ensure!((theirs.status, ours.status, page) == (404, 200, true), "no page");
            return Ok([Reason::Page].into());
        }
        _ => {}
    }
    if let Some(reason) = more_routes(bench, case)? {
        return Ok([reason].into());
    }
    ensure!(ours.status == theirs.status, "status {} instead of {}", ours.status, theirs.status);
    let said = |header| (theirs.header(header), ours.header(header));
    let (kind, coding) = (said("content-type"), said("content-encoding"));
    ensure!(kind.0 == kind.1, "content-type: {:?} instead of {:?}", kind.1, kind.0);
    let short = !coding.0.is_empty() && coding.1.is_empty() && ours.body.len() < SHORT;
    ensure!(coding.0 == coding.1 || short, "content-encoding: {:?} instead of {:?}", coding.1, coding.0);
    let mut reasons = match (theirs.json(), ours.json()) {
        (Some(theirs), Some(ours)) => json(bench, case, &theirs, &ours),
        _ => text(case, &theirs.text(), &ours.text()),
    }?;
    if short {
        reasons.insert(Reason::Uncompressed);
    }
    Ok(reasons)
}

/// What the original answered with no more than a refusal.
fn more_routes(bench: &Bench<'_>, case: &Case) -> Result<Option<Reason>, String> {
    let (path, theirs, ours) = (&case.theirs.path, &case.theirs.reply, &case.ours);
    if let Some(newer) = &case.newer {
        let told = |reply: &Reply| {
            (reply.status, reply.header("content-type").to_owned(), reply.json().map(undated))
        };
        ensure!(told(ours) == told(newer), "{ours:?} is not {newer:?}");
        ensure!(ours.json().is_some() || ours.text() == newer.text(), "{ours:?} is not {newer:?}");
        return Ok(Some(Reason::OldPath));
    }
    if (theirs.status, ours.status) == (404, 200) {
        let list = ours.json().ok_or("no JSON")?;
        if let Ok(names) = serde_json::from_value::<Vec<String>>(list.clone()) {
            let leads = |name: &String| {
                let below = format!("{}/{name}", path.trim_end_matches('/'));
                ROUTES.iter().any(|route| route.matches(&below))
            };
            ensure!(!names.is_empty() && names.iter().all(leads), "{names:?} do not all lead on");
            return Ok(Some(Reason::Listing));
        }
        tape_usage::whole(bench, &list)?;
        return Ok(Some(Reason::UnratedPod));
    }
    if (theirs.status, ours.status) == (500, 404) {
        ensure!(ours.text() == theirs.text() && ours.text().ends_with("not found"), "{ours:?}");
        return Ok(Some(Reason::UnknownPod));
    }
    Ok(None)
}

/// Without the moments at which the objects of an answer were made.
fn undated(mut answer: Value) -> Value {
    match &mut answer {
        Value::Object(members) => {
            members.remove("creationTimestamp");
            members.values_mut().for_each(|member| *member = undated(member.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = undated(item.take())),
        _ => {}
    }
    answer
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
        return match path.trim_end_matches('/') {
            "/api/v1/metric-export" => tape_export::compare(bench, theirs, ours, &mut Counts::default()),
            "/api/v1/metric-export-schema" => schema(theirs, ours),
            _ if path.starts_with(tape_usage::ROOT) => tape_usage::compare(bench, case, theirs, ours),
            _ => Err("a path that nobody judges".into()),
        };
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

/// The schema: the same, but for what is told in words, and for the unit of inodes.
fn schema(theirs: &Value, ours: &Value) -> Result<Reasons, String> {
    let (mut theirs, ours) = (wordless(theirs.clone())?, wordless(ours.clone())?);
    let mut reasons = Reasons::from([Reason::Wording]);
    for line in theirs["metrics"].as_array_mut().into_iter().flatten() {
        let inodes = line["name"].as_str().is_some_and(|name| name.starts_with("filesystem/inodes"));
        if inodes && line.as_object_mut().and_then(|line| line.remove("units")) == Some("bytes".into()) {
            reasons.insert(Reason::InodesUnit);
        }
    }
    ensure!(theirs == ours, "{ours} instead of {theirs}");
    Ok(reasons)
}

/// Without its descriptions, each of which says something.
fn wordless(mut schema: Value) -> Result<Value, String> {
    match &mut schema {
        Value::Object(members) => {
            let words = members.remove("description");
            ensure!(
                words.is_none_or(|words| words.as_str().is_some_and(|words| !words.is_empty())),
                "no words"
            );
            for member in members.values_mut() {
                *member = wordless(member.take())?;
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = wordless(item.take())?;
            }
        }
        _ => {}
    }
    Ok(schema)
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
