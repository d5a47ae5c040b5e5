//! Where points can go: one file a kind and one line in [`KINDS`], which drives parsing, errors, `--help` and the
//! README. Queueing and retrying are left to the exporter actor, formats to `wire`.

pub mod asked;
mod given;
pub mod influxdb;
pub mod log;
pub mod prometheus;
mod reach;
pub mod verdict;

use crate::client::kubernetes::LoginError;
use crate::clock::Clock;
use crate::config::nearest::nearest;
use crate::config::options::{OptionLine, describe};
use crate::config::uri::{Uri, UriError};
use crate::model::label_copier::LabelCopier;
use crate::model::shard::Shard;
use crate::rollup::points::{Numbered, Takes, public};
use crate::rollup::queue::Reason;
use futures_util::future::LocalBoxFuture;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

/// A kind of sink.
pub struct Kind {
    /// What its URIs begin with.
    pub prefix: &'static str,
    /// Where it puts points.
    pub about: &'static str,
    /// Its options.
    pub options: &'static [OptionLine],
    /// Makes of a URI what can be asked about the past, where the kind can.
    past: Option<asked::BuildPast>,
    build: fn(&Uri, &LabelCopier) -> Result<Built, ProblemError>,
}

/// Every kind of sink.
pub const KINDS: &[Kind] = &[
    Kind {
        prefix: "influxdb",
        about: "InfluxDB 1 and 2, VictoriaMetrics, and whatever else takes line protocol",
        options: influxdb::OPTIONS,
        past: Some(influxdb::past),
        build: influxdb::build,
    },
    Kind {
        prefix: "prometheus",
        about: "Prometheus, VictoriaMetrics, Mimir, Thanos, and whatever else takes remote writes",
        options: prometheus::OPTIONS,
        past: Some(prometheus::past),
        build: prometheus::build,
    },
    Kind {
        prefix: "log",
        about: "every point of every window as text in the log",
        options: &[],
        past: None,
        build: log::build,
    },
    Kind {
        prefix: "metric",
        about: "taken for old manifests: the history is always kept",
        options: &[],
        past: None,
        build: log::build,
    },
];

/// Kinds of Heapster that this release does not know yet.
pub const NOT_YET: &[&str] = &[
    "gcm",
    "stackdriver",
    "hawkular",
    "kafka",
    "riemann",
    "opentsdb",
    "elasticsearch",
    "graphite",
    "librato",
    "wavefront",
    "statsd",
    "honeycomb",
    "monasca",
    "gcl",
];

/// Some points of a window.
#[derive(Clone, Debug)]
pub struct Slice {
    /// The window.
    pub window: Rc<Numbered>,
    /// The numbers of the points.
    pub range: Range<usize>,
}

/// Why points were not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// They may be taken later.
    Later {
        /// In a word, for counting.
        reason: Reason,
        /// After how long, where the server said so.
        after: Option<Duration>,
        /// In the server's words.
        why: String,
    },
    /// Some of them will never be; the others were.
    Never {
        /// In a word, for counting.
        reason: Reason,
        /// How many.
        dropped: usize,
        /// In the server's words.
        why: String,
    },
    /// They were too many at once.
    TooLarge {
        /// In the server's words.
        why: String,
    },
}

impl Refused {
    /// The same as something that may pass: no point was sent yet.
    fn for_now(self) -> Self {
        match self {
            Self::Never { reason, why, .. } => Self::Later { reason, after: None, why },
            Self::TooLarge { why } => Self::Later { reason: "refused", after: None, why },
            later @ Self::Later { .. } => later,
        }
    }
}

/// Puts points somewhere. Lives on the thread that it was built on.
pub trait Sink {
    /// Which metrics it takes.
    fn takes(&self) -> Takes {
        public
    }

    /// The most points that it takes at once.
    fn most(&self) -> usize {
        usize::MAX
    }

    /// How often at the same time.
    fn concurrency(&self) -> usize {
        1
    }

    /// Puts points. Told twice to put the same, it must not count them twice.
    fn put(&self, slice: Slice) -> LocalBoxFuture<'static, Result<(), Refused>>;
}

/// What a sink is built with.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The clock.
    pub clock: Clock,
    /// How long one request may take, where the URI does not say.
    pub within: Duration,
    /// Whether several clusters are collected, so that points must say of which they are.
    pub several_clusters: bool,
    /// Which part of the clusters is collected, so that sums must say of which they are.
    pub shard: Option<Shard>,
}

/// Makes a sink on the thread that it will run on.
pub type Maker = Box<dyn FnOnce(&Surroundings) -> Box<dyn Sink> + Send>;

/// A sink that can be made.
pub struct Built {
    /// What it is called in logs, counters and its spool's folder: where it is, without a secret.
    pub name: String,
    /// Whether windows may have to wait for it.
    pub waits: bool,
    /// Makes it.
    pub make: Maker,
}

/// Why a URI of a known kind makes no sink.
#[derive(Debug, thiserror::Error)]
pub enum ProblemError {
    /// The URI itself.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// Its CA.
    #[error("TLS cannot be spoken")]
    Tls(#[from] LoginError),
}

/// Why a URI names no sink.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The URI itself.
    #[error("{0}: {1}")]
    Uri(String, #[source] ProblemError),
    /// No such kind.
    #[error("{0}: no such sink {1:?}; {hint}", hint = nearest(.1, KINDS.iter().map(|kind| kind.prefix)))]
    Unknown(String, String),
    /// A kind that is not there yet.
    #[error("{0}: {1:?} is not supported yet; leave it out, or give influxdb, prometheus or log")]
    NotYet(String, String),
    /// A kind that cannot be asked.
    #[error(
        "{0}: {1:?} cannot be asked about the past; give the URI of a sink that is influxdb or prometheus, or one of \
         these kinds of its own"
    )]
    Unasked(String, String),
    /// No such kind that can be asked.
    #[error("{0}: {1:?} is nothing that can be asked about the past; {2}")]
    NoPast(String, String, String),
}

/// The sinks that these URIs name; `labels` says how objects' labels are told. Sinks of one name are numbered.
///
/// # Errors
/// The first URI that names none.
pub fn build(uris: &[Uri], labels: &LabelCopier) -> Result<Vec<Built>, BuildError> {
    let mut sinks: Vec<Built> = Vec::new();
    for uri in uris {
        let origin = || uri.origin.clone();
        let Some(kind) = KINDS.iter().find(|kind| kind.prefix == uri.prefix) else {
            let not_yet = NOT_YET.contains(&uri.prefix.as_str());
            let fail = if not_yet { BuildError::NotYet } else { BuildError::Unknown };
            return Err(fail(origin(), uri.prefix.clone()));
        };
        let known = kind.options.iter().map(|option| option.name);
        let built =
            uri.check_options(known).map_err(ProblemError::Uri).and_then(|()| (kind.build)(uri, labels));
        let Built { name, waits, make } = built.map_err(|error| BuildError::Uri(origin(), error))?;
        if kind.prefix != "metric" {
            let number = (2_u32..).map(|number| format!("{name}#{number}"));
            let mut names = std::iter::once(name.clone()).chain(number);
            let free = names.find(|name| sinks.iter().all(|sink| sink.name != *name));
            sinks.push(Built { name: free.unwrap_or(name), waits, make });
        }
    }
    Ok(sinks)
}

/// The table as `--help` shows it.
pub fn help() -> String {
    KINDS.iter().map(|kind| describe(kind.prefix, kind.about, kind.options)).collect()
}
