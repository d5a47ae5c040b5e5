//! The kubelet's `/stats/summary` (`k8s.io/kubelet/pkg/apis/stats/v1alpha1/types.go`), read leniently leaf by leaf and
//! written down as rows while it is read. Who a row is of is told by `entities`, what is in it by `figures`; which rows
//! count is left to `rollup`.

mod entities;
mod figures;
mod leaves;

use super::brisk;
use super::lenient::{Leaf, reread};
use super::members::Object;
use crate::model::metric::Metric;
use crate::model::report::{Part, Report, Subject};
use entities::Body;
use figures::Draft;
use serde::de::{Deserialize, DeserializeSeed, Deserializer};
use std::borrow::Cow;
use std::ops::Range;

/// Why a body is no summary at all.
#[derive(Debug, thiserror::Error)]
pub enum SummaryError {
    /// Not UTF-8.
    #[error("the body is not UTF-8")]
    NotText(#[source] std::str::Utf8Error),
    /// Not JSON, or cut off.
    #[error("the body is no JSON object, or was cut off")]
    NotJson(#[source] serde_json::Error),
    /// JSON, but without both `node` and `pods`.
    #[error("the body is JSON but no summary: it has neither \"node\" nor \"pods\"")]
    NotSummary,
}

impl SummaryError {
    /// Whether the body ends where it should go on.
    pub fn is_cut_off(&self) -> bool {
        matches!(self, Self::NotJson(error) if error.is_eof())
    }
}

/// Whom rows are of.
#[derive(Debug)]
enum Whose<'a> {
    Node,
    Free(Cow<'a, str>),
    /// Namespace and name.
    Pod(Cow<'a, str>, Cow<'a, str>),
    /// The position of its pod, and its own name.
    Container(usize, Cow<'a, str>),
}

/// Which part of it.
#[derive(Debug)]
enum Piece<'a> {
    Whole,
    Resource(&'static str),
    Volume(Cow<'a, str>),
    Interface(Cow<'a, str>),
    /// Make, model, id.
    Accelerator(Box<[Cow<'a, str>; 3]>),
}

#[derive(Debug)]
struct Row<'a> {
    whose: usize,
    piece: Piece<'a>,
    values: Range<usize>,
}

/// A decoded body. [`Summary::report`] tells what it says.
#[derive(Debug, Default)]
pub struct Summary<'a> {
    subjects: Vec<Whose<'a>>,
    rows: Vec<Row<'a>>,
    values: Vec<(Metric, u64)>,
    custom: Vec<(usize, Cow<'a, str>, f64)>,
    broken_leaves: u64,
    /// Entities and parts that nobody could ask for.
    nameless: u64,
    claimed_node: Option<Cow<'a, str>>,
    has_node_or_pods: bool,
    /// Those that are not in use.
    drafts: Vec<Draft<'a>>,
}

impl Summary<'_> {
    /// What the summary says, row by row. System containers get the names that Heapster gave them
    /// (`metrics/sources/summary/summary.go`): `runtime` is `docker-daemon`, `misc` is `system`.
    pub fn report(&self) -> Report<'_> {
        let subjects: Vec<Subject<'_>> = self.subjects.iter().map(|whose| self.subject(whose)).collect();
        let rows = self.rows.iter().map(|row| {
            let subject = subjects.get(row.whose).copied().unwrap_or(Subject::Node);
            (subject, row.piece.part(), row.values.clone())
        });
        let mut report = Report::of(rows, &self.values);
        for (row, name, value) in &self.custom {
            report.push_custom_of(*row, name, *value);
        }
        report.broken_leaves = self.broken_leaves;
        report.nameless = self.nameless;
        report.claimed_node = self.claimed_node.as_deref();
        report
    }

    fn subject<'s>(&'s self, whose: &'s Whose<'_>) -> Subject<'s> {
        match whose {
            Whose::Node => Subject::Node,
            Whose::Free(name) => Subject::Free(match &**name {
                "runtime" => "docker-daemon",
                "misc" => "system",
                other => other,
            }),
            Whose::Pod(namespace, name) => Subject::Pod(namespace, name),
            Whose::Container(pod, name) => match self.subjects.get(*pod) {
                Some(Whose::Pod(namespace, pod)) => Subject::Container(namespace, pod, name),
                _ => Subject::Free(name),
            },
        }
    }
}

impl Piece<'_> {
    fn part(&self) -> Part<'_> {
        match self {
            Self::Whole => Part::Whole,
            Self::Resource(resource) => Part::Resource("", resource),
            Self::Volume(volume) => Part::Resource("Volume:", volume),
            Self::Interface(interface) => Part::Interface(interface),
            Self::Accelerator(names) => {
                let [make, model, id] = &**names;
                Part::Accelerator(make, model, id)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Summary<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::default().read(deserializer)
    }
}

impl<'a> Summary<'a> {
    /// With room for what a body of so many bytes tells as a rule, so that nothing moves while it is read.
    fn with_room(bytes: usize) -> Self {
        Self {
            subjects: Vec::with_capacity(bytes / 768),
            rows: Vec::with_capacity(bytes / 256),
            values: Vec::with_capacity(bytes / 24),
            ..Self::default()
        }
    }

    fn read<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self, D::Error> {
        let mut summary = self;
        match Object(&mut Body(&mut summary)).deserialize(deserializer)? {
            Leaf::Is(()) => Ok(summary),
            Leaf::Absent | Leaf::Broken => Err(serde::de::Error::custom("no object")),
        }
    }
}

/// Decodes a body and hands what it says to `then`. Even a number that is too large for any type costs only itself.
///
/// # Errors
/// Those of [`decode`].
pub fn read(body: &[u8], mut then: impl FnMut(&Report<'_>)) -> Result<(), SummaryError> {
    let once = |body: &[u8], huge| {
        let mut summary = decode(body)?;
        summary.broken_leaves += huge;
        then(&summary.report());
        Ok(())
    };
    reread(body, once, |error| match error {
        SummaryError::NotJson(error) => Some(error),
        SummaryError::NotText(_) | SummaryError::NotSummary => None,
    })
}

/// Decodes a body.
///
/// # Errors
/// When it is no JSON object or nothing that a kubelet would say. A broken leaf is no error: see
/// [`broken_leaves`](crate::model::report::Report::broken_leaves).
pub fn decode(body: &[u8]) -> Result<Summary<'_>, SummaryError> {
    let text = std::str::from_utf8(body).map_err(SummaryError::NotText)?;
    let brisk = brisk::read(text, |reader| Summary::with_room(body.len()).read(reader));
    if let Some(summary) = brisk.ok().filter(|summary| summary.has_node_or_pods) {
        return Ok(summary);
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let summary = Summary::with_room(body.len()).read(&mut json).map_err(SummaryError::NotJson)?;
    json.end().map_err(SummaryError::NotJson)?;
    if summary.has_node_or_pods { Ok(summary) } else { Err(SummaryError::NotSummary) }
}
