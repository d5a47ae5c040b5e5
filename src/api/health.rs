//! Whether it lives, is ready, and has fresh data: Kubernetes' probes, in the form of its own components, with reasons.

use super::Api;
use crate::messages::ClusterState;
use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// One thing that was looked at: its name, and what is wrong.
type Check = (String, Result<(), String>);

/// `/livez`: whether the aggregator answers. Restarting helps against nothing else.
pub async fn livez(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let aggregator = api.states().await.map(drop).map_err(|error| error.to_string());
    answer("livez", &[("aggregator".to_owned(), aggregator)], &request)
}

/// `/readyz`: whether there is something to answer with, and this process is not about to end.
pub async fn readyz(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let draining = api.draining.load(Ordering::Relaxed);
    let running = if draining { Err("shutting down".to_owned()) } else { Ok(()) };
    let mut checks = vec![("running".to_owned(), running)];
    each_cluster(&api, &mut checks, |state| {
        let inventory = if state.discovered { Ok(()) } else { Err(undiscovered(state)) };
        let window = match (state.last_window, state.scraped) {
            (Some(_), _) if state.held.points == 0 => {
                Err("everything is older than the retention".to_owned())
            }
            (Some(_), _) => Ok(()),
            (None, 0) if state.is_left_to_others() => Ok(()),
            (None, 0) => Err("no node to scrape".to_owned()),
            (None, _) => Err("no window is complete yet".to_owned()),
        };
        vec![("inventory", inventory), ("window", window)]
    })
    .await;
    answer("readyz", &checks, &request)
}

/// `/healthz`: whether the newest data is fresh, as Heapster's was.
pub async fn healthz(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    answer("healthz", &data(&api).await, &request)
}

/// `/healthz/healthz`: the same of the one check that Heapster had, as Kubernetes' components answer for one check.
pub async fn healthz_alone(api: web::Data<Api>) -> HttpResponse {
    let failed = data(&api).await.into_iter().find_map(|(_, result)| result.err());
    let (mut response, text) = match failed {
        Some(reason) => (HttpResponse::InternalServerError(), format!("internal server error: {reason}\n")),
        None => (HttpResponse::Ok(), "ok".to_owned()),
    };
    response.content_type(ContentType::plaintext()).body(text)
}

async fn data(api: &Api) -> Vec<Check> {
    let mut checks = Vec::new();
    let stale_after = api.settings.stale_after;
    each_cluster(api, &mut checks, |state| vec![("data", freshness(state, stale_after))]).await;
    checks
}

fn freshness(state: &ClusterState, stale_after: Duration) -> Result<(), String> {
    match state.age {
        None if !state.discovered => Err(undiscovered(state)),
        None if state.is_left_to_others() => Ok(()),
        None => Err(format!("no answer yet from any of {} nodes", state.scraped)),
        Some(age) if age > stale_after => Err(format!(
            "the newest data is {} old: none of {} nodes answered since",
            humantime::format_duration(Duration::from_secs(age.as_secs())),
            state.scraped
        )),
        Some(_) => Ok(()),
    }
}

fn undiscovered(state: &ClusterState) -> String {
    let why = state.undiscovered.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("the API server has not listed its nodes yet{why}")
}

async fn each_cluster(
    api: &Api,
    checks: &mut Vec<Check>,
    look: impl Fn(&ClusterState) -> Vec<(&'static str, Result<(), String>)>,
) {
    match api.states().await {
        Err(error) => checks.push(("aggregator".to_owned(), Err(error.to_string()))),
        Ok(states) => {
            for state in &states {
                let named = |(check, result): (&str, _)| match states.len() {
                    1 => (check.to_owned(), result),
                    _ => (format!("{check} of {}", state.name), result),
                };
                checks.extend(look(state).into_iter().map(named));
            }
        }
    }
}

/// `ok`, or every check with its reason; `?verbose` tells every check in any case.
fn answer(name: &str, checks: &[Check], request: &HttpRequest) -> HttpResponse {
    let failed = checks.iter().any(|(_, result)| result.is_err());
    let verbose =
        url::form_urlencoded::parse(request.query_string().as_bytes()).any(|(key, _)| key == "verbose");
    let lines = checks.iter().map(|(check, result)| match result {
        Ok(()) => format!("[+]{check} ok\n"),
        Err(reason) => format!("[-]{check} failed: {reason}\n"),
    });
    let lines: String = lines.collect();
    let mut response = if failed { HttpResponse::InternalServerError() } else { HttpResponse::Ok() };
    response.content_type(ContentType::plaintext());
    response.body(match (failed, verbose) {
        (true, _) => format!("{lines}{name} check failed\n"),
        (false, true) => format!("{lines}{name} check passed\n"),
        (false, false) => "ok".to_owned(),
    })
}

/// `/metrics`: what this process says of itself.
pub async fn metrics(api: web::Data<Api>) -> HttpResponse {
    match api.telemetry.exposition() {
        Ok(text) => {
            let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            HttpResponse::Ok().content_type(form).body(text)
        }
        Err(_) => HttpResponse::InternalServerError()
            .content_type(ContentType::plaintext())
            .body("cannot be written"),
    }
}
