//! What the user wants: read from flags, environment and file into one value that nobody has to check again. What a
//! source or sink URI means is left to the tables of `sources` and `sinks`.

pub mod cli;
pub mod nearest;
pub mod options;
pub mod settings;
pub mod uri;

use crate::model::time::{BadResolution, Resolution};
use cli::Typed;
use config::builder::DefaultState;
use config::{ConfigBuilder, FileFormat, Value, ValueKind};
use nearest::nearest;
use settings::{SETTINGS, Setting};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use uri::{Uri, UriError};

/// Everything that can be set, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The clusters to collect.
    pub sources: Vec<Uri>,
    /// Where points go.
    pub sinks: Vec<Uri>,
    /// The length of a window.
    pub resolution: Resolution,
    /// How long points are kept.
    pub retention: Duration,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// What is logged.
    pub log_level: log::LevelFilter,
    /// How many threads scrape.
    pub max_procs: usize,
    /// How long a shutdown may take.
    pub shutdown_grace: Duration,
}

/// Why the settings are no [`Config`]. Each names the setting, the value and the fix.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A setting has a value that it cannot have.
    #[error("{origin}: {value:?} {problem}")]
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

fn one_line(error: &config::ConfigError) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
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
        Ok(Self {
            sources: layers.uris("source", environment)?,
            sinks: layers.uris("sink", environment)?,
            resolution,
            retention,
            listen: SocketAddr::new(address, port),
            log_level: layers.log_level(typed)?,
            max_procs,
            shutdown_grace,
        })
    }
}

/// The layers, merged by the `config` crate, with what is needed to name where a value came from.
struct Layers<'a> {
    merged: config::Config,
    typed: &'a Typed,
    environment: BTreeMap<&'static str, (String, String)>,
    file: Option<(String, Vec<String>)>,
}

impl<'a> Layers<'a> {
    fn new(typed: &'a Typed, environment: &Environment, read: ReadFile<'_>) -> Result<Self, ConfigError> {
        let environment = from_environment(environment)?;
        let mut builder = config::Config::builder();
        for setting in SETTINGS {
            let default = typed.default_of(setting.name).unwrap_or(setting.default);
            builder = set(builder, setting, vec![default.to_owned()], false);
        }
        let path = typed.config.clone().or_else(|| environment.get("config").map(|(_, path)| path.clone()));
        let mut file = None;
        if let Some(path) = path.filter(|path| !path.is_empty()) {
            let (keys, values) = from_file(&path, read)?;
            for (setting, value) in values {
                builder = builder.add_source(Single(setting.name, value));
            }
            file = Some((path, keys));
        }
        for (name, (_, value)) in &environment {
            if let Some(setting) = settings::find(name) {
                let values = if setting.repeatable { split_list(value) } else { vec![value.clone()] };
                builder = builder.add_source(Single(setting.name, to_value(setting, values)));
            }
        }
        for (name, values) in &typed.values {
            if let Some(setting) = settings::find(name) {
                builder = set(builder, setting, values.clone(), true);
            }
        }
        let merged = builder.build().map_err(|error| ConfigError::Contradiction(one_line(&error)))?;
        Ok(Self { merged, typed, environment, file })
    }

    fn origin(&self, name: &str) -> String {
        if let Some(spelling) = self.typed.spelling(name) {
            return spelling;
        }
        if let Some((variable, _)) = self.environment.get(name) {
            return variable.clone();
        }
        match &self.file {
            Some((path, keys)) if keys.iter().any(|key| key == name) => format!("{name} in {path}"),
            _ => name.to_owned(),
        }
    }

    /// Whether nobody gave a setting.
    fn is_default(&self, name: &str) -> bool {
        let in_file = self.file.as_ref().is_some_and(|(_, keys)| keys.iter().any(|key| key == name));
        !in_file && self.typed.spelling(name).is_none() && !self.environment.contains_key(name)
    }

    fn text(&self, name: &str) -> String {
        self.merged.get_string(name).unwrap_or_default()
    }

    fn bad(&self, name: &str, problem: String) -> ConfigError {
        ConfigError::Value { origin: self.origin(name), value: self.text(name), problem }
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str, problem: &str) -> Result<T, ConfigError> {
        self.text(name).parse().map_err(|_| self.bad(name, problem.to_owned()))
    }

    fn duration(&self, name: &str) -> Result<Duration, ConfigError> {
        humantime::parse_duration(&self.text(name)).map_err(|_| {
            self.bad(name, "is no duration: give a number with its unit, such as 30s, 1m30s or 500ms".into())
        })
    }

    fn address(&self, text: &str) -> Result<IpAddr, ConfigError> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        bare.parse()
            .map_err(|_| self.bad("listen_ip", "is no IP address: give one such as 127.0.0.1 or ::".into()))
    }

    fn uris(&self, name: &str, environment: &Environment) -> Result<Vec<Uri>, ConfigError> {
        let values = self.merged.get_array(name).unwrap_or_default();
        let texts =
            values.into_iter().filter_map(|value| value.into_string().ok()).filter(|text| !text.is_empty());
        texts
            .map(|text| {
                Uri::parse(&text, &|variable| environment.get(variable).cloned())
                    .map(|uri| uri.standing_at(self.origin(name)))
                    .map_err(|source| ConfigError::Uri { origin: self.origin(name), source })
            })
            .collect()
    }

    fn log_level(&self, typed: &Typed) -> Result<log::LevelFilter, ConfigError> {
        let spelled =
            self.parsed("log_level", "is no log level: give off, error, warn, info, debug or trace")?;
        Ok(match typed.verbosity {
            Some(0) | None => spelled,
            Some(1..=3) => spelled.max(log::LevelFilter::Debug),
            Some(_) => spelled.max(log::LevelFilter::Trace),
        })
    }
}

/// One key of one layer.
#[derive(Clone, Debug)]
struct Single(&'static str, Value);

impl config::Source for Single {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }
    fn collect(&self) -> Result<config::Map<String, Value>, config::ConfigError> {
        Ok(HashMap::from([(self.0.to_owned(), self.1.clone())]).into_iter().collect())
    }
}

fn to_value(setting: &Setting, values: Vec<String>) -> Value {
    if setting.repeatable {
        let values = values.into_iter().map(|text| Value::new(None, ValueKind::String(text))).collect();
        return Value::new(None, ValueKind::Array(values));
    }
    Value::new(None, ValueKind::String(values.into_iter().next_back().unwrap_or_default()))
}

fn set(
    builder: ConfigBuilder<DefaultState>,
    setting: &Setting,
    values: Vec<String>,
    over: bool,
) -> ConfigBuilder<DefaultState> {
    let value = to_value(setting, values);
    let result = if over {
        builder.clone().set_override(setting.name, value)
    } else {
        builder.clone().set_default(setting.name, value)
    };
    result.unwrap_or(builder)
}

/// A list in one variable: one URI a line, or blanks between them.
fn split_list(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Whether Kubernetes itself put a variable into the pod: it does so for every Service, such as `heapster` or
/// `heapster-ui`, of the same namespace (`enableServiceLinks`).
fn is_service_link(name: &str, value: &str) -> bool {
    let port = |rest: &str| ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| rest.contains(protocol));
    let address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let of_service = |rest: &str| rest.starts_with("SERVICE_HOST") || rest.starts_with("SERVICE_PORT");
    let parts = std::iter::once(0).chain(name.match_indices('_').map(|(at, _)| at + 1));
    let mut rests = parts.filter_map(|at| name.get(at..));
    address || rests.any(|rest| of_service(rest) || (rest.starts_with("PORT_") && port(rest)))
}

/// The `HEAPSTER_*` variables by setting.
fn from_environment(
    environment: &Environment,
) -> Result<BTreeMap<&'static str, (String, String)>, ConfigError> {
    let mut found = BTreeMap::new();
    for (variable, value) in environment {
        let Some(name) = variable.strip_prefix("HEAPSTER_") else { continue };
        if name.is_empty() || is_service_link(name, value) {
            continue;
        }
        let name = name.to_lowercase();
        let setting = match name.as_str() {
            "config" => Some("config"),
            other => settings::find(other).map(|setting| setting.name),
        };
        let Some(setting) = setting else {
            return Err(ConfigError::Unknown { origin: variable.clone(), name });
        };
        found.insert(setting, (variable.clone(), value.clone()));
    }
    Ok(found)
}

type FileValues = (Vec<String>, Vec<(&'static Setting, Value)>);

fn from_file(path: &str, read: ReadFile<'_>) -> Result<FileValues, ConfigError> {
    let text = read(path).map_err(|error| ConfigError::File { path: path.to_owned(), error })?;
    let (format, name) = match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("yaml" | "yml") => (FileFormat::Yaml, "YAML"),
        Some("json") => (FileFormat::Json, "JSON"),
        _ => (FileFormat::Toml, "TOML"),
    };
    let parsed = config::Config::builder().add_source(config::File::from_str(&text, format)).build();
    let table =
        parsed.and_then(config::Config::try_deserialize::<HashMap<String, Value>>).map_err(|error| {
            ConfigError::Format { path: path.to_owned(), format: name, error: Box::new(error) }
        })?;
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for (key, value) in table {
        let Some(setting) = settings::find(&key) else {
            return Err(ConfigError::Unknown { origin: format!("{key} in {path}"), name: key });
        };
        let plain =
            |value: &Value| !matches!(value.kind, ValueKind::Table(_) | ValueKind::Array(_) | ValueKind::Nil);
        let value = match (&value.kind, setting.repeatable) {
            (ValueKind::Array(list), true) if list.iter().all(plain) => value,
            (ValueKind::Table(_) | ValueKind::Array(_) | ValueKind::Nil, _) => {
                let problem =
                    if setting.repeatable { "give a list of texts" } else { "give one text or number" };
                return Err(ConfigError::Value {
                    origin: format!("{key} in {path}"),
                    value: value.to_string(),
                    problem: format!("cannot be used: {problem}"),
                });
            }
            (_, true) => Value::new(None, ValueKind::Array(vec![value])),
            (_, false) => value,
        };
        keys.push(setting.name.to_owned());
        values.push((setting, value));
    }
    Ok((keys, values))
}
