//! The newest points as Prometheus reads them when it scrapes: its text format 0.0.4, and OpenMetrics 1.0. Writing only,
//! family by family as both ask for, each over all blocks, so that nothing is held but the blocks.

use super::chunks::gathered;
use super::prometheus_names::{
    Family, Label, Level, Type, Whose, apart, kinds_of_parts, labels, levels, own_label, takes, value,
};
use crate::model::entity::Name;
use crate::model::metric::{Metric, MetricKey};
use crate::model::shard::Shard;
use crate::model::time::{NANOS_PER_SECOND, Timestamp};
use crate::rollup::block::{Block, Row};
use crate::rollup::latest::Latest;
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own, version 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// Its media type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The one that an `Accept` prefers; the text where it does not care.
    pub fn preferred(accept: &str) -> Self {
        let mut weights = [0.0, 0.0];
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let mut weight = 1.0;
            let mut known = true;
            for (key, value) in parts.filter_map(|part| part.split_once('=')) {
                match key.trim() {
                    "q" => weight = value.trim().parse().unwrap_or(0.0),
                    "version" if name.eq_ignore_ascii_case("application/openmetrics-text") => {
                        known = matches!(value.trim_matches('"'), "1.0.0" | "0.0.1");
                    }
                    _ => {}
                }
            }
            let [text, open] = &mut weights;
            if known && name.eq_ignore_ascii_case("application/openmetrics-text") {
                *open = f64::max(*open, weight);
            } else if ["text/plain", "text/*", "*/*"].iter().any(|text| name.eq_ignore_ascii_case(text)) {
                *text = f64::max(*text, weight);
            }
        }
        let [text, open] = weights;
        if open > 0.0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }
}

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// In which format.
    pub format: Format,
    /// Of which levels.
    pub levels: Vec<Level>,
    /// Whether each sample says of which instant it is.
    pub timestamps: bool,
    /// Whether each counter of OpenMetrics says when it began: Prometheus keeps a series for each then.
    pub created: bool,
    /// Which part of the clusters is collected: then sums say so.
    pub shard: Option<Shard>,
}

/// The newest block of each node and of the sums of one cluster, with the cluster's label.
#[derive(Clone, Debug)]
struct Newest {
    cluster: Option<Name>,
    block: Arc<Block>,
}

/// The newest points of these clusters in pieces, of which none is much larger than one block's share of one family. A
/// cluster's name becomes a label where there is one.
pub fn exposition(clusters: Vec<(Option<Name>, Latest)>, asked: Asked) -> impl Iterator<Item = String> {
    let of = |(cluster, latest): (Option<Name>, Latest)| {
        let blocks = latest.sums.into_iter().chain(latest.nodes).map(|recent| recent.newest);
        blocks.map(move |block| Newest { cluster: cluster.clone(), block }).collect::<Vec<_>>()
    };
    let blocks: Arc<[Newest]> = clusters.into_iter().flat_map(of).collect();
    let end = (asked.format == Format::OpenMetrics).then(|| "# EOF\n".to_owned());
    let families = wanted(&blocks, &asked.levels);
    gathered(
        families
            .into_iter()
            .flat_map(move |wanted| written(wanted, blocks.clone(), asked.clone()))
            .chain(end),
    )
}

/// What one family is made of.
#[derive(Clone, Debug)]
struct Wanted {
    level: Level,
    family: Family,
    keys: Vec<MetricKey>,
    apart: Option<&'static str>,
}

/// The families that there may be: a level after the other, in the order of the catalogue.
fn wanted(blocks: &[Newest], asked: &[Level]) -> Vec<Wanted> {
    let mut others: Vec<MetricKey> = blocks
        .iter()
        .flat_map(|newest| newest.block.layout.columns().map(|(key, _)| key))
        .filter(|key| !matches!(key, MetricKey::Known(_)))
        .cloned()
        .collect();
    others.sort_unstable();
    others.dedup();
    let (resources, custom): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|key| matches!(key, MetricKey::Resource(_)));
    let mut all = Vec::new();
    for level in Level::ALL.into_iter().filter(|level| asked.contains(level)) {
        let mut add = |keys: Vec<MetricKey>, apart| {
            let Some(first) = keys.first() else { return };
            let family = Family::new(first, level, apart);
            all.push(Wanted { level, family, keys, apart });
        };
        for metric in Metric::ALL.iter().filter(|metric| levels(**metric) & level.bit() != 0) {
            let key = MetricKey::Known(*metric);
            if takes(&key) {
                kinds_of_parts(*metric).iter().for_each(|apart| add(vec![key.clone()], *apart));
            }
        }
        add(resources.clone(), None);
        add(custom.clone(), None);
    }
    all
}

/// One family, block by block; its head with the first that has anything of it.
fn written(wanted: Wanted, blocks: Arc<[Newest]>, asked: Asked) -> impl Iterator<Item = String> {
    let mut head = Some(head(&wanted.family, asked.format));
    let name = wanted.family.series();
    (0..blocks.len()).filter_map(move |at| {
        let mut text = String::new();
        samples(&mut text, &name, &wanted, blocks.get(at)?, &asked);
        if text.is_empty() {
            return None;
        }
        match head.take() {
            Some(head) => Some(head + &text),
            None => Some(text),
        }
    })
}

fn head(family: &Family, format: Format) -> String {
    let Family { unit, help, .. } = family;
    let (name, kind) = match (format, family.kind) {
        (Format::Text, Type::Unknown) => (family.series(), "untyped"),
        (Format::OpenMetrics, Type::Unknown) => (family.name.clone(), "unknown"),
        (Format::Text, Type::Counter) => (family.series(), "counter"),
        (Format::OpenMetrics, Type::Counter) => (family.name.clone(), "counter"),
        (_, Type::Gauge) => (family.name.clone(), "gauge"),
    };
    let mut text = String::with_capacity(256);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}.\n# TYPE {name} {kind}");
    if format == Format::OpenMetrics && !unit.is_empty() {
        let _ = writeln!(text, "# UNIT {name} {unit}");
    }
    text
}

/// The rows of a level.
fn rows_of(block: &Block, level: Level) -> Range<Row> {
    let rows = &block.layout.rows;
    rows.first_that(|entity| Level::of(entity) >= level)..rows.first_that(|entity| Level::of(entity) > level)
}

fn samples(text: &mut String, name: &str, wanted: &Wanted, newest: &Newest, asked: &Asked) {
    let Newest { cluster, block } = newest;
    let rows = rows_of(block, wanted.level);
    if rows.is_empty() {
        return;
    }
    let shard = asked.shard.map(|shard| shard.to_string());
    let whose = Whose { cluster: cluster.as_deref(), shard: shard.as_deref() };
    let stamp = if asked.timestamps { stamp(block.window.end(), asked.format) } else { String::new() };
    let created = asked.created && asked.format == Format::OpenMetrics && wanted.family.kind == Type::Counter;
    let starts = if created { block.column(Metric::StartTime) } else { None };
    for key in &wanted.keys {
        let Some(column) = block.column_of(key) else { continue };
        for row in rows.clone() {
            let (Some(Some(held)), Some((entity, part))) = (column.get(row), block.layout.rows.key(row))
            else {
                continue;
            };
            if apart(key, part) != wanted.apart {
                continue;
            }
            let mut labels = labels(whose, entity, part, block.facts.as_deref());
            labels.extend(own_label(key));
            let from = text.len();
            text.push_str(name);
            push_labels(text, &labels);
            let labelled = from + name.len()..text.len();
            // Writing to a string cannot fail.
            let _ = writeln!(text, " {}{stamp}", value(key, *held));
            let start = |starts: &Vec<Option<u64>>| *starts.get(block.layout.rows.find(entity, None)?)?;
            if let Some(start) = starts.as_ref().and_then(start) {
                let start = value(&MetricKey::Known(Metric::StartTime), start);
                let labelled = text.get(labelled).unwrap_or_default().to_owned();
                let _ = writeln!(text, "{}_created{labelled} {start}{stamp}", wanted.family.name);
            }
        }
    }
}

fn push_labels(text: &mut String, labels: &[Label<'_>]) {
    for (at, (label, value)) in labels.iter().enumerate() {
        text.push(if at == 0 { '{' } else { ',' });
        text.push_str(label);
        text.push_str("=\"");
        for each in value.chars() {
            match each {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                each => text.push(each),
            }
        }
        text.push('"');
    }
    if !labels.is_empty() {
        text.push('}');
    }
}

/// An instant as the format writes it, with the blank before it: milliseconds, or seconds with as many digits behind the
/// point as there are.
fn stamp(at: Timestamp, format: Format) -> String {
    let millis = at.nanos().div_euclid(NANOS_PER_SECOND / 1_000);
    match (format, millis % 1_000) {
        (Format::Text, _) => format!(" {millis}"),
        (Format::OpenMetrics, 0) => format!(" {}", millis / 1_000),
        (Format::OpenMetrics, rest) => format!(" {}.{rest:03}", millis / 1_000),
    }
}
