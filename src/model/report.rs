//! What one kubelet said of its node, whatever format it said it in: rows of values, names borrowed from the body.
//! Decoding is left to `wire`, judging and rating to `rollup`.

use super::entity::{EntityRef, Labels};
use super::labels::RESOURCE;
use super::metric::Metric;
use std::borrow::Cow;
use std::ops::Range;

/// Whom a row is of, within the node that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject<'a> {
    /// The node itself.
    Node,
    /// A container that belongs to no pod.
    Free(&'a str),
    /// A pod: namespace and name.
    Pod(&'a str, &'a str),
    /// A container of a pod: namespace, pod and its own name.
    Container(&'a str, &'a str, &'a str),
}

impl<'a> Subject<'a> {
    /// The pod that it is or belongs to: namespace and name.
    pub const fn pod(self) -> Option<(&'a str, &'a str)> {
        match self {
            Self::Pod(namespace, pod) | Self::Container(namespace, pod, _) => Some((namespace, pod)),
            Self::Node | Self::Free(_) => None,
        }
    }

    /// The subject's entity, where `node` answered.
    pub fn of_node(self, node: &'a str) -> EntityRef<'a> {
        match self {
            Self::Node => EntityRef::Node(node),
            Self::Free(container) => EntityRef::FreeContainer(node, container),
            Self::Pod(namespace, pod) => EntityRef::Pod(namespace, pod),
            Self::Container(namespace, pod, container) => EntityRef::PodContainer(namespace, pod, container),
        }
    }
}

/// What tells several values of one metric of one subject apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part<'a> {
    /// The subject as a whole.
    Whole,
    /// A file system or device, by prefix and name: `("", "/")`, `("Volume:", "data")`.
    Resource(&'a str, &'a str),
    /// A network interface.
    Interface(&'a str),
    /// An accelerator: make, model, id.
    Accelerator(&'a str, &'a str, &'a str),
}

impl Part<'_> {
    /// The labels of the part (Heapster `metrics/core/labels.go`). None for the whole.
    pub fn labels(self) -> Option<Labels> {
        match self {
            Self::Whole => None,
            Self::Resource(prefix, name) => Some(Labels::new([(RESOURCE, [prefix, name].concat().as_str())])),
            Self::Interface(name) => Some(Labels::new([(INTERFACE, name)])),
            Self::Accelerator(make, model, id) => {
                Some(Labels::new([(MAKE, make), (MODEL, model), (ACCELERATOR, id)]))
            }
        }
    }

    /// Whether these are the part's labels, found out without making any.
    pub fn has_labels(self, labels: Option<&Labels>) -> bool {
        let Some(labels) = labels else { return self == Self::Whole };
        let mut pairs = labels.iter();
        let own = match self {
            Self::Whole => false,
            Self::Resource(prefix, name) => pairs.next().is_some_and(|(label, value)| {
                label == RESOURCE && value.strip_prefix(prefix).is_some_and(|rest| rest == name)
            }),
            Self::Interface(name) => pairs.next() == Some((INTERFACE, name)),
            Self::Accelerator(make, model, id) => [(ACCELERATOR, id), (MAKE, make), (MODEL, model)]
                .into_iter()
                .all(|pair| pairs.next() == Some(pair)),
        };
        own && pairs.next().is_none()
    }
}

const INTERFACE: &str = "interface";
const MAKE: &str = "make";
const MODEL: &str = "model";
const ACCELERATOR: &str = "accelerator_id";

/// One subject's values, or one part's of it.
#[derive(Clone, Copy, Debug)]
pub struct ReportRow<'a> {
    /// Whose they are.
    pub subject: Subject<'a>,
    /// Which part of it.
    pub part: Part<'a>,
    first: usize,
    last: usize,
}

/// One answer of one kubelet.
#[derive(Debug, Default)]
pub struct Report<'a> {
    rows: Vec<ReportRow<'a>>,
    values: Cow<'a, [(Metric, u64)]>,
    custom: Vec<(usize, &'a str, f64)>,
    /// Leaves that were there but were no number, or one that no metric can hold.
    pub broken_leaves: u64,
    /// Entities and parts without a name: nothing could ask for them.
    pub nameless: u64,
    /// Whether a pod's own row tells of its pause container alone, so that its containers add to it instead of standing
    /// behind it.
    pub pods_are_pause: bool,
    /// The node name that the body claims; only compared, never used.
    pub claimed_node: Option<&'a str>,
}

impl<'a> Report<'a> {
    /// A report of these rows, each with where among `values` its own are.
    pub fn of(
        rows: impl Iterator<Item = (Subject<'a>, Part<'a>, Range<usize>)>,
        values: &'a [(Metric, u64)],
    ) -> Self {
        let row = |(subject, part, values): (_, _, Range<usize>)| {
            let Range { start: first, end: last } = values;
            ReportRow { subject, part, first, last }
        };
        Self { rows: rows.map(row).collect(), values: Cow::Borrowed(values), ..Self::default() }
    }

    /// Opens a row; the values pushed from now on are its.
    pub fn begin(&mut self, subject: Subject<'a>, part: Part<'a>) {
        let at = self.values.len();
        self.rows.push(ReportRow { subject, part, first: at, last: at });
    }

    /// Adds a value to the row opened last, as the metric's form holds it. A metric given twice: the later counts.
    pub fn push(&mut self, metric: Metric, held: u64) {
        if let Some(row) = self.rows.last_mut() {
            self.values.to_mut().push((metric, held));
            row.last = self.values.len();
        }
    }

    /// Adds a value of an application to the row opened last.
    pub fn push_custom(&mut self, name: &'a str, value: f64) {
        if let Some(row) = self.rows.len().checked_sub(1) {
            self.push_custom_of(row, name, value);
        }
    }

    /// Adds a value of an application to the row at this position.
    pub fn push_custom_of(&mut self, row: usize, name: &'a str, value: f64) {
        self.custom.push((row, name, value));
    }

    /// The rows, in the order of the body.
    pub fn rows(&self) -> &[ReportRow<'a>] {
        &self.rows
    }

    /// A row's values.
    pub fn values(&self, row: &ReportRow<'a>) -> &[(Metric, u64)] {
        self.values.get(row.first..row.last).unwrap_or_default()
    }

    /// One value of a row; the later where it was given twice.
    pub fn value(&self, row: &ReportRow<'a>, metric: Metric) -> Option<u64> {
        self.values(row).iter().rev().find(|(m, _)| *m == metric).map(|(_, held)| *held)
    }

    /// The applications' values: position of the row, name, value.
    pub fn custom(&self) -> &[(usize, &'a str, f64)] {
        &self.custom
    }
}
