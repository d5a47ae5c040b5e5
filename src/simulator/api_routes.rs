//! What the simulated API server answers to a request: lists, single objects and errors, as a real one (v1.36) writes
//! them. Watches are left to `api_watch`, services to `api_proxy`.
//!
//! Lists always show the present objects, whichever resource version a request or a `continue` token names.

use super::api_server::{Fault, REQUESTS_KEPT, SeenRequest, Shared};
use super::api_store::{Kind, Store, key};
use super::locked;
use super::selector::Selector;
use super::{api_proxy, api_watch};
use actix_web::http::{Method, StatusCode, header};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{StreamExt, future, stream};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;

/// The parameters of a query.
pub(super) type Query = BTreeMap<String, String>;

/// What a path names.
enum Target<'a> {
    Collection(Kind, Option<&'a str>),
    One(Kind, Option<&'a str>, &'a str),
    Version,
    Health,
}

fn target(path: &str) -> Option<Target<'_>> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    Some(match parts.as_slice() {
        ["version"] => Target::Version,
        ["readyz" | "livez" | "healthz"] => Target::Health,
        ["api", "v1", plural] => Target::Collection(Kind::of_plural(plural)?, None),
        ["api", "v1", "namespaces", space, "pods"] => Target::Collection(Kind::Pod, Some(space)),
        ["api", "v1", "namespaces", space, "pods", name] => Target::One(Kind::Pod, Some(space), name),
        ["api", "v1", "nodes", name] => Target::One(Kind::Node, None, name),
        ["api", "v1", "namespaces", name] => Target::One(Kind::Namespace, None, name),
        _ => return None,
    })
}

/// Where one asks what one may do.
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// Answers a request and remembers it.
pub(super) async fn serve(request: HttpRequest, body: Bytes, shared: Data<Shared>) -> HttpResponse {
    if !admitted(&request, &shared) {
        return failure(401, "Unauthorized", "Unauthorized", Value::Null);
    }
    if request.method() == Method::POST && request.path() == REVIEWS {
        return review(&body, &locked(&shared.state).denied);
    }
    if let Some(answer) = api_proxy::answer(&request, body, &shared).await {
        return answer;
    }
    let Some(target) = target(request.path()) else {
        return text(StatusCode::NOT_FOUND, "404 page not found\n");
    };
    if request.method() != Method::GET {
        let why = "the server does not allow this method on the requested resource";
        return failure(405, "MethodNotAllowed", why, json!({}));
    }
    match target {
        Target::Version => json_response(StatusCode::OK, version().to_string()),
        Target::Health => text(StatusCode::OK, "ok"),
        Target::One(kind, space, name) => match faulty(&shared, kind).await {
            Some(response) => response,
            None => one(&shared, kind, space, name),
        },
        Target::Collection(kind, space) => {
            let query: Query =
                url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
            match faulty(&shared, kind).await {
                Some(response) => response,
                None => collection(&shared, kind, space, &query),
            }
        }
    }
}

/// What a SelfSubjectAccessReview is answered: everything is allowed that is not denied by name.
fn review(asked: &[u8], denied: &[String]) -> HttpResponse {
    let mut review: Value = serde_json::from_slice(asked).unwrap_or_default();
    let text = |member: &str| {
        let value = review.pointer("/spec/resourceAttributes").and_then(|attributes| attributes.get(member));
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let subresource = text("subresource");
    let slash = if subresource.is_empty() { "" } else { "/" };
    let right = format!("{} {}{slash}{subresource}", text("verb"), text("resource"));
    let allowed = !denied.contains(&right);
    if let Some(review) = review.as_object_mut() {
        review.insert("status".to_owned(), json!({ "allowed": allowed }));
    }
    json_response(StatusCode::CREATED, review.to_string())
}

/// Remembers a request. Whether it carries the token that is asked for.
fn admitted(request: &HttpRequest, shared: &Shared) -> bool {
    let header = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let seen = SeenRequest {
        method: request.method().to_string(),
        path: request.path().to_owned(),
        query: request.query_string().to_owned(),
        headers: request.headers().iter().map(header).collect(),
    };
    let mut state = locked(&shared.state);
    let admitted = match &state.token {
        Some(token) => {
            seen.header("authorization").and_then(|value| value.strip_prefix("Bearer ")) == Some(token)
        }
        None => true,
    };
    if state.seen.len() >= REQUESTS_KEPT {
        state.seen.pop_front();
    }
    state.seen.push_back(seen);
    admitted
}

/// The answer of a fault that stands before all others; never comes back when it hangs.
async fn faulty(shared: &Shared, kind: Kind) -> Option<HttpResponse> {
    let fault = locked(&shared.state).fault(kind);
    match fault {
        Fault::Status(status, body) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Some(json_response(status, body))
        }
        Fault::HangHeaders => future::pending().await,
        _ => None,
    }
}

fn one(shared: &Shared, kind: Kind, space: Option<&str>, name: &str) -> HttpResponse {
    let state = locked(&shared.state);
    match state.store.shelf(kind).get(&key(space, name)) {
        Some(stored) => json_response(StatusCode::OK, typed(kind, &stored.text) + "\n"),
        None => {
            let message = format!("{} \"{name}\" not found", kind.plural());
            failure(404, "NotFound", &message, json!({ "name": name, "kind": kind.plural() }))
        }
    }
}

fn collection(shared: &Data<Shared>, kind: Kind, space: Option<&str>, query: &Query) -> HttpResponse {
    let parameter = |name: &str| query.get(name).map_or("", String::as_str);
    let selector = Selector::in_namespace(space)
        .with_labels(parameter("labelSelector"))
        .and_then(|selector| selector.with_fields(parameter("fieldSelector")));
    let selector = match selector {
        Ok(selector) => selector,
        Err(message) => return failure(400, "BadRequest", &message, Value::Null),
    };
    if matches!(parameter("watch"), "true" | "1") {
        return api_watch::answer(shared, kind, selector, query);
    }
    let (fault, list) = {
        let state = locked(&shared.state);
        let fault = state.fault(kind);
        let page = Page::asked(&state.store, kind, query, fault == Fault::ExpireAsStatus);
        (fault, page.map(|page| page.body(&state.store, kind, &selector)))
    };
    match (list, fault) {
        (Err(response), _) => *response,
        (Ok(body), Fault::HangStream) => {
            let half = Bytes::from(body).split_to_half();
            let body = stream::iter([Ok::<_, Infallible>(half)]).chain(stream::pending());
            HttpResponse::Ok().content_type("application/json").streaming(body)
        }
        (Ok(body), _) => json_response(StatusCode::OK, body),
    }
}

trait Half {
    fn split_to_half(self) -> Self;
}

impl Half for Bytes {
    fn split_to_half(mut self) -> Self {
        self.split_to(self.len() / 2)
    }
}

/// The part of a list that a request asks for.
struct Page {
    limit: usize,
    after: Option<String>,
    version: u64,
}

impl Page {
    fn asked(store: &Store, kind: Kind, query: &Query, expired: bool) -> Result<Self, Box<HttpResponse>> {
        let parameter = |name: &str| query.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let horizon = store.shelf(kind).horizon();
        let mut page = Self { limit: usize::MAX, after: None, version: store.version() };
        if let Some(limit) = parameter("limit").and_then(|text| text.parse().ok()).filter(|limit| *limit > 0)
        {
            page.limit = limit;
        }
        if let Some(token) = parameter("continue") {
            let Some((version, after)) = read_token(token) else {
                return Err(failure(400, "BadRequest", "continue key is not valid", Value::Null).into());
            };
            if version != 0 && (expired || version < horizon) {
                return Err(expired_token(&after).into());
            }
            page.version = if version == 0 { page.version } else { version };
            page.after = Some(after);
            return Ok(page);
        }
        let Some(text) = parameter("resourceVersion") else { return Ok(page) };
        let Ok(version) = text.parse::<u64>() else {
            let message = format!("invalid resource version: {}", not_a_version(text));
            return Err(failure(400, "BadRequest", &message, Value::Null).into());
        };
        if version > page.version {
            return Err(too_large(version, page.version).into());
        }
        if parameter("resourceVersionMatch") == Some("Exact") && version < horizon {
            let message = "The resourceVersion for the provided list is too old.";
            return Err(failure(410, "Expired", message, Value::Null).into());
        }
        if version == 0 {
            // The real server answers this from its cache, whole.
            page.limit = usize::MAX;
        }
        Ok(page)
    }

    fn body(&self, store: &Store, kind: Kind, selector: &Selector) -> String {
        let mut objects =
            store.shelf(kind).after(self.after.as_deref()).filter(|(_, one)| selector.takes(&one.meta));
        let (mut items, mut last) = (String::new(), "");
        for (key, stored) in objects.by_ref().take(self.limit) {
            if !items.is_empty() {
                items.push(',');
            }
            items.push_str(&stored.text);
            last = key;
        }
        let mut metadata = json!({ "resourceVersion": self.version.to_string() });
        let remaining = objects.count();
        if let (true, Some(metadata)) = (remaining > 0, metadata.as_object_mut()) {
            metadata.insert("continue".into(), token(self.version, last).into());
            if selector.is_everything() {
                metadata.insert("remainingItemCount".into(), remaining.into());
            }
        }
        let name = kind.name();
        format!(
            "{{\"kind\":\"{name}List\",\"apiVersion\":\"v1\",\"metadata\":{metadata},\"items\":[{items}]}}\n"
        )
    }
}

/// A `continue` token: the version of the list and the key of the last object, with nothing that a query has to escape.
fn token(version: u64, last: &str) -> String {
    format!("{version}.{}", last.replace('/', "~"))
}

fn read_token(token: &str) -> Option<(u64, String)> {
    let (version, last) = token.split_once('.')?;
    Some((version.parse().ok()?, last.replace('~', "/")))
}

fn expired_token(after: &str) -> HttpResponse {
    let message = "The provided continue parameter is too old to display a consistent list result. You can start a new \
                   list without the continue parameter, or use the continue token in this response to retrieve the \
                   remainder of the results. Continuing with the provided token results in an inconsistent list - \
                   objects that were created, modified, or deleted between the time the first chunk was returned and \
                   now may show up in the list.";
    let mut status = status(410, "Expired", message, Value::Null);
    if let Some(metadata) = status.get_mut("metadata") {
        *metadata = json!({ "continue": token(0, after) });
    }
    json_response(StatusCode::GONE, status.to_string() + "\n")
}

fn too_large(version: u64, current: u64) -> HttpResponse {
    let message = format!("Timeout: Too large resource version: {version}, current: {current}");
    let cause = json!({ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" });
    let mut response =
        failure(504, "Timeout", &message, json!({ "causes": [cause], "retryAfterSeconds": 1 }));
    response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    response
}

/// The complaint about a resource version that is no number.
pub(super) fn not_a_version(text: &str) -> String {
    format!(
        "resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax"
    )
}

/// An object's text with its `kind` and `apiVersion`.
pub(super) fn typed(kind: Kind, text: &str) -> String {
    let members = text.strip_prefix('{').unwrap_or(text);
    format!("{{\"kind\":\"{}\",\"apiVersion\":\"v1\",{members}", kind.name())
}

/// A `Status` object that tells of a failure. An empty `reason` and null `details` are left out.
pub(super) fn status(code: u16, reason: &str, message: &str, details: Value) -> Value {
    let mut status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "code": code,
    });
    if let Some(members) = status.as_object_mut() {
        if !reason.is_empty() {
            members.insert("reason".into(), reason.into());
        }
        if !details.is_null() {
            members.insert("details".into(), details);
        }
    }
    status
}

/// The answer with a `Status`.
pub(super) fn failure(code: u16, reason: &str, message: &str, details: Value) -> HttpResponse {
    let http = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json_response(http, status(code, reason, message, details).to_string() + "\n")
}

fn json_response(status: StatusCode, body: String) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CACHE_CONTROL, "no-cache, private"))
        .content_type("application/json")
        .body(body)
}

fn text(status: StatusCode, body: &'static str) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CACHE_CONTROL, "no-cache, private"))
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(body)
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "gitVersion": "v1.36.2", "gitTreeState": "clean",
        "gitCommit": "98b35193b2ac7a23a673325f5e9b830ecd5ba406", "buildDate": "2026-08-21T11:29:11Z",
        "goVersion": "go1.27.3", "compiler": "gc", "platform": "linux/amd64",
    })
}
