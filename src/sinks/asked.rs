//! Asking the databases behind sinks about the past: what every kind that can be asked has in common. Which kinds can is a
//! member of [`super::KINDS`]; their languages are left to `wire`.

use super::verdict::{mended, words};
use super::{BuildError, KINDS, NOT_YET, ProblemError, Surroundings};
use crate::client::post::{Answer as Said, PostError, Who};
use crate::config::nearest::nearest;
use crate::config::uri::Uri;
use crate::model::past::{Answer, Question};
use futures_util::future::LocalBoxFuture;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of one answer of a store.
pub const MOST_BYTES: usize = 16 << 20;

/// Why a store tells nothing. The beginnings are Heapster's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// It cannot be reached. Where it is stands in the log.
    #[error("unable to run query: unable to connect to database")]
    Unreachable,
    /// It does not answer in time.
    #[error("unable to run query: no answer within {}; ask for less time", humantime::format_duration(*.0))]
    Late(Duration),
    /// Its answer was cut off.
    #[error("unable to run query: the answer was cut off")]
    CutOff,
    /// Its answer is too long.
    #[error(
        "the answer has more than {} MiB; ask for less time, for fewer pods, or for metrics-aggregated",
        .0 >> 20
    )]
    TooLong(usize),
    /// It answers with a status that is no success, or with what is no answer of its kind.
    #[error("unable to run query: status {0}: {1}")]
    Refused(u16, String),
    /// What it says of the question.
    #[error("{0}")]
    Error(String),
    /// The metric has no series there.
    #[error("No results for metric {metric:?} describing {subject:?}")]
    Nothing {
        /// The metric.
        metric: String,
        /// Of whom.
        subject: String,
    },
}

impl Failed {
    /// In a word, for counting.
    pub const fn as_label(&self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Late(_) => "timeout",
            Self::CutOff => "cut_off",
            Self::TooLong(_) => "too_long",
            Self::Refused(..) => "refused",
            Self::Error(_) => "error",
            Self::Nothing { .. } => "nothing",
        }
    }

    /// What an answer means that cannot be read: its status and its first words.
    pub(super) fn of_answer(answer: &Said, who: &Who) -> Self {
        Self::Refused(answer.status, without_places(&words(answer, who)))
    }

    /// What the store says of the question, without what it was shown.
    pub(super) fn said(text: &str, who: &Who) -> Self {
        let answer = Said { body: text.as_bytes().to_vec(), ..Said::default() };
        Self::Error(without_places(&words(&answer, who)))
    }
}

/// Whether a store answers, told in the log when that changes: whoever asks is not told where it is.
pub(super) struct Reached {
    name: String,
    failing: Cell<bool>,
}

impl Reached {
    pub(super) const fn new(name: String) -> Self {
        Self { name, failing: Cell::new(false) }
    }

    /// What an answer, or none, means for whoever asks.
    pub(super) fn told<T>(&self, answer: Result<T, PostError>) -> Result<T, Failed> {
        let failing = self.failing.replace(answer.is_err());
        match &answer {
            Err(error) if !failing => log::warn!("historical source {}: {}", self.name, mended(error)),
            Ok(_) if failing => log::info!("historical source {} answers again", self.name),
            _ => {}
        }
        answer.map_err(|error| match error {
            PostError::Unreachable(_) | PostError::Untrusted { .. } => Failed::Unreachable,
            PostError::Timeout(within) => Failed::Late(within),
            PostError::CutOff(_) => Failed::CutOff,
            PostError::TooLong(most) => Failed::TooLong(most),
        })
    }
}

/// How much of an answer is kept to be shown.
pub(super) const SHOWN: usize = 1 << 10;
/// From so many bytes on, reading an answer would hold up whoever else is answered on a thread.
const LONG: usize = 256 << 10;

/// What is read of an answer: of a long one on a thread of its own. None where that thread fell.
pub(super) async fn read_aside<T: Send + 'static>(
    body: Vec<u8>,
    read: impl FnOnce(&[u8]) -> T + Send + 'static,
) -> Option<T> {
    if body.len() < LONG {
        return Some(read(&body));
    }
    tokio::task::spawn_blocking(move || read(&body)).await.ok()
}

/// A text without URLs: they are nobody's who asks.
fn without_places(text: &str) -> String {
    let hidden = |word: &str| if word.contains("://") { "…".to_owned() } else { word.to_owned() };
    text.split(' ').map(hidden).collect::<Vec<_>>().join(" ")
}

/// A store that can be asked. Lives on the thread that it was made on.
pub trait Store {
    /// Answers a question.
    fn ask(&self, question: Question) -> LocalBoxFuture<'static, Result<Answer, Failed>>;
}

/// Makes the store anew for each thread that asks.
pub type Connect = Arc<dyn Fn() -> Box<dyn Store> + Send + Sync>;

/// A store that can be connected to.
pub struct Past {
    /// What it is called in the log: where it is, without a secret.
    pub name: String,
    /// Begins with what is the same for all threads.
    pub make: Box<dyn FnOnce(&Surroundings) -> Connect + Send>,
}

/// How a kind makes a store of a URI.
pub type BuildPast = fn(&Uri) -> Result<Past, ProblemError>;

/// The store that `--historical_source` names, which may be one of the sinks or one of its own.
///
/// # Errors
/// When the URI names none that can be asked.
pub fn build(uri: &Uri) -> Result<Past, BuildError> {
    let origin = || uri.origin.clone();
    let Some(kind) = KINDS.iter().find(|kind| kind.prefix == uri.prefix) else {
        if NOT_YET.contains(&uri.prefix.as_str()) {
            return Err(BuildError::Unasked(origin(), uri.prefix.clone()));
        }
        let known = KINDS.iter().filter(|kind| kind.past.is_some()).map(|kind| kind.prefix);
        return Err(BuildError::NoPast(origin(), uri.prefix.clone(), nearest(&uri.prefix, known)));
    };
    let Some(past) = kind.past else {
        return Err(BuildError::Unasked(origin(), uri.prefix.clone()));
    };
    let known = kind.options.iter().map(|option| option.name);
    let built = uri.check_options(known).map_err(ProblemError::Uri).and_then(|()| past(uri));
    built.map_err(|error| BuildError::Uri(origin(), error))
}
