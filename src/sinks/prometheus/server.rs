//! One server that takes remote writes: which version it speaks, and what it says of what it was sent. What is written is
//! left to the sink.

use super::options::Options;
use crate::client::credentials::TokenSource;
use crate::client::post::{Answer, Poster, Who};
use crate::clock::Clock;
use crate::sinks::reach::{Key, Reach};
use crate::sinks::{Refused, verdict};
use crate::wire::remote_write::Version;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// Where a receiver of 2.0 says how many samples it took.
const WRITTEN: &str = "x-prometheus-remote-write-samples-written";
/// The reason of samples that were left out of a request that was taken otherwise.
const PARTIAL: &str = "partial_write";

/// One server.
pub(super) struct Server {
    reach: Reach,
    options: Options,
    /// The version that it has taken, once it has.
    taken: Cell<Option<Version>>,
}

/// What became of a request of one version.
enum Outcome {
    Taken,
    Refused(Refused),
    /// The server may speak the other version.
    NotSpoken(String),
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
        let key = Key::new(secret, options.means(), clock.clone());
        Self { reach: Reach::new(poster, key, clock), options, taken: Cell::new(None) }
    }

    /// Writes so many samples, of which `body` gives the request in the version that is asked for.
    pub(super) async fn write(
        &self,
        body: impl Fn(Version) -> Vec<u8>,
        samples: usize,
    ) -> Result<(), Refused> {
        let version = self.options.version.or(self.taken.get()).unwrap_or(Version::Two);
        let outcome = self.write_as(version, body(version), samples).await?;
        let why = match (outcome, self.options.version) {
            (Outcome::Taken, _) => return Ok(()),
            (Outcome::Refused(refused), _) => return Err(refused),
            (Outcome::NotSpoken(why), Some(_)) => {
                let why =
                    format!("{why}; the server does not speak remote write 2.0: give version=1, or auto");
                return Err(Refused::Later { reason: "version", after: None, why });
            }
            (Outcome::NotSpoken(why), None) => why,
        };
        match self.write_as(Version::One, body(Version::One), samples).await? {
            Outcome::Taken => {
                log::info!(
                    "{}: remote write 2.0 is not taken ({why}), so 1.0 is spoken from now on",
                    self.options.name()
                );
                Ok(())
            }
            Outcome::Refused(refused) => Err(refused),
            Outcome::NotSpoken(why) => Err(Refused::Later { reason: "version", after: None, why }),
        }
    }

    async fn write_as(&self, version: Version, body: Vec<u8>, samples: usize) -> Result<Outcome, Refused> {
        let (answer, who) = self.post(version, body).await?;
        let good = (200..300).contains(&answer.status);
        let written = answer.header(WRITTEN).and_then(|count| count.trim().parse::<usize>().ok());
        let refused = || verdict::of_answer(&answer, &who, samples, self.reach.now());
        let said = || format!("status {}: {}", answer.status, verdict::words(&answer, &who));
        Ok(match (version, written) {
            (Version::One, _) if !good => Outcome::Refused(refused()),
            (Version::Two, None) if good => {
                // A receiver of 1.0 finds nothing that it knows in a request of 2.0, and is content.
                Outcome::NotSpoken(format!("status {} without {WRITTEN}", answer.status))
            }
            (Version::Two, None) if answer.status == 415 => Outcome::NotSpoken(said()),
            (Version::Two, None) if matches!(answer.status, 400 | 404) && self.taken.get().is_none() => {
                Outcome::NotSpoken(said())
            }
            (Version::Two, Some(written)) if (good || answer.status == 400) && written < samples => {
                self.taken.set(Some(version));
                Outcome::Refused(Refused::Never { reason: PARTIAL, dropped: samples - written, why: said() })
            }
            (Version::Two, _) if !good => Outcome::Refused(refused()),
            _ => {
                self.taken.set(Some(version));
                Outcome::Taken
            }
        })
    }

    async fn post(&self, version: Version, body: Vec<u8>) -> Result<(Answer, Who), Refused> {
        let mut headers = vec![
            ("content-type", version.content_type().to_owned()),
            ("content-encoding", "snappy".to_owned()),
            ("x-prometheus-remote-write-version", version.header().to_owned()),
        ];
        headers.extend(self.options.tenant.clone().map(|tenant| ("x-scope-orgid", tenant)));
        let answered = self.reach.ask(self.options.url.clone(), headers, Some(body)).await;
        answered.map_err(|error| verdict::of_failure(&error))
    }
}
