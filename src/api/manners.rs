//! What every route has in common before a handler is asked: the form of its path, the methods and the forms of answers
//! that are taken. Which routes there are is left to [`super::routes`].

use super::archive::Archive;
use super::error::ApiError;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{RequestHead, ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, ContentType, HeaderValue, LOCATION, VARY,
};
use actix_web::http::uri::PathAndQuery;
use actix_web::http::{ConnectionType, Uri, Version};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse, web};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The characters of a path that are written as they are (RFC 3986, `pchar` and the slash).
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// The paths below which Heapster's REST library answered; elsewhere its mux did, in other words.
const REST: [&str; 5] = [
    "/api/v1/model",
    "/api/v1/metric-export",
    "/apis/metrics/v1alpha1",
    "/apis/metrics.k8s.io/v1alpha1",
    "/debug/pprof",
];
/// Another one, where there is a historical source.
const HISTORICAL: &str = "/api/v1/historical";

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// To the route of this path: decoded once and encoded again, so that an encoded slash is a slash, and without a
    /// slash at its end.
    Here(String),
    /// To another path: doubled slashes and dots are taken out.
    Moved(String),
}

/// Where the path of a request leads, as Go's mux and Heapster's REST library had it: both looked at the decoded path.
///
/// # Errors
/// When it holds an escape that is none, or what is no UTF-8.
pub fn path(raw: &str) -> Result<Path, ApiError> {
    let bad = || ApiError::BadPath(raw.to_owned());
    let mut escapes = raw.split('%').skip(1);
    let hex = |text: &str| text.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !escapes.all(hex) {
        return Err(bad());
    }
    let decoded = percent_decode_str(raw).decode_utf8().map_err(|_| bad())?;
    let clean = cleaned(&decoded);
    let written = |path: &str| utf8_percent_encode(path, PATH).to_string();
    if clean != *decoded {
        return Ok(Path::Moved(written(&clean)));
    }
    Ok(Path::Here(match clean.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => written(path),
    }))
}

/// The path without empty and dotted segments; a slash at its end stays.
fn cleaned(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    let ends = path.ends_with('/') && !kept.is_empty();
    format!("/{}{}", kept.join("/"), if ends { "/" } else { "" })
}

/// Which compression a client wants: as Heapster, the first of those that it names, whatever the weights, but for one
/// with weight 0.
fn compression(accepted: &str) -> Option<&'static str> {
    accepted.split(',').find_map(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0_f32));
        let named = ["gzip", "deflate"].into_iter().find(|known| known.eq_ignore_ascii_case(name.trim()));
        named.filter(|_| !refused)
    })
}

/// Bytes from which an answer is compressed: beginning to costs as much as answering most questions.
pub const WORTH_COMPRESSING: u64 = 16 * 1_024;
const AS_IT_IS: HeaderValue = HeaderValue::from_static("identity");

/// Marks an answer that is too short to be compressed.
pub async fn spare_short(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = next.call(request).await?;
    if matches!(response.response().body().size(), BodySize::Sized(bytes) if bytes < WORTH_COMPRESSING) {
        response.headers_mut().insert(CONTENT_ENCODING, AS_IT_IS);
    }
    Ok(response)
}

/// Settles in which form an answer goes out: compressed in one way at most, and for a client of HTTP/1.0, which knows no
/// pieces, as it is until the connection ends.
pub async fn form_of_answer(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let old = request.version() <= Version::HTTP_10;
    let accepted = request.headers_mut().remove(ACCEPT_ENCODING).next();
    let wanted = accepted.as_ref().and_then(|value| compression(value.to_str().ok()?));
    if let Some(coding) = wanted.filter(|_| !old) {
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(coding));
    }
    let mut response = next.call(request).await?;
    // The mark was for the compression alone.
    if response.headers().get(CONTENT_ENCODING) == Some(&AS_IT_IS) {
        response.headers_mut().remove(CONTENT_ENCODING);
    }
    let varies = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"accept-encoding");
    if !response.headers().get_all(VARY).any(varies) {
        response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    }
    if old {
        let head = response.response_mut().head_mut();
        head.no_chunking(true);
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

/// Brings a request's path into the form that the routes have, or sends the client to the path that it meant.
pub async fn tidy_path(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let query = match request.query_string() {
        "" => String::new(),
        query => format!("?{query}"),
    };
    match path(request.uri().path()) {
        Err(error) => Ok(request.error_response(error).map_into_boxed_body()),
        Ok(Path::Moved(to)) => {
            let Ok(to) = HeaderValue::from_str(&format!("{to}{query}")) else {
                return Ok(request.error_response(ApiError::BadPath(to)).map_into_boxed_body());
            };
            let mut moved = HttpResponse::MovedPermanently();
            let moved = moved.insert_header((LOCATION, to)).content_type(ContentType::plaintext());
            Ok(request.into_response(moved.body("301: Moved Permanently")))
        }
        Ok(Path::Here(path)) => {
            if path != request.uri().path() {
                let mut parts = request.uri().clone().into_parts();
                parts.path_and_query = PathAndQuery::try_from(format!("{path}{query}")).ok();
                if let Ok(uri) = Uri::from_parts(parts) {
                    request.match_info_mut().get_mut().update(&uri);
                    request.head_mut().uri = uri;
                }
            }
            Ok(next.call(request).await?.map_into_boxed_body())
        }
    }
}

/// Whether a client takes JSON: it names `application/json`, `application/*` or `*/*`, or nothing. As in Heapster,
/// weights are not looked at; `application/*` was refused there.
pub fn takes_json(head: &RequestHead) -> bool {
    let mut named = head.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok()).peekable();
    let json = |range: &str| {
        let name = range.split(';').next().unwrap_or_default().trim();
        ["application/json", "application/*", "*/*"].iter().any(|json| name.eq_ignore_ascii_case(json))
    };
    let none = named.peek().is_none();
    none || named.any(|value| value.trim().is_empty() || value.split(',').any(json))
}

fn refusal(mut response: actix_web::HttpResponseBuilder, text: &'static str) -> HttpResponse {
    response.content_type(ContentType::plaintext()).body(text)
}

/// A path that there is not.
pub async fn not_found(request: HttpRequest) -> HttpResponse {
    let path = request.path();
    let below =
        |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let asks = request.app_data::<web::Data<Archive>>().is_some();
    let text = if REST.iter().any(|root| below(root)) || asks && below(HISTORICAL) {
        "404: Page Not Found"
    } else {
        "404 page not found\n"
    };
    refusal(HttpResponse::NotFound(), text)
}

/// Another method than GET.
pub async fn method_not_allowed() -> HttpResponse {
    let mut response = HttpResponse::MethodNotAllowed();
    response.insert_header((ALLOW, "GET"));
    refusal(response, "405: Method Not Allowed")
}

/// A client that does not take JSON.
pub async fn not_acceptable() -> HttpResponse {
    refusal(HttpResponse::NotAcceptable(), "406: Not Acceptable")
}
