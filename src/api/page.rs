//! The page at `/`: what runs here, how it does, and where its answers are. Plain HTML without a script, whose links hold
//! behind a proxy as well. What the routes are is left to [`super::routes`].

use super::Api;
use super::routes::{HISTORICAL, ROUTES};
use crate::messages::ClusterState;
use crate::model::shard::Shard;
use crate::wire::rfc3339;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ContentType, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpResponse, web};
use std::fmt::Write;
use std::time::Duration;

/// What a browser may do with the page: show it.
const POLICY: &str = "script-src 'none'; object-src 'none'; connect-src 'none'; img-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Heapster</title>\n<style>\n\
    :root { color-scheme: light dark; }\n\
    body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem; max-width: 60rem; }\n\
    table { border-collapse: collapse; }\n\
    th, td { text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0; border-bottom: 1px solid #8884; }\n\
    code { overflow-wrap: anywhere; }\n\
    .wrong { font-weight: bold; }\n\
    </style>\n</head>\n<body>\n";

/// The page.
pub async fn page(api: web::Data<Api>) -> HttpResponse {
    let states = api.states().await.map_err(|error| error.to_string());
    HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(html(
            states.as_deref(),
            &api.settings.sinks,
            api.settings.stale_after,
            api.settings.shard,
            api.archive.is_some(),
        ))
}

/// The page's text: clusters as they stand, or why that is not known; sinks; routes, with those of a historical source or
/// without.
pub fn html(
    states: Result<&[ClusterState], &String>,
    sinks: &[String],
    stale_after: Duration,
    shard: Option<Shard>,
    historical: bool,
) -> String {
    let mut out = HEAD.to_owned();
    // Writing to a string cannot fail.
    let _ = write!(out, "<h1>Heapster {}</h1>\n<h2>Clusters</h2>\n", escaped(env!("CARGO_PKG_VERSION")));
    if let Some(shard) = shard {
        let _ = writeln!(
            out,
            "<p>Shard {shard}: other collectors take the other nodes, and sums of namespaces and of the cluster are of this \
            shard's nodes alone.</p>"
        );
    }
    match states {
        Err(error) => {
            let _ = writeln!(out, "<p class=\"wrong\">{}</p>", escaped(error));
        }
        Ok(states) => clusters(&mut out, states, stale_after),
    }
    out.push_str("<p>Every node: <a href=\"api/v1/status\">status</a>. Checks: <a href=\"healthz?verbose\">health</a>, \
        <a href=\"readyz?verbose\">ready</a>, <a href=\"livez?verbose\">live</a>. The collector itself: \
        <a href=\"metrics\">metrics</a>.</p>\n<h2>Sinks</h2>\n");
    match sinks {
        [] => out.push_str("<p>None.</p>\n"),
        sinks => {
            let lines: String =
                sinks.iter().map(|sink| format!("<li><code>{}</code></li>\n", escaped(sink))).collect();
            let _ = writeln!(out, "<ul>\n{lines}</ul>");
        }
    }
    out.push_str(
        "<h2>Routes</h2>\n<p>All of them for machines: <a href=\"openapi.json\">OpenAPI</a>.</p>\n<table>\n\
        <tr><th>path</th><th>answer</th></tr>\n",
    );
    for route in ROUTES.iter().chain(HISTORICAL.iter().filter(|_| historical)) {
        let (path, about) = (escaped(&route.shown()), marked(route.about));
        let _ = if path.contains('{') {
            writeln!(out, "<tr><td><code>{path}</code></td><td>{about}</td></tr>")
        } else {
            writeln!(out, "<tr><td><a href=\".{path}\"><code>{path}</code></a></td><td>{about}</td></tr>")
        };
    }
    out.push_str("</table>\n</body>\n</html>\n");
    out
}

fn clusters(out: &mut String, states: &[ClusterState], stale_after: Duration) {
    out.push_str(
        "<table>\n<tr><th>source</th><th>state</th><th>nodes scraped</th><th>unusable</th>\
        <th>last window</th><th>points</th></tr>\n",
    );
    for state in states {
        let (class, said) = match (state.age, state.discovered) {
            (Some(age), _) if age <= stale_after => ("", "fresh"),
            (Some(_), _) => (" class=\"wrong\"", "stale"),
            (None, true) if state.is_left_to_others() => ("", "every node is another shard's"),
            (None, true) => ("", "waiting for the first answer"),
            (None, false) => (" class=\"wrong\"", "the API server has not answered yet"),
        };
        let last = state.last_window.map_or_else(String::new, |window| rfc3339::format(window.end()));
        let _ = writeln!(
            out,
            "<tr><td><code>{}</code></td><td{class}>{said}</td><td>{}</td><td>{}</td><td>{last}</td><td>{}</td></tr>",
            escaped(&state.name),
            state.scraped,
            state.unusable,
            state.held.points
        );
    }
    out.push_str("</table>\n");
}

/// A text of the table of routes, whose backticks stand around code.
fn marked(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(at, part)| match at % 2 {
        0 => escaped(part),
        _ => format!("<code>{}</code>", escaped(part)),
    });
    parts.collect()
}

/// A text as HTML shows it, in elements and in attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for each in text.chars() {
        match each {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            each => out.push(each),
        }
    }
    out
}
