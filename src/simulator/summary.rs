//! One node's `/stats/summary` body at an instant, members and indentation as a real kubelet (v1.36) writes them. The
//! numbers are `usage`'s. The text is written straight into a buffer: a benchmark asks thousands of nodes.

use super::cluster::{Container, Node, Pod, SyntheticCluster};
use super::summary_text::{Key, Text, key};
use super::usage::{Pressure, Traffic, Usage, pressure};
use crate::model::time::{NANOS_PER_SECOND, Timestamp};
use std::time::Duration;

/// Capacity of a node's disk in bytes.
pub const DISK_BYTES: u64 = 100 << 30;
/// Inodes of a node's disk.
pub const DISK_INODES: u64 = 6_553_600;
/// Swap space of a node in bytes.
pub const SWAP_BYTES: u64 = 4 << 30;
/// What a node's disk holds besides its pods, in bytes.
const DISK_BASE: u64 = 12 << 30;
/// Disks are measured every ten seconds, volumes every minute, whatever the housekeeping.
const DISK_INTERVAL: Duration = Duration::from_secs(10);
const VOLUME_INTERVAL: Duration = Duration::from_secs(60);

/// Appends the body that `node`'s kubelet tells at `at`. Containers that do not run yet are left out.
pub fn write(cluster: &SyntheticCluster, node: &Node, at: Timestamp, out: &mut Vec<u8>) {
    Summary { cluster, node, at, disk: disk_used(node, at), text: Text::new(out, cluster.shape().pretty) }
        .all();
}

/// Bytes used on a node's disk as its kubelet tells at `at`.
pub fn disk_used(node: &Node, at: Timestamp) -> u64 {
    DISK_BASE + node.pods_ephemeral_bytes(super::cluster::sampled(node.seed, node.started, at, DISK_INTERVAL))
}

struct Summary<'a> {
    cluster: &'a SyntheticCluster,
    node: &'a Node,
    at: Timestamp,
    /// Bytes used on the node's disk.
    disk: u64,
    text: Text<'a>,
}

/// What is told of every entity: who it is, when it was measured and what it uses.
struct Entity {
    seed: u64,
    started: Timestamp,
    time: Timestamp,
    usage: Usage,
    /// Cumulative CPU at the tick before, in nanoseconds.
    earlier: u64,
    memory_limit: Option<u64>,
}

impl Summary<'_> {
    fn all(mut self) {
        self.text.open(b'{');
        self.node();
        self.text.key(key!("pods"));
        self.text.open(b'[');
        for pod in &self.node.pods {
            if pod.started <= self.at {
                self.pod(pod);
            }
        }
        self.text.close(b']');
        self.text.close(b'}');
    }

    fn node(&mut self) {
        let node = self.node;
        let time = self.cluster.sampled(node.seed, node.started, self.at);
        let before = self.before(time);
        // The pods' cgroup is measured together with the root, so the pods are summed once for both.
        let pods = node.pods_usage(time);
        let pods_before = node.pods_cpu_nanoseconds(before);
        let (kubelet, kubelet_before) =
            (node.kubelet_usage(time), node.kubelet_usage(before).cpu_nanoseconds);
        let (runtime, runtime_before) =
            (node.runtime_usage(time), node.runtime_usage(before).cpu_nanoseconds);
        let all = pods + kubelet + runtime + node.system_usage(time);
        let system_before = node.system_usage(before).cpu_nanoseconds;
        let all_before = pods_before + kubelet_before + runtime_before + system_before;
        let entity = |seed, usage, earlier, memory_limit| Entity {
            seed,
            started: node.started,
            time,
            usage,
            earlier,
            memory_limit,
        };
        self.text.key(key!("node"));
        self.text.open(b'{');
        self.text.string(key!("nodeName"), &node.name);
        self.text.key(key!("systemContainers"));
        self.text.open(b'[');
        let part = |number| super::curve::child(node.seed, number);
        self.system_container("kubelet", &entity(part(1), kubelet, kubelet_before, None));
        self.system_container("runtime", &entity(part(2), runtime, runtime_before, None));
        self.system_container("pods", &entity(part(3), pods, pods_before, Some(node.memory)));
        self.text.close(b']');
        self.text.time(key!("startTime"), node.started);
        self.usage(&entity(node.seed, all, all_before, Some(node.memory)));
        self.host_network(time);
        let disk_time = super::cluster::sampled(node.seed, node.started, self.at, DISK_INTERVAL);
        let inodes = self.disk_inodes();
        self.fs(key!("fs"), disk_time, self.disk, inodes);
        self.text.key(key!("runtime"));
        self.text.open(b'{');
        self.fs(key!("imageFs"), disk_time, DISK_BASE / 3, 21_000);
        self.fs(key!("containerFs"), disk_time, DISK_BASE / 3, 21_000);
        self.text.close(b'}');
        self.text.key(key!("rlimit"));
        self.text.open(b'{');
        self.text.time(key!("time"), self.at);
        self.text.number(key!("maxpid"), 4_194_304);
        self.text.number(key!("curproc"), 180 + 4 * count(node.pods.len()));
        self.text.close(b'}');
        self.swap(time, Some(SWAP_BYTES), all.swap);
        self.text.close(b'}');
    }

    fn pod(&mut self, pod: &Pod) {
        let time = self.cluster.sampled(pod.seed, pod.started, self.at);
        let limits = pod.containers.iter().map(|container| container.memory_limit);
        let entity = Entity {
            seed: pod.seed,
            started: pod.started,
            time,
            usage: pod.usage(time),
            earlier: pod.cpu_nanoseconds(self.before(time)),
            memory_limit: limits.sum::<Option<u64>>().filter(|limit| *limit > 0),
        };
        self.text.element();
        self.text.open(b'{');
        self.text.key(key!("podRef"));
        self.text.open(b'{');
        self.text.string(key!("name"), &pod.name);
        self.text.string(key!("namespace"), &pod.namespace);
        self.text.string(key!("uid"), &pod.uid);
        self.text.close(b'}');
        self.text.time(key!("startTime"), pod.started);
        self.text.key(key!("containers"));
        self.text.open(b'[');
        let at = self.at;
        for container in pod.containers.iter().filter(|container| container.runs(at)) {
            self.container(container);
        }
        self.text.close(b']');
        self.usage(&entity);
        let network_time = self.cluster.sampled(!pod.seed, pod.started, self.at);
        if pod.host_network {
            self.host_network(network_time);
        } else {
            self.network(network_time, &[("eth0", pod.traffic(network_time))]);
        }
        self.volumes(pod);
        let disk_time = super::cluster::sampled(self.node.seed, pod.started, self.at, DISK_INTERVAL);
        self.fs(
            key!("ephemeral-storage"),
            disk_time,
            pod.ephemeral_bytes(disk_time),
            12 * count(pod.containers.len()),
        );
        self.text.key(key!("process_stats"));
        self.text.open(b'{');
        self.text.number(key!("process_count"), count(pod.containers.len()) + 1);
        self.text.close(b'}');
        self.swap(time, None, entity.usage.swap);
        self.text.close(b'}');
    }

    fn container(&mut self, container: &Container) {
        let time = self.cluster.sampled(container.seed, container.started, self.at);
        let entity = Entity {
            seed: container.seed,
            started: container.started,
            time,
            usage: container.usage(time),
            earlier: container.cpu_nanoseconds(self.before(time)),
            memory_limit: container.memory_limit,
        };
        let disk_time = super::cluster::sampled(self.node.seed, container.started, self.at, DISK_INTERVAL);
        self.text.element();
        self.text.open(b'{');
        self.text.string(key!("name"), &container.name);
        self.text.time(key!("startTime"), container.started);
        self.usage(&entity);
        self.fs(key!("rootfs"), disk_time, container.rootfs_bytes(disk_time), 10);
        self.fs(key!("logs"), disk_time, container.log_bytes(disk_time), 1);
        self.swap(time, Some(entity.usage.swap + (64 << 20)), entity.usage.swap);
        self.text.close(b'}');
    }

    fn system_container(&mut self, name: &str, entity: &Entity) {
        self.text.element();
        self.text.open(b'{');
        self.text.string(key!("name"), name);
        self.text.time(key!("startTime"), entity.started);
        self.usage(entity);
        self.swap(entity.time, None, entity.usage.swap);
        self.text.close(b'}');
    }

    fn usage(&mut self, entity: &Entity) {
        let seconds = u64::try_from(self.housekeeping()).unwrap_or(1);
        let used = entity.usage;
        self.text.key(key!("cpu"));
        self.text.open(b'{');
        self.text.time(key!("time"), entity.time);
        self.text
            .number(key!("usageNanoCores"), used.cpu_nanoseconds.saturating_sub(entity.earlier) / seconds);
        self.text.number(key!("usageCoreNanoSeconds"), used.cpu_nanoseconds);
        self.pressure(entity, 0);
        self.text.close(b'}');
        self.text.key(key!("memory"));
        self.text.open(b'{');
        self.text.time(key!("time"), entity.time);
        if let Some(limit) = entity.memory_limit {
            self.text.number(key!("availableBytes"), limit.saturating_sub(used.working_set));
        }
        self.text.number(key!("usageBytes"), used.memory);
        self.text.number(key!("workingSetBytes"), used.working_set);
        self.text.number(key!("rssBytes"), used.rss);
        self.text.number(key!("pageFaults"), used.page_faults);
        self.text.number(key!("majorPageFaults"), used.major_page_faults);
        self.pressure(entity, 1);
        self.text.close(b'}');
        if self.cluster.shape().psi {
            self.text.key(key!("io"));
            self.text.open(b'{');
            self.text.time(key!("time"), entity.time);
            self.pressure(entity, 2);
            self.text.close(b'}');
        }
    }

    fn pressure(&mut self, entity: &Entity, resource: u64) {
        if !self.cluster.shape().psi {
            return;
        }
        let (some, full) = pressure(entity.seed, entity.started, entity.time, resource);
        self.text.key(key!("psi"));
        self.text.open(b'{');
        for (name, Pressure { total, avg10, avg60, avg300 }) in [(key!("full"), full), (key!("some"), some)] {
            self.text.key(name);
            self.text.open(b'{');
            self.text.number(key!("total"), total);
            self.text.hundredths(key!("avg10"), avg10);
            self.text.hundredths(key!("avg60"), avg60);
            self.text.hundredths(key!("avg300"), avg300);
            self.text.close(b'}');
        }
        self.text.close(b'}');
    }

    /// The node's interfaces, which pods with the host's network tell as their own.
    fn host_network(&mut self, time: Timestamp) {
        let bridge = self.node.pods_traffic(time);
        let all = bridge + self.node.own_traffic(time);
        self.network(time, &[("eth0", all), ("cni0", bridge)]);
    }

    fn network(&mut self, time: Timestamp, interfaces: &[(&str, Traffic)]) {
        self.text.key(key!("network"));
        self.text.open(b'{');
        self.text.time(key!("time"), time);
        if let Some((name, traffic)) = interfaces.first() {
            self.interface(name, traffic);
        }
        self.text.key(key!("interfaces"));
        self.text.open(b'[');
        for (name, traffic) in interfaces {
            self.text.element();
            self.text.open(b'{');
            self.interface(name, traffic);
            self.text.close(b'}');
        }
        self.text.close(b']');
        self.text.close(b'}');
    }

    fn interface(&mut self, name: &str, traffic: &Traffic) {
        self.text.string(key!("name"), name);
        self.text.number(key!("rxBytes"), traffic.received);
        self.text.number(key!("rxErrors"), traffic.receive_errors);
        self.text.number(key!("txBytes"), traffic.sent);
        self.text.number(key!("txErrors"), traffic.send_errors);
    }

    fn fs(&mut self, key: Key, time: Timestamp, used: u64, inodes: u64) {
        let available = DISK_BYTES.saturating_sub(self.disk);
        let inodes_free = DISK_INODES.saturating_sub(self.disk_inodes());
        self.text.key(key);
        self.text.open(b'{');
        self.text.time(key!("time"), time);
        self.text.number(key!("availableBytes"), available);
        self.text.number(key!("capacityBytes"), DISK_BYTES);
        self.text.number(key!("usedBytes"), used);
        self.text.number(key!("inodesFree"), inodes_free);
        self.text.number(key!("inodes"), DISK_INODES);
        self.text.number(key!("inodesUsed"), inodes);
        self.text.close(b'}');
    }

    fn volumes(&mut self, pod: &Pod) {
        let time = super::cluster::sampled(pod.seed, pod.started, self.at, VOLUME_INTERVAL);
        let scratch =
            (pod.scratch_bytes(time), DISK_BYTES.saturating_sub(self.disk), DISK_BYTES, "scratch".to_owned());
        let token = format!("kube-api-access-{:05x}", pod.seed & 0xf_ffff);
        let token = (12_288, (64 << 20) - 12_288, 64 << 20, token);
        self.text.key(key!("volume"));
        self.text.open(b'[');
        for (used, available, capacity, name) in pod.scratch.then_some(scratch).into_iter().chain([token]) {
            self.text.element();
            self.text.open(b'{');
            self.text.time(key!("time"), time);
            self.text.number(key!("availableBytes"), available);
            self.text.number(key!("capacityBytes"), capacity);
            self.text.number(key!("usedBytes"), used);
            self.text.number(key!("inodesFree"), DISK_INODES - 11);
            self.text.number(key!("inodes"), DISK_INODES);
            self.text.number(key!("inodesUsed"), 11);
            self.text.string(key!("name"), &name);
            self.text.close(b'}');
        }
        self.text.close(b']');
    }

    fn swap(&mut self, time: Timestamp, space: Option<u64>, used: u64) {
        self.text.key(key!("swap"));
        self.text.open(b'{');
        self.text.time(key!("time"), time);
        if let Some(space) = space {
            self.text.number(key!("swapAvailableBytes"), space.saturating_sub(used));
        }
        self.text.number(key!("swapUsageBytes"), used);
        self.text.close(b'}');
    }

    /// Inodes used on the node's disk.
    fn disk_inodes(&self) -> u64 {
        150_000 + 40 * count(self.node.pods.len())
    }

    /// The housekeeping interval in whole seconds, at least one.
    fn housekeeping(&self) -> i64 {
        i64::try_from(self.cluster.shape().housekeeping.as_secs()).unwrap_or(1).max(1)
    }

    /// The tick before the one at `time`.
    fn before(&self, time: Timestamp) -> Timestamp {
        Timestamp::from_nanos(
            time.nanos().saturating_sub(self.housekeeping().saturating_mul(NANOS_PER_SECOND)),
        )
    }
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}
