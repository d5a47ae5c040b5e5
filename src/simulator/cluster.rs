//! Who is in a synthetic cluster: nodes, pods and containers with their names and bounds, made from a shape alone. What
//! they use is left to `usage`, how the API server shows them to `objects`.

use super::curve::{child, mix, pick};
use crate::model::time::{NANOS_PER_SECOND, Timestamp};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The most nodes that a shape may ask for: each needs its own address in 127.77.0.0/16.
pub const MOST_NODES: u32 = 60_000;

/// Nodes per third octet of their addresses: .1 to .250.
const PER_OCTET: u32 = 250;

const MEBIBYTE: u64 = 1 << 20;

/// The size of a synthetic cluster and how its kubelets write.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Number of nodes, 1 to [`MOST_NODES`].
    pub nodes: u32,
    /// Pods on each node.
    pub pods: u32,
    /// Containers in each pod.
    pub containers: u32,
    /// Number of namespaces; zero counts as one.
    pub namespaces: u32,
    /// Whether kubelets tell pressure (`psi` and `io`), as they do since Kubernetes 1.34.
    pub psi: bool,
    /// Whether bodies are indented by one space, as real kubelets write them.
    pub pretty: bool,
    /// How long a kubelet's numbers of one entity stay the same. Shorter than a second counts as a second.
    pub housekeeping: Duration,
}

impl Default for Shape {
    fn default() -> Self {
        let housekeeping = Duration::from_secs(3);
        Self { nodes: 3, pods: 8, containers: 2, namespaces: 4, psi: true, pretty: true, housekeeping }
    }
}

/// A container of a pod.
#[derive(Clone, Debug)]
pub struct Container {
    /// Its name within the pod.
    pub name: String,
    /// The image it runs.
    pub image: String,
    /// When it was (last) started; whole seconds.
    pub started: Timestamp,
    /// How often it was restarted.
    pub restarts: u32,
    /// Requested CPU in thousandths of a core.
    pub cpu_request: Option<u64>,
    /// CPU limit in thousandths of a core.
    pub cpu_limit: Option<u64>,
    /// Requested memory in bytes.
    pub memory_request: Option<u64>,
    /// Memory limit in bytes.
    pub memory_limit: Option<u64>,
    /// What its curves are made from.
    pub seed: u64,
}

/// A pod bound to a node.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its uid.
    pub uid: String,
    /// The value of its label `app`.
    pub app: &'static str,
    /// Whether it shares the node's network.
    pub host_network: bool,
    /// Whether it has an emptyDir volume named `scratch`.
    pub scratch: bool,
    /// Its address: the node's with the host's network.
    pub address: IpAddr,
    /// When it was created and started; whole seconds.
    pub started: Timestamp,
    /// Its containers.
    pub containers: Vec<Container>,
    /// What its curves are made from.
    pub seed: u64,
}

/// A node and its pods.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name and host name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its internal address, on loopback.
    pub address: IpAddr,
    /// Number of its cores.
    pub cores: u64,
    /// Size of its memory in bytes.
    pub memory: u64,
    /// When it was booted; whole seconds.
    pub started: Timestamp,
    /// Its pods.
    pub pods: Vec<Pod>,
    /// What its curves are made from.
    pub seed: u64,
}

/// A cluster that is made up: the same for the same shape and birth. It holds no state; what its containers use is a
/// function of the instant (see [`super::usage`]).
#[derive(Clone, Debug)]
pub struct SyntheticCluster {
    shape: Shape,
    born: Timestamp,
    namespaces: Vec<String>,
    nodes: Vec<Node>,
}

impl SyntheticCluster {
    /// The cluster of `shape` whose nodes were booted at `born` (rounded down to a second) and whose pods all started in
    /// the minute after; one container was restarted five minutes after. Nodes beyond [`MOST_NODES`] are left out.
    pub fn new(shape: Shape, born: Timestamp) -> Self {
        let born = Timestamp::from_seconds(born.seconds());
        let namespaces: Vec<String> = (0..shape.namespaces.max(1)).map(namespace_name).collect();
        let mut maker = Maker { shape: &shape, born, namespaces: &namespaces, ordinals: BTreeMap::new() };
        let nodes = (0..shape.nodes.min(MOST_NODES)).map(|number| maker.node(number)).collect();
        Self { shape, born, namespaces, nodes }
    }

    /// The shape it was made from.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// When its nodes were booted.
    pub fn born(&self) -> Timestamp {
        self.born
    }

    /// The names of its namespaces.
    pub fn namespaces(&self) -> &[String] {
        &self.namespaces
    }

    /// Its nodes, `node-1` first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node at a loopback address.
    pub fn node_at(&self, address: IpAddr) -> Option<&Node> {
        let IpAddr::V4(address) = address else { return None };
        let [_, _, third, fourth] = address.octets();
        let number = u32::from(third) * PER_OCTET + u32::from(fourth).checked_sub(1)?;
        self.nodes.get(usize::try_from(number).ok()?).filter(|node| node.address == address)
    }

    /// Nanoseconds of CPU that `container` has used at the second of `at`; never decreases.
    pub fn cpu_nanoseconds(container: &Container, at: Timestamp) -> u64 {
        container.cpu_nanoseconds(at)
    }

    /// The instant of the numbers that a kubelet tells at `at` of an entity with `seed` that runs since `started`: the
    /// last tick of its housekeeping, rounded down to a second, but not before `started`.
    pub fn sampled(&self, seed: u64, started: Timestamp, at: Timestamp) -> Timestamp {
        sampled(seed, started, at, self.shape.housekeeping)
    }
}

/// The last multiple of `interval` up to `at`, shifted by a phase that `seed` picks, in whole seconds, not before
/// `started`.
pub fn sampled(seed: u64, started: Timestamp, at: Timestamp, interval: Duration) -> Timestamp {
    let interval = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX).max(NANOS_PER_SECOND);
    let phase = pick(child(seed, 21), 0, interval);
    let tick = at.nanos().saturating_sub(phase).div_euclid(interval).saturating_mul(interval);
    let tick = Timestamp::from_nanos(tick.saturating_add(phase));
    Timestamp::from_seconds(tick.seconds()).max(started)
}

/// The name of namespace number `number`.
fn namespace_name(number: u32) -> String {
    match number {
        0 => "default".into(),
        1 => "kube-system".into(),
        2 => "shop".into(),
        3 => "batch".into(),
        _ => format!("team-{}", number + 1),
    }
}

/// The deployments of a namespace.
fn applications(namespace: &str) -> &'static [&'static str] {
    match namespace {
        "default" => &["web", "cache"],
        "kube-system" => &["dns", "metrics-proxy"],
        "shop" => &["cart", "checkout", "catalog"],
        "batch" => &["report", "import"],
        _ => &["api", "worker"],
    }
}

pub(super) fn uid(seed: u64) -> String {
    let (a, b) = (child(seed, 31), child(seed, 32));
    let (first, second, third) = (a >> 32, (a >> 16) & 0xffff, a & 0xfff);
    format!("{first:08x}-{second:04x}-4{third:03x}-a{:03x}-{:012x}", b >> 52, b & 0xffff_ffff_ffff)
}

/// What is needed while the nodes are made one after the other.
struct Maker<'a> {
    shape: &'a Shape,
    born: Timestamp,
    namespaces: &'a [String],
    /// Pods made so far, by namespace and application.
    ordinals: BTreeMap<(&'a str, &'static str), u32>,
}

impl<'a> Maker<'a> {
    fn node(&mut self, number: u32) -> Node {
        let seed = mix(u64::from(number).wrapping_add(1));
        let octet = |n: u32| u8::try_from(n).unwrap_or(u8::MAX);
        let (third, fourth) = (octet(number / PER_OCTET), octet(number % PER_OCTET + 1));
        let address = IpAddr::V4(Ipv4Addr::new(127, 77, third, fourth));
        let place = |index: u32| Ipv4Addr::new(10, 64 | third, fourth, octet(index % 250 + 2));
        let pods = 0..self.shape.pods;
        let pods =
            pods.map(|index| self.pod(number, index, seed, address, IpAddr::V4(place(index)))).collect();
        let size = 1 + u64::from(self.shape.pods) * u64::from(self.shape.containers) / 64;
        Node {
            name: format!("node-{}", number + 1),
            uid: uid(seed),
            address,
            cores: 16 * size,
            memory: size * 65_536 * MEBIBYTE,
            started: self.born,
            pods,
            seed,
        }
    }

    fn pod(&mut self, node: u32, index: u32, of_node: u64, host: IpAddr, place: IpAddr) -> Pod {
        let seed = child(of_node, u64::from(index) + 1);
        let count = self.namespaces.len();
        let slot = usize::try_from(u64::from(index) + u64::from(node)).unwrap_or(0);
        // The first pod of a node is its agent, as a DaemonSet makes it.
        let agent = index == 0 && count > 1;
        let space = if agent { 1 } else { slot % count };
        let namespace = self.namespaces.get(space).map_or("default", String::as_str);
        let apps = applications(namespace);
        let app =
            if agent { "node-agent" } else { apps.get(slot / count % apps.len()).copied().unwrap_or("web") };
        let ordinal = self.ordinals.entry((namespace, app)).or_default();
        *ordinal += 1;
        let name = if agent {
            // An odd factor, so that no two of the first 2^20 nodes get the same five digits.
            format!("{app}-{:05x}", node.wrapping_add(1).wrapping_mul(0x9E375) & 0xf_ffff)
        } else {
            let hash = namespace.bytes().chain(app.bytes()).fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
            format!("{app}-{:05x}-{ordinal}", hash & 0xf_ffff)
        };
        let started = self.born.after(Duration::from_secs(30 + mix(seed) % 30));
        let restarted = node == 0 && index == 1.min(self.shape.pods.saturating_sub(1));
        let containers = 0..self.shape.containers;
        Pod {
            name,
            namespace: namespace.into(),
            uid: uid(seed),
            app,
            host_network: agent,
            scratch: seed.is_multiple_of(4),
            address: if agent { host } else { place },
            started,
            containers: containers.map(|n| container(n, seed, app, started, restarted && n == 0)).collect(),
            seed,
        }
    }
}

fn container(number: u32, pod: u64, app: &str, pod_started: Timestamp, restarted: bool) -> Container {
    let seed = child(pod, 100 + u64::from(number));
    let name = match number {
        0 => "app".into(),
        1 => "sidecar".into(),
        2 => "proxy".into(),
        3 => "logger".into(),
        _ => format!("helper-{}", number - 3),
    };
    let cores = super::usage::cpu_base(seed) / 1_000_000;
    let memory = super::usage::memory_peak(seed).div_ceil(MEBIBYTE) * MEBIBYTE;
    // One in five asks for nothing, one in three has no limits.
    let (requests, limits) = (!seed.is_multiple_of(5), !seed.is_multiple_of(3));
    let later = if restarted { 300 } else { 2 + u64::from(number % 8) };
    Container {
        name,
        image: format!("registry.example/{app}:1.{}", number + 4),
        started: pod_started.after(Duration::from_secs(later)),
        restarts: if restarted { 3 } else { 0 },
        cpu_request: requests.then_some(cores + 1),
        cpu_limit: limits.then_some(2 * cores + 10),
        memory_request: requests.then_some(memory),
        memory_limit: limits.then_some(2 * memory),
        seed,
    }
}
