//! Source and sink URIs, `PREFIX:CONFIG[?OPTIONS]` (Heapster `common/flags/flags.go`), and reading their options. Which
//! prefixes and options there are is left to the tables of `sources` and `sinks`.

use super::nearest::nearest;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use url::Url;

/// A URI as given, its environment variables filled in. Printing it shows no option's value and no password.
#[derive(Clone)]
pub struct Uri {
    /// What stands before the first colon.
    pub prefix: String,
    /// Where it stands: a flag, a variable, a place in a file.
    pub origin: String,
    config: Result<Option<Url>, UriError>,
    options: Vec<(String, String)>,
    unset: Vec<String>,
}

/// Why a text is no URI, or an option none of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// There is nothing before the first colon.
    #[error("missing prefix in {0:?}; give PREFIX:CONFIG[?OPTIONS], such as kubernetes.summary_api:''")]
    MissingPrefix(String),
    /// What follows the prefix is no URL.
    #[error("{prefix}: {config:?} is no URL: {source}; give one such as https://kubernetes.default:443")]
    BadUrl {
        /// The prefix.
        prefix: String,
        /// What follows it, without options.
        config: String,
        /// Why it is none.
        source: url::ParseError,
    },
    /// The URL has a scheme that nothing here speaks.
    #[error("{prefix}: {config:?} has no scheme that is spoken here; give http://… or https://…")]
    BadScheme {
        /// The prefix.
        prefix: String,
        /// What follows it, without options.
        config: String,
    },
    /// No such option.
    #[error("{prefix}: no such option {option}; {hint}")]
    UnknownOption {
        /// The prefix.
        prefix: String,
        /// The option.
        option: String,
        /// The one that was probably meant.
        hint: String,
    },
    /// An option has a value that it cannot have.
    #[error("{prefix}: {option}={value:?} {problem}")]
    BadOption {
        /// The prefix.
        prefix: String,
        /// The option.
        option: String,
        /// The value.
        value: String,
        /// What is wrong and what would be right.
        problem: &'static str,
    },
    /// What was given does not suffice.
    #[error("{prefix}: {problem}")]
    Incomplete {
        /// The prefix.
        prefix: String,
        /// What is missing.
        problem: &'static str,
    },
}

/// Options whose value is not to be shown, nor what follows it: an `&` in it may have been left as it is.
const SECRETS: [&str; 2] = ["pw", "token"];

impl Uri {
    /// Reads a URI; `variable` tells the value of an environment variable.
    ///
    /// # Errors
    /// When the prefix is missing.
    pub fn parse(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, UriError> {
        let unset = RefCell::new(Vec::new());
        let variable: &dyn Fn(&str) -> Option<String> = &|name| {
            let value = variable(name);
            if value.is_none() && !name.is_empty() {
                unset.borrow_mut().push(name.to_owned());
            }
            value
        };
        let (prefix, rest) = text.split_once(':').unwrap_or((text, ""));
        let (prefix, rest) = match prefix.split_once('?') {
            Some((before, _)) => (before, text.get(before.len()..).unwrap_or_default()),
            None => (prefix, rest),
        };
        if prefix.trim().is_empty() {
            return Err(UriError::MissingPrefix(without_password(text)));
        }
        // Options last, one by one, so that what a variable holds is one value whatever characters it has.
        let (config, query) = rest.split_once('?').unwrap_or((rest, ""));
        let config = expand(config, variable);
        let (config, more) = config.split_once('?').unwrap_or((&config, ""));
        let query = [more, &expand_options(query, variable)].join(if more.is_empty() { "" } else { "&" });
        let bare = config.trim_matches(['\'', '"', ' ']);
        let config = if bare.is_empty() { Ok(None) } else { parse_url(prefix, bare).map(Some) };
        let options = url::form_urlencoded::parse(query.trim_end_matches(['\'', '"', ' ']).as_bytes());
        Ok(Self {
            prefix: prefix.to_owned(),
            origin: String::new(),
            config,
            options: options.into_owned().collect(),
            unset: unset.take(),
        })
    }

    /// The environment's variables that were named and are not set: they counted as empty.
    pub fn unset(&self) -> &[String] {
        &self.unset
    }

    /// Names of options that were given more than once: the first counts, as it did in Heapster.
    pub fn repeated(&self) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        self.options.iter().map(|(name, _)| name.as_str()).filter(|name| !seen.insert(*name)).collect()
    }

    /// The same, with where it stands.
    pub fn standing_at(self, origin: String) -> Self {
        Self { origin, ..self }
    }

    /// The URL between prefix and options; None where it is empty or only quotes. Asked for by kinds that take one, so
    /// that of a kind which is not known it does not matter.
    ///
    /// # Errors
    /// When it is no http or https URL.
    pub fn config(&self) -> Result<Option<&Url>, UriError> {
        self.config.as_ref().map(Option::as_ref).map_err(UriError::clone)
    }

    /// Refuses an option that is not among `known`.
    ///
    /// # Errors
    /// The first such option, with the nearest known one.
    pub fn check_options<'a>(
        &self,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Result<(), UriError> {
        let unknown =
            self.options.iter().find(|(name, _)| !known.clone().into_iter().any(|each| each == name));
        unknown.map_or(Ok(()), |(option, _)| {
            let prefix = self.prefix.clone();
            let secret = self.options.iter().take_while(|(name, _)| name != option);
            if let Some((secret, _)) = secret.filter(|(name, _)| SECRETS.contains(&name.as_str())).last() {
                let hint = format!(
                    "in a value & is written %26; known: {}",
                    known.into_iter().collect::<Vec<_>>().join(", ")
                );
                return Err(UriError::UnknownOption {
                    prefix,
                    option: format!("as the one behind {secret}"),
                    hint,
                });
            }
            Err(UriError::UnknownOption {
                hint: nearest(option, known),
                prefix,
                option: format!("{option:?}"),
            })
        })
    }

    /// An option's text: the first that was given. None where it was not, or is empty.
    pub fn text(&self, option: &str) -> Option<&str> {
        let first = self.options.iter().find(|(name, _)| name == option);
        first.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// An option's truth value, in the words that Go takes.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn flag(&self, option: &str, default: bool) -> Result<bool, UriError> {
        match self.text(option) {
            None => Ok(default),
            Some("1" | "t" | "T" | "TRUE" | "true" | "True") => Ok(true),
            Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Ok(false),
            Some(value) => Err(self.bad_option(option, value, "is no truth value: give true or false")),
        }
    }

    /// An option's port.
    ///
    /// # Errors
    /// When it is no number from 1 to 65535.
    pub fn port(&self, option: &str, default: u16) -> Result<u16, UriError> {
        let Some(value) = self.text(option) else { return Ok(default) };
        match value.parse() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(self.bad_option(option, value, "is no port: give a number from 1 to 65535")),
        }
    }

    /// An error about one option.
    pub fn bad_option(&self, option: &str, value: &str, problem: &'static str) -> UriError {
        let (prefix, option, value) = (self.prefix.clone(), option.to_owned(), value.to_owned());
        UriError::BadOption { prefix, option, value, problem }
    }

    /// An error about the URI as a whole.
    pub fn incomplete(&self, problem: &'static str) -> UriError {
        UriError::Incomplete { prefix: self.prefix.clone(), problem }
    }
}

/// Where they stand makes no difference.
impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        (&self.prefix, &self.config, &self.options) == (&other.prefix, &other.config, &other.options)
    }
}

impl Eq for Uri {}

impl fmt::Display for Uri {
    /// The prefix and the server; neither user, password nor options.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.prefix)?;
        match &self.config {
            Err(_) | Ok(None) => Ok(()),
            Ok(Some(url)) => {
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                write!(f, ":{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn parse_url(prefix: &str, text: &str) -> Result<Url, UriError> {
    let (shown, prefix) = (without_password(text), prefix.to_owned());
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        Ok(_) => Err(UriError::BadScheme { prefix, config: shown }),
        Err(url::ParseError::RelativeUrlWithoutBase) => Err(UriError::BadScheme { prefix, config: shown }),
        Err(source) => Err(UriError::BadUrl { prefix, config: shown, source }),
    }
}

/// The text without options and without what may be a password: whatever stands before an `@`, but for the scheme.
pub(super) fn without_password(text: &str) -> String {
    let shown = text.split('?').next().unwrap_or_default();
    match shown.rsplit_once('@') {
        Some((before, after)) => {
            let scheme = before.find("://").and_then(|at| before.get(..at + 3)).unwrap_or_default();
            format!("{scheme}…@{after}")
        }
        None => shown.to_owned(),
    }
}

/// Fills in an option's value as one text; what stands elsewhere may be whole options.
fn expand_options(query: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let encoded = |name: &str| {
        variable(name).map(|value| url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>())
    };
    let options = query.split('&').map(|option| match option.split_once('=') {
        Some((name, value)) => format!("{}={}", expand(name, variable), expand(value, &encoded)),
        None => expand(option, variable),
    });
    options.collect::<Vec<_>>().join("&")
}

/// Fills in `$NAME` and `${NAME}`; what is not set is empty.
fn expand(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (name, behind) = match after.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
            Some(pair) => pair,
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                after.split_at(end)
            }
        };
        if name.is_empty() {
            out.push('$');
        }
        out.push_str(&variable(name).unwrap_or_default());
        rest = behind;
    }
    out.push_str(rest);
    out
}
