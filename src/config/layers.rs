//! The layers of settings, flags over environment over file over defaults, merged; and where each value came from, so
//! that a mistake can name it. What a value means is left to [`super::Config`].

use super::cli::Typed;
use super::settings::{self, SETTINGS, Setting};
use super::sizes;
use super::tls::TlsFiles;
use super::uri::Uri;
use super::{ConfigError, Environment, ReadFile, one_line};
use crate::model::label_copier::LabelCopier;
use config::builder::DefaultState;
use config::{ConfigBuilder, FileFormat, Value, ValueKind};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

/// The layers, merged by the `config` crate, with what is needed to name where a value came from.
pub(super) struct Layers<'a> {
    merged: config::Config,
    typed: &'a Typed,
    environment: BTreeMap<&'static str, (String, String)>,
    file: Option<(String, Vec<String>)>,
}

impl<'a> Layers<'a> {
    pub(super) fn new(
        typed: &'a Typed,
        environment: &Environment,
        read: ReadFile<'_>,
    ) -> Result<Self, ConfigError> {
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
    pub(super) fn is_default(&self, name: &str) -> bool {
        let in_file = self.file.as_ref().is_some_and(|(_, keys)| keys.iter().any(|key| key == name));
        !in_file && self.typed.spelling(name).is_none() && !self.environment.contains_key(name)
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.merged.get_string(name).unwrap_or_default()
    }

    pub(super) fn bad(&self, name: &str, problem: String) -> ConfigError {
        ConfigError::Value { origin: self.origin(name), value: self.text(name), problem }
    }

    pub(super) fn parsed<T: std::str::FromStr>(&self, name: &str, problem: &str) -> Result<T, ConfigError> {
        self.text(name).parse().map_err(|_| self.bad(name, problem.to_owned()))
    }

    pub(super) fn duration(&self, name: &str) -> Result<Duration, ConfigError> {
        humantime::parse_duration(&self.text(name)).map_err(|_| {
            self.bad(name, "is no duration: give a number with its unit, such as 30s, 1m30s or 500ms".into())
        })
    }

    /// A size from 1 MiB to 2 to the power of `most`.
    pub(super) fn size(&self, name: &str, most: u32) -> Result<usize, ConfigError> {
        let size = sizes::parse(&self.text(name)).filter(|size| sizes::fits(*size, 20, most));
        size.ok_or_else(|| self.bad(name, format!("is no size: give 1Mi to {}", sizes::show(most))))
    }

    pub(super) fn address(&self, text: &str) -> Result<IpAddr, ConfigError> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        bare.parse()
            .map_err(|_| self.bad("listen_ip", "is no IP address: give one such as 127.0.0.1 or ::".into()))
    }

    pub(super) fn uris(&self, name: &str, environment: &Environment) -> Result<Vec<Uri>, ConfigError> {
        let values = self.merged.get_array(name).unwrap_or_default();
        let texts =
            values.into_iter().filter_map(|value| value.into_string().ok()).filter(|text| !text.is_empty());
        texts.map(|text| self.uri_of(name, &text, environment)).collect()
    }

    /// One URI; None where it is empty.
    pub(super) fn uri(&self, name: &str, environment: &Environment) -> Result<Option<Uri>, ConfigError> {
        let text = Some(self.text(name)).filter(|text| !text.is_empty());
        text.map(|text| self.uri_of(name, &text, environment)).transpose()
    }

    fn uri_of(&self, name: &str, text: &str, environment: &Environment) -> Result<Uri, ConfigError> {
        Uri::parse(text, &|variable| environment.get(variable).cloned())
            .map(|uri| uri.standing_at(self.origin(name)))
            .map_err(|source| ConfigError::Uri { origin: self.origin(name), source })
    }

    /// A truth value, in the words that Go takes.
    pub(super) fn flag(&self, name: &str) -> Result<bool, ConfigError> {
        truth(&self.text(name))
            .ok_or_else(|| self.bad(name, "is no truth value: give true or false".to_owned()))
    }

    /// The members of a list, of which each text may name several, parted by commas.
    fn list(&self, name: &str) -> Vec<String> {
        let texts = self.merged.get_array(name).unwrap_or_default().into_iter();
        let texts = texts.filter_map(|value| value.into_string().ok());
        texts.flat_map(|text| parted(&text)).collect()
    }

    /// What it takes to answer over TLS.
    pub(super) fn tls(&self) -> Result<Option<TlsFiles>, ConfigError> {
        let [cert, key, client_ca] = ["tls_cert", "tls_key", "tls_client_ca"].map(|name| self.text(name));
        let allowed = self.text("allowed_users");
        let names = parted(&allowed);
        if names.is_empty() && !allowed.is_empty() {
            return Err(self
                .bad("allowed_users", "names nobody: give names parted by commas, or leave it out".into()));
        }
        TlsFiles::of(&cert, &key, &client_ca, names)
            .map_err(|problem| ConfigError::Contradiction(problem.to_owned()))
    }

    /// How labels of objects become labels of points.
    pub(super) fn labels(&self) -> Result<LabelCopier, ConfigError> {
        let mut stored = Vec::new();
        for text in self.list("store_label") {
            let (new, label) = text.split_once('=').unwrap_or((&text, &text));
            if new.is_empty() || label.is_empty() || label.contains('=') {
                let (origin, value) = (self.origin("store_label"), text.clone());
                let problem = "is no label to store: give NAME or NEW=NAME".to_owned();
                return Err(ConfigError::Value { origin, value, problem });
            }
            stored.push((label.to_owned(), new.to_owned()));
        }
        Ok(LabelCopier::new(self.text("label_separator"), self.list("ignore_label"), stored))
    }

    pub(super) fn log_level(&self, typed: &Typed) -> Result<log::LevelFilter, ConfigError> {
        let spelled =
            self.parsed("log_level", "is no log level: give off, error, warn, info, debug or trace")?;
        Ok(match typed.verbosity {
            Some(0) | None => spelled,
            Some(1..=3) => spelled.max(log::LevelFilter::Debug),
            Some(_) => spelled.max(log::LevelFilter::Trace),
        })
    }
}

/// A truth value in the words that Go takes.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// The texts between commas, without the blanks around them; empty ones are none.
fn parted(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
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
