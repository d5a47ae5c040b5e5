//! The historical source as handlers ask it: so many questions at once, each counted, each within its time, and of every
//! cluster that is meant. What is asked is left to [`super::past`].

use super::Api;
use super::error::ApiError;
use crate::model::entity::{Entity, Name};
use crate::model::metric::Value;
use crate::model::past::{Aggregation, Answer, Bucket, Question, Series, Subject, Wanted, What, buckets};
use crate::model::time::Timestamp;
use crate::sinks::asked::{Failed, Store};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many questions are asked of the store at once.
pub const AT_ONCE: usize = 8;
/// How long an answer may take in all.
const WITHIN: Duration = Duration::from_secs(60);

/// The store of one thread that answers.
pub struct Archive(pub Box<dyn Store>);

/// A cluster that a question is about: its place, and its name where there are several.
pub type Asked = (usize, Option<Name>);

impl Archive {
    /// The points of each, of the first cluster that has any; the cluster itself is the sum over all.
    ///
    /// # Errors
    /// When the store does not answer, or has nothing of one that was asked for.
    pub async fn points(
        &self,
        api: &Api,
        clusters: &[Asked],
        wanted: impl Fn(&Asked) -> Wanted,
    ) -> Result<Vec<Series>, ApiError> {
        let ask = async {
            let mut all: Vec<Series> = Vec::new();
            for cluster in clusters {
                let what = What::Points(wanted(cluster));
                let Answer::Points(found) = self.one(cluster, what).await? else { continue };
                merge(&mut all, found, |have, more| match is_cluster(&wanted(cluster)) {
                    true => *have = sum(std::mem::take(have), more),
                    false if have.is_empty() => *have = more,
                    false => {}
                });
            }
            Ok(all)
        };
        api.asked(ask).await
    }

    /// The buckets of each, in the same way.
    ///
    /// # Errors
    /// As [`Archive::points`].
    pub async fn buckets(
        &self,
        api: &Api,
        clusters: &[Asked],
        wanted: impl Fn(&Asked) -> Wanted,
        how: &[Aggregation],
        every: Option<i64>,
    ) -> Result<Vec<Vec<Bucket>>, ApiError> {
        if clusters.len() > 1
            && let Some(first) = clusters.first().map(&wanted).filter(is_cluster)
        {
            // What several stores' series come to is put together here.
            let start = first.of.first().map_or(first.end, |sought| sought.start);
            let sums = self.points(api, clusters, wanted).await?;
            return Ok(sums.iter().map(|series| buckets(series, how, every, start)).collect());
        }
        let ask = async {
            let mut all: Vec<Vec<Bucket>> = Vec::new();
            for cluster in clusters {
                let what = What::Buckets(wanted(cluster), how.to_vec(), every);
                let Answer::Buckets(found) = self.one(cluster, what).await? else { continue };
                merge(&mut all, found, |have, more| {
                    if have.is_empty() {
                        *have = more;
                    }
                });
            }
            Ok(all)
        };
        api.asked(ask).await
    }

    /// Names of all clusters.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn names(&self, api: &Api, clusters: &[Asked], what: &What) -> Result<Vec<String>, ApiError> {
        let ask = async {
            let mut all = std::collections::BTreeSet::new();
            for cluster in clusters {
                if let Answer::Names(names) = self.one(cluster, what.clone()).await? {
                    all.extend(names);
                }
            }
            Ok(all.into_iter().collect())
        };
        api.asked(ask).await
    }

    async fn one(&self, (_, cluster): &Asked, what: What) -> Result<Answer, Failed> {
        self.0.ask(Question { cluster: cluster.clone(), what }).await
    }
}

impl Api {
    /// Has the historical source asked, if not too many do already.
    async fn asked<T>(&self, ask: impl Future<Output = Result<T, Failed>>) -> Result<T, ApiError> {
        let result = async {
            let _place = self.archive_places.try_acquire().map_err(|_| ApiError::Busy)?;
            match tokio::time::timeout(WITHIN, ask).await {
                Ok(answer) => answer.map_err(ApiError::Past),
                Err(_) => Err(ApiError::Late),
            }
        };
        let result = result.await;
        let outcome = match &result {
            Ok(_) => "ok",
            Err(ApiError::Past(failed)) => failed.as_label(),
            Err(other) => other.as_label(),
        };
        self.telemetry.historical.of([outcome]).inc();
        result
    }
}

fn is_cluster(wanted: &Wanted) -> bool {
    wanted.of.iter().all(|sought| sought.subject == Subject::Entity(Entity::Cluster))
}

/// Brings what one more cluster has to what there is of each.
fn merge<T: Default>(all: &mut Vec<T>, found: Vec<T>, mut bring: impl FnMut(&mut T, T)) {
    all.resize_with(all.len().max(found.len()), T::default);
    for (have, more) in all.iter_mut().zip(found) {
        bring(have, more);
    }
}

fn sum(have: Series, more: Series) -> Series {
    let mut sums: BTreeMap<Timestamp, Value> = have.into_iter().collect();
    for (at, value) in more {
        let sum = match (sums.get(&at), value) {
            (None, value) => value,
            (Some(Value::Integer(have)), Value::Integer(more)) => Value::Integer(have.saturating_add(more)),
            (Some(have), more) => {
                Value::Float(crate::model::past::number(*have) + crate::model::past::number(more))
            }
        };
        sums.insert(at, sum);
    }
    sums.into_iter().collect()
}
