//! Kubelets on loopback: many addresses, one port, real HTTP. What they answer, and how badly, is left to an [`Answers`].

use super::kubelet_body::body;
use super::locked;
use actix_web::body::BoxBody;
use actix_web::dev::ServerHandle;
use actix_web::http::{KeepAlive, StatusCode};
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, rt, web};
use futures_util::future;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often another port is tried when one is not free on every address.
const ATTEMPTS: usize = 50;
/// How long an idle connection is kept: longer than any resolution that is measured.
const IDLE: Duration = Duration::from_secs(90);
/// Bytes that a connection gathers before it writes them.
const WRITE_BUFFER: usize = 16 * 1024;

/// A request to one of the kubelets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeletRequest {
    /// The address of the kubelet that was asked.
    pub address: IpAddr,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query, without the question mark.
    pub query: String,
    /// How many requests this kubelet had seen before.
    pub count: u64,
}

/// How an answer is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// At once.
    #[default]
    AtOnce,
    /// After a while.
    After(Duration),
    /// Never; the connection stays open.
    HangBeforeHeaders,
    /// The headers and so many bytes of the body, then nothing; the connection stays open.
    HangInBody(usize),
    /// The headers and so many bytes of the body, then the connection is closed.
    CutAfter(usize),
    /// The body, told as so many bytes longer than it is; then the connection is closed.
    LessThanTold(usize),
    /// The body in pieces of so many bytes, with a pause before each.
    Drip(usize, Duration),
    /// The connection is closed without a byte.
    CloseConnection,
}

/// An answer of a kubelet.
#[derive(Clone, Debug)]
pub struct KubeletAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The value of `Content-Type`.
    pub content_type: String,
    /// More headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// How it is given.
    pub manner: Manner,
}

impl KubeletAnswer {
    /// 200 with JSON, at once.
    pub fn json(body: impl Into<Bytes>) -> Self {
        let content_type = "application/json".into();
        Self { status: 200, content_type, headers: Vec::new(), body: body.into(), manner: Manner::AtOnce }
    }

    /// A status with plain text, at once.
    pub fn status(code: u16, text: &str) -> Self {
        let (content_type, body) =
            ("text/plain; charset=utf-8".into(), Bytes::copy_from_slice(text.as_bytes()));
        Self { status: code, content_type, headers: Vec::new(), body, manner: Manner::AtOnce }
    }

    /// The same answer given in another manner.
    pub fn given(self, manner: Manner) -> Self {
        Self { manner, ..self }
    }
}

/// What kubelets answer. It is asked on the servers' thread, so it must not block.
pub trait Answers: Send + Sync {
    /// The answer to one request.
    fn answer(&self, ask: &KubeletRequest) -> KubeletAnswer;
}

impl<F: Fn(&KubeletRequest) -> KubeletAnswer + Send + Sync> Answers for F {
    fn answer(&self, ask: &KubeletRequest) -> KubeletAnswer {
        self(ask)
    }
}

#[derive(Debug, Default)]
struct Seen {
    count: u64,
    headers: Vec<(String, String)>,
}

struct Shared {
    answers: Arc<dyn Answers>,
    seen: HashMap<IpAddr, Mutex<Seen>>,
}

/// Kubelets that run, until [`Kubelets::stop`] or the end of the actix system around them.
pub struct Kubelets {
    port: u16,
    shared: Arc<Shared>,
    handle: ServerHandle,
    served: rt::task::JoinHandle<io::Result<()>>,
}

impl Kubelets {
    /// Starts a kubelet on each of `addresses`, all on one port that is free on all of them, inside the running actix
    /// system.
    ///
    /// # Errors
    /// When there is no address, when one is not of this machine, or when no common port is found.
    pub fn start(addresses: &[IpAddr], answers: Arc<dyn Answers>) -> io::Result<Self> {
        let (port, listeners) = bind(addresses)?;
        let seen = addresses.iter().map(|address| (*address, Mutex::default())).collect();
        let shared = Arc::new(Shared { answers, seen });
        let data = Data::from(Arc::clone(&shared));
        let app = move || App::new().app_data(data.clone()).default_service(web::to(serve));
        let mut server = HttpServer::new(app)
            .workers(1)
            .disable_signals()
            .keep_alive(KeepAlive::Timeout(IDLE))
            .client_request_timeout(Duration::ZERO)
            .h1_allow_half_closed(false)
            .h1_write_buffer_size(WRITE_BUFFER);
        for listener in listeners {
            server = server.listen(listener)?;
        }
        let server = server.run();
        Ok(Self { port, shared, handle: server.handle(), served: rt::spawn(server) })
    }

    /// The port that all listen on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many requests the kubelet at `address` has seen.
    pub fn requests(&self, address: IpAddr) -> u64 {
        self.shared.seen.get(&address).map_or(0, |seen| locked(seen).count)
    }

    /// The headers of the last request to the kubelet at `address`, names in lower case.
    pub fn last_headers(&self, address: IpAddr) -> Vec<(String, String)> {
        self.shared.seen.get(&address).map(|seen| locked(seen).headers.clone()).unwrap_or_default()
    }

    /// Stops listening and drops all connections.
    pub async fn stop(self) {
        self.handle.stop(false).await;
        if let Ok(Err(error)) = self.served.await {
            log::warn!("simulated kubelets ended badly: {error}");
        }
    }
}

/// Listeners on all addresses with the same port, that port first.
fn bind(addresses: &[IpAddr]) -> io::Result<(u16, Vec<TcpListener>)> {
    let Some((first, rest)) = addresses.split_first() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no kubelet addresses"));
    };
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..ATTEMPTS {
        let leader = TcpListener::bind((*first, 0))?;
        let port = leader.local_addr()?.port();
        let followers = rest.iter().map(|address| {
            let told =
                |error: io::Error| io::Error::new(error.kind(), format!("kubelet on {address}: {error}"));
            TcpListener::bind((*address, port)).map_err(told)
        });
        match std::iter::once(Ok(leader)).chain(followers).collect::<io::Result<Vec<_>>>() {
            Ok(listeners) => return Ok((port, listeners)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

async fn serve(request: HttpRequest, shared: Data<Shared>) -> HttpResponse<BoxBody> {
    let address = request.app_config().local_addr().ip();
    let header =
        |(name, value): (&actix_web::http::header::HeaderName, &actix_web::http::header::HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
    let count = shared.seen.get(&address).map_or(0, |seen| {
        let mut seen = locked(seen);
        seen.count += 1;
        seen.headers = request.headers().iter().map(header).collect();
        seen.count - 1
    });
    let ask = KubeletRequest {
        address,
        method: request.method().to_string(),
        path: request.path().to_owned(),
        query: request.query_string().to_owned(),
        count,
    };
    let answer = shared.answers.answer(&ask);
    match answer.manner {
        Manner::After(pause) => tokio::time::sleep(pause).await,
        Manner::HangBeforeHeaders => future::pending().await,
        _ => {}
    }
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.content_type(answer.content_type.as_str());
    for (name, value) in &answer.headers {
        response.insert_header((name.as_str(), value.as_str()));
    }
    body(response, answer.body, answer.manner)
}
