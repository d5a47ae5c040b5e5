//! What one client may cost: sizes, counts and times, and who may ask at all. How bytes are held to the times is left to
//! `connection`.

use super::Api;
use super::accept::Peer;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, ContentType, RETRY_AFTER, TRANSFER_ENCODING};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What clients are held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a URI.
    pub uri: usize,
    /// Bytes of all headers of a request.
    pub headers: usize,
    /// Bytes of a request's body: no route takes one.
    pub body: u64,
    /// Requests that are answered at once.
    pub requests: usize,
    /// Connections that are answered at once.
    pub connections: usize,
    /// How long the first request's head may take, and a TLS handshake.
    pub head_within: Duration,
    /// How long a connection may stay without an answer on it.
    pub quiet_within: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How long a client may take for `bytes` of its answer, or for the rest of it.
    pub taken_within: Duration,
    /// See `taken_within`.
    pub bytes: usize,
    /// How often the files of TLS are looked at.
    pub reread: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            uri: 60 << 10,
            headers: 32 << 10,
            body: 8 << 10,
            requests: 1_024,
            connections: 4_096,
            head_within: Duration::from_secs(10),
            quiet_within: Duration::from_secs(90),
            keep_alive: Duration::from_secs(75),
            taken_within: Duration::from_secs(10),
            bytes: 64 << 10,
            reread: Duration::from_secs(10),
        }
    }
}

/// Why a request is turned away before it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its URI is too long.
    #[error("414: the URI is too long; {0} bytes are taken")]
    Uri(usize),
    /// Its headers are too large.
    #[error("431: the headers are too large; {0} bytes are taken")]
    Headers(usize),
    /// Its body is too large.
    #[error("413: the body is too large; no path needs one, and {0} bytes are taken")]
    Body(u64),
    /// Its body has no length.
    #[error("411: a body must come with its length, and no path needs one")]
    Length,
    /// Too many requests are being answered.
    #[error("503: too many requests at once; try again")]
    Requests,
    /// Too many connections are open.
    #[error("503: too many connections; try again")]
    Connections,
    /// No certificate was shown.
    #[error("Unauthorized")]
    NoCertificate,
    /// A certificate was shown of somebody who may not ask.
    #[error("Forbidden")]
    Name,
}

impl Refusal {
    /// The reason as a label of `/metrics`.
    const fn as_label(self) -> &'static str {
        match self {
            Self::Uri(_) => "uri",
            Self::Headers(_) => "headers",
            Self::Body(_) | Self::Length => "body",
            Self::Requests => "requests",
            Self::Connections => "connections",
            Self::NoCertificate => "no_certificate",
            Self::Name => "name",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Uri(_) => StatusCode::URI_TOO_LONG,
            Self::Headers(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Body(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Length => StatusCode::LENGTH_REQUIRED,
            Self::Requests | Self::Connections => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoCertificate => StatusCode::UNAUTHORIZED,
            Self::Name => StatusCode::FORBIDDEN,
        }
    }

    fn response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        response.content_type(ContentType::plaintext());
        match self {
            Self::Requests => {
                response.insert_header((RETRY_AFTER, "1"));
            }
            Self::Connections => {
                response.insert_header((RETRY_AFTER, "1")).force_close();
            }
            Self::Uri(_) | Self::Headers(_) | Self::Body(_) | Self::Length => {
                response.force_close();
            }
            Self::NoCertificate | Self::Name => {}
        }
        response.body(format!("{self}\n"))
    }
}

/// Paths that are open to all and at any time: the probes of the kubelet, which shows no certificate.
const OPEN: [&str; 4] = ["/healthz", "/healthz/healthz", "/livez", "/readyz"];

/// The limits as every worker holds requests to them.
#[derive(Clone)]
pub(super) struct Gate {
    limits: Limits,
    places: Arc<Semaphore>,
    /// Whose certificates are taken: None asks for none, an empty list takes any.
    names: Option<Arc<[String]>>,
}

impl Gate {
    pub(super) fn new(limits: Limits, names: Option<&[String]>) -> Self {
        Self { limits, places: Arc::new(Semaphore::new(limits.requests)), names: names.map(Arc::from) }
    }

    /// Whether a request may go on.
    fn check(&self, request: &ServiceRequest, open: bool) -> Result<(), Refusal> {
        let limits = &self.limits;
        let head = request.head();
        if head.uri.path_and_query().map_or(0, |path| path.as_str().len()) > limits.uri {
            return Err(Refusal::Uri(limits.uri));
        }
        let size: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if size > limits.headers {
            return Err(Refusal::Headers(limits.headers));
        }
        if head.headers.contains_key(TRANSFER_ENCODING) {
            return Err(Refusal::Length);
        }
        let length = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        if length.and_then(|text| text.parse().ok()).is_some_and(|length: u64| length > limits.body) {
            return Err(Refusal::Body(limits.body));
        }
        let peer = request.conn_data::<Peer>();
        if open {
            return Ok(());
        }
        if peer.is_some_and(|peer| peer.surplus) {
            return Err(Refusal::Connections);
        }
        match (&self.names, peer.and_then(|peer| peer.name.as_ref())) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(Refusal::NoCertificate),
            (Some(names), Some(name)) if names.is_empty() || names.contains(name) => Ok(()),
            (Some(_), Some(_)) => Err(Refusal::Name),
        }
    }
}

/// Lets a request through that keeps to the limits and may ask; answers the others.
pub(super) async fn gate(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let gate = request.app_data::<web::Data<Gate>>().cloned();
    let Some(gate) = gate else { return next.call(request).await.map(ServiceResponse::map_into_left_body) };
    let open = OPEN.contains(&request.path().trim_end_matches('/'));
    let place = match gate.check(&request, open) {
        Err(refusal) => Err(refusal),
        Ok(()) if open => Ok(None),
        Ok(()) => gate.places.try_acquire().map(Some).map_err(|_| Refusal::Requests),
    };
    match place {
        Ok(_place) => next.call(request).await.map(ServiceResponse::map_into_left_body),
        Err(refusal) => {
            if let Some(api) = request.app_data::<web::Data<Api>>() {
                api.telemetry.refused.of([refusal.as_label()]).inc();
            }
            Ok(request.into_response(refusal.response()).map_into_right_body())
        }
    }
}
