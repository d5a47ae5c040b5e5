//! The options of an `influxdb` URI, checked. What is done with them is left to the sink.

use super::public_without_counters;
use crate::client::credentials::TokenSource;
use crate::client::post::Trust;
use crate::config::options::OptionLine;
use crate::config::uri::{Uri, UriError};
use crate::rollup::points::{Takes, public};
use crate::sinks::given::{bad, concurrency, secret, server, timeout, trust};
use crate::sinks::reach::Means;
use crate::wire::influx_query::parse_duration;
use std::time::Duration;
use url::Url;

/// Where Heapster looked where nothing was given.
const DEFAULT_SERVER: &str = "http://localhost:8086";
/// The shortest that an InfluxDB keeps.
const SHORTEST_RETENTION: Duration = Duration::from_secs(3600);

/// Every option.
pub const OPTIONS: &[OptionLine] = &[
    OptionLine { name: "user", default: "root", about: "user of the v1 API" },
    OptionLine { name: "pw", default: "root", about: "the user's password, or file:// and a path to it" },
    OptionLine { name: "db", default: "k8s", about: "database of the v1 API, made where it is missing" },
    OptionLine {
        name: "policy",
        default: "default",
        about: "retention policy written to, made where it is missing",
    },
    OptionLine {
        name: "retention",
        default: "0",
        about: "how long that policy keeps, such as 30d; 0 for ever",
    },
    OptionLine {
        name: "withfields",
        default: "false",
        about: "cpu as measurement and usage_rate as field, not cpu/usage_rate and value",
    },
    OptionLine {
        name: "cluster_name",
        default: "default",
        about: "tag cluster_name of every point, where one cluster is collected",
    },
    OptionLine {
        name: "pod_id",
        default: "false",
        about: "tag pod_id of pods and containers, so that the past can be asked for them by uid",
    },
    OptionLine {
        name: "disable_counter_metrics",
        default: "false",
        about: "leave out counters that have a rate",
    },
    OptionLine { name: "concurrency", default: "1", about: "requests at once, up to 64" },
    OptionLine { name: "org", default: "", about: "organisation of the v2 API" },
    OptionLine {
        name: "bucket",
        default: "",
        about: "bucket of the v2 API, which is spoken where it is given",
    },
    OptionLine { name: "token", default: "", about: "token of the v2 API, or file:// and a path to it" },
    OptionLine { name: "secure", default: "false", about: "speak TLS, as an https URL does" },
    OptionLine { name: "insecuressl", default: "false", about: "trust any certificate" },
    OptionLine {
        name: "ca",
        default: "",
        about: "PEM file with the CA of the server, if not one of the system's",
    },
    OptionLine {
        name: "timeout",
        default: "",
        about: "how long one request may take, 100ms to 10m, if not sink_export_data_timeout",
    },
    OptionLine { name: "gzip", default: "true", about: "compress what is sent" },
];

/// Which of the two APIs is spoken, and what to.
#[derive(Debug)]
pub(super) enum Api {
    /// Databases and retention policies.
    V1 {
        user: String,
        database: String,
        /// None where it was not given: then a database's own default policy will do.
        policy: Option<String>,
        /// None where it was not given: then whatever a policy keeps will do.
        keeps: Option<Duration>,
    },
    /// Organisations and buckets.
    V2 { org: String, bucket: String },
}

impl Api {
    /// What the secret is.
    pub(super) fn means(&self) -> Means {
        match self {
            Self::V1 { user, .. } => Means::Password(user.clone()),
            Self::V2 { .. } => Means::Token("Token"),
        }
    }
}

/// What an `influxdb` URI says.
#[derive(Debug)]
pub(super) struct Options {
    pub base: Url,
    pub trust: Trust,
    pub api: Api,
    pub secret: TokenSource,
    pub with_fields: bool,
    pub cluster_name: String,
    pub pod_id: bool,
    pub concurrency: usize,
    /// None where it was not given.
    pub timeout: Option<Duration>,
    pub gzip: bool,
    without_counters: bool,
}

impl Options {
    pub(super) fn parse(uri: &Uri) -> Result<Self, UriError> {
        let mut base = server(uri, DEFAULT_SERVER)?;
        if uri.flag("secure", false)? && base.scheme() == "http" {
            base.set_scheme("https").map_err(|()| uri.incomplete("has a URL that cannot be https"))?;
        }
        let bucket = uri.text("bucket").map(str::to_owned);
        let (api, secret) = match bucket {
            Some(bucket) => Self::v2(uri, bucket)?,
            None => Self::v1(uri)?,
        };
        Ok(Self {
            trust: trust(uri, &base)?,
            base,
            api,
            secret,
            with_fields: uri.flag("withfields", false)?,
            cluster_name: uri.text("cluster_name").unwrap_or("default").to_owned(),
            pod_id: uri.flag("pod_id", false)?,
            concurrency: concurrency(uri)?,
            timeout: timeout(uri)?,
            gzip: uri.flag("gzip", true)?,
            without_counters: uri.flag("disable_counter_metrics", false)?,
        })
    }

    fn v1(uri: &Uri) -> Result<(Api, TokenSource), UriError> {
        if uri.text("org").is_some() || uri.text("token").is_some() {
            return Err(
                uri.incomplete("has org or token, which are of the v2 API, but no bucket; give all three")
            );
        }
        let keeps = uri.text("retention").map(|text| {
            let keeps = parse_duration(text).filter(|keeps| keeps.is_zero() || *keeps >= SHORTEST_RETENTION);
            keeps.ok_or_else(|| {
                bad(uri, "retention", "is no retention: give one such as 30d, 1h at least, or 0")
            })
        });
        let api = Api::V1 {
            user: uri.text("user").unwrap_or("root").to_owned(),
            database: uri.text("db").unwrap_or("k8s").to_owned(),
            policy: uri.text("policy").map(str::to_owned),
            keeps: keeps.transpose()?,
        };
        Ok((api, secret(uri.text("pw").unwrap_or("root"))))
    }

    fn v2(uri: &Uri, bucket: String) -> Result<(Api, TokenSource), UriError> {
        let of_v1 = ["user", "pw", "db", "policy", "retention"];
        if of_v1.iter().any(|option| uri.text(option).is_some()) {
            return Err(uri.incomplete(
                "has bucket, which is of the v2 API, beside user, pw, db, policy or retention, which are of the v1 API; \
                 give those of one",
            ));
        }
        let org = uri.text("org").unwrap_or_default().to_owned();
        Ok((Api::V2 { org, bucket }, uri.text("token").map_or(TokenSource::None, secret)))
    }

    /// What it is called: where it writes to.
    pub(super) fn name(&self) -> String {
        let base = self.base.as_str().trim_end_matches('/').split('?').next().unwrap_or_default();
        match &self.api {
            Api::V1 { database, .. } => format!("influxdb:{base}/{database}"),
            Api::V2 { org, bucket } => format!("influxdb:{base}/{org}/{bucket}"),
        }
    }

    pub(super) fn is_secure(&self) -> bool {
        self.base.scheme() == "https"
    }

    pub(super) fn takes(&self) -> Takes {
        if self.without_counters { public_without_counters } else { public }
    }
}
