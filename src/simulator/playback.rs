//! Kubelets and an API server that do again what real ones did while they were recorded, each thing at its own instant, at
//! the recording's pace or a multiple of it. Reading a recording is left to whoever has one.

use super::api_server::ApiServer;
use super::api_store::Kind;
use super::kubelet::{Answers, KubeletAnswer, KubeletRequest, Manner};
use crate::clock::Clock;
use crate::model::time::Timestamp;
use actix_web::web::Bytes;
use serde_json::Value;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// A kubelet's answers by the instants of the recording at which they were given, oldest first; None where it gave none.
pub type Given = Vec<(Timestamp, Option<Bytes>)>;

/// What happened to an object.
#[derive(Clone, Debug)]
pub enum Change {
    /// It was added or modified.
    Applied(Kind, Value),
    /// It was deleted: its namespace, where it has one, and its name.
    Deleted(Kind, Option<String>, String),
}

/// A recording that is played. Its time begins to run when it is made.
pub struct Playback {
    clock: Clock,
    began: Timestamp,
    from: Timestamp,
    speed: u32,
    kubelets: HashMap<IpAddr, Given>,
}

impl Playback {
    /// Plays from an instant of the recording on, `speed` times as fast as it was recorded.
    pub fn new(clock: Clock, from: Timestamp, speed: u32, kubelets: HashMap<IpAddr, Given>) -> Self {
        Self { began: clock.now(), clock, from, speed, kubelets }
    }

    /// The instant of the recording that it is now.
    pub fn now(&self) -> Timestamp {
        let passed = u64::try_from(self.clock.now().since(self.began)).unwrap_or(0);
        self.from.after(Duration::from_nanos(passed).saturating_mul(self.speed))
    }

    /// What the kubelet at `address` had answered last. None where it gave no answer, or none yet.
    fn given(&self, address: IpAddr) -> Option<&Bytes> {
        let now = self.now();
        let given = self.kubelets.get(&address)?;
        let last = given.partition_point(|(at, _)| *at <= now).checked_sub(1)?;
        given.get(last)?.1.as_ref()
    }

    /// Has an API server go through these changes, oldest first: those of before now at once, each other one when it is
    /// its time.
    pub async fn go_through(&self, api: &ApiServer, changes: impl IntoIterator<Item = (Timestamp, Change)>) {
        for (at, change) in changes {
            let wait = u64::try_from(at.since(self.now())).unwrap_or(0);
            tokio::time::sleep(Duration::from_nanos(wait) / self.speed.max(1)).await;
            match change {
                Change::Applied(kind, object) => api.apply(kind, object),
                Change::Deleted(kind, namespace, name) => {
                    api.delete(kind, namespace.as_deref(), &name).unwrap_or_default()
                }
            };
        }
    }
}

impl Answers for Playback {
    fn answer(&self, ask: &KubeletRequest) -> KubeletAnswer {
        if ask.path.trim_end_matches('/') != "/stats/summary" {
            return KubeletAnswer::status(404, "404 page not found\n");
        }
        match self.given(ask.address) {
            Some(body) => KubeletAnswer::json(body.clone()),
            None => KubeletAnswer::status(503, "").given(Manner::CloseConnection),
        }
    }
}
