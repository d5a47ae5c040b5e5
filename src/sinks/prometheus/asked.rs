//! `prometheus` asked about the past in PromQL, by Prometheus' HTTP API, which VictoriaMetrics, Mimir and Thanos have as well. The
//! words are left to `wire`.
//!
//! Points are asked for as they are, and put together within stretches of time, so that a value which holds on between two
//! points, or after the last one, is never taken for one.

use super::options::Options;
use crate::client::credentials::TokenSource;
use crate::client::post::Poster;
use crate::config::uri::{Uri, UriError};
use crate::model::entity::{Entity, Name};
use crate::model::metric::MetricKey;
use crate::model::past::{
    Aggregation, Answer, Bucket, Question, Series, Subject, Wanted, What, buckets, metric_named,
};
use crate::model::time::Timestamp;
use crate::sinks::asked::{Connect, Failed, MOST_BYTES, Past, Reached, SHOWN, Store, read_aside};
use crate::sinks::reach::{Key, Reach, below, form, of_form};
use crate::sinks::{ProblemError, Surroundings};
use crate::wire::prometheus_names::Level;
use crate::wire::promql::{self, Found, Own, Untold, instant, millis_from, millis_until, seconds};
use futures_util::future::LocalBoxFuture;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use url::Url;

/// A store to be asked.
///
/// # Errors
/// When an option has a value that it cannot have, or TLS cannot be spoken.
pub fn past(uri: &Uri) -> Result<Past, ProblemError> {
    let mut options = Options::parse(uri)?;
    let tls = if options.is_secure() { Some(options.trust.tls(&options.url)?) } else { None };
    let base = queries(uri, &options.url)?;
    let name = format!("prometheus:{}", base.as_str().split('?').next().unwrap_or_default());
    let shown = name.clone();
    let make = move |surroundings: &Surroundings| -> Connect {
        let (clock, within) = (surroundings.clock.clone(), options.timeout.unwrap_or(surroundings.within));
        let secret = std::mem::replace(&mut options.secret, TokenSource::None);
        let shard = surroundings.shard.map_or_else(String::new, |shard| shard.to_string());
        let key = Key::new(secret, options.means(), clock.clone());
        let options = Arc::new(options);
        Arc::new(move || {
            let poster = Poster::new(tls.clone(), within).reading_whole(MOST_BYTES);
            let reach = Reach::new(poster, key.clone(), clock.clone());
            let (base, options, reached) = (base.clone(), options.clone(), Reached::new(name.clone()));
            let shard = shard.clone();
            Box::new(Prometheus(Rc::new(Server { reach, reached, base, options, shard })))
        })
    };
    Ok(Past { name: shown, make: Box::new(make) })
}

/// What stands before `/api/v1/query`: of a URL that is written to, where the same server is asked.
fn queries(uri: &Uri, url: &Url) -> Result<Url, UriError> {
    let path = url.path().trim_end_matches('/');
    let before = match (path.strip_suffix("/api/v1/write"), path.strip_suffix("/api/v1/push")) {
        (Some(before), _) if before.contains("/insert/") => {
            return Err(uri.incomplete(
                "has the URL of a cluster's vminsert, which cannot be asked; give the URL of its vmselect, such as \
                 prometheus:http://HOST:8481/select/0/prometheus",
            ));
        }
        (Some(before), _) => before.to_owned(),
        // Mimir and Cortex are asked below another path than they are written to.
        (_, Some(before)) => format!("{before}/prometheus"),
        _ => path.to_owned(),
    };
    let mut base = url.clone();
    base.set_path(&before);
    Ok(base)
}

struct Prometheus(Rc<Server>);

struct Server {
    reach: Reach,
    reached: Reached,
    base: Url,
    options: Arc<Options>,
    /// The label of sums; empty where the whole cluster is collected.
    shard: String,
}

impl Store for Prometheus {
    fn ask(&self, question: Question) -> LocalBoxFuture<'static, Result<Answer, Failed>> {
        let server = self.0.clone();
        Box::pin(async move { server.answer(&question).await })
    }
}

/// Those of a question who can be asked for with one query, by their places in it.
struct Group<'q> {
    start: Timestamp,
    places: Vec<usize>,
    subjects: Vec<&'q Subject>,
}

fn groups(wanted: &Wanted) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<(Timestamp, Option<&Name>), Group<'_>> = BTreeMap::new();
    for (place, sought) in wanted.of.iter().enumerate() {
        let namespace = match &sought.subject {
            Subject::Entity(Entity::Pod { namespace, .. } | Entity::PodContainer { namespace, .. }) => {
                Some(namespace)
            }
            _ => None,
        };
        let group = groups.entry((sought.start, namespace)).or_insert_with(|| Group {
            start: sought.start,
            places: Vec::new(),
            subjects: Vec::new(),
        });
        group.places.push(place);
        group.subjects.push(&sought.subject);
    }
    groups.into_values().collect()
}

impl Server {
    async fn answer(&self, question: &Question) -> Result<Answer, Failed> {
        let cluster = question.cluster.as_deref().or(self.options.cluster.as_deref());
        let own = Own { cluster, shard: &self.shard };
        let listed = |level, also: &[(&str, &str)]| promql::listed(own, level, also);
        let names = match &question.what {
            What::Points(wanted) => return self.points(own, wanted).await.map(Answer::Points),
            What::Buckets(wanted, how, every) => {
                return self.buckets(own, wanted, how, *every).await.map(Answer::Buckets);
            }
            What::Nodes => self.values("node", listed(Level::Node, &[])).await?,
            What::Namespaces => self.values("namespace", listed(Level::Namespace, &[])).await?,
            What::Pods(namespace) => {
                self.values("pod", listed(Level::Pod, &[("namespace", namespace)])).await?
            }
            What::Containers(namespace, pod) => {
                let also = [("namespace", &**namespace), ("pod", &**pod)];
                self.values("container", listed(Level::Container, &also)).await?
            }
            What::FreeContainers(node) => {
                self.values("container", listed(Level::SystemContainer, &[("node", node)])).await?
            }
            What::Metrics(entity) => self.metrics(own, entity).await?,
        };
        Ok(Answer::Names(names))
    }

    /// The points of each, merged of all series that it had: a pod that was moved has one for each node.
    async fn points(&self, own: Own<'_>, wanted: &Wanted) -> Result<Vec<Series>, Failed> {
        let mut all: Vec<Series> = vec![Series::new(); wanted.of.len()];
        let Some(key) = metric_named(&wanted.metric) else { return Ok(all) };
        for group in groups(wanted) {
            let (start, end) = (millis_from(group.start), millis_until(wanted.end));
            if start > end {
                continue;
            }
            let selector = promql::selector(own, &group.subjects, &key, wanted.labels.as_ref());
            let found = self.at(&promql::points(&selector, end - start), end, &group.subjects).await?;
            for (whose, place) in group.places.iter().enumerate() {
                let own = found.iter().filter(|found| found.whose == whose).flat_map(|found| &found.points);
                let within = own.filter(|(at, _)| (start..=end).contains(at));
                let told = within
                    .filter_map(|(at, number)| Some((instant(*at), promql::value(&key, None, *number)?)));
                let merged: BTreeMap<Timestamp, _> = told.collect();
                if let Some(series) = all.get_mut(*place) {
                    *series = merged.into_iter().collect();
                }
            }
        }
        Ok(all)
    }

    async fn buckets(
        &self,
        own: Own<'_>,
        wanted: &Wanted,
        how: &[Aggregation],
        every: Option<i64>,
    ) -> Result<Vec<Vec<Bucket>>, Failed> {
        let mut all: Vec<Vec<Bucket>> = vec![Vec::new(); wanted.of.len()];
        let Some(key) = metric_named(&wanted.metric) else { return Ok(all) };
        // The mean of several series is that of all their points.
        let mut asked = how.to_vec();
        if how.contains(&Aggregation::Average) && !how.contains(&Aggregation::Count) {
            asked.push(Aggregation::Count);
        }
        for group in groups(wanted) {
            let selector = promql::selector(own, &group.subjects, &key, wanted.labels.as_ref());
            let mut found: Vec<(Found, Vec<(Timestamp, f64)>)> = Vec::new();
            for stretch in stretches(millis_from(group.start), millis_until(wanted.end), every) {
                let query = promql::aggregated(&selector, &asked, stretch.length);
                let some = match stretch.step {
                    None => self.at(&query, stretch.last, &group.subjects).await?,
                    Some(step) => {
                        self.during(&query, stretch.first, stretch.last, step, &group.subjects).await?
                    }
                };
                let begin =
                    |at: i64| every.map_or(group.start, |every| instant(at.div_euclid(every) * every));
                for one in some {
                    let points = one.points.iter().map(|(at, number)| (begin(*at), *number)).collect();
                    found.push((one, points));
                }
            }
            for (whose, place) in group.places.iter().enumerate() {
                let told = match joined(&key, how, &asked, found.iter().filter(|(own, _)| own.whose == whose))
                {
                    Some(told) => told,
                    None => {
                        // No store can tell the middle of two series: here it can be told.
                        let of = wanted.of.get(*place).into_iter().cloned().collect();
                        let wanted = Wanted { of, ..wanted.clone() };
                        let series = self.points(own, &wanted).await?;
                        buckets(series.first().unwrap_or(&Series::new()), how, every, group.start)
                    }
                };
                if let Some(own) = all.get_mut(*place) {
                    *own = told;
                }
            }
        }
        Ok(all)
    }

    async fn metrics(&self, own: Own<'_>, entity: &Entity) -> Result<Vec<String>, Failed> {
        let of = promql::all_of(own, entity);
        let (mut names, resources, custom) =
            promql::metrics(Level::of(entity), &self.values("__name__", of.clone()).await?);
        if resources {
            let own = self.values("resource", of.clone()).await?;
            names.extend(own.into_iter().map(|name| format!("{name}/request")));
        }
        if custom {
            names.extend(self.values("metric", of).await?.into_iter().map(|name| format!("custom/{name}")));
        }
        names.sort();
        Ok(names)
    }

    /// What a query gives at an instant.
    async fn at(&self, query: &str, millis: i64, of: &[&Subject]) -> Result<Vec<Found>, Failed> {
        let time = seconds(millis);
        let body = form(&[("query", query), ("time", &time), ("nocache", "1")]);
        self.ask(&["api", "v1", "query"], &[], Some(body), series_of(of)).await
    }

    /// What a query gives from one instant to another, once each step.
    async fn during(
        &self,
        query: &str,
        first: i64,
        last: i64,
        step: i64,
        of: &[&Subject],
    ) -> Result<Vec<Found>, Failed> {
        let [first, last, step] = [first, last, step].map(seconds);
        // VictoriaMetrics moves the ends of what it may cache.
        let pairs = [("query", query), ("start", &first), ("end", &last), ("step", &step), ("nocache", "1")];
        self.ask(&["api", "v1", "query_range"], &[], Some(form(&pairs)), series_of(of)).await
    }

    /// The values of a label, at all times.
    async fn values(&self, label: &str, selector: String) -> Result<Vec<String>, Failed> {
        let now = self.reach.now().to_string();
        let pairs = [("match[]", &*selector), ("start", "0"), ("end", &now)];
        self.ask(&["api", "v1", "label", label, "values"], &pairs, None, promql::read_values).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        path: &[&str],
        pairs: &[(&str, &str)],
        body: Option<Vec<u8>>,
        read: impl FnOnce(&[u8]) -> Result<T, Untold> + Send + 'static,
    ) -> Result<T, Failed> {
        let url = below(&self.base, path, pairs);
        let mut headers: Vec<_> = body.is_some().then(of_form).into_iter().collect();
        headers.extend(self.options.tenant.clone().map(|tenant| ("x-scope-orgid", tenant)));
        let (mut answer, who) = self.reached.told(self.reach.ask(url, headers, body).await)?;
        // An answer that cannot be read is shown by its first words.
        let words = answer.body.iter().take(SHOWN).copied().collect();
        let body = std::mem::replace(&mut answer.body, words);
        match read_aside(body, read).await.unwrap_or(Err(Untold::Foreign)) {
            Ok(told) if answer.status == 200 => Ok(told),
            Err(Untold::Said(error)) => Err(Failed::said(&error, &who)),
            _ => Err(Failed::of_answer(&answer, &who)),
        }
    }
}

/// Reads the series of these.
fn series_of(of: &[&Subject]) -> impl FnOnce(&[u8]) -> Result<Vec<Found>, Untold> + Send + 'static {
    let of: Vec<Subject> = of.iter().map(|subject| (*subject).clone()).collect();
    move |body| promql::read(body, &of.iter().collect::<Vec<_>>())
}

/// Buckets that one query tells, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    /// The last instant of the first.
    first: i64,
    /// The last instant of the last.
    last: i64,
    /// From the first instant of one to its last.
    length: i64,
    /// From one to the next; None where there is one alone.
    step: Option<i64>,
}

/// The buckets from one instant to another: those at the ends may be shorter than the others.
fn stretches(start: i64, end: i64, every: Option<i64>) -> Vec<Stretch> {
    let one = |from: i64, until: i64| Stretch { first: until, last: until, length: until - from, step: None };
    if start > end {
        return Vec::new();
    }
    let Some(every) = every.filter(|every| *every > 0) else { return vec![one(start, end)] };
    let begin = |at: i64| at.div_euclid(every) * every;
    let mut all = Vec::new();
    // The whole ones in between.
    let (mut from, mut until) = (begin(start), begin(end));
    if from == until {
        return vec![one(start, end)];
    }
    if from != start {
        all.push(one(start, from + every - 1));
        from += every;
    }
    if until + every - 1 == end {
        until += every;
    } else {
        all.push(one(until, end));
    }
    if from < until {
        let (first, last) = (from + every - 1, until - 1);
        all.push(Stretch { first, last, length: every - 1, step: Some(every) });
    }
    all
}

/// The buckets of series that each tell one way of putting together, by the beginnings of their buckets. None where one
/// bucket is of several series and was asked for what cannot be told of that.
fn joined<'f>(
    key: &MetricKey,
    how: &[Aggregation],
    asked: &[Aggregation],
    found: impl Iterator<Item = &'f (Found, Vec<(Timestamp, f64)>)>,
) -> Option<Vec<Bucket>> {
    // One order of series for every part: their labels'.
    let mut by_bucket: BTreeMap<Timestamp, BTreeMap<usize, BTreeMap<_, f64>>> = BTreeMap::new();
    for (one, points) in found {
        for (at, number) in points {
            by_bucket.entry(*at).or_default().entry(one.part).or_default().insert(&one.labels, *number);
        }
    }
    let mut told = Vec::new();
    for (at, numbers) in by_bucket {
        let of = |how: Aggregation| {
            let part = asked.iter().position(|own| *own == how)?;
            Some(numbers.get(&part)?.values().copied().collect::<Vec<f64>>())
        };
        let counts = of(Aggregation::Count).unwrap_or_default();
        let mut values = Vec::new();
        for how in how {
            let Some(own) = of(*how) else { continue };
            let number = match (how, own.as_slice()) {
                (_, [one]) => Some(*one),
                (Aggregation::Maximum, several) => several.iter().copied().reduce(f64::max),
                (Aggregation::Minimum, several) => several.iter().copied().reduce(f64::min),
                (Aggregation::Count, several) => Some(several.iter().sum()),
                (Aggregation::Average, several) if several.len() == counts.len() => {
                    let parts: Vec<_> = several.iter().copied().zip(counts.iter().copied()).collect();
                    promql::mean(&parts)
                }
                _ => return None,
            };
            values.extend(number.and_then(|number| Some((*how, promql::value(key, Some(*how), number)?))));
        }
        if !values.is_empty() {
            told.push(Bucket { at, values });
        }
    }
    Some(told)
}
