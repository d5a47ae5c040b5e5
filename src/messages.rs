//! What travels between actors, in flow order: read from top to bottom it is the picture of the house. Messages that an
//! actor sends to itself stay beside it.

use crate::model::entity::{ClusterId, Name};
use crate::model::inventory::{NodeInventory, PodName, Unusable};
use crate::model::time::{Timestamp, Window};
use crate::rollup::block::Block;
use crate::rollup::cluster::{Batch, Held};
use crate::rollup::node::Tally;
use crate::rollup::oddity::Oddity;
use crate::rollup::query::{Answer, Query};
use crate::rollup::queue::Ledger;
use crate::rollup::sum::NamespaceSums;
use actix::Message;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Discovery → scraper: scrape by this from now on.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Assigned(pub Arc<NodeInventory>);

/// Discovery → scraper: your node is gone or not to be scraped.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Retired;

/// Scraper → discovery: which of these pods are bound to another node?
#[derive(Clone, Debug, Message)]
#[rtype(result = "Foreign")]
pub struct WhichAreForeign {
    /// The node that reported them.
    pub node: Name,
    /// Pods that the scraper does not know.
    pub pods: Vec<PodName>,
}

/// Discovery → scraper: these are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// Pods that are bound to another node.
    pub pods: Vec<PodName>,
    /// Whether all others are bound to no node: the API server's list of pods is known, and followed at the moment.
    pub others_unknown: bool,
}

/// Discovery → aggregator: these nodes are scraped from now on, and this is what there is.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct InventoryChanged {
    /// Whose.
    pub cluster: ClusterId,
    /// The nodes that are scraped.
    pub scraped: Vec<Name>,
    /// The nodes that are not, and why.
    pub unusable: Vec<(Name, Unusable)>,
    /// How many pods there are.
    pub pods: usize,
    /// How many namespaces there are.
    pub namespaces: usize,
    /// How many nodes are left to other shards.
    pub of_other_shards: usize,
    /// What tells one cluster from another: the uid of its namespace kube-system, once that is known.
    pub uid: Option<Name>,
}

/// Discovery → aggregator: nothing can be scraped yet.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Undiscovered {
    /// Whose.
    pub cluster: ClusterId,
    /// Why not, and what to do about it.
    pub why: String,
}

/// Why a node has no points in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Missed {
    /// No connection.
    Unreachable,
    /// No whole answer in time.
    Timeout,
    /// 401 or 403.
    Unauthorized,
    /// Another status than 200.
    Status,
    /// The connection broke in the middle of the answer.
    CutOff,
    /// The answer is larger than the limit.
    TooLarge,
    /// The answer is nothing that a kubelet says.
    Undecodable,
    /// Decoding it panicked: a bug.
    Panicked,
    /// The scrape before it was still running.
    Overrun,
}

impl Missed {
    /// The reason as a label of `/metrics`.
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Unauthorized => "unauthorized",
            Self::Status => "status",
            Self::CutOff => "cut_off",
            Self::TooLarge => "too_large",
            Self::Undecodable => "undecodable",
            Self::Panicked => "panicked",
            Self::Overrun => "overrun",
        }
    }
}

/// What a scrape brought.
#[derive(Clone, Debug)]
pub struct Took {
    /// The node's points.
    pub block: Arc<Block>,
    /// What the node adds to its namespaces.
    pub sums: Arc<NamespaceSums>,
    /// What was left out.
    pub tally: Tally,
    /// How long the kubelet took.
    pub duration: Duration,
    /// How many bytes it sent.
    pub bytes: usize,
    /// By how many seconds its clock is ahead of ours, where it told; negative where it is behind.
    pub skew: Option<i64>,
    /// What is odd about its answer.
    pub oddities: Vec<Oddity>,
}

/// Scraper → aggregator: a node's turn is over.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Scraped {
    /// Whose node.
    pub cluster: ClusterId,
    /// The node.
    pub node: Name,
    /// For which window.
    pub window: Window,
    /// Where it was asked.
    pub address: Option<SocketAddr>,
    /// What it brought, or why it brought nothing.
    pub outcome: Result<Took, Missed>,
    /// The reason in words, and what to do about it.
    pub why: Option<String>,
}

/// Web → aggregator: a question about the history.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Answer")]
pub struct Ask {
    /// About which cluster; None for all.
    pub cluster: Option<ClusterId>,
    /// The question.
    pub query: Query,
}

/// Web → aggregator: how do you do?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<ClusterState>")]
pub struct AskState;

/// What the aggregator says of one cluster.
#[derive(Clone, Debug)]
pub struct ClusterState {
    /// Its name.
    pub name: Name,
    /// The cluster that it is under another name; its answers are not taken then.
    pub same_as: Option<Name>,
    /// Whether the API server told of its nodes and pods.
    pub discovered: bool,
    /// Why it did not yet, where something is wrong.
    pub undiscovered: Option<String>,
    /// Nodes that are scraped.
    pub scraped: usize,
    /// Nodes that are not scraped.
    pub unusable: usize,
    /// Nodes that are left to other shards.
    pub of_other_shards: usize,
    /// Nodes that answered in the last window closed.
    pub answered: usize,
    /// The last window in which any node answered.
    pub last_window: Option<Window>,
    /// How long ago that window was closed.
    pub age: Option<Duration>,
    /// What is held.
    pub held: Held,
}

impl ClusterState {
    /// Whether every node is another shard's: then this one has nothing to wait for.
    pub fn is_left_to_others(&self) -> bool {
        self.scraped == 0 && self.unusable == 0 && self.of_other_shards > 0
    }
}

/// Web → aggregator: how does each node do?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<NodeState>")]
pub struct AskNodes;

/// What the aggregator says of one node.
#[derive(Clone, Debug)]
pub struct NodeState {
    /// Its cluster.
    pub cluster: Name,
    /// Its name.
    pub node: Name,
    /// Where it was asked last.
    pub address: Option<SocketAddr>,
    /// What came of its last turn: `ok`, or the reason as `/metrics` counts it; `waiting` before the first.
    pub outcome: &'static str,
    /// The reason in words, and what to do about it.
    pub why: Option<String>,
    /// How long ago it answered last.
    pub age: Option<Duration>,
    /// How long that answer took.
    pub duration: Option<Duration>,
    /// How many bytes it had.
    pub bytes: Option<usize>,
    /// By how many seconds its clock is ahead of ours; negative where it is behind, 0 where it is within two seconds.
    pub skew: Option<i64>,
    /// What is odd about its last answer, in words, and what to do about it. Empty where there was none.
    pub notices: Vec<String>,
    /// Rates that could not be told of that answer, in the order of [`NoRate::ALL`](crate::rollup::rate::NoRate::ALL).
    pub withheld: [u64; crate::rollup::rate::NoRate::ALL.len()],
}

/// Aggregator → exporter: one closed window.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Export(pub Arc<Batch>);

/// Exporter → whoever looks: how a sink does. Not sent but left to be looked at, so that nobody waits for a sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkState {
    /// Its name.
    pub name: String,
    /// Whether what waits is in files too.
    pub spooled: bool,
    /// Where every point went.
    pub ledger: Ledger,
    /// Windows that wait or are under way.
    pub windows: usize,
    /// Points of them that are in no file.
    pub only_in_memory: u64,
    /// Bytes of memory that they take.
    pub memory_bytes: usize,
    /// Bytes of files that they take.
    pub disk_bytes: usize,
    /// The end of the oldest of them.
    pub oldest: Option<Timestamp>,
    /// Whether points were dropped while the last window was put or since, whatever the reason.
    pub dropping: bool,
    /// Attempts that failed since the last that did not.
    pub failures: u32,
    /// What went wrong last, without secrets.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<Timestamp>,
}

/// Topology → each actor in flow order: finish what you have begun and begin nothing. Answered when that is done.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Drain;
