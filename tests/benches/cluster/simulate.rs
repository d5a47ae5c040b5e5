//! The process that plays the cluster: the simulator's API server, and kubelets with bodies of `moving`. What is measured
//! of the collector is left to `measure`.
//!
//! It writes the source's URI to its standard output, and ends when its standard input does: then whoever started it is
//! gone, and so must be the collector, whose process it was told.

use crate::churn;
use crate::moving::Moving;
use crate::options::Size;
use actix_web::web::Bytes;
use heapster::clock::Clock;
use heapster::simulator::cluster::Node;
use heapster::simulator::{
    Answers, ApiServer, Kind, KubeletAnswer, KubeletRequest, Kubelets, Shape, SyntheticCluster, objects,
    summary,
};
use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::net::IpAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Seconds between two measurements of an entity, as kubelets make them.
const HOUSEKEEPING: u64 = 10;

struct Bodies {
    nodes: HashMap<IpAddr, Mutex<Moving>>,
    clock: Clock,
}

impl Answers for Bodies {
    fn answer(&self, ask: &KubeletRequest) -> KubeletAnswer {
        let (true, Some(body)) = (ask.path.starts_with("/stats/summary"), self.nodes.get(&ask.address))
        else {
            return KubeletAnswer::status(404, "404 page not found\n");
        };
        let mut text = Vec::new();
        body.lock().unwrap().write(self.clock.now().seconds(), &mut text);
        KubeletAnswer::json(Bytes::from(text))
    }
}

/// Bytes of the first node's body of a cluster of this size.
pub fn first_body(size: &Size) -> usize {
    let clock = Clock::system();
    let cluster = cluster(&Size { nodes: 1, ..size.clone() }, &clock);
    body_of(&cluster, &cluster.nodes()[0], &clock).len()
}

fn cluster(size: &Size, clock: &Clock) -> SyntheticCluster {
    let shape = Shape {
        nodes: size.nodes,
        pods: size.pods,
        containers: size.containers,
        namespaces: size.namespaces(),
        psi: size.psi,
        pretty: size.pretty,
        housekeeping: Duration::from_secs(HOUSEKEEPING),
    };
    let born = heapster::model::time::Timestamp::from_seconds(clock.now().seconds() - 3_600);
    SyntheticCluster::new(shape, born)
}

fn body_of(cluster: &SyntheticCluster, node: &Node, clock: &Clock) -> Vec<u8> {
    let mut text = Vec::new();
    summary::write(cluster, node, clock.now(), &mut text);
    text
}

/// Plays a cluster of this size until standard input ends.
pub fn run(size: &Size) {
    let told = listen();
    actix_web::rt::System::new().block_on(play(size, told));
}

async fn play(size: &Size, mut told: UnboundedReceiver<String>) {
    let clock = Clock::system();
    let cluster = cluster(size, &clock);
    let moving = |node: &Node| {
        Mutex::new(Moving::new(body_of(&cluster, node, &clock), HOUSEKEEPING as i64, node.seed))
    };
    let nodes = cluster.nodes().iter().map(|node| (node.address, moving(node))).collect();
    let addresses: Vec<IpAddr> = cluster.nodes().iter().map(|node| node.address).collect();
    let bodies = Arc::new(Bodies { nodes, clock: clock.clone() });
    let kubelets = Kubelets::start(&addresses, bodies.clone()).unwrap();
    let api = ApiServer::start().unwrap();
    let spaces = cluster.namespaces().iter().map(|space| objects::namespace(&cluster, space, api.port()));
    api.fill(Kind::Namespace, spaces);
    api.fill(Kind::Node, cluster.nodes().iter().map(|node| objects::node(node, kubelets.port())));
    let pods =
        cluster.nodes().iter().flat_map(|node| node.pods.iter().map(move |pod| objects::pod(node, pod)));
    api.fill(Kind::Pod, pods);
    say(&format!(
        "kubernetes.summary_api:{}?inClusterConfig=false&kubeletPort={}",
        api.url(),
        kubelets.port()
    ));
    let mut collector = None;
    let mut nodes: Vec<Node> = cluster.nodes().to_vec();
    while let Some(line) = told.recv().await {
        if let Some(process) = line.strip_prefix("collector ") {
            collector = process.parse::<u32>().ok();
        } else if let Some((pods, seconds)) =
            line.strip_prefix("churn ").and_then(|rest| rest.split_once(' '))
        {
            let (pods, seconds) = (pods.parse().unwrap(), seconds.parse().unwrap());
            let replaced =
                churned(&cluster, &mut nodes, &bodies, &api, pods, Duration::from_secs(seconds)).await;
            say(&format!("churned {replaced}"));
        }
    }
    if let Some(collector) = collector {
        // It has ended already where all went well.
        let _ = Command::new("kill").args(["-KILL", &collector.to_string()]).output();
    }
}

/// Replaces so many pods, node by node, evenly over a time. How many.
async fn churned(
    cluster: &SyntheticCluster,
    nodes: &mut [Node],
    bodies: &Bodies,
    api: &ApiServer,
    pods: usize,
    during: Duration,
) -> usize {
    let began = tokio::time::Instant::now();
    let (mut replaced, mut generation) = (0, 0);
    while replaced < pods {
        generation += 1;
        for node in nodes.iter_mut() {
            if replaced >= pods {
                break;
            }
            tokio::time::sleep_until(began + during.mul_f64(replaced as f64 / pods as f64)).await;
            for (namespace, name) in churn::replace(node, pods - replaced, generation, bodies.clock.now()) {
                api.delete(Kind::Pod, Some(&namespace), &name);
                replaced += 1;
            }
            for pod in &node.pods {
                api.apply(Kind::Pod, objects::pod(node, pod));
            }
            let body = Moving::new(
                body_of(cluster, node, &bodies.clock),
                HOUSEKEEPING as i64,
                node.seed ^ generation,
            );
            *bodies.nodes[&node.address].lock().unwrap() = body;
        }
    }
    replaced
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}

/// What comes from standard input, line by line.
fn listen() -> UnboundedReceiver<String> {
    let (tell, told) = unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if tell.send(line).is_err() {
                break;
            }
        }
    });
    told
}
