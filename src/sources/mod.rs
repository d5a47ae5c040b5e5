//! What can be collected: one file a kind and one line in [`KINDS`], which drives parsing, errors, `--help` and the
//! README. How a kind is asked and when is left to `client` and `actors`.

pub mod kubernetes;
pub mod stats_api;
pub mod summary_api;

use crate::client::kubelet::{KubeletOptions, Question};
use crate::client::kubernetes::Login;
use crate::config::nearest::nearest;
use crate::config::options::{OptionLine, describe};
use crate::config::uri::{Uri, UriError};
use crate::model::address::NodePolicy;
use crate::model::entity::Name;
use crate::model::report::Report;
use crate::model::time::Window;
use std::sync::Arc;

/// A kind of source.
pub struct Kind {
    /// What its URIs begin with.
    pub prefix: &'static str,
    /// What it collects.
    pub about: &'static str,
    /// Its options.
    pub options: &'static [OptionLine],
    build: fn() -> Arc<dyn Format>,
}

/// Every kind of source.
pub const KINDS: &[Kind] = &[
    Kind {
        prefix: "kubernetes.summary_api",
        about: "nodes, pods and containers from each kubelet's GET /stats/summary",
        options: kubernetes::OPTIONS,
        build: summary_api::format,
    },
    Kind {
        prefix: "kubernetes",
        about: "the same from POST /stats/container/, and from the summary where a kubelet does not know that any more",
        options: kubernetes::OPTIONS,
        build: stats_api::format,
    },
];

/// Kinds of Heapster that this release does not know yet.
pub const NOT_YET: &[&str] = &["cadvisor"];

/// How the kubelets of a source are asked and understood.
pub trait Format: Send + Sync {
    /// What a kubelet is asked for a window.
    fn question(&self, window: Window) -> Question;

    /// What a kubelet is asked that does not know this question (404); None where there is nothing else.
    fn otherwise(&self) -> Option<Arc<dyn Format>> {
        None
    }

    /// Decodes an answer and hands what it says to `then`.
    ///
    /// # Errors
    /// Why it is no answer that a kubelet gives.
    fn read(&self, body: &[u8], then: &mut dyn FnMut(&Report<'_>)) -> Result<(), Undecodable>;
}

/// Why an answer cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Undecodable {
    /// The reason with its causes.
    pub why: String,
    /// Whether it ends where it should go on: then the connection broke.
    pub cut_off: bool,
}

impl Undecodable {
    /// The reason, and what to do about it.
    pub fn advice(&self, body: &[u8]) -> String {
        let fix = if body.trim_ascii_start().starts_with(b"<") {
            "it is HTML: another server than a kubelet listens there, look at kubeletPort"
        } else if self.cut_off {
            "look at the kubelet's log, or for a proxy in between that cuts connections"
        } else {
            "no kubelet says that: look at kubeletPort, or for a proxy in between"
        };
        format!("{self}; {fix}")
    }
}

/// One cluster to collect.
#[derive(Clone)]
pub struct Source {
    /// What it is called in routes, logs and sinks.
    pub name: Name,
    /// How its API server is reached.
    pub login: Login,
    /// How its kubelets are reached.
    pub kubelets: KubeletOptions,
    /// How their addresses are found.
    pub nodes: NodePolicy,
    /// Which nodes are collected; None for all.
    pub node_selector: Option<String>,
    /// What they are asked.
    pub format: Arc<dyn Format>,
}

/// Why a URI names no source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The URI itself.
    #[error("{0}: {1}")]
    Uri(String, #[source] UriError),
    /// No such kind.
    #[error("{0}: no such source {1:?}; {hint}", hint = nearest(.1, KINDS.iter().map(|kind| kind.prefix)))]
    Unknown(String, String),
    /// A kind that is not there yet.
    #[error("{0}: {1:?} is not supported yet; give kubernetes.summary_api with the same options")]
    NotYet(String, String),
    /// No source at all.
    #[error("--source: none given; give one such as kubernetes.summary_api:'', or try: heapster demo")]
    None,
    /// Two sources are the same.
    #[error("{0}: {1} is given twice; every point would be there twice: leave one out")]
    Twice(String, String),
    /// Two sources are called the same.
    #[error("{0}: two clusters are called {1:?}; give each a name of its own by clusterName")]
    SameName(String, String),
}

/// The sources that these URIs name.
///
/// # Errors
/// The first URI that names none.
pub fn build(uris: &[Uri]) -> Result<Vec<Source>, SourceError> {
    let mut sources: Vec<Source> = Vec::new();
    for uri in uris {
        let origin = || uri.origin.clone();
        let Some(kind) = KINDS.iter().find(|kind| kind.prefix == uri.prefix) else {
            let not_yet = NOT_YET.contains(&uri.prefix.as_str());
            let fail = if not_yet { SourceError::NotYet } else { SourceError::Unknown };
            return Err(fail(origin(), uri.prefix.clone()));
        };
        let source = kubernetes::parse(uri, kind.options, (kind.build)());
        let source = source.map_err(|error| SourceError::Uri(origin(), error))?;
        if sources.iter().any(|other| other.login == source.login) {
            return Err(SourceError::Twice(origin(), source.name.to_string()));
        }
        if sources.iter().any(|other| other.name == source.name) {
            return Err(SourceError::SameName(origin(), source.name.to_string()));
        }
        sources.push(source);
    }
    Ok(sources)
}

/// The table as `--help` shows it.
pub fn help() -> String {
    KINDS.iter().map(|kind| describe(kind.prefix, kind.about, kind.options)).collect()
}
