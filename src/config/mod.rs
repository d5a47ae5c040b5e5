//! What the user wants: read from flags, environment and file into one value that nobody has to check again. What a
//! source or sink URI means is left to the tables of `sources` and `sinks`.

pub mod cli;
mod layers;
pub mod nearest;
pub mod options;
pub mod settings;
mod sizes;
pub mod tls;
pub mod uri;

use crate::model::label_copier::LabelCopier;
use crate::model::shard::{BadShard, Shard};
use crate::model::time::{BadResolution, Resolution};
use cli::Typed;
use layers::Layers;
use nearest::nearest;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tls::TlsFiles;
use uri::{Uri, UriError};

/// Everything that can be set, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The clusters to collect.
    pub sources: Vec<Uri>,
    /// Where points go.
    pub sinks: Vec<Uri>,
    /// Whom the historical API asks; None where there is none.
    pub historical_source: Option<Uri>,
    /// The length of a window.
    pub resolution: Resolution,
    /// How long points are kept.
    pub retention: Duration,
    /// Which part of every cluster is collected; None for the whole.
    pub shard: Option<Shard>,
    /// Whether no more is kept than the sums of a window need.
    pub disable_metric_sink: bool,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// What it takes to answer over TLS; None where it answers over plain HTTP.
    pub tls: Option<TlsFiles>,
    /// How labels of objects become labels of points.
    pub labels: LabelCopier,
    /// Whether the export over HTTP stays empty.
    pub disable_export: bool,
    /// How long one window may take a sink.
    pub export_within: Duration,
    /// What is logged.
    pub log_level: log::LevelFilter,
    /// How many threads scrape.
    pub max_procs: usize,
    /// How much memory the windows that wait for one sink may take, in bytes.
    pub queue_limit: usize,
    /// Where they wait beside memory.
    pub spool_dir: Option<PathBuf>,
    /// How much disk they may take there, in bytes.
    pub spool_limit: usize,
    /// How long a shutdown may take.
    pub shutdown_grace: Duration,
}

/// Why the settings are no [`Config`]. Each names the setting, the value and the fix.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A setting has a value that it cannot have.
    #[error("{origin}: {:?} {problem}", shown(value))]
    Value {
        /// Which setting, by the name under which the value was given.
        origin: String,
        /// The value.
        value: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A URI cannot be read.
    #[error("{origin}: {source}")]
    Uri {
        /// Which setting, by the name under which the value was given.
        origin: String,
        /// What is wrong with it.
        source: UriError,
    },
    /// The file or the environment names a setting that there is not.
    #[error("{origin}: no such setting; {}", nearest(name, settings::names()))]
    Unknown {
        /// Where it is named.
        origin: String,
        /// The name.
        name: String,
    },
    /// The file cannot be read.
    #[error("--config: {path:?} cannot be read: {error}")]
    File {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not what its name says.
    #[error("--config: {path:?} is no {format} file: {}", one_line(error))]
    Format {
        /// The file.
        path: String,
        /// The format that its name stands for.
        format: &'static str,
        /// Why.
        error: Box<config::ConfigError>,
    },
    /// The settings do not go together.
    #[error("{0}")]
    Contradiction(String),
}

/// What is wrong and where, in one line, without the lines of the file that are quoted: they may hold a password.
fn one_line(error: &config::ConfigError) -> String {
    let text = error.to_string();
    let is_quoted = |line: &&str| {
        line.split_once('|')
            .is_some_and(|(before, _)| before.trim().bytes().all(|byte| byte.is_ascii_digit()))
    };
    text.lines().filter(|line| !is_quoted(line)).flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

/// A value without what may be a password, should it be a URI that is none of this setting's.
fn shown(value: &str) -> String {
    match value.split_once('?') {
        Some((before, _)) => format!("{}?…", uri::without_password(before)),
        None => uri::without_password(value),
    }
}

/// The environment, as pairs of name and value.
pub type Environment = BTreeMap<String, String>;

/// Reads a file; given by the caller so that this room does no IO.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> std::io::Result<String>;

impl Config {
    /// Puts together what was typed, what the environment says and what the file says, in this order of weight, over
    /// the defaults.
    ///
    /// # Errors
    /// The first thing that is wrong, with its name, its value and the fix.
    pub fn resolve(
        typed: &Typed,
        environment: &Environment,
        read: ReadFile<'_>,
    ) -> Result<Self, ConfigError> {
        let layers = Layers::new(typed, environment, read)?;
        let resolution = layers.duration("model_resolution")?;
        let resolution = Resolution::new(resolution).map_err(|error @ BadResolution(_)| {
            layers.bad("model_resolution", format!("cannot be used: {error}"))
        })?;
        let mut retention = layers.duration("retention")?;
        if layers.is_default("retention") {
            // A resolution that old manifests give must not fail for a setting that they cannot know.
            retention = retention.max(resolution.duration() * 2);
        }
        if retention < resolution.duration() * 2 || retention > Duration::from_secs(86_400) {
            return Err(layers
                .bad("retention", "cannot be kept: give at least two resolutions and at most 24h".into()));
        }
        let shard = match layers.text("shard").as_str() {
            "" => None,
            text => Some(text.parse().map_err(|error: BadShard| layers.bad("shard", error.to_string()))?),
        };
        let shutdown_grace = layers.duration("shutdown_grace")?;
        if shutdown_grace.is_zero() || shutdown_grace > Duration::from_secs(600) {
            return Err(layers.bad("shutdown_grace", "is out of range: give 1ms to 10m".into()));
        }
        let port = layers.parsed("port", "is no port: give a number from 0 to 65535")?;
        let listen_ip = layers.text("listen_ip");
        let address = if listen_ip.is_empty() {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        } else {
            layers.address(&listen_ip)?
        };
        let max_procs: usize =
            layers.parsed("max_procs", "is no count of threads: give 0 for all, or 1 to 256")?;
        if max_procs > 256 {
            return Err(layers.bad("max_procs", "is too many: give 0 for all, or 1 to 256".into()));
        }
        let export_within = layers.duration("sink_export_data_timeout")?;
        if export_within.is_zero() || export_within > Duration::from_secs(3_600) {
            return Err(layers.bad("sink_export_data_timeout", "is out of range: give 1ms to 1h".into()));
        }
        Ok(Self {
            sources: layers.uris("source", environment)?,
            sinks: layers.uris("sink", environment)?,
            historical_source: layers.uri("historical_source", environment)?,
            resolution,
            retention,
            // One of one is the whole.
            shard: shard.filter(|shard: &Shard| shard.is_partial()),
            listen: SocketAddr::new(address, port),
            log_level: layers.log_level(typed)?,
            max_procs,
            queue_limit: layers.size("queue_limit", 36)?,
            spool_dir: Some(layers.text("spool_dir")).filter(|path| !path.is_empty()).map(Into::into),
            spool_limit: layers.size("spool_limit", 44)?,
            shutdown_grace,
            tls: layers.tls()?,
            labels: layers.labels()?,
            disable_metric_sink: layers.flag("disable_metric_sink")?,
            disable_export: layers.flag("disable_export")?,
            export_within,
        })
    }

    /// How long points are kept in truth: the sums of a window need the window before, so two are the least.
    pub fn kept(&self) -> Duration {
        if self.disable_metric_sink { self.resolution.duration() * 2 } else { self.retention }
    }
}
