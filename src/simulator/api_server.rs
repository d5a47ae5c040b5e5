//! A Kubernetes API server reduced to nodes, pods and namespaces: the handle that tests and the demo hold. What it answers
//! is left to `api_routes` and `api_watch`, its objects to `api_store`.

use super::api_store::{Kind, Store};
use super::{api_routes, locked};
use actix_web::dev::ServerHandle;
use actix_web::http::KeepAlive;
use actix_web::web::Data;
use actix_web::{App, HttpServer, rt, web};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// Requests remembered; the oldest are forgotten first.
pub const REQUESTS_KEPT: usize = 10_000;

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(90);

/// How the server misbehaves for a kind of object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// It does not.
    #[default]
    None,
    /// Every new request gets this status and JSON body.
    Status(u16, String),
    /// New requests never get an answer, and open watches go silent.
    HangHeaders,
    /// Lists stop half-way and watches go silent, open ones too.
    HangStream,
    /// Every open watch ends at once, as though its time were up. It happens once: the fault is `None` again after it.
    CutStreams,
    /// Watches, open ones too, get one ERROR event of code 410 and end.
    ExpireInStream,
    /// New watches and continued lists get the status 410.
    ExpireAsStatus,
}

/// A request as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRequest {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its query, without the question mark.
    pub query: String,
    /// Its headers, names in lower case, in no particular order.
    pub headers: Vec<(String, String)>,
}

impl SeenRequest {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// What the handle, the routes and the streams share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// Wakes the streams after every change of the state.
    pub(super) changes: watch::Sender<u64>,
}

/// All that changes while the server runs.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) store: Store,
    faults: BTreeMap<Kind, Fault>,
    /// How often the streams of a kind were cut.
    cuts: BTreeMap<Kind, u64>,
    /// How often bookmarks were asked for.
    pub(super) bookmarks: u64,
    pub(super) token: Option<String>,
    /// Rights that reviews deny, as `verb resource`.
    pub(super) denied: Vec<String>,
    pub(super) seen: VecDeque<SeenRequest>,
    /// Where services are, by namespace and name.
    services: BTreeMap<(String, String), String>,
}

impl State {
    pub(super) fn fault(&self, kind: Kind) -> Fault {
        self.faults.get(&kind).cloned().unwrap_or_default()
    }

    pub(super) fn service(&self, namespace: &str, name: &str) -> Option<String> {
        self.services.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    pub(super) fn cuts(&self, kind: Kind) -> u64 {
        self.cuts.get(&kind).copied().unwrap_or(0)
    }
}

struct Running {
    handle: ServerHandle,
    served: rt::task::JoinHandle<io::Result<()>>,
}

#[derive(Default)]
struct Place {
    port: u16,
    running: Option<Running>,
}

/// A simulated API server. Clones are handles to the same one.
#[derive(Clone)]
pub struct ApiServer {
    shared: Arc<Shared>,
    place: Arc<Mutex<Place>>,
}

impl ApiServer {
    /// Starts an empty server on a free port of 127.0.0.1, inside the running actix system.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn start() -> io::Result<Self> {
        let shared = Shared { state: Mutex::default(), changes: watch::Sender::new(0) };
        let server = Self { shared: Arc::new(shared), place: Arc::default() };
        server.start_at(0)?;
        Ok(server)
    }

    /// Starts a stopped server again, on `port` (0 for a free one), with the objects and faults that it had.
    ///
    /// # Errors
    /// When the port cannot be bound or the server runs.
    pub fn start_at(&self, port: u16) -> io::Result<()> {
        let mut place = locked(&self.place);
        if place.running.is_some() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "the simulated API server runs already"));
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        place.port = listener.local_addr()?.port();
        let data = Data::from(Arc::clone(&self.shared));
        let app = move || App::new().app_data(data.clone()).default_service(web::to(api_routes::serve));
        let server = HttpServer::new(app)
            .workers(1)
            .disable_signals()
            .keep_alive(KeepAlive::Timeout(IDLE))
            .client_request_timeout(Duration::ZERO)
            .h1_allow_half_closed(false)
            .listen(listener)?
            .run();
        place.running = Some(Running { handle: server.handle(), served: rt::spawn(server) });
        Ok(())
    }

    /// Stops listening and drops all connections; until [`ApiServer::start_at`] connections are refused.
    pub async fn stop(&self) {
        let running = locked(&self.place).running.take();
        if let Some(Running { handle, served }) = running {
            handle.stop(false).await;
            if let Ok(Err(error)) = served.await {
                log::warn!("simulated API server ended badly: {error}");
            }
        }
    }

    /// Where it listens, such as `http://127.0.0.1:40001`; when it is stopped, where it did.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// The port that it listens, or listened, on.
    pub fn port(&self) -> u16 {
        locked(&self.place).port
    }

    /// Creates or replaces an object; watches see it added or modified. Returns its resource version.
    pub fn apply(&self, kind: Kind, object: Value) -> u64 {
        self.change(|state| state.store.apply(kind, object))
    }

    /// Deletes an object; watches see it deleted. Returns the resource version of that, or none when it was not there.
    pub fn delete(&self, kind: Kind, namespace: Option<&str>, name: &str) -> Option<u64> {
        self.change(|state| state.store.delete(kind, namespace, name))
    }

    /// Replaces all objects of a kind as though they had always been there; watches from before have expired.
    pub fn fill(&self, kind: Kind, objects: impl Iterator<Item = Value>) {
        self.change(|state| state.store.fill(kind, objects, None));
    }

    /// Replaces all objects of a kind by those of a recorded list, with the resource versions in it.
    ///
    /// # Errors
    /// When `list` is no JSON object with `items`.
    pub fn load_list(&self, kind: Kind, list: &[u8]) -> io::Result<()> {
        let mut list: Value = serde_json::from_slice(list)?;
        let version = list.pointer("/metadata/resourceVersion").and_then(Value::as_str);
        let version = version.and_then(|text| text.parse().ok());
        let Some(Value::Array(items)) = list.get_mut("items").map(Value::take) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a list without items"));
        };
        self.change(|state| state.store.fill(kind, items.into_iter(), version));
        Ok(())
    }

    /// Forgets what happened to a kind so far: a watch that begins before now has expired. Open ones go on.
    pub fn compact(&self, kind: Kind) {
        self.change(|state| state.store.compact(kind));
    }

    /// The resource version of the last change.
    pub fn resource_version(&self) -> u64 {
        locked(&self.shared.state).store.version()
    }

    /// Sends a bookmark to every open watch that allows them, at once rather than within a minute.
    pub fn send_bookmarks(&self) {
        self.change(|state| state.bookmarks += 1);
    }

    /// Makes the server misbehave for a kind from now on; [`Fault::None`] ends it.
    pub fn set_fault(&self, kind: Kind, fault: Fault) {
        self.change(|state| {
            if fault == Fault::CutStreams {
                *state.cuts.entry(kind).or_default() += 1;
                state.faults.remove(&kind);
            } else {
                state.faults.insert(kind, fault);
            }
        });
    }

    /// [`ApiServer::set_fault`] for every kind.
    pub fn set_fault_for_all(&self, fault: Fault) {
        for kind in Kind::ALL {
            self.set_fault(kind, fault.clone());
        }
    }

    /// From now on answers 401 to requests without this bearer token; `None` lets all in.
    pub fn require_token(&self, token: Option<&str>) {
        self.change(|state| state.token = token.map(str::to_owned));
    }

    /// From now on says in access reviews that this right is not given: `get nodes/stats`.
    pub fn deny(&self, right: &str) {
        self.change(|state| state.denied.push(right.to_owned()));
    }

    /// From now on proxies requests for a service to where it is, such as `http://127.0.0.1:8082`.
    pub fn proxy(&self, namespace: &str, service: &str, to: &str) {
        let service = (namespace.to_owned(), service.to_owned());
        self.change(|state| state.services.insert(service, to.to_owned()));
    }

    /// The last [`REQUESTS_KEPT`] requests, oldest first.
    pub fn requests(&self) -> Vec<SeenRequest> {
        locked(&self.shared.state).seen.iter().cloned().collect()
    }

    fn change<T>(&self, how: impl FnOnce(&mut State) -> T) -> T {
        let result = how(&mut locked(&self.shared.state));
        self.shared.changes.send_modify(|count| *count = count.wrapping_add(1));
        result
    }
}
