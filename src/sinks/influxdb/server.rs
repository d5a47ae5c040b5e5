//! One InfluxDB: having a database with the right policy there, and writing to it. What is written is left to the sink.

use super::options::{Api, Options};
use crate::client::credentials::TokenSource;
use crate::client::post::{Answer, Poster, Who};
use crate::clock::Clock;
use crate::sinks::reach::{Key, Reach, below, form, of_form};
use crate::sinks::{Refused, verdict};
use crate::wire::influx_query::{self as query, Policy, Said};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// The policy that Heapster made and wrote to.
const HEAPSTERS: &str = "default";

/// One InfluxDB.
pub(super) struct Server {
    reach: Reach,
    options: Options,
    /// The policy that is written to, once it is known to be there; the inner None leaves it to the server.
    policy: RefCell<Option<Option<String>>>,
}

impl Server {
    pub(super) fn new(
        mut options: Options,
        tls: Option<Arc<rustls::ClientConfig>>,
        within: Duration,
        clock: Clock,
    ) -> Self {
        let poster = Poster::new(tls, options.timeout.unwrap_or(within));
        let secret = std::mem::replace(&mut options.secret, TokenSource::None);
        let key = Key::new(secret, options.api.means(), clock.clone());
        Self { reach: Reach::new(poster, key, clock), options, policy: RefCell::default() }
    }

    pub(super) fn compresses(&self) -> bool {
        self.options.gzip
    }

    /// Sees that there is something to write to.
    pub(super) async fn prepare(&self) -> Result<(), Refused> {
        let Api::V1 { database, policy, keeps, .. } = &self.options.api else { return Ok(()) };
        if self.policy.borrow().is_some() {
            return Ok(());
        }
        let found = self.find_policy(database, policy.as_deref(), *keeps).await?;
        self.policy.replace(Some(found));
        Ok(())
    }

    /// The policy to write to, made where it is missing.
    async fn find_policy(
        &self,
        database: &str,
        wanted: Option<&str>,
        keeps: Option<Duration>,
    ) -> Result<Option<String>, Refused> {
        let name = wanted.unwrap_or(HEAPSTERS);
        let for_new = keeps.unwrap_or_default();
        let policies = match self.ask(query::show_policies(database)).await? {
            Said::Policies(Some(policies)) => policies,
            // Not an InfluxDB: there is nothing to be made.
            Said::Policies(None) => return Ok(None),
            Said::Error(error) if error.contains("database not found") => {
                log::info!("making the database {database:?} with the retention policy {name:?}");
                self.make(query::create_database(database, name, for_new)).await?;
                return Ok(Some(name.to_owned()));
            }
            Said::Error(error) if is_forbidden(&error) => {
                log::warn!(
                    "database {database:?}: its policies may not be seen ({error}), so its own default is written to; \
                     grant the user READ, or give policy"
                );
                return Ok(wanted.map(str::to_owned));
            }
            Said::Error(error) => return Err(not_ready(&error)),
        };
        let found = policies.iter().find(|policy| policy.name == name);
        let own = |policies: &[Policy]| policies.iter().find(|policy| policy.is_default).cloned();
        match (found, keeps) {
            (Some(found), Some(keeps)) if found.keeps != keeps => {
                log::info!("database {database:?}: having {name:?} keep for the retention that was given");
                self.make(query::alter_policy(database, name, keeps)).await?;
            }
            (Some(_), _) => {}
            // A database that somebody else has made keeps as they want it to, unless one is told otherwise.
            (None, None) if wanted.is_none() && own(&policies).is_some() => {
                return Ok(own(&policies).map(|policy| policy.name));
            }
            // Questions that name no policy go to the default one. One that was asked for by name leaves it as it is.
            (None, _) => {
                self.make(query::create_policy(database, name, for_new, wanted.is_none())).await?;
            }
        }
        Ok(Some(name.to_owned()))
    }

    /// Has a statement done.
    async fn make(&self, statement: String) -> Result<(), Refused> {
        match self.ask(statement).await? {
            Said::Policies(_) => Ok(()),
            Said::Error(error) => Err(not_ready(&error)),
        }
    }

    async fn ask(&self, statement: String) -> Result<Said, Refused> {
        let url = self.url(&["query"], &[]);
        let (answer, who) = self.post(url, vec![of_form()], form(&[("q", &statement)])).await?;
        match answer.status {
            200 => Ok(query::read(&answer.body)),
            // Rights are refused in the same words as mistakes, by their status alone told apart.
            400 | 403 => match query::read(&answer.body) {
                Said::Error(error) => Ok(Said::Error(who.hidden_in(&error))),
                Said::Policies(_) => Err(verdict::of_answer(&answer, &who, 0, self.reach.now())),
            },
            // What has no such question has no databases to be made: VictoriaMetrics' cluster, Telegraf.
            404 | 405 => Ok(Said::Policies(None)),
            _ => Err(verdict::of_answer(&answer, &who, 0, self.reach.now())),
        }
    }

    /// Writes lines of so many points.
    pub(super) async fn write(&self, body: Vec<u8>, points: usize) -> Result<(), Refused> {
        let url = match &self.options.api {
            Api::V1 { database, .. } => {
                let policy = self.policy.borrow().clone().flatten();
                let mut pairs = vec![("db", database.as_str())];
                pairs.extend(policy.as_deref().map(|policy| ("rp", policy)));
                self.url(&["write"], &pairs)
            }
            Api::V2 { org, bucket } => {
                self.url(&["api", "v2", "write"], &[("org", org), ("bucket", bucket), ("precision", "ns")])
            }
        };
        let mut headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
        if self.options.gzip {
            headers.push(("content-encoding", "gzip".to_owned()));
        }
        let (answer, who) = self.post(url, headers, body).await?;
        if (200..300).contains(&answer.status) {
            return Ok(());
        }
        let said = verdict::words(&answer, &who);
        if said.contains("database not found") || said.contains("retention policy not found") {
            // Somebody has dropped it: it is looked for again before the next attempt.
            self.policy.replace(None);
            return Err(not_ready(&said));
        }
        match (answer.status, rejected(&said)) {
            (400 | 422, Some(dropped)) => {
                Err(Refused::Never { reason: reason(&said), dropped: dropped.min(points), why: said })
            }
            _ => Err(verdict::of_answer(&answer, &who, points, self.reach.now())),
        }
    }

    async fn post(
        &self,
        url: Url,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    ) -> Result<(Answer, Who), Refused> {
        self.reach.ask(url, headers, Some(body)).await.map_err(|error| verdict::of_failure(&error))
    }

    fn url(&self, path: &[&str], pairs: &[(&str, &str)]) -> Url {
        below(&self.options.base, path, pairs)
    }
}

fn not_ready(error: &str) -> Refused {
    Refused::Later { reason: "database", after: None, why: error.to_owned() }
}

fn is_forbidden(error: &str) -> bool {
    error.contains("not authorized") || error.contains("error authorizing")
}

/// How many points were rejected of those that were sent, where the server says so.
fn rejected(said: &str) -> Option<usize> {
    let (_, behind) = said.rsplit_once("dropped=")?;
    let end = behind.find(|each: char| !each.is_ascii_digit()).unwrap_or(behind.len());
    behind.get(..end)?.parse().ok()
}

/// Why points were rejected, in a word.
fn reason(said: &str) -> &'static str {
    match () {
        () if said.contains("type conflict") => "field_type_conflict",
        () if said.contains("retention") => "beyond_retention",
        () if said.contains("max-series") || said.contains("max-values") => "too_many_series",
        () => "partial_write",
    }
}
