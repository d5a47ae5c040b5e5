//! What handlers have in common: parameters of a query, and answers as JSON, at once or in pieces.

use super::Api;
use super::error::ApiError;
use crate::model::entity::ClusterId;
use actix_web::http::header::ContentType;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};

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
///
/// # Errors
/// When the server is ending.
pub async fn long_json<I: Iterator<Item = String> + Send + 'static>(
    pieces: impl FnOnce() -> I + Send + 'static,
) -> Reply {
    long("application/json", pieces).await
}

/// The same of any media type.
///
/// # Errors
/// As [`long_json`].
pub async fn long<I: Iterator<Item = String> + Send + 'static>(
    kind: &'static str,
    pieces: impl FnOnce() -> I + Send + 'static,
) -> Reply {
    // Every piece is made beside the threads that answer: short questions do not wait for it.
    let begun = web::block(move || {
        let mut pieces = pieces();
        (pieces.next(), pieces.next(), pieces)
    });
    let (first, second, rest) = begun.await.map_err(|_| ApiError::Ended)?;
    let Some(second) = second else {
        return Ok(HttpResponse::Ok().content_type(kind).body(first.unwrap_or_default()));
    };
    let rest = stream::try_unfold(rest, |mut rest| async {
        let made = web::block(move || (rest.next(), rest)).await.map_err(|_| ApiError::Ended)?;
        Ok(made.0.map(|piece| (piece, made.1)))
    });
    let begun = first.into_iter().chain([second]).map(Ok);
    Ok(streamed(kind, stream::iter(begun).chain(rest)))
}

/// JSON that comes by and by. An error cuts the answer off, so that the client sees that it is not whole.
pub fn by_and_by(pieces: impl Stream<Item = Result<String, ApiError>> + 'static) -> HttpResponse {
    streamed("application/json", pieces)
}

fn streamed(
    kind: &'static str,
    pieces: impl Stream<Item = Result<String, ApiError>> + 'static,
) -> HttpResponse {
    HttpResponse::Ok().content_type(kind).streaming(pieces.map_ok(Bytes::from))
}
