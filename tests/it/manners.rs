//! The manners of HTTP, over real sockets and for every route of the table: methods, forms of answers, forms of paths,
//! compression, and what errors say.

use crate::support::{Collector, until};
use actix_web::http::header::HeaderMap;
use heapster::api::manners::{Path, WORTH_COMPRESSING, path};
use heapster::api::routes::{ROUTES, Route, Speaks};
use heapster::clock::Clock;
use heapster::simulator::{Shape, Simulator};
use std::time::Duration;

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Asks as it stands, without following anything.
async fn ask(collector: &Collector, method: &str, path: &str, headers: &[(&'static str, &str)]) -> Answer {
    let client = awc::Client::builder().disable_redirects().finish();
    let request = client.request(method.parse().unwrap(), format!("{}{path}", collector.base));
    let request = request.insert_header(("accept-encoding", "identity"));
    let request = headers.iter().fold(request, |request, header| request.insert_header(*header));
    let mut reply = request.timeout(Duration::from_secs(10)).send().await.unwrap();
    let body = reply.body().limit(64 << 20).await.unwrap();
    Answer {
        status: reply.status().as_u16(),
        headers: reply.headers().clone(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// A collector of a simulated cluster that has closed a window, and a path of every route that names what is there.
async fn running() -> (Simulator, Collector, Vec<(&'static Route, String)>) {
    let shape = Shape { nodes: 2, pods: 4, containers: 1, ..Shape::default() };
    let simulator = Simulator::start(shape, Clock::system()).unwrap();
    let collector = Collector::start(&[&format!("--source={}", simulator.source_uri())]).await;
    until("readiness", async || (collector.get("/readyz").await.status == 200).then_some(())).await;
    let node = simulator.cluster().nodes()[0].clone();
    let pod = node.pods[0].clone();
    // A rate needs a second window.
    let rated = format!("/apis/metrics/v1alpha1/namespaces/{}/pods/{}", pod.namespace, pod.name);
    until("a rate", async || (collector.get(&rated).await.status == 200).then_some(())).await;
    let filled = |path: &str| {
        let free = path.contains("/freecontainers/");
        path.replace("{node}", &node.name)
            .replace("{namespace}", &pod.namespace)
            .replace("{pod}", &pod.name)
            .replace("{pods}", &format!("{},nobody", pod.name))
            .replace("{container}", if free { "kubelet" } else { &pod.containers[0].name })
            .replace("{metric:.+}", "memory/working_set")
    };
    let paths = ROUTES.iter().map(|route| (route, filled(route.path))).collect();
    (simulator, collector, paths)
}

#[actix_web::test]
async fn every_route_keeps_to_the_manners() {
    let (simulator, collector, paths) = running().await;
    for (route, path) in &paths {
        assert!(!path.contains('{'), "{path}");
        let kind = match route.speaks {
            Speaks::Json => "application/json",
            Speaks::Text if route.path == "/metrics" => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
            Speaks::Text if route.path == "/api/v1/export/prometheus" => {
                "text/plain; version=0.0.4; charset=utf-8"
            }
            Speaks::Text if route.path == "/" => "text/html; charset=utf-8",
            Speaks::Text => "text/plain; charset=utf-8",
        };
        let bare = path.trim_end_matches('/');
        // With and without a slash at the end, and with an encoded one.
        let (first, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        let encoded = if rest.is_empty() { path.clone() } else { format!("/{first}%2F{rest}") };
        for path in [path.clone(), format!("{bare}/"), encoded] {
            let answer = ask(&collector, "GET", &path, &[]).await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (200, kind),
                "{path}: {}",
                answer.body
            );
            if route.speaks == Speaks::Json {
                serde_json::from_str::<serde_json::Value>(&answer.body).unwrap();
            }
        }
        for method in ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            let answer = ask(&collector, method, path, &[("accept", "text/html")]).await;
            assert_eq!((answer.status, answer.header("allow")), (405, "GET"), "{method} {path}");
            let body = if method == "HEAD" { "" } else { "405: Method Not Allowed" };
            assert_eq!(answer.body, body, "{method} {path}");
        }
        for accept in ["text/plain", "application/xml, text/html;q=0.5", "application", "image/*"] {
            let answer = ask(&collector, "GET", path, &[("accept", accept)]).await;
            match route.speaks {
                Speaks::Json => {
                    let got = (answer.status, &*answer.body, answer.header("content-type"));
                    assert_eq!(
                        got,
                        (406, "406: Not Acceptable", "text/plain; charset=utf-8"),
                        "{accept} {path}"
                    );
                }
                Speaks::Text => assert_eq!(answer.status, 200, "{accept} {path}"),
            }
        }
        let doubled = ask(&collector, "GET", &format!("{bare}//?a=%2F/b//c"), &[]).await;
        assert_eq!((doubled.status, doubled.header("location")), (301, &*format!("{bare}/?a=%2F/b//c")));
    }
    let json =
        ["*/*", "application/json", "application/*", "text/html,*/*;q=0.1", "Application/JSON ; q=1", ""];
    for accept in json {
        let answer = ask(&collector, "GET", "/api/v1/model/nodes", &[("accept", accept)]).await;
        assert_eq!(answer.status, 200, "{accept}");
    }
    collector.running.stop().await;
    simulator.stop().await;
}

#[actix_web::test]
async fn long_answers_are_compressed_and_the_longest_come_in_pieces() {
    let (simulator, collector, _) = running().await;
    let openapi = collector.get("/openapi.json").await.body;
    for (asked, given) in [
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("identity", ""),
        ("br", ""),
        ("gzip;q=0, deflate", "deflate"),
    ] {
        for path in ["/openapi.json", "/api/v1/metric-export"] {
            let answer = ask(&collector, "GET", path, &[("accept-encoding", asked)]).await;
            assert_eq!((answer.status, answer.header("content-encoding")), (200, given), "{asked} {path}");
            assert_eq!(answer.header("vary").to_lowercase(), "accept-encoding", "{asked} {path}");
            // The client has unpacked it by its own means: the zlib form, as deflate is to be.
            if path == "/openapi.json" {
                assert_eq!(answer.body, openapi, "{asked}");
            }
        }
    }
    for asked in ["identity", "gzip"] {
        let short = ask(&collector, "GET", "/api/v1/model/nodes", &[("accept-encoding", asked)]).await;
        assert_eq!(short.header("content-length"), short.body.len().to_string(), "{asked}");
        assert!(short.body.len() < usize::try_from(WORTH_COMPRESSING).unwrap());
        assert_eq!(
            (short.header("content-encoding"), short.header("vary")),
            ("", "accept-encoding"),
            "{asked}"
        );
    }
    let export = ask(&collector, "GET", "/api/v1/metric-export", &[("accept-encoding", "identity")]).await;
    assert!(export.body.len() > 32 * 1_024, "{}", export.body.len());
    assert_eq!(export.header("transfer-encoding"), "chunked");
    collector.running.stop().await;
    simulator.stop().await;
}

#[actix_web::test]
async fn errors_say_what_is_wrong_and_repeat_little() {
    let (simulator, collector, _) = running().await;
    let series = "/api/v1/model/metrics/cpu/limit";
    let long = "x".repeat(1_000);
    let time = "timestamp argument cannot be parsed: parsing time ";
    let cases = [
        (
            format!("{series}?start=yesterday"),
            400,
            format!("{time}\"yesterday\" as \"2006-01-02T15:04:05Z07:00\": "),
        ),
        (
            format!("{series}?end=1795287600"),
            400,
            format!("{time}\"1795287600\" as \"2006-01-02T15:04:05Z07:00\": "),
        ),
        (format!("{series}?start={long}"), 400, format!("{time}\"{}…\" as ", "x".repeat(100))),
        (format!("{series}?labels=nonsense"), 400, "invalid label pair \"nonsense\"".to_owned()),
        // Times are looked at before labels.
        (format!("{series}?labels=nonsense&end=noon"), 400, format!("{time}\"noon\"")),
        (format!("{series}?labels=a:b,c:"), 400, "invalid label pair \"c:\"".to_owned()),
        (format!("{series}?labels=%0a%1b{long}"), 400, "invalid label pair \"\u{fffd}\u{fffd}xxx".to_owned()),
        (format!("{series}?cluster=nope"), 400, "cluster argument \"nope\"".to_owned()),
        ("/api/v1/model/nodes/%zz".to_owned(), 400, "the path cannot be decoded: ".to_owned()),
        ("/api/v1/model/nodes/%ff/metrics".to_owned(), 400, "the path cannot be decoded: ".to_owned()),
        ("/api/v1/model/nope".to_owned(), 404, "404: Page Not Found".to_owned()),
        ("/api/v1/model/nodes/a/nope/".to_owned(), 404, "404: Page Not Found".to_owned()),
        ("/apis/metrics.k8s.io/v1alpha1".to_owned(), 404, "404: Page Not Found".to_owned()),
        ("/apis/metrics.k8s.io/v1beta1/nodes".to_owned(), 404, "404 page not found\n".to_owned()),
        ("/api/v1/modelling".to_owned(), 404, "404 page not found\n".to_owned()),
        ("/nope".to_owned(), 404, "404 page not found\n".to_owned()),
        (
            "/apis/metrics/v1alpha1/nodes?labelSelector===".to_owned(),
            400,
            "Error while parsing selector ==: found '=='".to_owned(),
        ),
        (
            "/apis/metrics/v1alpha1/pods?labelSelector=a%20b".to_owned(),
            400,
            "Error while parsing selector a b: ".to_owned(),
        ),
        (
            format!("/apis/metrics/v1alpha1/pods?labelSelector=-{long}"),
            400,
            "Error while parsing selector -xxx".to_owned(),
        ),
        ("/apis/metrics/v1alpha1/nodes/nope".to_owned(), 404, "No metrics for node nope".to_owned()),
        (
            "/apis/metrics/v1alpha1/namespaces/shop/pods/nope".to_owned(),
            404,
            "Error while getting pod nope: pod \"nope\" not found".to_owned(),
        ),
    ];
    for (path, status, begins) in cases {
        let answer = ask(&collector, "GET", &path, &[]).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, "text/plain; charset=utf-8"),
            "{path}"
        );
        assert!(answer.body.starts_with(&begins), "{path}: {}", answer.body);
        assert!(
            answer.body.len() < 600 && !answer.body.trim_end().contains(char::is_control),
            "{}",
            answer.body
        );
    }
    // An empty range, an empty parameter and one that is not known are no errors.
    let empty = "{\n  \"metrics\": [],\n  \"latestTimestamp\": \"0001-01-01T00:00:00Z\"\n }";
    let range = "?start=2026-11-21T19:00:00Z&end=2016-11-21T19:00:00%2B02:00&end=noon";
    assert_eq!(ask(&collector, "GET", &format!("{series}{range}"), &[]).await.body, empty);
    let all = ask(&collector, "GET", &format!("{series}?start=&labels=&nope=1"), &[]).await;
    assert!(all.status == 200 && all.body.contains("\"value\""));
    collector.running.stop().await;
    simulator.stop().await;
}

#[test]
fn paths_lead_where_they_were_meant_to() {
    let here = |to: &str| Path::Here(to.to_owned());
    let moved = |to: &str| Path::Moved(to.to_owned());
    let cases = [
        ("/", here("/")),
        ("/a/b", here("/a/b")),
        ("/a/b/", here("/a/b")),
        ("/a%2Fb%2f", here("/a/b")),
        ("/a%20b:c,d@e", here("/a%20b:c,d@e")),
        ("/%C3%A9/%25/%3F", here("/%C3%A9/%25/%3F")),
        ("//", moved("/")),
        ("//evil.example/a", moved("/evil.example/a")),
        ("/a//b/", moved("/a/b/")),
        ("/a/./b", moved("/a/b")),
        ("/a/../b", moved("/b")),
        ("/../../b", moved("/b")),
        ("/a/..", moved("/")),
        ("/a/%2e%2E/b", moved("/b")),
        ("/a%2F%2Fb", moved("/a/b")),
        ("/a/..b/c..", here("/a/..b/c..")),
    ];
    for (raw, expected) in cases {
        let found = path(raw).unwrap();
        assert_eq!(found, expected, "{raw}");
        // Whoever follows is not sent on again.
        if let Path::Moved(to) = found {
            assert!(matches!(path(&to).unwrap(), Path::Here(_)), "{raw}");
        }
    }
    for raw in ["/%", "/%2", "/%2x", "/%ff", "/%C3"] {
        assert!(path(raw).is_err(), "{raw}");
    }
}
