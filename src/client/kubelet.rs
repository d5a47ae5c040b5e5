//! Asking one kubelet: one connection kept open, one deadline over connecting, headers and body, one limit on the
//! body. What the body says is left to `sources`.

use super::credentials::Token;
use crate::messages::Missed;
use actix_web::http::header;
use awc::error::{ConnectError, SendRequestError};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of one answer, after decompression: a node of 110 pods with 5 containers each sends some 2 MB.
pub const MAX_BODY: usize = 16 << 20;
/// How much of an answer that is no success is shown.
const SHOWN: usize = 200;

/// Why a kubelet gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No connection, or none that the other side speaks HTTP on.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// No whole answer in time.
    #[error("no whole answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// Another status than 200.
    #[error("status {status}: {text}")]
    Status {
        /// The status.
        status: u16,
        /// The beginning of the body.
        text: String,
    },
    /// The connection broke in the middle of the answer.
    #[error("the answer was cut off: {0}")]
    CutOff(String),
    /// The answer is larger than the limit.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl FetchError {
    /// What is counted.
    pub const fn missed(&self) -> Missed {
        match self {
            Self::Unreachable(_) => Missed::Unreachable,
            Self::Timeout(_) => Missed::Timeout,
            Self::Status { status: 401 | 403, .. } => Missed::Unauthorized,
            Self::Status { .. } => Missed::Status,
            Self::CutOff(_) => Missed::CutOff,
            Self::TooLarge(_) => Missed::TooLarge,
        }
    }
}

/// What a kubelet is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The path.
    pub path: &'static str,
    /// JSON to POST; None for a GET.
    pub json: Option<String>,
}

/// Gets one answer of one kubelet. A trait so that scrapers can be tested without sockets.
pub trait Fetch {
    /// Asks the kubelet at `address` within `deadline`.
    fn fetch(&self, address: IpAddr, question: &Question, deadline: Duration) -> Fetching;
}

/// An answer that is under way.
pub type Fetching = LocalBoxFuture<'static, Result<Vec<u8>, FetchError>>;

/// How kubelets of one source are reached. Shared by their scrapers.
#[derive(Clone, Debug)]
pub struct KubeletAccess {
    /// The port of every kubelet.
    pub port: u16,
    /// What TLS is spoken with; None for plain HTTP.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

/// One scraper's way to its kubelet. Never leaves its thread.
pub struct KubeletClient {
    client: awc::Client,
    access: KubeletAccess,
    token: Rc<Token>,
}

impl KubeletClient {
    /// A client of its own for one kubelet: a pool shared by many would keep the sockets of kubelets that are gone.
    /// `keep` is how long its connection is kept open between two answers.
    pub fn new(access: KubeletAccess, token: Token, keep: Duration) -> Self {
        let connector =
            awc::Connector::new().conn_keep_alive(keep).conn_lifetime(Duration::from_secs(86_400)).limit(2);
        let connector = match &access.tls {
            Some(tls) => connector.rustls_0_23(tls.clone()),
            None => connector,
        };
        let client = awc::Client::builder()
            .connector(connector)
            .disable_redirects()
            .disable_timeout()
            .no_default_headers()
            .finish();
        Self { client, access, token: Rc::new(token) }
    }
}

impl Fetch for KubeletClient {
    fn fetch(&self, address: IpAddr, question: &Question, deadline: Duration) -> Fetching {
        let scheme = if self.access.tls.is_some() { "https" } else { "http" };
        let url =
            format!("{scheme}://{}{}", std::net::SocketAddr::new(address, self.access.port), question.path);
        let json = question.json.clone();
        let (client, token) = (self.client.clone(), self.token.clone());
        let secure = self.access.tls.is_some();
        Box::pin(async move {
            let asked = async {
                let token = secure.then_some(&*token);
                match get(&client, &url, json.as_deref(), token).await {
                    // A connection that the kubelet closed while it was idle: one more try on a new one.
                    Err(FetchError::CutOff(_)) => {}
                    // A token that was renewed since it was read: one more try with the new one.
                    Err(FetchError::Status { status: 401, .. }) if token.is_some_and(Token::refused) => {}
                    other => return other,
                }
                get(&client, &url, json.as_deref(), token).await
            };
            tokio::time::timeout(deadline, asked).await.unwrap_or(Err(FetchError::Timeout(deadline)))
        })
    }
}

async fn get(
    client: &awc::Client,
    url: &str,
    json: Option<&str>,
    token: Option<&Token>,
) -> Result<Vec<u8>, FetchError> {
    let request = if json.is_some() { client.post(url) } else { client.get(url) };
    let mut request = request
        .insert_header((header::USER_AGENT, concat!("heapster/", env!("CARGO_PKG_VERSION"))))
        .insert_header((header::ACCEPT, "application/json"));
    if let Some(secret) = token.and_then(Token::get) {
        request = request.bearer_auth(secret.reveal());
    }
    let sent = match json {
        Some(json) => request.content_type("application/json").send_body(json.to_owned()),
        None => request.send(),
    };
    let mut response = sent.await.map_err(|error| match error {
        SendRequestError::Timeout => FetchError::Timeout(Duration::ZERO),
        SendRequestError::Connect(ConnectError::Disconnected) => {
            FetchError::CutOff("the connection was closed before an answer".to_owned())
        }
        SendRequestError::Connect(error) => FetchError::Unreachable(error.to_string()),
        other => FetchError::CutOff(other.to_string()),
    })?;
    let status = response.status().as_u16();
    let limit = if status == 200 { MAX_BODY } else { SHOWN * 4 };
    let announced =
        response.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let mut body = Vec::with_capacity(announced.unwrap_or(0_usize).min(limit));
    while let Some(chunk) = response.next().await {
        let chunk = chunk.map_err(|error| FetchError::CutOff(error.to_string()))?;
        if status != 200 {
            body.extend(chunk.iter().take(limit.saturating_sub(body.len())));
            if body.len() >= limit {
                break;
            }
        } else if body.len() + chunk.len() > limit {
            return Err(FetchError::TooLarge(limit));
        } else {
            body.extend_from_slice(&chunk);
        }
    }
    if status == 200 {
        return Ok(body);
    }
    let text: String = String::from_utf8_lossy(&body).split_whitespace().collect::<Vec<_>>().join(" ");
    Err(FetchError::Status { status, text: text.chars().take(SHOWN).collect() })
}
