//! A Kubernetes cluster on loopback, over real HTTP: an API server and kubelets, for the demo, the integration tests
//! and the benchmarks. Nothing here reads what it serves; that is left to the sources.

mod api_proxy;
mod api_routes;
pub mod api_server;
pub mod api_store;
mod api_watch;
pub mod cluster;
pub mod curve;
pub mod kubelet;
mod kubelet_body;
pub mod objects;
pub mod playback;
pub mod selector;
pub mod summary;
mod summary_text;
pub mod usage;

pub use api_server::{ApiServer, Fault, SeenRequest};
pub use api_store::Kind;
pub use cluster::{Shape, SyntheticCluster};
pub use kubelet::{Answers, KubeletAnswer, KubeletRequest, Kubelets, Manner};

use crate::clock::Clock;
use crate::model::time::Timestamp;
use actix_web::web::Bytes;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Seconds that a simulated cluster has been up when the simulator starts, so that all its containers run.
const UPTIME_AT_START: i64 = 3600;

/// A running simulated cluster. It needs an actix system around it and lives until [`Simulator::stop`] or the end of
/// that system.
pub struct Simulator {
    cluster: Arc<SyntheticCluster>,
    api: ApiServer,
    kubelets: Kubelets,
}

impl Simulator {
    /// Starts the API server and one kubelet per node. The cluster was born an hour before the clock's present.
    ///
    /// # Errors
    /// When an address cannot be bound, or when `shape` has no nodes or more than [`cluster::MOST_NODES`].
    pub fn start(shape: Shape, clock: Clock) -> io::Result<Self> {
        if shape.nodes == 0 || shape.nodes > cluster::MOST_NODES {
            let why = format!("a simulated cluster has 1 to {} nodes", cluster::MOST_NODES);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let born = Timestamp::from_seconds(clock.now().seconds().saturating_sub(UPTIME_AT_START));
        let cluster = Arc::new(SyntheticCluster::new(shape, born));
        let addresses: Vec<IpAddr> = cluster.nodes().iter().map(|node| node.address).collect();
        let answers = ClusterAnswers { cluster: Arc::clone(&cluster), clock, length: AtomicUsize::new(0) };
        let kubelets = Kubelets::start(&addresses, Arc::new(answers))?;
        let api = ApiServer::start()?;
        api.fill(
            Kind::Namespace,
            cluster.namespaces().iter().map(|space| objects::namespace(&cluster, space, api.port())),
        );
        api.fill(Kind::Node, cluster.nodes().iter().map(|node| objects::node(node, kubelets.port())));
        let pods =
            cluster.nodes().iter().flat_map(|node| node.pods.iter().map(move |pod| objects::pod(node, pod)));
        api.fill(Kind::Pod, pods);
        Ok(Self { cluster, api, kubelets })
    }

    /// Where the API server listens, such as `http://127.0.0.1:40001`.
    pub fn api_url(&self) -> String {
        self.api.url()
    }

    /// The one port that all kubelets listen on.
    pub fn kubelet_port(&self) -> u16 {
        self.kubelets.port()
    }

    /// What to give the collector as its `--source`.
    pub fn source_uri(&self) -> String {
        let (url, port) = (self.api_url(), self.kubelet_port());
        format!("kubernetes.summary_api:{url}?inClusterConfig=false&kubeletPort={port}")
    }

    /// The cluster whose numbers are served.
    pub fn cluster(&self) -> &Arc<SyntheticCluster> {
        &self.cluster
    }

    /// The API server.
    pub fn api(&self) -> &ApiServer {
        &self.api
    }

    /// The kubelets.
    pub fn kubelets(&self) -> &Kubelets {
        &self.kubelets
    }

    /// Stops all servers; open connections are dropped.
    pub async fn stop(self) {
        self.api.stop().await;
        self.kubelets.stop().await;
    }
}

/// Answers as the kubelets of a synthetic cluster: `/stats/summary` and `/healthz`, and 404 to all else.
pub struct ClusterAnswers {
    cluster: Arc<SyntheticCluster>,
    clock: Clock,
    /// Length of the longest body so far, in bytes, so that the next buffer does not have to grow.
    length: AtomicUsize,
}

impl ClusterAnswers {
    /// Answers for `cluster`, at the instants that `clock` tells.
    pub fn new(cluster: Arc<SyntheticCluster>, clock: Clock) -> Self {
        Self { cluster, clock, length: AtomicUsize::new(0) }
    }
}

impl Answers for ClusterAnswers {
    fn answer(&self, ask: &KubeletRequest) -> KubeletAnswer {
        match ask.path.trim_end_matches('/') {
            "/stats/summary" => {}
            "/healthz" => return KubeletAnswer::status(200, "ok"),
            _ => return KubeletAnswer::status(404, "404 page not found\n"),
        }
        let Some(node) = self.cluster.node_at(ask.address) else {
            return KubeletAnswer::status(404, "404 page not found\n");
        };
        let mut body = Vec::with_capacity(self.length.load(Ordering::Relaxed).saturating_add(256));
        summary::write(&self.cluster, node, self.clock.now(), &mut body);
        self.length.fetch_max(body.len(), Ordering::Relaxed);
        KubeletAnswer::json(Bytes::from(body))
    }
}

/// The guard of a mutex whose holder may have panicked: what it guards here is valid after every statement.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
