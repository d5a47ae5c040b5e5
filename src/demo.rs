//! `heapster demo`: says while one waits what is under way, and then what to try. The cluster is `simulator`'s, the
//! collector the same as ever.

use crate::api::routes::ROUTES;
use crate::config::cli::Demo;
use crate::simulator::{Shape, SyntheticCluster};
use futures_util::StreamExt;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How often the collector is asked whether there is something to see.
const LOOK: Duration = Duration::from_millis(500);
/// How often one is told that it goes on.
const PROGRESS: u32 = 4;

/// Says a line to whoever listens: a reader that has gone is no reason to fail.
macro_rules! say {
    ($($text:tt)*) => {{
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

/// The cluster of the size that was asked for, which it says.
pub fn shape(demo: Demo) -> Shape {
    say!("simulating {} nodes of {} pods …", demo.nodes, demo.pods);
    Shape {
        nodes: demo.nodes,
        pods: demo.pods,
        containers: demo.containers,
        namespaces: demo.namespaces,
        ..Shape::default()
    }
}

/// Waits until the first window is there and says what can be asked. Everything it says goes to standard output.
pub async fn guide(
    base: String,
    every: Duration,
    cluster: Arc<SyntheticCluster>,
    source: String,
    api: String,
) {
    let every = humantime::format_duration(every);
    say!("simulated cluster: {} nodes; collecting every {every}, answering at {base}", cluster.nodes().len());
    let client = awc::Client::default();
    let mut looked = 0_u32;
    // Over TLS it would have to know whom to trust, and may have to say who it is.
    while !base.starts_with("https") && !is_ready(&client, &base).await {
        if looked.is_multiple_of(PROGRESS) {
            say!("waiting for the first window …");
        }
        looked += 1;
        tokio::time::sleep(LOOK).await;
    }
    let first =
        if base.starts_with("https") { "the first window takes a moment" } else { "first window complete" };
    say!("{first}. Try:");
    for url in urls(&base, &cluster) {
        say!("  curl -s '{url}'");
    }
    say!(
        "through the proxy of the cluster's API server:\n  curl -s \
         '{api}/api/v1/namespaces/kube-system/services/http:heapster:/proxy/api/v1/model/nodes/'"
    );
    say!("the same cluster for a collector of your own:\n  --source='{source}'");
    say!("rates need two windows; {} routes are in the README. Ctrl-C ends.", ROUTES.len());
}

async fn is_ready(client: &awc::Client, base: &str) -> bool {
    let answer = client.get(format!("{base}/readyz")).timeout(LOOK).send().await;
    match answer {
        Ok(mut answer) => {
            // Read to its end so that the connection can be used again.
            while answer.next().await.is_some() {}
            answer.status().is_success()
        }
        Err(_) => false,
    }
}

/// The URL that a client on this machine can use.
pub fn url(address: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    match address.ip().is_unspecified() {
        true => format!("{scheme}://127.0.0.1:{}", address.port()),
        false => format!("{scheme}://{address}"),
    }
}

fn urls(base: &str, cluster: &SyntheticCluster) -> Vec<String> {
    let model = format!("{base}/api/v1/model");
    let mut urls = vec![
        format!("{model}/metrics/"),
        format!("{model}/metrics/memory/usage"),
        format!("{model}/nodes/"),
        format!("{model}/namespaces/"),
    ];
    if let Some(node) = cluster.nodes().first() {
        urls.push(format!("{model}/nodes/{}/metrics/cpu/node_utilization", node.name));
        urls.push(format!("{model}/nodes/{}/metrics/filesystem/usage?labels=resource_id:/", node.name));
        if let Some(pod) = node.pods.first() {
            urls.push(format!(
                "{model}/namespaces/{}/pods/{}/metrics/cpu/usage_rate",
                pod.namespace, pod.name
            ));
        }
    }
    urls.push(format!("{base}/apis/metrics/v1alpha1/nodes"));
    urls.push(format!("{base}/metrics"));
    urls
}
