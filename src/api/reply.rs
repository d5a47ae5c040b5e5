//! What handlers have in common: parameters of a query, and answers as JSON, at once or in pieces.

use super::Api;
use super::error::ApiError;
use crate::model::entity::ClusterId;
use actix_web::http::header::ContentType;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{Stream, StreamExt};
use std::convert::Infallible;

/// What a handler gives.
pub type Reply = Result<HttpResponse, ApiError>;

/// A parameter: of one given twice the first counts, an empty one is not given.
pub fn first(query: &str, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let value = pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    value.filter(|value| !value.is_empty())
}

/// The cluster that `?cluster=` names; None for all.
///
/// # Errors
/// When there is none of that name.
pub fn cluster(api: &Api, request: &HttpRequest) -> Result<Option<ClusterId>, ApiError> {
    first(request.query_string(), "cluster").map(|name| api.cluster(&name)).transpose()
}

/// The switch that a parameter sets.
///
/// # Errors
/// When it is neither `true` nor `false`.
pub fn switch(query: &str, parameter: &'static str, default: bool) -> Result<bool, ApiError> {
    match first(query, parameter) {
        None => Ok(default),
        Some(value) => value.parse().map_err(|_| ApiError::BadSwitch { parameter, value }),
    }
}

/// JSON that is there.
pub fn json(body: String) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(body)
}

/// JSON that is written while it is sent, no faster than the client reads. What fits into one piece is sent as one.
pub fn long_json(pieces: impl Iterator<Item = String> + 'static) -> HttpResponse {
    long("application/json", pieces)
}

/// The same of any media type.
pub fn long(kind: &'static str, mut pieces: impl Iterator<Item = String> + 'static) -> HttpResponse {
    match (pieces.next(), pieces.next()) {
        (first, None) => HttpResponse::Ok().content_type(kind).body(first.unwrap_or_default()),
        (first, second) => {
            let pieces = first.into_iter().chain(second).chain(pieces);
            streamed(kind, futures_util::stream::iter(pieces.map(Ok::<_, Infallible>)))
        }
    }
}

/// JSON that comes by and by. An error cuts the answer off, so that the client sees that it is not whole.
pub fn stream<E: std::error::Error + Send + Sync + 'static>(
    pieces: impl Stream<Item = Result<String, E>> + 'static,
) -> HttpResponse {
    streamed("application/json", pieces)
}

fn streamed<E: std::error::Error + Send + Sync + 'static>(
    kind: &'static str,
    pieces: impl Stream<Item = Result<String, E>> + 'static,
) -> HttpResponse {
    // A client that reads as fast as we write would have this thread for itself until the end.
    let pieces = pieces.then(|piece| async {
        tokio::task::yield_now().await;
        piece.map(Bytes::from)
    });
    HttpResponse::Ok().content_type(kind).streaming(pieces)
}
