//! Questions at a steady rate, whatever the answers take: each is timed from the moment at which it was due, so that a
//! server that stands still is seen; the timer's own millisecond is in it. What is asked is a mix of small and large, over
//! connections that stay open.

use crate::options::Size;
use awc::{Client, Connector};
use heapster::model::time::Timestamp;
use heapster::simulator::cluster::{Node, Pod};
use heapster::simulator::{Shape, SyntheticCluster};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// Connections at most; more questions wait for one.
const CONNECTIONS: usize = 64;
/// How long one is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What kinds of question there are, and how many of twenty are of it.
pub const KINDS: [(&str, usize); 6] = [
    ("series of a pod or container", 8),
    ("series of a namespace or the cluster", 3),
    ("list of pods, nodes or namespaces", 3),
    ("one metric of several pods", 2),
    ("metrics.k8s.io of a pod", 2),
    ("metrics.k8s.io of a namespace", 2),
];

/// What came of the questions.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Seconds each took, by kind.
    pub took: Vec<Vec<f64>>,
    /// How many were not answered with 200, and the first of them.
    pub failed: usize,
    pub failure: Option<String>,
    pub bytes: usize,
}

impl Asked {
    /// This share of the questions, of one kind or of all, took no longer, in milliseconds.
    pub fn quantile(&self, kind: Option<usize>, share: f64) -> f64 {
        let mut all: Vec<f64> = match kind {
            Some(kind) => self.took.get(kind).cloned().unwrap_or_default(),
            None => self.took.concat(),
        };
        all.sort_unstable_by(f64::total_cmp);
        let at = ((all.len() as f64 * share).ceil() as usize).clamp(1, all.len().max(1)) - 1;
        all.get(at).copied().unwrap_or(f64::NAN) * 1e3
    }

    pub fn count(&self) -> usize {
        self.took.iter().map(Vec::len).sum()
    }
}

/// The paths that are asked for, by kind.
struct Paths {
    cluster: SyntheticCluster,
    random: u64,
}

impl Paths {
    fn new(size: &Size) -> Self {
        let shape = Shape {
            nodes: size.nodes,
            pods: size.pods,
            containers: size.containers,
            namespaces: size.namespaces(),
            ..Shape::default()
        };
        Self { cluster: SyntheticCluster::new(shape, Timestamp::from_seconds(0)), random: 1 }
    }

    fn below(&mut self, end: usize) -> usize {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % end.max(1)
    }

    fn node(&mut self) -> &Node {
        let at = self.below(self.cluster.nodes().len());
        &self.cluster.nodes()[at]
    }

    fn pod(&mut self) -> Pod {
        let pick = self.below(usize::MAX);
        let pods = &self.node().pods;
        pods[pick % pods.len()].clone()
    }

    fn next(&mut self) -> (usize, String) {
        let mut left = self.below(KINDS.iter().map(|(_, weight)| weight).sum());
        let kind = KINDS.iter().position(|(_, weight)| {
            let here = left < *weight;
            left = left.saturating_sub(*weight);
            here
        });
        let kind = kind.unwrap_or(0);
        const MODEL: &str = "/api/v1/model";
        let metric = ["cpu/usage_rate", "memory/working_set", "memory/usage", "cpu/usage"][self.below(4)];
        let pod = self.pod();
        let (space, name) = (&pod.namespace, &pod.name);
        let path = match (kind, self.below(3)) {
            (0, 0) => format!("{MODEL}/namespaces/{space}/pods/{name}/metrics/{metric}"),
            (0, _) => format!("{MODEL}/namespaces/{space}/pods/{name}/containers/app/metrics/{metric}"),
            (1, 0) => format!("{MODEL}/metrics/{metric}"),
            (1, _) => format!("{MODEL}/namespaces/{space}/metrics/{metric}"),
            (2, 0) => format!("{MODEL}/namespaces/{space}/pods"),
            (2, 1) => format!("{MODEL}/namespaces"),
            (2, _) => format!("{MODEL}/nodes/{}/pods", self.node().name),
            (3, _) => {
                let pods = (0..500).map(|_| self.pod()).filter(|other| other.namespace == *space).take(10);
                let names: Vec<String> = [name.clone()].into_iter().chain(pods.map(|pod| pod.name)).collect();
                format!("{MODEL}/namespaces/{space}/pod-list/{}/metrics/{metric}", names.join(","))
            }
            (4, _) => format!("/apis/metrics.k8s.io/v1alpha1/namespaces/{space}/pods/{name}"),
            _ => format!("/apis/metrics.k8s.io/v1alpha1/namespaces/{space}/pods"),
        };
        (kind, path)
    }
}

/// Asks `rate` questions a second for so long.
pub async fn ask(base: &str, size: &Size, rate: u32, during: Duration) -> Asked {
    let client = Client::builder()
        .connector(Connector::new().limit(CONNECTIONS).conn_keep_alive(Duration::from_secs(60)))
        .timeout(PATIENCE)
        .finish();
    let mut paths = Paths::new(size);
    // Made before: finding them must not hold up the asking.
    let mixed: Vec<(usize, String)> = (0..5_000).map(|_| paths.next()).collect();
    drop(paths);
    let asked = Rc::new(RefCell::new(Asked { took: vec![Vec::new(); KINDS.len()], ..Asked::default() }));
    let (began, pause) = (Instant::now(), Duration::from_secs(1) / rate.max(1));
    let mut under_way = Vec::new();
    for ((kind, path), number) in mixed.iter().cycle().zip(0_u32..) {
        let due = began + pause * number;
        if due - began >= during {
            break;
        }
        tokio::time::sleep_until(due).await;
        let request = client.get(format!("{base}{path}"));
        let (asked, kind, path) = (Rc::clone(&asked), *kind, path.clone());
        under_way.push(actix_web::rt::spawn(async move {
            let answer = async {
                let mut reply = request.send().await.map_err(|error| error.to_string())?;
                let body = reply.body().limit(64 << 20).await.map_err(|error| error.to_string())?;
                let status = reply.status().as_u16();
                if status == 200 { Ok(body.len()) } else { Err(format!("status {status}")) }
            };
            let answer = answer.await;
            let mut asked = asked.borrow_mut();
            asked.took[kind].push(due.elapsed().as_secs_f64());
            match answer {
                Ok(bytes) => asked.bytes += bytes,
                Err(error) => {
                    asked.failed += 1;
                    asked.failure.get_or_insert(format!("{path}: {error}"));
                }
            }
        }));
        if under_way.len() > 10_000 {
            under_way.retain(|task| !task.is_finished());
        }
    }
    for task in under_way {
        // A panic in one is a bug of the benchmark and told by the runtime.
        let _ = task.await;
    }
    asked.take()
}
