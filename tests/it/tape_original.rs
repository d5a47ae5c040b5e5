//! How the original came to its numbers where they are not ours, worked out from the same bytes: which round it took for
//! the one before, and by which instants it rated. It is held to every value that it told; why ours differ follows from it.

use crate::tape_expected::{Answer, Oracle, Told, is_pod};
use heapster::model::time::{Timestamp, Window};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long the original waited for a node that had refused.
const LATE: Duration = Duration::from_secs(20);
/// How long it kept what it did not keep for a quarter of an hour.
const SHORT: Duration = Duration::from_secs(140);
/// When within a window it asked.
const OFFSET: Duration = Duration::from_secs(5);

/// One round of the original: the answers of all nodes that it stamped alike.
pub struct Round<'o> {
    pub window: Window,
    /// When its last answer was in, or it gave up waiting.
    pub done: Timestamp,
    pub answers: Vec<(&'o Answer, &'o Told)>,
    /// The path of each entity in them.
    pub paths: BTreeSet<&'o str>,
    /// The round that rates were made against; None where none were made.
    pub previous: Option<usize>,
}

/// The original's rounds in the order in which it finished them.
pub struct Original<'o> {
    pub rounds: Vec<Round<'o>>,
}

impl<'o> Original<'o> {
    pub fn new(oracle: &'o Oracle) -> Self {
        let mut by_window: BTreeMap<i64, Vec<&Answer>> = BTreeMap::new();
        for answer in &oracle.answers {
            by_window.entry(answer.window.index()).or_default().push(answer);
        }
        let mut rounds: Vec<Round<'o>> = by_window
            .into_values()
            .map(|answers| {
                let window = answers[0].window;
                let failed = answers.iter().any(|answer| answer.told.is_none());
                let last = answers.iter().map(|answer| answer.done).max().unwrap();
                let done = if failed { window.end().after(OFFSET + LATE) } else { last };
                let told = answers.into_iter().filter_map(|answer| Some((answer, answer.told.as_ref()?)));
                let answers: Vec<(&Answer, &Told)> = told.collect();
                let keys = answers.iter().flat_map(|(_, told)| told.expected.keys());
                let paths = keys.map(|(path, ..)| path.as_str()).collect();
                Round { window, done, answers, paths, previous: None }
            })
            .collect();
        rounds.sort_by_key(|round| round.done);
        let mut last: Option<usize> = None;
        for at in 0..rounds.len() {
            match last {
                Some(before) if rounds[before].window.index() >= rounds[at].window.index() => {}
                _ => {
                    rounds[at].previous = last;
                    last = Some(at);
                }
            }
        }
        Self { rounds }
    }

    /// The round that was stamped with the end of a window.
    pub fn round(&self, stamp: Timestamp) -> Option<&Round<'o>> {
        self.rounds.iter().find(|round| round.window.end() == stamp)
    }

    /// The oldest instant of which the short store still had points at `asked`.
    pub fn oldest(&self, asked: Timestamp) -> Timestamp {
        let last = self.rounds.iter().filter(|round| round.done <= asked).map(|round| round.done).max();
        Timestamp::from_nanos(last.unwrap().nanos() - SHORT.as_nanos() as i64)
    }

    /// What it made of an entity's counter: none in its first round, where the entity was not in the round before,
    /// started anew, or was not sampled again. A pod has but the instant of its network figures.
    fn own_rate(&self, round: &Round<'o>, entity: &str, metric: &str) -> Option<f64> {
        let counter = metric.strip_suffix("_rate")?;
        let previous = &self.rounds[round.previous?];
        let (value, start, at) = sample(round, entity, counter)?;
        let (before, start_before, at_before) = sample(previous, entity, counter)?;
        if at <= at_before || start != start_before {
            return None;
        }
        let rate = (value - before) / (at - at_before) as f64;
        Some(if metric == "cpu/usage_rate" { (rate / 1e6).trunc() } else { rate })
    }

    /// The rate that it told of a node, a container or a pod.
    pub fn rate(&self, round: &Round<'o>, entity: &str, metric: &str) -> Option<f64> {
        let own = self.own_rate(round, entity, metric);
        if own.is_some() || !is_pod(entity) {
            return own;
        }
        let containers = entities(round, &format!("{entity}/containers/"));
        containers.iter().filter_map(|container| self.own_rate(round, container, metric)).reduce(|a, b| a + b)
    }

    /// What it summed for a namespace, or for the cluster where `entity` is empty: nothing where no pod had any.
    pub fn sum(&self, round: &Round<'o>, entity: &str, metric: &str) -> Option<f64> {
        let within = if entity.is_empty() { "namespaces/".to_owned() } else { format!("{entity}/pods/") };
        let pods = entities(round, &within).into_iter().filter(|path| is_pod(path));
        let value = |pod: &str| match metric {
            "cpu/usage_rate" => self.rate(round, pod, metric),
            _ => value(round, pod, metric).and_then(Value::as_f64),
        };
        pods.filter_map(value).reduce(|a, b| a + b)
    }
}

/// The paths of a round that begin so.
pub fn entities<'o>(round: &Round<'o>, start: &str) -> Vec<&'o str> {
    let found = round.paths.iter().skip_while(|path| **path < start);
    found.copied().take_while(|path| path.starts_with(start)).collect()
}

/// A figure of a round.
pub fn value<'r>(round: &'r Round<'_>, entity: &str, metric: &str) -> Option<&'r Value> {
    let key = (entity.to_owned(), String::new(), metric.to_owned());
    round.answers.iter().find_map(|(_, told)| told.expected.get(&key))
}

/// A counter, its entity's start, and the instant that the original took for that of the counter.
pub fn sample(round: &Round<'_>, entity: &str, counter: &str) -> Option<(f64, i64, i64)> {
    let note = |counter: &str| value(round, entity, &format!("@{counter}"));
    let number = value(round, entity, counter)?.as_f64()?;
    let times =
        if is_pod(entity) { &["network/rx"][..] } else { &["cpu/usage", "memory/page_faults", "network/rx"] };
    let at = times.iter().find_map(|counter| note(counter))?[0].as_i64()?;
    Some((number, note(counter)?[2].as_i64()?, at))
}
