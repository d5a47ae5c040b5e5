//! Where points can go: one file a kind and one line in [`KINDS`], which drives parsing, errors, `--help` and the
//! README. Queueing and retrying are left to the exporter actor, formats to `wire`.

pub mod log;

use crate::config::nearest::nearest;
use crate::config::options::{OptionLine, describe};
use crate::config::uri::{Uri, UriError};
use crate::model::label_copier::LabelCopier;
use crate::rollup::cluster::Batch;
use futures_util::future::LocalBoxFuture;
use std::sync::Arc;

/// A kind of sink.
pub struct Kind {
    /// What its URIs begin with.
    pub prefix: &'static str,
    /// Where it puts points.
    pub about: &'static str,
    /// Its options.
    pub options: &'static [OptionLine],
    build: fn(&Uri, &LabelCopier) -> Result<Maker, UriError>,
}

/// Every kind of sink.
pub const KINDS: &[Kind] = &[
    Kind {
        prefix: "log",
        about: "every point of every window as text in the log",
        options: &[],
        build: log::build,
    },
    Kind {
        prefix: "metric",
        about: "taken for old manifests: the history is always kept",
        options: &[],
        build: log::none,
    },
];

/// Kinds of Heapster that this release does not know yet.
pub const NOT_YET: &[&str] = &[
    "influxdb",
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

/// Puts windows somewhere, one after the other. Built on the thread it runs on.
pub trait Sink {
    /// Puts one window.
    ///
    /// # Errors
    /// Why it could not be put. The window is lost to this sink.
    fn export(&mut self, batch: Arc<Batch>) -> LocalBoxFuture<'_, Result<(), SinkError>>;
}

/// Why a window could not be put.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);

/// Why a URI names no sink.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The URI itself.
    #[error("{0}: {1}")]
    Uri(String, #[source] UriError),
    /// No such kind.
    #[error("{0}: no such sink {1:?}; {hint}", hint = nearest(.1, KINDS.iter().map(|kind| kind.prefix)))]
    Unknown(String, String),
    /// A kind that is not there yet.
    #[error("{0}: {1:?} is not supported yet; leave it out, or give log")]
    NotYet(String, String),
}

/// Makes a sink on the thread that it will run on.
pub type Maker = Box<dyn FnOnce() -> Box<dyn Sink> + Send>;

/// The names and makers of the sinks that these URIs name; `labels` says how objects' labels are told.
///
/// # Errors
/// The first URI that names none.
pub fn build(uris: &[Uri], labels: &LabelCopier) -> Result<Vec<(String, Maker)>, BuildError> {
    let mut sinks: Vec<(String, Maker)> = Vec::new();
    for uri in uris {
        let origin = || uri.origin.clone();
        let Some(kind) = KINDS.iter().find(|kind| kind.prefix == uri.prefix) else {
            let not_yet = NOT_YET.contains(&uri.prefix.as_str());
            let fail = if not_yet { BuildError::NotYet } else { BuildError::Unknown };
            return Err(fail(origin(), uri.prefix.clone()));
        };
        let known = kind.options.iter().map(|option| option.name);
        let make = uri.check_options(known).and_then(|()| (kind.build)(uri, labels));
        let make = make.map_err(|error| BuildError::Uri(origin(), error))?;
        if kind.prefix != "metric" {
            sinks.push((uri.to_string(), make));
        }
    }
    Ok(sinks)
}

/// The table as `--help` shows it.
pub fn help() -> String {
    KINDS.iter().map(|kind| describe(kind.prefix, kind.about, kind.options)).collect()
}
