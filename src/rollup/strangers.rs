//! Pods that a kubelet tells of and the API server does not know: how long they count. Who knows which is left to
//! `actors`.

use crate::model::inventory::PodName;
use crate::model::{Map, Set};
use std::time::Duration;

/// How long such a pod counts. The watch lags behind the kubelet, and a kubelet tells of a pod for some seconds after it
/// was deleted.
pub const GRACE: Duration = Duration::from_secs(120);
/// The most such pods of one node that count at once: more than a node runs where nobody says otherwise, which is 110.
pub const MOST: usize = 128;

/// The pods of one node that the API server does not know, and since when they are told of without a break.
#[derive(Debug, Default)]
pub struct Strangers(Map<PodName, Duration>);

impl Strangers {
    /// Takes in which pods an answer at `uptime` tells of that the API server does not know. Those that do not count.
    pub fn judge(&mut self, unknown: &[PodName], uptime: Duration) -> Set<PodName> {
        let there: Set<&PodName> = unknown.iter().collect();
        self.0.retain(|pod, _| there.contains(pod));
        let mut left_out = Set::default();
        for pod in unknown {
            let counts = match self.0.get(pod) {
                Some(since) => uptime.saturating_sub(*since) < GRACE,
                None if self.0.len() < MOST => self.0.insert(pod.clone(), uptime).is_none(),
                None => false,
            };
            if !counts {
                left_out.insert(pod.clone());
            }
        }
        left_out
    }

    /// Forgets them all: whoever comes next gets the whole grace again.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}
