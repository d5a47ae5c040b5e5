//! The options of a `prometheus` URI, checked. What is done with them is left to the sink.

use crate::client::credentials::TokenSource;
use crate::client::post::Trust;
use crate::config::options::OptionLine;
use crate::config::uri::{Uri, UriError};
use crate::sinks::given::{bad, concurrency, secret, server, timeout, trust};
use crate::sinks::reach::Means;
use crate::wire::remote_write::Version;
use std::time::Duration;
use url::Url;

/// The server that is written to where nothing is given.
const DEFAULT_SERVER: &str = "http://localhost:9090";
/// Where a Prometheus takes what is written.
const PATH: &str = "/api/v1/write";
/// Points of one request where nothing is given: some 100 kB as they are sent, and a megabyte in the server's hands.
const BATCH: usize = 5_000;
/// The most points of one request.
const MOST: usize = 100_000;

/// Every option.
pub const OPTIONS: &[OptionLine] = &[
    OptionLine {
        name: "version",
        default: "auto",
        about: "version of remote write: 1, 2, or auto for 2 where it is taken",
    },
    OptionLine {
        name: "cluster",
        default: "",
        about: "label cluster of every series, where one cluster is collected",
    },
    OptionLine {
        name: "pod_id",
        default: "false",
        about: "label uid of pods and containers, so that the past can be asked for them by uid",
    },
    OptionLine { name: "user", default: "", about: "user, for a server that asks for a password" },
    OptionLine { name: "pw", default: "", about: "the user's password, or file:// and a path to it" },
    OptionLine { name: "token", default: "", about: "bearer token, or file:// and a path to it" },
    OptionLine { name: "tenant", default: "", about: "tenant, sent as X-Scope-OrgID" },
    OptionLine { name: "batch", default: "5000", about: "points of one request, up to 100000" },
    OptionLine { name: "concurrency", default: "1", about: "requests at once, up to 64" },
    OptionLine {
        name: "timeout",
        default: "",
        about: "how long one request may take, 100ms to 10m, if not sink_export_data_timeout",
    },
    OptionLine { name: "insecuressl", default: "false", about: "trust any certificate" },
    OptionLine {
        name: "ca",
        default: "",
        about: "PEM file with the CA of the server, if not one of the system's",
    },
];

/// What a `prometheus` URI says.
#[derive(Debug)]
pub(super) struct Options {
    pub url: Url,
    pub trust: Trust,
    /// None where it is to be found out.
    pub version: Option<Version>,
    /// None where it was not given.
    pub cluster: Option<String>,
    pub pod_id: bool,
    /// None for a bearer token, or for nobody.
    pub user: Option<String>,
    pub secret: TokenSource,
    pub tenant: Option<String>,
    pub batch: usize,
    pub concurrency: usize,
    /// None where it was not given.
    pub timeout: Option<Duration>,
}

impl Options {
    pub(super) fn parse(uri: &Uri) -> Result<Self, UriError> {
        let mut url = server(uri, DEFAULT_SERVER)?;
        if url.path() == "/" {
            url.set_path(PATH);
        }
        let version = match uri.text("version") {
            None | Some("auto") => None,
            Some("1") => Some(Version::One),
            Some("2") => Some(Version::Two),
            Some(_) => return Err(bad(uri, "version", "is no version of remote write: give 1, 2 or auto")),
        };
        let (user, secret) = match (uri.text("user"), uri.text("pw"), uri.text("token")) {
            (None, None, None) => (None, TokenSource::None),
            (None, None, Some(token)) => (None, secret(token)),
            (Some(user), Some(password), None) => (Some(user.to_owned()), secret(password)),
            (_, _, Some(_)) => {
                return Err(uri.incomplete("has token beside user or pw; give one or the other"));
            }
            _ => return Err(uri.incomplete("has only one of user and pw; give both")),
        };
        let batch = match uri.text("batch").map_or(Ok(BATCH), str::parse) {
            Ok(count @ 1..=MOST) => count,
            _ => return Err(bad(uri, "batch", "is no number of points: give 1 to 100000")),
        };
        let tenant = uri.text("tenant").map(str::to_owned);
        if tenant.iter().flat_map(|tenant| tenant.chars()).any(|each| !matches!(each, ' '..='~')) {
            return Err(bad(uri, "tenant", "has characters that no header can have: give plain ASCII"));
        }
        Ok(Self {
            trust: trust(uri, &url)?,
            url,
            version,
            cluster: uri.text("cluster").map(str::to_owned),
            pod_id: uri.flag("pod_id", false)?,
            user,
            secret,
            tenant,
            batch,
            concurrency: concurrency(uri)?,
            timeout: timeout(uri)?,
        })
    }

    /// What it is called: where it writes to.
    pub(super) fn name(&self) -> String {
        format!("prometheus:{}", self.url.as_str().split('?').next().unwrap_or_default())
    }

    /// What the secret is.
    pub(super) fn means(&self) -> Means {
        self.user.clone().map_or(Means::Token("Bearer"), Means::Password)
    }

    pub(super) fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }
}
