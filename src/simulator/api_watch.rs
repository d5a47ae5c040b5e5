//! Watches of the simulated API server: one JSON event per line, for as long as the client stays. The events themselves
//! are left to `api_store`.

use super::api_routes::{Query, failure, not_a_version, status, typed};
use super::api_server::{Fault, Shared, State};
use super::api_store::Kind;
use super::locked;
use super::selector::Selector;
use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use futures_util::stream;
use serde_json::Value;
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Sleep;

/// How long a watch lasts that does not say it: the least of what a real server picks.
const LONGEST: u64 = 1800;
/// Time between the bookmarks of one watch.
const BOOKMARKS_EVERY: Duration = Duration::from_secs(60);

/// One open watch.
struct Watch {
    shared: Data<Shared>,
    kind: Kind,
    selector: Selector,
    /// The version up to which everything was told.
    position: u64,
    /// Lines to send before all others.
    first: String,
    wants_bookmarks: bool,
    /// How often bookmarks had been asked for when the last was sent.
    bookmarks: u64,
    /// How often the streams of the kind had been cut when this one began.
    cuts: u64,
    changes: watch::Receiver<u64>,
    deadline: Pin<Box<Sleep>>,
    next_bookmark: Pin<Box<Sleep>>,
    over: bool,
}

/// Answers a watch request.
pub(super) fn answer(shared: &Data<Shared>, kind: Kind, selector: Selector, query: &Query) -> HttpResponse {
    let parameter = |name: &str| query.get(name).map_or("", String::as_str);
    let given = |name: &str| matches!(parameter(name), "true" | "1");
    // Before the state is looked at, so that no change falls between.
    let changes = shared.changes.subscribe();
    let state = locked(&shared.state);
    let shelf = state.store.shelf(kind);
    let asked = match parameter("resourceVersion") {
        "" => 0,
        text => match text.parse::<u64>() {
            Ok(version) => version,
            Err(_) => return failure(500, "", &not_a_version(text), Value::Null),
        },
    };
    let (initial, expired) =
        (given("sendInitialEvents") || asked == 0, asked != 0 && asked < shelf.horizon());
    if state.fault(kind) == Fault::ExpireAsStatus {
        return failure(410, "Expired", &too_old(asked, &state, kind), Value::Null);
    }
    let mut first = String::new();
    let mut over = false;
    if initial && parameter("sendInitialEvents") != "false" {
        for (_, stored) in shelf.after(None).filter(|(_, stored)| selector.takes(&stored.meta)) {
            push_event(&mut first, "ADDED", &typed(kind, &stored.text));
        }
        if given("sendInitialEvents") && given("allowWatchBookmarks") {
            push_event(&mut first, "BOOKMARK", &bookmark(kind, state.store.version(), true));
        }
    } else if expired {
        first = expiry(&too_old(asked, &state, kind));
        over = true;
    }
    let seconds = parameter("timeoutSeconds").parse().ok().filter(|seconds| *seconds > 0).unwrap_or(LONGEST);
    let watch = Watch {
        shared: shared.clone(),
        kind,
        selector,
        position: if initial { state.store.version() } else { asked },
        first,
        wants_bookmarks: given("allowWatchBookmarks"),
        bookmarks: state.bookmarks,
        cuts: state.cuts(kind),
        changes,
        deadline: Box::pin(tokio::time::sleep(Duration::from_secs(seconds))),
        next_bookmark: Box::pin(tokio::time::sleep(BOOKMARKS_EVERY)),
        over,
    };
    drop(state);
    let lines = stream::unfold(watch, |mut watch| async move { Some((watch.next().await?, watch)) });
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-cache, private"))
        .content_type("application/json")
        .streaming(lines)
}

impl Watch {
    /// The next lines; none when the watch is over.
    async fn next(&mut self) -> Option<Result<Bytes, Infallible>> {
        loop {
            let lines = self.lines();
            if !lines.is_empty() {
                return Some(Ok(Bytes::from(lines)));
            }
            if self.over {
                return None;
            }
            tokio::select! {
                // The sender lives as long as `shared`.
                _ = self.changes.changed() => {}
                () = &mut self.deadline => self.over = true,
                () = &mut self.next_bookmark => {
                    self.next_bookmark.set(tokio::time::sleep(BOOKMARKS_EVERY));
                    self.bookmarks = u64::MAX;
                }
            }
        }
    }

    /// What is to be sent now, possibly nothing.
    fn lines(&mut self) -> String {
        let shared = self.shared.clone();
        let state = locked(&shared.state);
        let mut lines = std::mem::take(&mut self.first);
        if self.over {
            return lines;
        }
        if state.cuts(self.kind) != self.cuts {
            self.over = true;
            return String::new();
        }
        let shelf = state.store.shelf(self.kind);
        match state.fault(self.kind) {
            Fault::HangHeaders | Fault::HangStream => {
                self.first = lines;
                return String::new();
            }
            Fault::ExpireInStream => {
                self.over = true;
                return expiry(&too_old(self.position, &state, self.kind));
            }
            _ if shelf.has_lost_after(self.position) => {
                self.over = true;
                return expiry(&too_old(self.position, &state, self.kind));
            }
            _ => {}
        }
        for change in shelf.since(self.position) {
            if let Some(seen) = change.seen_by(&self.selector) {
                push_event(&mut lines, seen, &typed(self.kind, &change.object.text));
            }
        }
        self.position = self.position.max(state.store.version());
        if self.bookmarks != state.bookmarks {
            self.bookmarks = state.bookmarks;
            if self.wants_bookmarks {
                push_event(&mut lines, "BOOKMARK", &bookmark(self.kind, self.position, false));
            }
        }
        lines
    }
}

fn push_event(lines: &mut String, kind: &str, object: &str) {
    for part in ["{\"type\":\"", kind, "\",\"object\":", object, "}\n"] {
        lines.push_str(part);
    }
}

fn too_old(asked: u64, state: &State, kind: Kind) -> String {
    format!("too old resource version: {asked} ({})", state.store.shelf(kind).horizon())
}

/// The ERROR event of a watch that begins before the log.
fn expiry(message: &str) -> String {
    let mut line = String::new();
    push_event(&mut line, "ERROR", &status(410, "Expired", message, Value::Null).to_string());
    line
}

/// The object of a BOOKMARK event: an empty one of its kind.
fn bookmark(kind: Kind, version: u64, initial: bool) -> String {
    let annotations = if initial { r#","annotations":{"k8s.io/initial-events-end":"true"}"# } else { "" };
    let rest = match kind {
        Kind::Pod => r#""spec":{"containers":null},"status":{}"#,
        Kind::Namespace => r#""spec":{},"status":{}"#,
        Kind::Node => concat!(
            r#""spec":{},"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":0}},"nodeInfo":{"machineID":"","#,
            r#""systemUUID":"","bootID":"","kernelVersion":"","osImage":"","containerRuntimeVersion":"","#,
            r#""kubeletVersion":"","kubeProxyVersion":"","operatingSystem":"","architecture":""}}"#,
        ),
    };
    typed(kind, &format!(r#"{{"metadata":{{"resourceVersion":"{version}"{annotations}}},{rest}}}"#))
}
