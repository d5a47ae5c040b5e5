//! The API server's proxy of services, as far as a client can tell it from a real one: requests go on to where a service
//! is said to be. What the API server answers by itself is left to `api_routes`.

use super::api_routes::failure;
use super::api_server::Shared;
use super::locked;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

/// How long a service may take to begin its answer.
const WITHIN: Duration = Duration::from_secs(30);

/// Headers that belong to one connection, and the login of the API server itself.
const KEPT_BACK: [HeaderName; 8] = [
    header::HOST,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::AUTHORIZATION,
    header::CONTENT_LENGTH,
];

/// A proxied request's parts: namespace, `[scheme:]name[:port]`, and the path at the service.
struct Proxied<'a> {
    namespace: &'a str,
    service: &'a str,
    path: &'a str,
}

/// Looks at a decoded path, as a real API server does: clients may encode every slash.
fn proxied(path: &str) -> Option<Proxied<'_>> {
    let (namespace, rest) = path.strip_prefix("/api/v1/namespaces/")?.split_once("/services/")?;
    let (service, rest) = rest.split_once("/proxy")?;
    let path = if rest.is_empty() { "/" } else { rest };
    let plain = |part: &str| !part.is_empty() && !part.contains('/');
    (plain(namespace) && plain(service) && path.starts_with('/')).then_some(Proxied {
        namespace,
        service,
        path,
    })
}

fn unreachable(why: &str) -> HttpResponse {
    failure(503, "ServiceUnavailable", &format!("error trying to reach service: {why}"), Value::Null)
}

/// Answers a request for a service; None where it is for none.
pub(super) async fn answer(request: &HttpRequest, body: Bytes, shared: &Shared) -> Option<HttpResponse> {
    let path = percent_decode_str(request.uri().path()).decode_utf8_lossy();
    let Proxied { namespace, service, path } = proxied(&path)?;
    let name = match service.split(':').collect::<Vec<_>>().as_slice() {
        [name] | [name, _] | [_, name, _] => (*name).to_owned(),
        _ => {
            return Some(failure(
                400,
                "BadRequest",
                &format!("invalid service request {service:?}"),
                Value::Null,
            ));
        }
    };
    let target = locked(&shared.state).service(namespace, &name);
    let Some(target) = target else {
        let why = format!("services {name:?} not found");
        return Some(failure(404, "NotFound", &why, json!({ "name": name, "kind": "services" })));
    };
    let mut url = match Url::parse(&target) {
        Ok(url) => url,
        Err(error) => return Some(unreachable(&error.to_string())),
    };
    url.set_path(path);
    url.set_query(request.uri().query());
    let client = awc::Client::builder().disable_redirects().timeout(WITHIN).no_default_headers().finish();
    let mut ask = client.request(request.method().clone(), url.as_str()).no_decompress();
    for (name, value) in request.headers().iter().filter(|(name, _)| !KEPT_BACK.contains(name)) {
        ask = ask.insert_header((name.clone(), value.clone()));
    }
    Some(match ask.send_body(body).await {
        Err(error) => unreachable(&error.to_string()),
        Ok(answer) => {
            let mut response = HttpResponse::build(answer.status());
            for (name, value) in answer.headers().iter().filter(|(name, _)| !KEPT_BACK.contains(name)) {
                match (name, value.to_str()) {
                    (&header::LOCATION, Ok(to)) if to.starts_with('/') => {
                        let to = format!("/api/v1/namespaces/{namespace}/services/{service}/proxy{to}");
                        response.insert_header((
                            header::LOCATION,
                            HeaderValue::from_str(&to).unwrap_or(value.clone()),
                        ))
                    }
                    _ => response.append_header((name.clone(), value.clone())),
                };
            }
            response.streaming(answer)
        }
    })
}
