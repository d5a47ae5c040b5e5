//! What the containers, pods and nodes of a synthetic cluster use at an instant: pure functions, so that a test can work
//! out what a collector must find. How a kubelet writes it down is left to `summary`.
//!
//! At one instant a pod uses what its containers use and a little more, and a node what its pods use and more.

use super::cluster::{Container, Node, Pod};
use super::curve::{Curve, child, pick};
use crate::model::time::Timestamp;
use std::ops::Add;

const PAGE: u64 = 4096;
const MEBIBYTE: u64 = 1 << 20;

/// Use of CPU and memory at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Nanoseconds of CPU since the start.
    pub cpu_nanoseconds: u64,
    /// Memory in use with caches, bytes.
    pub memory: u64,
    /// Memory that cannot be reclaimed at once, bytes.
    pub working_set: u64,
    /// Anonymous memory, bytes.
    pub rss: u64,
    /// Page faults since the start.
    pub page_faults: u64,
    /// Page faults since the start that had to read from a disk.
    pub major_page_faults: u64,
    /// Swapped out, bytes.
    pub swap: u64,
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu_nanoseconds: self.cpu_nanoseconds + other.cpu_nanoseconds,
            memory: self.memory + other.memory,
            working_set: self.working_set + other.working_set,
            rss: self.rss + other.rss,
            page_faults: self.page_faults + other.page_faults,
            major_page_faults: self.major_page_faults + other.major_page_faults,
            swap: self.swap + other.swap,
        }
    }
}

/// Bytes moved over a network interface since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Received, bytes.
    pub received: u64,
    /// Faulty packets received.
    pub receive_errors: u64,
    /// Sent, bytes.
    pub sent: u64,
    /// Packets that could not be sent.
    pub send_errors: u64,
}

impl Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            received: self.received + other.received,
            receive_errors: self.receive_errors + other.receive_errors,
            sent: self.sent + other.sent,
            send_errors: self.send_errors + other.send_errors,
        }
    }
}

/// Time lost for want of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Nanoseconds lost since the start.
    pub total: u64,
    /// Share of the last 10 s, in hundredths of a percent.
    pub avg10: u64,
    /// Share of the last minute, in hundredths of a percent.
    pub avg60: u64,
    /// Share of the last five minutes, in hundredths of a percent.
    pub avg300: u64,
}

/// The nanoseconds of CPU per second around which the container of `seed` uses: one in three is busy.
pub(super) fn cpu_base(seed: u64) -> u64 {
    let busy = seed.is_multiple_of(3);
    let base = if busy { pick(child(seed, 41), 60, 400) } else { pick(child(seed, 41), 1, 40) };
    u64::try_from(base).unwrap_or(1) * 1_000_000
}

fn memory_base(seed: u64) -> i64 {
    pick(child(seed, 42), 8, 240) * 256
}

/// The working set of the container of `seed` never goes beyond this, in bytes.
pub(super) fn memory_peak(seed: u64) -> u64 {
    u64::try_from(memory_base(seed)).unwrap_or(0) * PAGE * 2
}

/// Whole seconds from `started` to `at`; zero before `started`.
fn age(started: Timestamp, at: Timestamp) -> i64 {
    at.seconds().saturating_sub(started.seconds()).max(0)
}

/// What an entity of `seed` uses by itself after `age` seconds, around `cpu` ns/s and `pages` of memory.
fn own(seed: u64, age: i64, cpu: u64, pages: i64) -> Usage {
    let cpu = Curve::new(child(seed, 1), i64::try_from(cpu).unwrap_or(0));
    let wave = Curve::new(child(seed, 2), pages / 2).level(age);
    // It grows by a third over two hours and then begins anew, as a leaky program that gives back.
    let leak = (age + pick(child(seed, 3), 0, 7_200)) % 7_200 * pages / 3 / 7_200;
    let kept = wave + u64::try_from(pages / 2 + leak).unwrap_or(0);
    let cache = Curve::new(child(seed, 4), pages / 4).level(age);
    // Faults are counted in thousandths, so that rare ones are counted right too.
    let faults = Curve::new(child(seed, 5), pick(child(seed, 6), 500, 40_000)).total(age) / 1_000;
    let major = Curve::new(child(seed, 7), pick(child(seed, 8), 0, 60)).total(age) / 1_000;
    let swaps = seed.is_multiple_of(6);
    Usage {
        cpu_nanoseconds: cpu.total(age),
        memory: (kept + cache) * PAGE,
        working_set: kept * PAGE,
        rss: kept * 7 / 8 * PAGE,
        page_faults: faults,
        major_page_faults: major,
        swap: if swaps { Curve::new(child(seed, 9), pages / 16).level(age) * PAGE } else { 0 },
    }
}

fn traffic(seed: u64, age: i64, rate: i64) -> Traffic {
    let total = |part, base| Curve::new(child(seed, part), base).total(age);
    let faulty = if seed.is_multiple_of(5) { 40 } else { 0 };
    Traffic {
        received: total(51, rate),
        receive_errors: total(52, faulty) / 1_000,
        sent: total(53, rate * 2 / 3),
        send_errors: total(54, faulty / 2) / 1_000,
    }
}

/// Time that some, and that all, tasks of the entity of `seed` lost after `age` seconds for want of resource number
/// `resource`. Two entities in three never lose any.
pub fn pressure(seed: u64, started: Timestamp, at: Timestamp, resource: u64) -> (Pressure, Pressure) {
    let seed = child(seed, 60 + resource);
    if !seed.is_multiple_of(3) {
        return (Pressure::default(), Pressure::default());
    }
    let (age, curve) = (age(started, at), Curve::new(seed, pick(child(seed, 1), 200_000, 60_000_000)));
    let some = |t: i64| curve.total(t);
    let lost = |seconds: i64| some(age) - some(age - seconds);
    // Nanoseconds of n seconds, as hundredths of a percent: ns / (n * 10^9) * 10^4.
    let (avg10, avg60, avg300) = (lost(10) / 1_000_000, lost(60) / 6_000_000, lost(300) / 30_000_000);
    let some = Pressure { total: some(age), avg10, avg60, avg300 };
    let full = Pressure { total: some.total / 4, avg10: avg10 / 4, avg60: avg60 / 4, avg300: avg300 / 4 };
    (some, full)
}

impl Container {
    /// Whether it runs at `at`.
    pub fn runs(&self, at: Timestamp) -> bool {
        at >= self.started
    }

    /// Nanoseconds of CPU since it was started, at the second of `at`; never decreases.
    pub fn cpu_nanoseconds(&self, at: Timestamp) -> u64 {
        let base = i64::try_from(cpu_base(self.seed)).unwrap_or(0);
        Curve::new(child(self.seed, 1), base).total(age(self.started, at))
    }

    /// What it uses at the second of `at`; nothing before it was started.
    pub fn usage(&self, at: Timestamp) -> Usage {
        if !self.runs(at) {
            return Usage::default();
        }
        own(self.seed, age(self.started, at), cpu_base(self.seed), memory_base(self.seed))
    }

    /// Bytes of its root filesystem's own layer at the second of `at`.
    pub fn rootfs_bytes(&self, at: Timestamp) -> u64 {
        let base = pick(child(self.seed, 71), 7, 2_000);
        u64::try_from(base + age(self.started, at) / 60 % 4_096).unwrap_or(0) * PAGE
    }

    /// Bytes of its logs at the second of `at`; they are rotated at 10 MiB.
    pub fn log_bytes(&self, at: Timestamp) -> u64 {
        Curve::new(child(self.seed, 72), pick(child(self.seed, 73), 10, 2_000)).total(age(self.started, at))
            % (10 * MEBIBYTE)
            / PAGE
            * PAGE
    }
}

impl Pod {
    /// Nanoseconds of CPU since it was started, with the sandbox's.
    pub fn cpu_nanoseconds(&self, at: Timestamp) -> u64 {
        let sandbox = Curve::new(child(self.seed, 1), 200_000).total(age(self.started, at));
        self.containers.iter().map(|container| container.cpu_nanoseconds(at)).sum::<u64>() + sandbox
    }

    /// What its containers and its sandbox use at the second of `at`.
    pub fn usage(&self, at: Timestamp) -> Usage {
        let sandbox = own(self.seed, age(self.started, at), 200_000, 100);
        let sandbox = Usage { swap: 0, ..sandbox };
        self.containers.iter().fold(sandbox, |sum, container| sum + container.usage(at))
    }

    /// What it moved over its own interface; nothing with the host's network.
    pub fn traffic(&self, at: Timestamp) -> Traffic {
        if self.host_network {
            return Traffic::default();
        }
        traffic(self.seed, age(self.started, at), pick(child(self.seed, 50), 500, 80_000))
    }

    /// Bytes in its emptyDir volume `scratch`; zero without one.
    pub fn scratch_bytes(&self, at: Timestamp) -> u64 {
        if !self.scratch {
            return 0;
        }
        Curve::new(child(self.seed, 74), pick(child(self.seed, 75), 100, 12_000)).level(age(self.started, at))
            * PAGE
    }

    /// Bytes of ephemeral storage: writable layers, logs and `scratch`.
    pub fn ephemeral_bytes(&self, at: Timestamp) -> u64 {
        let layers = self.containers.iter().filter(|container| container.runs(at));
        layers.map(|container| container.rootfs_bytes(at) + container.log_bytes(at)).sum::<u64>()
            + self.scratch_bytes(at)
            + PAGE
    }
}

impl Node {
    /// Nanoseconds of CPU of all its pods.
    pub fn pods_cpu_nanoseconds(&self, at: Timestamp) -> u64 {
        self.pods.iter().map(|pod| pod.cpu_nanoseconds(at)).sum()
    }

    /// What all its pods use at the second of `at`.
    pub fn pods_usage(&self, at: Timestamp) -> Usage {
        self.pods.iter().fold(Usage::default(), |sum, pod| sum + pod.usage(at))
    }

    /// What its kubelet uses.
    pub fn kubelet_usage(&self, at: Timestamp) -> Usage {
        self.daemon(1, at, 40_000_000, 12_000)
    }

    /// What its container runtime uses.
    pub fn runtime_usage(&self, at: Timestamp) -> Usage {
        self.daemon(2, at, 25_000_000, 15_000)
    }

    /// What is used on it besides pods, kubelet and runtime.
    pub fn system_usage(&self, at: Timestamp) -> Usage {
        self.daemon(3, at, 90_000_000, 60_000)
    }

    /// Nanoseconds of CPU since it was booted, of everything on it.
    pub fn cpu_nanoseconds(&self, at: Timestamp) -> u64 {
        let daemons = self.kubelet_usage(at) + self.runtime_usage(at) + self.system_usage(at);
        self.pods_cpu_nanoseconds(at) + daemons.cpu_nanoseconds
    }

    /// What everything on it uses at the second of `at`.
    pub fn usage(&self, at: Timestamp) -> Usage {
        self.pods_usage(at) + self.kubelet_usage(at) + self.runtime_usage(at) + self.system_usage(at)
    }

    /// What its pods moved over their own interfaces.
    pub fn pods_traffic(&self, at: Timestamp) -> Traffic {
        self.pods.iter().fold(Traffic::default(), |sum, pod| sum + pod.traffic(at))
    }

    /// What it moved over its interface: its pods' traffic and its own.
    pub fn traffic(&self, at: Timestamp) -> Traffic {
        self.pods_traffic(at) + self.own_traffic(at)
    }

    /// What it moved over its interface besides its pods' traffic.
    pub fn own_traffic(&self, at: Timestamp) -> Traffic {
        traffic(self.seed, age(self.started, at), 30_000)
    }

    /// Bytes of all its pods' ephemeral storage.
    pub fn pods_ephemeral_bytes(&self, at: Timestamp) -> u64 {
        self.pods.iter().map(|pod| pod.ephemeral_bytes(at)).sum()
    }

    fn daemon(&self, number: u64, at: Timestamp, cpu: u64, pages: i64) -> Usage {
        own(child(self.seed, 80 + number), age(self.started, at), cpu, pages)
    }
}
