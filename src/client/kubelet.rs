//! Asking one kubelet: one connection kept open, one deadline over connecting, headers and body, one limit on the
//! body. What the body says is left to `sources`.

use super::credentials::{Secret, Token};
pub use super::fetch_error::{Asked, Bound, Deadline, FetchError};
use super::verifier::host_of;
use crate::model::entity::Name;
use crate::model::time::Timestamp;
use crate::telemetry::printable;
use actix_web::http::header;
use awc::error::{ConnectError, SendRequestError};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of one answer, after decompression: a node of 110 pods with 5 containers each sends some 2 MB.
pub const MAX_BODY: usize = 16 << 20;
/// How much of an answer that is no success is shown.
const SHOWN: usize = 200;

/// What a kubelet is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The path.
    pub path: &'static str,
    /// JSON to POST; None for a GET.
    pub json: Option<String>,
}

/// Which kubelet is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its node's name.
    pub name: Name,
    /// Its address.
    pub address: IpAddr,
    /// Its port, if not the source's.
    pub port: Option<u16>,
}

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Its body.
    pub body: Vec<u8>,
    /// When it was sent, by the kubelet's own clock, in whole seconds.
    pub date: Option<Timestamp>,
}

/// Gets one answer of one kubelet. A trait so that scrapers can be tested without sockets.
pub trait Fetch {
    /// Asks a kubelet within `deadline`.
    fn fetch(&self, target: &Target, question: &Question, deadline: Duration) -> Fetching;
}

/// An answer that is under way.
pub type Fetching = LocalBoxFuture<'static, Result<Fetched, FetchError>>;

/// How the kubelets of one source are to be reached and verified.
#[derive(Clone, Debug, PartialEq)]
pub struct KubeletOptions {
    /// The port, where the node's status is not asked for it.
    pub port: u16,
    /// Whether they speak TLS.
    pub https: bool,
    /// Whether their certificates must be for the node's name rather than its address.
    pub by_name: bool,
    /// Whether any certificate will do.
    pub insecure: bool,
    /// Their own CA.
    pub ca: Option<PathBuf>,
    /// The certificate and key that they are shown.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The most that one answer may take, beside what the resolution leaves.
    pub timeout: Option<Duration>,
    /// The most bytes of one answer.
    pub max_body: usize,
}

/// How kubelets of one source are reached. Shared by their scrapers.
#[derive(Clone, Debug)]
pub struct KubeletAccess {
    /// The port, where a target has none of its own.
    pub port: u16,
    /// What TLS is spoken with; None for plain HTTP.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// Whether certificates must be for the node's name.
    pub by_name: bool,
    /// Whether the bearer token is sent: never over plain HTTP, nor to a kubelet that is not verified unless the URI
    /// says that none is to be.
    pub sends_token: bool,
    /// The most bytes of one answer.
    pub max_body: usize,
}

/// One scraper's way to its kubelet. Never leaves its thread.
pub struct KubeletClient {
    client: awc::Client,
    access: KubeletAccess,
    token: Arc<Token>,
    /// How many bytes the last whole answer had: the next one has about as many, and kubelets do not say how many.
    last: Rc<Cell<usize>>,
}

impl KubeletClient {
    /// A client of its own for one kubelet: a pool shared by many would keep the sockets of kubelets that are gone.
    /// `keep` is how long its connection is kept open between two answers.
    pub fn new(access: KubeletAccess, token: Arc<Token>, keep: Duration) -> Self {
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
        Self { client, access, token, last: Rc::default() }
    }
}

impl Fetch for KubeletClient {
    fn fetch(&self, target: &Target, question: &Question, deadline: Duration) -> Fetching {
        let socket = SocketAddr::new(target.address, target.port.unwrap_or(self.access.port));
        let secure = self.access.tls.is_some();
        let host = match target.address {
            _ if secure && self.access.by_name => target.name.to_string(),
            IpAddr::V6(address) if secure => host_of(address),
            IpAddr::V6(address) => format!("[{address}]"),
            IpAddr::V4(address) => address.to_string(),
        };
        let scheme = if secure { "https" } else { "http" };
        let ask = Ask {
            client: self.client.clone(),
            url: format!("{scheme}://{host}:{}{}", socket.port(), question.path),
            // Whatever stands in the URL: the node's name, or else the address.
            host: if self.access.by_name {
                format!("{}:{}", target.name, socket.port())
            } else {
                socket.to_string()
            },
            socket,
            json: question.json.clone(),
            token: self.token.clone(),
            sends_token: self.access.sends_token,
            max_body: self.access.max_body,
            last: self.last.clone(),
        };
        Box::pin(async move {
            tokio::time::timeout(deadline, ask.twice()).await.unwrap_or(Err(FetchError::Timeout(deadline)))
        })
    }
}

/// One question on its way.
struct Ask {
    client: awc::Client,
    url: String,
    host: String,
    socket: SocketAddr,
    json: Option<String>,
    token: Arc<Token>,
    sends_token: bool,
    max_body: usize,
    last: Rc<Cell<usize>>,
}

impl Ask {
    async fn twice(&self) -> Result<Fetched, FetchError> {
        let token = if self.sends_token { self.token.get().await } else { None };
        match self.once(token.as_ref()).await {
            // A connection that the kubelet closed while it was idle: one more try on a new one.
            Err(FetchError::CutOff(_)) => self.once(token.as_ref()).await,
            // A token that was renewed since it was read: one more try with the new one.
            Err(error @ FetchError::Status { status: 401, .. }) => {
                let Some(sent) = token else { return Err(error) };
                if !self.token.refused(&sent).await {
                    return Err(error);
                }
                self.once(self.token.get().await.as_ref()).await
            }
            other => other,
        }
    }

    async fn once(&self, token: Option<&Secret>) -> Result<Fetched, FetchError> {
        let request =
            if self.json.is_some() { self.client.post(&self.url) } else { self.client.get(&self.url) };
        let mut request = request
            .address(self.socket)
            .insert_header((header::HOST, self.host.clone()))
            .insert_header((header::USER_AGENT, concat!("heapster/", env!("CARGO_PKG_VERSION"))))
            .insert_header((header::ACCEPT, "application/json"));
        if let Some(secret) = token {
            request = request.bearer_auth(secret.reveal());
        }
        let sent = match &self.json {
            Some(json) => request.content_type("application/json").send_body(json.clone()),
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
        let limit = if status == 200 { self.max_body } else { SHOWN * 4 };
        let date = response.headers().get(header::DATE).and_then(|date| http_date(date.to_str().ok()?));
        let announced = response
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        let last = self.last.get();
        let expected = announced.unwrap_or(last + last / 8);
        let mut body = Vec::with_capacity(expected.min(limit));
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
            let has = |name| response.headers().contains_key(name);
            // The client takes the end of a connection for that of a body.
            if let Some(length) = announced.filter(|length| *length > body.len())
                && !has(header::CONTENT_ENCODING)
            {
                return Err(FetchError::CutOff(format!("{} of {length} bytes came", body.len())));
            }
            // And reads nothing of one that ends with its connection.
            if body.is_empty() && announced.is_none() && !has(header::TRANSFER_ENCODING) {
                return Err(FetchError::CutOff("it came without its length and not in chunks".to_owned()));
            }
            self.last.set(body.len());
            return Ok(Fetched { body, date });
        }
        let text: String = String::from_utf8_lossy(&body).split_whitespace().collect::<Vec<_>>().join(" ");
        let text = printable(&token.map_or_else(|| text.clone(), |token| token.hide_in(&text)));
        Err(FetchError::Status { status, text: text.chars().take(SHOWN).collect() })
    }
}

/// The instant that a `Date` header names.
fn http_date(text: &str) -> Option<Timestamp> {
    let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    Some(Timestamp::from_seconds(date.timestamp()))
}
