//! Every answer that is no success, in one place: text, as Heapster's were.

use crate::model::entity::Name;
use crate::model::past::AGGREGATIONS;
use crate::model::selector::BadSelector;
use crate::sinks::asked::Failed;
use crate::wire::past_api::BadBucket;
use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};

/// Why a request gets no answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A time that is none. The beginning is that of Go, which Heapster passed on.
    #[error(
        "timestamp argument cannot be parsed: parsing time {:?} as \"2006-01-02T15:04:05Z07:00\": no RFC 3339 time; give \
         {parameter} such as 2016-03-31T10:01:00Z, and send the + of an offset as %2B",
        brief(value)
    )]
    BadTime {
        /// Which parameter.
        parameter: &'static str,
        /// Its value.
        value: String,
    },
    /// A pair of label and value that is none.
    #[error("invalid label pair {:?} in labels; give label:value,label:value", brief(.0))]
    BadLabels(String),
    /// A cluster that is not collected.
    #[error("cluster argument {:?} names no cluster that is collected; /api/v1/status has the names", brief(.0))]
    BadCluster(String),
    /// A switch that is neither.
    #[error("{parameter} {:?} is neither true nor false", brief(value))]
    BadSwitch {
        /// Which parameter.
        parameter: &'static str,
        /// Its value.
        value: String,
    },
    /// A level that there is not.
    #[error("level {:?} is none; known: {known}", brief(value))]
    BadLevel {
        /// The name.
        value: String,
        /// The names there are.
        known: String,
    },
    /// A path that cannot be decoded.
    #[error("the path cannot be decoded: {:?}; send every byte that is no plain character as % and two digits", brief(.0))]
    BadPath(String),
    /// A label selector that is none.
    #[error("Error while parsing selector {}: {}", brief(value), brief(&why.to_string()))]
    BadSelector {
        /// The text.
        value: String,
        /// Why.
        why: BadSelector,
    },
    /// A node that has no cpu rate or no memory, or that nobody knows.
    #[error("No metrics for node {}", brief(.0))]
    NoNodeMetrics(String),
    /// A pod that has a container without cpu rate or memory, in the spelling that Heapster had.
    #[error("No metrics availalble for pod {}/{}", brief(.0), brief(.1))]
    NoPodMetrics(Name, Name),
    /// A pod that nobody knows.
    #[error("Error while getting pod {}: pod {:?} not found", brief(.0), brief(.0))]
    NoPod(Name),
    /// The past cannot be asked for without a beginning.
    #[error("no start time (or a start time of zero) provided")]
    NoStart,
    /// A length of buckets that is none.
    #[error(transparent)]
    BadBucket(#[from] BadBucket),
    /// An aggregation that there is not.
    #[error("Unknown aggregation {:?}; known: {}", brief(.0), AGGREGATIONS.map(|(name, _)| name).join(", "))]
    UnknownAggregation(String),
    /// More buckets than are told.
    #[error("more than {0} buckets; give a longer bucket, or ask for less time")]
    TooManyBuckets(i64),
    /// More pods than are told at once.
    #[error("more than {0} pods; ask for them in several requests")]
    TooManyPods(usize),
    /// A name that no question may hold. Heapster answered 500.
    #[error("Invalid {what} {:?}", brief(value))]
    BadName {
        /// What it should be a name of.
        what: &'static str,
        /// The name.
        value: String,
    },
    /// The historical source has nothing to list, or does not say.
    #[error("{what}{}", why.as_ref().map_or_else(String::new, |why| format!(": {why}")))]
    Unlisted {
        /// What was asked for, in Heapster's words.
        what: String,
        /// Why it does not say; None where there is nothing.
        why: Option<Failed>,
    },
    /// The historical source tells nothing.
    #[error("{0}")]
    Past(Failed),
    /// Too many questions wait already.
    #[error("too many questions are waiting; try again")]
    Busy,
    /// No answer in time.
    #[error("no answer in time; try again")]
    Late,
    /// The process is ending.
    #[error("shutting down")]
    Ended,
}

/// The most characters of a client's value that an error shows.
const SHOWN: usize = 100;

/// The beginning of what a client sent, without what a terminal would act on.
pub fn brief(value: &str) -> String {
    let mut chars = value.chars().map(|each| if each.is_control() { '\u{fffd}' } else { each });
    let mut text: String = chars.by_ref().take(SHOWN).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    text
}

impl ApiError {
    /// The outcome as a label of `/metrics`.
    pub const fn as_label(&self) -> &'static str {
        match self {
            Self::BadTime { .. }
            | Self::BadLabels(_)
            | Self::BadCluster(_)
            | Self::BadSwitch { .. }
            | Self::BadLevel { .. }
            | Self::BadPath(_)
            | Self::NoStart
            | Self::BadBucket(_)
            | Self::UnknownAggregation(_)
            | Self::TooManyBuckets(_)
            | Self::TooManyPods(_)
            | Self::BadName { .. }
            | Self::BadSelector { .. } => "bad_request",
            Self::Unlisted { .. } | Self::Past(_) => "historical",
            Self::NoNodeMetrics(_) | Self::NoPodMetrics(..) | Self::NoPod(_) => "not_found",
            Self::Busy => "busy",
            Self::Late => "late",
            Self::Ended => "ended",
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::BadTime { .. }
            | Self::BadLabels(_)
            | Self::BadCluster(_)
            | Self::BadSwitch { .. }
            | Self::BadLevel { .. }
            | Self::BadPath(_)
            | Self::NoStart
            | Self::BadBucket(_)
            | Self::UnknownAggregation(_)
            | Self::TooManyBuckets(_)
            | Self::TooManyPods(_)
            | Self::Past(Failed::TooLong(_))
            | Self::BadSelector { .. } => StatusCode::BAD_REQUEST,
            Self::BadName { .. } | Self::Unlisted { .. } | Self::Past(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NoNodeMetrics(_) | Self::NoPodMetrics(..) | Self::NoPod(_) => StatusCode::NOT_FOUND,
            Self::Busy | Self::Late | Self::Ended => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.content_type(ContentType::plaintext());
        if self.status_code() == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((RETRY_AFTER, "1"));
        }
        response.body(self.to_string())
    }
}
