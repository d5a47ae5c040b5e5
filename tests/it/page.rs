//! The page at `/`: what it names, where its links lead, and what it never holds.

use crate::support::{Collector, until};
use heapster::api::page::html;
use heapster::api::routes::ROUTES;
use heapster::clock::Clock;
use heapster::messages::ClusterState;
use heapster::rollup::cluster::Held;
use heapster::simulator::{Shape, Simulator};
use std::time::Duration;

fn hrefs(page: &str) -> Vec<&str> {
    page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[actix_web::test]
async fn the_page_names_what_runs_and_its_links_lead_somewhere() {
    let simulator =
        Simulator::start(Shape { nodes: 2, pods: 2, ..Shape::default() }, Clock::system()).unwrap();
    let source = format!("--source={}&clusterName=east", simulator.source_uri());
    let collector = Collector::start(&[&source, "--sink=log", "--log_level=off"]).await;
    let page = until("a fresh cluster", async || {
        let reply = collector.get("/").await;
        assert_eq!((reply.status, reply.kind.as_str()), (200, "text/html; charset=utf-8"));
        reply.body.contains(">fresh<").then_some(reply.body)
    })
    .await;
    for word in [env!("CARGO_PKG_VERSION"), ">east<", ">log<", "<!DOCTYPE html>", ">2<"] {
        assert!(page.contains(word), "{word} is missing: {page}");
    }
    for route in ROUTES {
        assert!(page.contains(&format!("<code>{}</code>", route.shown())), "{} is missing", route.path);
    }
    let links = hrefs(&page);
    assert!(links.len() > 10);
    for link in links {
        // They are relative, so that they hold behind a proxy.
        assert!(!link.starts_with('/') && !link.contains("://"), "{link}");
        let reply = collector.get(&format!("/{}", link.trim_start_matches("./"))).await;
        assert_eq!(reply.status, 200, "{link}: {}", reply.body);
    }
    for script in ["<script", "javascript:", "onclick", "onload", "<img", "<link", "http://", "https://"] {
        assert!(!page.contains(script), "{script}: {page}");
    }
    let opened = page.matches("<tr>").count() + page.matches("<td").count() + page.matches("<a ").count();
    let closed = page.matches("</tr>").count() + page.matches("</td>").count() + page.matches("</a>").count();
    assert_eq!(opened, closed);
    collector.running.stop().await;
    simulator.stop().await;
}

#[test]
fn what_others_named_is_shown_and_not_obeyed() {
    let odd = "<script>alert('x')</script>\"&";
    let state = ClusterState {
        name: odd.into(),
        same_as: None,
        undiscovered: None,
        discovered: true,
        scraped: 1,
        unusable: 2,
        of_other_shards: 0,
        answered: 1,
        last_window: None,
        age: None,
        held: Held::default(),
    };
    let stale = ClusterState { age: Some(Duration::from_secs(200)), name: "old".into(), ..state.clone() };
    let silent = ClusterState { discovered: false, name: "away".into(), ..state.clone() };
    let page = html(Ok(&[state, stale, silent]), &[odd.to_owned()], Duration::from_secs(180), None, false);
    let shown = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;";
    assert_eq!(page.matches(shown).count(), 2, "{page}");
    assert!(!page.contains("<script"), "{page}");
    for word in ["waiting for the first answer", ">stale<", "the API server has not answered yet"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    let page = html(Err(&odd.to_owned()), &[], Duration::ZERO, None, true);
    assert!(page.contains(shown) && page.contains("None."), "{page}");
}

#[actix_web::test]
async fn the_page_holds_no_password() {
    let source = "--source=kubernetes.summary_api:http://me:hunter2@127.0.0.1:1?inClusterConfig=false";
    let collector = Collector::start(&[source, "--log_level=off"]).await;
    for path in ["/", "/openapi.json", "/api/v1/status", "/metrics"] {
        let reply = collector.get(path).await;
        assert!(reply.status == 200 && !reply.body.contains("hunter2"), "{path}: {}", reply.body);
    }
    collector.running.stop().await;
}
