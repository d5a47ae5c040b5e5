//! `influxdb` asked about the past in InfluxQL: the `/query` of the v1 API, which InfluxDB 2 has as well. The words are left to
//! `wire`.

use super::options::{Api, Options};
use crate::client::credentials::TokenSource;
use crate::client::post::{Poster, Who};
use crate::config::uri::Uri;
use crate::model::past::{Answer, Question, Wanted, What};
use crate::sinks::asked::{Connect, Failed, MOST_BYTES, Past, Reached, SHOWN, Store, read_aside};
use crate::sinks::reach::{Key, Reach, below, form, of_form};
use crate::sinks::{ProblemError, Surroundings};
use crate::wire::influx_past::{Layout, Untold, read_buckets, read_metrics, read_points, read_values};
use crate::wire::influx_query::{self as query, Said};
use futures_util::future::LocalBoxFuture;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// The policy that Heapster made and wrote to.
const HEAPSTERS: &str = "default";

/// A database to be asked.
///
/// # Errors
/// When an option has a value that it cannot have, or TLS cannot be spoken.
pub fn past(uri: &Uri) -> Result<Past, ProblemError> {
    let mut options = Options::parse(uri)?;
    let tls = if options.is_secure() { Some(options.trust.tls(&options.base)?) } else { None };
    let name = options.name();
    let make = move |surroundings: &Surroundings| -> Connect {
        let (clock, within) = (surroundings.clock.clone(), options.timeout.unwrap_or(surroundings.within));
        let secret = std::mem::replace(&mut options.secret, TokenSource::None);
        let shard = surroundings.shard.map_or_else(String::new, |shard| shard.to_string());
        let key = Key::new(secret, options.api.means(), clock.clone());
        let options = Arc::new(options);
        Arc::new(move || {
            let poster = Poster::new(tls.clone(), within).reading_whole(MOST_BYTES);
            let reach = Reach::new(poster, key.clone(), clock.clone());
            let (options, reached) = (options.clone(), Reached::new(options.name()));
            let shard = shard.clone();
            Box::new(Influx(Rc::new(Database { reach, reached, options, shard, policy: RefCell::default() })))
        })
    };
    Ok(Past { name, make: Box::new(make) })
}

struct Influx(Rc<Database>);

struct Database {
    reach: Reach,
    reached: Reached,
    options: Arc<Options>,
    /// The tag of sums; empty where the whole cluster is collected.
    shard: String,
    /// The policy that the sink writes to, once it is known; the inner None leaves it to the server.
    policy: RefCell<Option<Option<String>>>,
}

impl Store for Influx {
    fn ask(&self, question: Question) -> LocalBoxFuture<'static, Result<Answer, Failed>> {
        let database = self.0.clone();
        Box::pin(async move { database.answer(&question).await })
    }
}

impl Database {
    async fn answer(&self, question: &Question) -> Result<Answer, Failed> {
        let layout = Layout {
            with_fields: self.options.with_fields,
            cluster_name: question.cluster.as_deref().unwrap_or(&self.options.cluster_name).to_owned(),
            shard: self.shard.clone(),
            policy: self.policy().await?,
        };
        let names =
            |read: fn(&[u8]) -> Result<Vec<String>, Untold>| move |body: &[u8]| read(body).map(Answer::Names);
        match &question.what {
            What::Points(wanted) => {
                let metric = wanted.metric.clone();
                let read = move |body: &[u8]| read_points(body, &metric).map(Answer::Points);
                self.ask(layout.points(wanted), read).await
            }
            What::Buckets(wanted, how, every) => {
                let starts: Option<Vec<_>> =
                    every.is_none().then(|| wanted.of.iter().map(|sought| sought.start).collect());
                let (metric, asked) = (wanted.metric.clone(), how.clone());
                let read = move |body: &[u8]| {
                    read_buckets(body, &metric, &asked, starts.as_deref()).map(Answer::Buckets)
                };
                self.ask(layout.buckets(wanted, how, *every), read).await
            }
            What::Nodes => self.ask(layout.nodes(), names(read_values)).await,
            What::Namespaces => self.ask(layout.namespaces(), names(read_values)).await,
            What::Pods(namespace) => self.ask(layout.pods(namespace), names(read_values)).await,
            What::Containers(namespace, pod) => {
                self.ask(layout.containers(namespace, pod), names(read_values)).await
            }
            What::FreeContainers(node) => self.ask(layout.free_containers(node), names(read_values)).await,
            What::Metrics(entity) => self.ask(layout.metrics(entity), names(read_metrics)).await,
        }
        .and_then(|answer| whole(answer, &question.what))
    }

    /// The policy that the sink writes to: the one that was given, Heapster's where it is there, or the database's own.
    async fn policy(&self) -> Result<Option<String>, Failed> {
        let Api::V1 { database, policy, .. } = &self.options.api else { return Ok(None) };
        if let Some(known) = self.policy.borrow().clone() {
            return Ok(known);
        }
        let found = match policy {
            Some(given) => Some(given.clone()),
            None => {
                let read = |body: &[u8]| match query::read(body) {
                    Said::Policies(Some(policies)) => {
                        let there = policies.iter().any(|policy| policy.name == HEAPSTERS);
                        Ok(there.then(|| HEAPSTERS.to_owned()))
                    }
                    Said::Policies(None) => Err(Untold::Foreign),
                    // Who may not see them may read all the same.
                    Said::Error(error) if error.contains("authoriz") => Ok(None),
                    Said::Error(error) if error == query::FOREIGN => Err(Untold::Foreign),
                    Said::Error(error) => Err(Untold::Said(error)),
                };
                self.ask(query::show_policies(database), read).await?
            }
        };
        self.policy.replace(Some(found.clone()));
        Ok(found)
    }

    async fn ask<T: Send + 'static>(
        &self,
        statements: String,
        read: impl FnOnce(&[u8]) -> Result<T, Untold> + Send + 'static,
    ) -> Result<T, Failed> {
        let (url, database) = match &self.options.api {
            Api::V1 { database, .. } => (below(&self.options.base, &["query"], &[]), database),
            Api::V2 { org, bucket } => (below(&self.options.base, &["query"], &[("org", org)]), bucket),
        };
        let body = form(&[("db", database), ("epoch", "ns"), ("q", &statements)]);
        let (mut answer, who) = self.reached.told(self.reach.ask(url, vec![of_form()], Some(body)).await)?;
        // An answer that cannot be read is shown by its first words.
        let words = answer.body.iter().take(SHOWN).copied().collect();
        let body = std::mem::replace(&mut answer.body, words);
        match read_aside(body, read).await.unwrap_or(Err(Untold::Foreign)) {
            Ok(told) if answer.status == 200 => Ok(told),
            Err(Untold::Said(error)) => Err(self.said(&error, &who)),
            _ => Err(Failed::of_answer(&answer, &who)),
        }
    }

    fn said(&self, error: &str, who: &Who) -> Failed {
        if error.contains("retention policy not found") || error.contains("database not found") {
            // It is looked for again with the next question.
            self.policy.replace(None);
        }
        Failed::said(error, who)
    }
}

/// The answer, if it has one part for each that was asked for.
fn whole(answer: Answer, what: &What) -> Result<Answer, Failed> {
    let asked = |wanted: &Wanted| wanted.of.len();
    let complete = match (&answer, what) {
        (Answer::Points(all), What::Points(wanted)) => all.len() == asked(wanted),
        (Answer::Buckets(all), What::Buckets(wanted, ..)) => all.len() == asked(wanted),
        _ => true,
    };
    if complete { Ok(answer) } else { Err(Failed::CutOff) }
}
