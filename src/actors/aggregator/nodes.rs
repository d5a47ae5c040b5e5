//! How each node did at its last turn: what `/api/v1/status` tells. Points are left to `rollup`.

use crate::messages::{NodeState, Scraped};
use crate::model::Set;
use crate::model::entity::{ClusterId, Name};
use crate::model::inventory::Unusable;
use crate::rollup::oddity::Oddity;
use crate::rollup::rate::NoRate;
use std::collections::BTreeMap;
use std::time::Duration;

/// One node's state, and when by the monotonic clock it answered.
#[derive(Debug)]
struct Last {
    state: NodeState,
    answered: Option<Duration>,
}

/// Every node's last turn.
#[derive(Debug, Default)]
pub(super) struct Nodes(BTreeMap<(ClusterId, Name), Last>);

fn waiting(cluster: &Name, node: &Name) -> Last {
    let state = NodeState {
        cluster: cluster.clone(),
        node: node.clone(),
        address: None,
        outcome: "waiting",
        why: None,
        age: None,
        duration: None,
        bytes: None,
        skew: None,
        notices: Vec::new(),
        withheld: [0; NoRate::ALL.len()],
    };
    Last { state, answered: None }
}

impl Nodes {
    /// Takes in which nodes there are: these are scraped, those are not.
    pub fn expect(&mut self, id: ClusterId, cluster: &Name, scraped: &[Name], unusable: &[(Name, Unusable)]) {
        let there: Set<&Name> = scraped.iter().chain(unusable.iter().map(|(name, _)| name)).collect();
        self.0.retain(|(of, node), _| *of != id || there.contains(node));
        for node in scraped {
            let last = self.0.entry((id, node.clone())).or_insert_with(|| waiting(cluster, node));
            if Unusable::LABELS.contains(&last.state.outcome) {
                last.state.outcome = "waiting";
                last.state.why = None;
            }
        }
        for (node, reason) in unusable {
            let last = self.0.entry((id, node.clone())).or_insert_with(|| waiting(cluster, node));
            last.state.outcome = reason.as_label();
            last.state.why = Some(reason.advice());
            last.state.address = None;
            last.state.notices.clear();
        }
    }

    /// Takes in what came of a turn, which is told at `uptime`.
    pub fn scraped(&mut self, cluster: &Name, scraped: &Scraped, uptime: Duration) {
        let key = (scraped.cluster, scraped.node.clone());
        let last = self.0.entry(key).or_insert_with(|| waiting(cluster, &scraped.node));
        last.state.address = scraped.address;
        last.state.why.clone_from(&scraped.why);
        match &scraped.outcome {
            Err(missed) => {
                last.state.outcome = missed.as_label();
                last.state.notices.clear();
            }
            Ok(took) => {
                last.answered = Some(uptime);
                last.state.outcome = "ok";
                last.state.duration = Some(took.duration);
                last.state.bytes = Some(took.bytes);
                last.state.skew = took.skew;
                last.state.notices = took.oddities.iter().map(Oddity::advice).collect();
                last.state.withheld = took.tally.no_rate;
            }
        }
    }

    /// Every node's state at `uptime`, sorted by cluster and name.
    pub fn states(&self, uptime: Duration) -> Vec<NodeState> {
        let age = |last: &Last| last.answered.map(|at| uptime.saturating_sub(at));
        self.0.values().map(|last| NodeState { age: age(last), ..last.state.clone() }).collect()
    }
}
