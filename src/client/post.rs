//! Asking a sink's server: one deadline over connecting, sending and the answer, no redirects, no proxies, and never
//! more of an answer than is needed. What an answer means is left to `sinks`.

use super::credentials::{Secret, Token};
use super::kubernetes::LoginError;
use super::login::{certificates, trust_nothing};
use super::trouble::tls_words;
use super::verifier::{Verifier, host_of};
use actix_web::http::header;
use awc::error::{ConnectError, SendRequestError};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt;
use kube::client::ConfigExt;
use rustls::CertificateError;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

/// The most bytes of a beginning.
const MAX_ANSWER: usize = 64 << 10;
/// How much of an answer is wanted.
#[derive(Clone, Copy, Debug)]
enum Reads {
    /// Its beginning: what a server says of a mistake is short.
    Beginning,
    /// All of it, if it has at most so many bytes.
    Whole(usize),
}

/// How long a connection is kept open between two requests: less than the usual two minutes of servers and proxies.
const KEEP: Duration = Duration::from_secs(75);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// No connection, or none that the other side speaks HTTP on.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// A server that is not who it should be: nothing was sent to it.
    #[error("no connection: {said}")]
    Untrusted {
        /// What TLS says of it.
        said: String,
        /// What is wrong.
        flaw: Flaw,
    },
    /// No answer in time.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// The connection broke before the answer.
    #[error("the connection was cut off: {0}")]
    CutOff(String),
    /// More bytes than are read.
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
}

/// What is wrong with a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// None of the CAs that are trusted signed it.
    Issuer,
    /// It is for another name.
    Name,
    /// It has expired, or is not valid yet.
    Time,
    /// Anything else.
    Other,
}

/// What a handshake that failed means, if it is the server's certificate that was wrong.
fn untrusted(error: &io::Error) -> Option<PostError> {
    use CertificateError as Wrong;
    let error: &rustls::Error = error.get_ref()?.downcast_ref()?;
    let rustls::Error::InvalidCertificate(wrong) = error else { return None };
    let flaw = match wrong {
        Wrong::UnknownIssuer | Wrong::BadSignature => Flaw::Issuer,
        Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => Flaw::Name,
        Wrong::Expired
        | Wrong::ExpiredContext { .. }
        | Wrong::NotValidYet
        | Wrong::NotValidYetContext { .. } => Flaw::Time,
        _ => Flaw::Other,
    };
    Some(PostError::Untrusted { said: tls_words(error), flaw })
}

/// Who one is towards a server.
#[derive(Clone)]
pub enum Who {
    /// Nobody.
    Anonymous,
    /// A user with a password.
    Basic(String, Secret),
    /// Whoever holds a token: the word in front of it, and the token.
    Token(&'static str, Secret),
}

impl Who {
    /// The header that says so.
    fn header(&self) -> Option<String> {
        match self {
            Self::Anonymous => None,
            Self::Basic(user, password) => Some(format!("Basic {}", basic(user, password))),
            Self::Token(word, token) => Some(format!("{word} {}", token.reveal())),
        }
    }

    /// A server's words without what one showed it: some servers and proxies repeat what they were sent.
    pub fn hidden_in(&self, words: &str) -> String {
        let mut secrets = Vec::new();
        match self {
            Self::Anonymous => {}
            Self::Basic(user, password) => {
                secrets = vec![basic(user, password), password.reveal().to_owned()];
            }
            Self::Token(_, token) => secrets.push(token.reveal().to_owned()),
        }
        // What is as short as a word would blot out half of what was said, and is no secret.
        secrets.retain(|secret| secret.len() > 4);
        secrets.iter().fold(words.to_owned(), |words, secret| words.replace(secret, "…"))
    }
}

fn basic(user: &str, password: &Secret) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(format!("{user}:{}", password.reveal()))
}

/// One request.
pub struct Request {
    /// Where to.
    pub url: Url,
    /// As whom.
    pub who: Who,
    /// Headers beside those that every request has.
    pub headers: Vec<(&'static str, String)>,
    /// What is posted; None asks with GET.
    pub body: Option<Vec<u8>>,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// What `Retry-After` says, as it says it.
    pub retry_after: Option<String>,
    /// Its headers, names in small letters.
    pub headers: Vec<(String, String)>,
    /// Its body, or the beginning of it.
    pub body: Vec<u8>,
}

impl Answer {
    /// What the header of this name, in small letters, says.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// How one server is to be verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Whether any certificate will do.
    pub insecure: bool,
    /// The CA that its certificate must be of; None for those of the system.
    pub ca: Option<PathBuf>,
}

impl Trust {
    /// What TLS is spoken with. The CA's file is read again for every new connection.
    ///
    /// # Errors
    /// When the CA cannot be read, or the system has none.
    pub fn tls(&self, url: &Url) -> Result<Arc<rustls::ClientConfig>, LoginError> {
        let server = url.as_str().parse().map_err(|_| LoginError::BadServer(url.to_string()))?;
        let mut config = kube::Config::new(server);
        config.proxy_url = None;
        config.accept_invalid_certs = self.insecure;
        if let Some(path) = &self.ca {
            let text = std::fs::read(path).map_err(|error| LoginError::File(path.clone(), error))?;
            config.root_cert =
                Some(certificates(&text).ok_or_else(|| LoginError::NoCertificate(path.clone()))?);
            config.root_cert_file = Some(path.clone());
        } else if self.insecure {
            trust_nothing(&mut config);
        }
        let mut tls = config.rustls_client_config().map_err(|error| LoginError::Client(Box::new(error)))?;
        tls.alpn_protocols.clear();
        if let Some(path) = self.ca.clone().filter(|_| !self.insecure) {
            let roots = config.root_cert.as_deref().unwrap_or_default();
            let verifier =
                Verifier::new(roots, Some(path.clone()), false).ok_or(LoginError::NoCertificate(path))?;
            tls.dangerous().set_certificate_verifier(Arc::new(verifier));
        }
        // Of an address nothing is sent, nor of what stands for one.
        tls.enable_sni = matches!(url.host(), Some(Host::Domain(_)));
        Ok(tls.into())
    }
}

/// One sink's way to its server. Never leaves its thread.
#[derive(Clone)]
pub struct Poster {
    client: awc::Client,
    deadline: Duration,
    reads: Reads,
}

impl Poster {
    /// A client whose every request takes `deadline` at most.
    pub fn new(tls: Option<Arc<rustls::ClientConfig>>, deadline: Duration) -> Self {
        let connector = awc::Connector::new().conn_keep_alive(KEEP).timeout(deadline);
        let connector = match tls {
            Some(tls) => connector.rustls_0_23(tls),
            None => connector,
        };
        let client = awc::Client::builder()
            .connector(connector)
            .disable_redirects()
            .disable_timeout()
            .no_default_headers()
            .finish();
        Self { client, deadline, reads: Reads::Beginning }
    }

    /// The same, that reads answers whole, if they have at most so many bytes.
    pub fn reading_whole(self, most: usize) -> Self {
        Self { reads: Reads::Whole(most), ..self }
    }

    /// Posts a request as whoever `who` makes of the secret, and once more where that was refused and there is a newer
    /// one. Gives who was answered.
    ///
    /// # Errors
    /// As [`Poster::post`].
    pub async fn post_as(
        &self,
        token: &Token,
        who: impl Fn(Option<Secret>) -> Who,
        mut request: Request,
    ) -> Result<(Answer, Who), PostError> {
        let secret = token.get().await;
        request.who = who(secret.clone());
        let answer = self.post(&request).await?;
        match secret {
            Some(secret) if answer.status == 401 && token.refused(&secret).await => {
                request.who = who(token.get().await);
                Ok((self.post(&request).await?, request.who))
            }
            _ => Ok((answer, request.who)),
        }
    }

    /// Posts a request. A connection that was kept open and turns out to be closed is no failure: one more is tried.
    ///
    /// # Errors
    /// When there is no answer. An answer of any status is one, even if its body was cut off, unless it is to be read
    /// whole: the status says what became of the request.
    pub async fn post(&self, request: &Request) -> Result<Answer, PostError> {
        let twice = async {
            match self.once(request).await {
                Err(PostError::CutOff(_)) => self.once(request).await,
                other => other,
            }
        };
        tokio::time::timeout(self.deadline, twice).await.unwrap_or(Err(PostError::Timeout(self.deadline)))
    }

    async fn once(&self, request: &Request) -> Result<Answer, PostError> {
        let numbered = by_ipv6(&request.url);
        let url = numbered.as_ref().map_or(&request.url, |(url, _)| url).as_str();
        let sent = if request.body.is_some() { self.client.post(url) } else { self.client.get(url) };
        let sent = match numbered {
            Some((_, socket)) => sent.address(socket).insert_header((header::HOST, socket.to_string())),
            None => sent,
        };
        let mut sent =
            sent.insert_header((header::USER_AGENT, concat!("heapster/", env!("CARGO_PKG_VERSION"))));
        if let Some(who) = request.who.header() {
            sent = sent.insert_header((header::AUTHORIZATION, who));
        }
        for (name, value) in &request.headers {
            sent = sent.insert_header((*name, value.as_str()));
        }
        let mut response =
            sent.send_body(request.body.clone().unwrap_or_default()).await.map_err(|error| match error {
                SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout) => {
                    PostError::Timeout(self.deadline)
                }
                SendRequestError::Connect(ConnectError::Disconnected) => {
                    PostError::CutOff("closed before an answer".to_owned())
                }
                SendRequestError::Connect(ConnectError::Io(error)) => {
                    untrusted(&error).unwrap_or_else(|| PostError::Unreachable(error.to_string()))
                }
                SendRequestError::Connect(error) => PostError::Unreachable(error.to_string()),
                other => PostError::CutOff(other.to_string()),
            })?;
        let text = |value: &header::HeaderValue| value.to_str().ok().map(str::to_owned);
        let headers = response.headers().iter();
        let headers =
            headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value)?))).collect();
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(text);
        let (mut body, status) = (Vec::new(), response.status());
        while let Some(chunk) = response.next().await {
            match (self.reads, chunk) {
                (Reads::Beginning, Err(_)) => break,
                (Reads::Beginning, Ok(chunk)) => {
                    body.extend(chunk.iter().take(MAX_ANSWER.saturating_sub(body.len())));
                    if body.len() >= MAX_ANSWER {
                        break;
                    }
                }
                (Reads::Whole(_), Err(error)) => return Err(PostError::CutOff(error.to_string())),
                (Reads::Whole(most), Ok(chunk)) if body.len() + chunk.len() > most => {
                    return Err(PostError::TooLong(most));
                }
                (Reads::Whole(_), Ok(chunk)) => body.extend_from_slice(&chunk),
            }
        }
        let answer = Answer { status: status.as_u16(), retry_after, headers, body };
        match (self.reads, answer.header("content-length").map(str::parse::<usize>)) {
            // The client takes the end of a connection for that of a body.
            (Reads::Whole(_), Some(Ok(length)))
                if length > answer.body.len() && answer.header("content-encoding").is_none() =>
            {
                Err(PostError::CutOff(format!("{} of {length} bytes came", answer.body.len())))
            }
            _ => Ok(answer),
        }
    }
}

/// What stands for a URL of an IPv6 address over TLS, and its socket.
fn by_ipv6(url: &Url) -> Option<(Url, SocketAddr)> {
    let Some(Host::Ipv6(address)) = url.host() else { return None };
    let socket = (address, url.port_or_known_default()?).into();
    let mut named = url.clone();
    named.set_host(Some(&host_of(address))).ok()?;
    (url.scheme() == "https").then_some((named, socket))
}

/// A body compressed as fast as it goes: names repeat in every line, so that even this makes a tenth of it.
pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}
