//! What the original exported, batch for batch, beside what is exported here for the same window: every value that it had
//! is here, or is another one for a reason that is told and holds.

use crate::documents::says;
use crate::tape::{RESOLUTION, Tape};
use crate::tape_differences::{HEADING, Reason};
use crate::tape_expected::Oracle;
use crate::tape_judge::Bench;
use crate::tape_original::Original;
use crate::tape_player::Player;
use crate::tape_series::{Reasons, ensure, is_later};
use heapster::model::time::Timestamp;
use heapster::wire::rfc3339;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// The file systems that the original passed over.
const NEW_FILE_SYSTEMS: [&str; 3] = ["imagefs", "containerfs", "ephemeral-storage"];

/// One exported entity.
struct Element {
    labels: BTreeMap<String, String>,
    points: BTreeMap<Series, Point>,
}

/// A metric and its resource.
type Series = (String, String);
/// Start, end, value.
type Point = (String, String, u64);
/// What tells exported entities apart: the pod's namespace or else the node, the pod, the container.
type Key = (String, String, String);

/// How many values of the original's are here as they were, and how many are not, by reason.
#[derive(Default)]
pub struct Counts {
    pub same: usize,
    pub other: BTreeMap<Reason, usize>,
}

fn elements(export: &Value) -> Result<Vec<(Key, Element)>, String> {
    let elements = export.as_array().ok_or("no list")?.iter().map(|element| {
        let labels: BTreeMap<String, String> =
            serde_json::from_value(element["labels"].clone()).map_err(|error| error.to_string())?;
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let home = if label("pod_name").is_empty() { label("nodename") } else { label("namespace_id") };
        let key = (home, label("pod_name"), label("container_name"));
        let mut points = BTreeMap::new();
        for (metric, values) in element["metrics"].as_object().ok_or("no metrics")? {
            for value in values.as_array().ok_or("no values")? {
                let text = |member: &str| value[member].as_str().unwrap_or_default().to_owned();
                let resource = value["labels"]["resource_id"].as_str().unwrap_or_default().to_owned();
                let number = value["value"].as_u64().ok_or_else(|| format!("{value} is no whole number"))?;
                points.insert((metric.clone(), resource), (text("start"), text("end"), number));
            }
        }
        Ok((key, Element { labels, points }))
    });
    elements.collect()
}

/// The path of an exported entity below `model/`; names of pods are used once in this cluster.
fn path(original: &Original<'_>, (home, pod, container): &Key) -> Option<String> {
    match (&**pod, &**container) {
        ("", "machine") => Some(format!("nodes/{home}")),
        ("", container) => Some(format!("nodes/{home}/freecontainers/{container}")),
        (pod, container) => {
            let mut paths = original.rounds.iter().rev().flat_map(|round| &round.paths);
            let pod = paths.find(|path| path.ends_with(&format!("/pods/{pod}")))?;
            Some(if container == "/pod" {
                (*pod).to_owned()
            } else {
                format!("{pod}/containers/{container}")
            })
        }
    }
}

/// Whether the API server tells of such a container that is started before the others and stays.
fn is_sidecar((_, pod, container): &Key, image: Option<&String>) -> bool {
    let list = Tape::open().json("apiserver-json/pods_list.json");
    let pods = list["items"].as_array().unwrap().iter().filter(|each| each["metadata"]["name"] == **pod);
    let mut early = pods.filter_map(|pod| pod["spec"]["initContainers"].as_array()).flatten();
    early.any(|each| {
        each["name"] == **container
            && each["restartPolicy"] == "Always"
            && each["image"].as_str() == image.map(|i| &**i)
    })
}

/// Compares two exports of one window. Ours may be of the window before where a node has missed this one.
pub fn compare(
    bench: &Bench<'_>,
    theirs: &Value,
    ours: &Value,
    counts: &mut Counts,
) -> Result<Reasons, String> {
    let mut reasons = Reasons::new();
    let (theirs, ours) = (elements(theirs)?, elements(ours)?);
    let keys = |elements: &[(Key, Element)]| elements.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    if keys(&theirs) != keys(&ours) {
        reasons.insert(Reason::Sorted);
    }
    let (theirs, all): (BTreeMap<_, _>, usize) = (theirs.into_iter().collect(), ours.len());
    let ours: BTreeMap<Key, Element> = ours.into_iter().collect();
    ensure!(ours.len() == all, "an entity is exported twice");
    let stamp = &theirs.values().flat_map(|element| element.points.values()).next().ok_or("no point")?.1;
    let stamp_before = parsed(stamp)?.nanos() - RESOLUTION.as_nanos() as i64;
    for (key, element) in &ours {
        let path = path(&bench.original, key).ok_or_else(|| format!("{key:?} is of nobody"))?;
        for (series, (start, end, value)) in &element.points {
            is_expected(bench.oracle, &path, series, (start, end, *value))?;
        }
        let Some(told) = theirs.get(key) else {
            let ends = element.points.values().map(|(_, end, _)| parsed(end).map(Timestamp::nanos));
            ensure!(ends.into_iter().all(|end| end == Ok(stamp_before)), "{key:?} is new");
            reasons.insert(Reason::Carried);
            continue;
        };
        let sidecar = || is_sidecar(key, element.labels.get("container_base_image"));
        for series in element.points.keys().filter(|series| !told.points.contains_key(*series)) {
            let reason = match series {
                (_, resource) if NEW_FILE_SYSTEMS.contains(&&**resource) => Reason::MoreMetrics,
                (metric, _) if metric.ends_with("/limit") && sidecar() => Reason::Sidecar,
                _ => return Err(format!("{key:?} has {series:?}, and the original had not")),
            };
            reasons.insert(reason);
        }
        if element.labels != told.labels {
            let mut labels = element.labels.clone();
            ensure!(sidecar() && labels.remove("container_base_image").is_some(), "{key:?}: {labels:?}");
            ensure!(labels == told.labels, "{labels:?} instead of {:?}", told.labels);
            reasons.insert(Reason::Sidecar);
        }
    }
    for (key, element) in &theirs {
        for (series, point) in &element.points {
            let own = ours.get(key).and_then(|own| own.points.get(series));
            let own = own.ok_or_else(|| format!("{key:?} {series:?} is missing"))?;
            if own == point {
                counts.same += 1;
                continue;
            }
            let later = is_later(&bench.original, parsed(&point.1)?, point.2, own.2);
            let uptime = series.0 == "uptime" && later && (&own.0, &own.1) == (&point.0, &point.1);
            ensure!(uptime, "{key:?} {series:?}: {own:?} instead of {point:?}");
            *counts.other.entry(Reason::Uptime).or_default() += 1;
            reasons.insert(Reason::Uptime);
        }
    }
    Ok(reasons)
}

fn parsed(text: &str) -> Result<Timestamp, String> {
    rfc3339::parse(text).ok_or_else(|| format!("{text:?} is no time"))
}

/// A value of ours is what the bytes say.
fn is_expected(oracle: &Oracle, path: &str, series: &Series, point: (&str, &str, u64)) -> Result<(), String> {
    let ((metric, resource), (start, end, value)) = (series, point);
    let labels = if resource.is_empty() { String::new() } else { format!("resource_id:{resource}") };
    let expected = oracle.value(parsed(end)?, path, metric, &labels);
    ensure!(expected == Some(value as f64), "{path} {metric} {labels}: {value} is not {expected:?}");
    parsed(start).map(drop)
}

/// Ours of every window, asked for as soon as its last answer is in.
async fn exports(oracle: &Oracle) -> BTreeMap<Timestamp, Value> {
    tokio::time::pause();
    let mut windows: BTreeMap<Timestamp, Timestamp> = BTreeMap::new();
    for answer in &oracle.answers {
        let done = windows.entry(answer.window.end()).or_insert(answer.done);
        *done = answer.done.max(*done);
    }
    let request = Tape::open().answers().into_iter().find(|answer| answer.name == "metric-export").unwrap();
    let mut player = Player::start();
    let mut exports = BTreeMap::new();
    for (stamp, done) in windows {
        // A clock of milliseconds: the answer at this very instant is in.
        player.play_until(done.after(Duration::from_millis(2))).await;
        exports.insert(stamp, player.ask(vec![request.clone()]).await.remove(0).json().unwrap());
    }
    player.stop().await;
    exports
}

#[actix_web::test]
async fn every_exported_value_is_here_or_different_on_purpose() {
    let oracle = Oracle::new();
    let bench = Bench::new(&oracle);
    let ours = exports(&oracle).await;
    let (mut counts, mut batches, mut failures) = (Counts::default(), 0, Vec::new());
    let mut reasons = Reasons::new();
    for entry in Tape::open().asked("heapster") {
        let theirs = Tape::open().json(entry.file.as_deref().unwrap());
        if theirs.is_null() {
            continue;
        }
        let any = elements(&theirs).unwrap().swap_remove(0).1;
        let stamp = parsed(&any.points.values().next().unwrap().1).unwrap();
        batches += 1;
        let result = compare(&bench, &theirs, &ours[&stamp], &mut counts);
        match result {
            Ok(found) => reasons.extend(found),
            Err(why) => failures.push(format!("{}: {why}", rfc3339::format(stamp))),
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    let other: usize = counts.other.values().sum();
    let told = format!(
        "Of the {} values in the {batches} batches that it exported meanwhile {} are exported here as they were; {other} \
         are an `uptime`, which differs as told above.",
        counts.same + other,
        counts.same
    );
    println!("{told}");
    use Reason::{Carried, MoreMetrics, Sidecar, Sorted, Uptime};
    assert_eq!(reasons, Reasons::from([Sorted, MoreMetrics, Uptime, Carried, Sidecar]));
    assert_eq!(counts.other.keys().collect::<Vec<_>>(), [&Reason::Uptime]);
    says(HEADING, &told);
}
