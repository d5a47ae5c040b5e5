//! THE table of settings: every one, with its default, once. Flags, environment, file, `--help` and the README are all
//! held to it.

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in flags, in the file, and in capitals behind `HEAPSTER_` in the environment.
    pub name: &'static str,
    /// Other names that a release of Heapster gave it.
    pub aliases: &'static [&'static str],
    /// What stands for its value in `--help`.
    pub placeholder: &'static str,
    /// Its default; empty for none.
    pub default: &'static str,
    /// Whether it may be given more than once.
    pub repeatable: bool,
    /// Whether it is a truth value, for which the flag alone stands for true.
    pub switch: bool,
    /// What it is.
    pub about: &'static str,
}

/// Every setting.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "source",
        aliases: &[],
        placeholder: "URI",
        default: "",
        repeatable: true,
        switch: false,
        about: "Cluster to collect, as PREFIX:CONFIG[?OPTIONS]; may be repeated",
    },
    Setting {
        name: "sink",
        aliases: &[],
        placeholder: "URI",
        default: "",
        repeatable: true,
        switch: false,
        about: "Where points go, as PREFIX[:CONFIG[?OPTIONS]]; may be repeated",
    },
    Setting {
        name: "historical_source",
        aliases: &[],
        placeholder: "URI",
        default: "",
        repeatable: false,
        switch: false,
        about: "Database that the historical API asks: the URI of a sink that is influxdb or prometheus, or one of its own",
    },
    Setting {
        name: "model_resolution",
        aliases: &["metric_resolution"],
        placeholder: "DURATION",
        default: "30s",
        repeatable: false,
        switch: false,
        about: "Time between two points of a series, 5s to 1h",
    },
    Setting {
        name: "retention",
        aliases: &[],
        placeholder: "DURATION",
        default: "15m",
        repeatable: false,
        switch: false,
        about: "How long every point is kept: at least two resolutions, at most 24h",
    },
    Setting {
        name: "shard",
        aliases: &[],
        placeholder: "I/N",
        default: "",
        repeatable: false,
        switch: false,
        about: "Collect part I of N of every cluster's nodes, I from 1; empty collects all",
    },
    Setting {
        name: "port",
        aliases: &["heapster_port"],
        placeholder: "PORT",
        default: "8082",
        repeatable: false,
        switch: false,
        about: "Port of the API; 0 takes any that is free",
    },
    Setting {
        name: "listen_ip",
        aliases: &[],
        placeholder: "IP",
        default: "",
        repeatable: false,
        switch: false,
        about: "Address of the API; empty listens on all",
    },
    Setting {
        name: "log_level",
        aliases: &[],
        placeholder: "LEVEL",
        default: "info",
        repeatable: false,
        switch: false,
        about: "off, error, warn, info, debug or trace",
    },
    Setting {
        name: "max_procs",
        aliases: &[],
        placeholder: "COUNT",
        default: "0",
        repeatable: false,
        switch: false,
        about: "Threads that scrape; 0 takes one for each core",
    },
    Setting {
        name: "queue_limit",
        aliases: &[],
        placeholder: "SIZE",
        default: "64Mi",
        repeatable: false,
        switch: false,
        about: "Memory that windows may take while they wait for one sink, 1Mi to 64Gi",
    },
    Setting {
        name: "spool_dir",
        aliases: &[],
        placeholder: "PATH",
        default: "",
        repeatable: false,
        switch: false,
        about: "Folder where windows wait for sinks too, so that they outlive the process; empty for none",
    },
    Setting {
        name: "spool_limit",
        aliases: &[],
        placeholder: "SIZE",
        default: "1Gi",
        repeatable: false,
        switch: false,
        about: "Disk that windows may take there while they wait for one sink, 1Mi to 16Ti",
    },
    Setting {
        name: "shutdown_grace",
        aliases: &[],
        placeholder: "DURATION",
        default: "10s",
        repeatable: false,
        switch: false,
        about: "How long answering and exporting may go on after SIGTERM",
    },
    Setting {
        name: "tls_cert",
        aliases: &[],
        placeholder: "FILE",
        default: "",
        repeatable: false,
        switch: false,
        about: "PEM file with the certificate of the API and its chain; with it the API speaks HTTPS alone",
    },
    Setting {
        name: "tls_key",
        aliases: &[],
        placeholder: "FILE",
        default: "",
        repeatable: false,
        switch: false,
        about: "PEM file with the key of that certificate",
    },
    Setting {
        name: "tls_client_ca",
        aliases: &[],
        placeholder: "FILE",
        default: "",
        repeatable: false,
        switch: false,
        about: "PEM file with the CAs of the certificates that clients must show",
    },
    Setting {
        name: "allowed_users",
        aliases: &[],
        placeholder: "NAMES",
        default: "",
        repeatable: false,
        switch: false,
        about: "Common names that those certificates must be for, parted by commas; none takes any",
    },
    Setting {
        name: "label_separator",
        aliases: &["label_seperator"],
        placeholder: "TEXT",
        default: ",",
        repeatable: false,
        switch: false,
        about: "What stands between two labels in the label labels",
    },
    Setting {
        name: "ignore_label",
        aliases: &[],
        placeholder: "NAMES",
        default: "",
        repeatable: true,
        switch: false,
        about: "Labels of objects that are left out there; parted by commas, and may be repeated",
    },
    Setting {
        name: "store_label",
        aliases: &[],
        placeholder: "NAMES",
        default: "",
        repeatable: true,
        switch: false,
        about: "Labels of objects that become labels of their own, as NAME or NEW=NAME; parted by commas, and may be repeated",
    },
    Setting {
        name: "disable_export",
        aliases: &[],
        placeholder: "BOOL",
        default: "false",
        repeatable: false,
        switch: true,
        about: "Leave the metric export empty",
    },
    Setting {
        name: "disable_metric_sink",
        aliases: &[],
        placeholder: "BOOL",
        default: "false",
        repeatable: false,
        switch: true,
        about: "Keep no more than two windows, whatever the retention",
    },
    Setting {
        name: "sink_export_data_timeout",
        aliases: &[],
        placeholder: "DURATION",
        default: "20s",
        repeatable: false,
        switch: false,
        about: "How long one request to a sink may take, where its URI does not say",
    },
];

/// Flags of the logging library that Heapster used. They are taken so that old manifests work; `v` raises the log
/// level, the others change nothing: logs always go to standard error.
pub const GLOG_FLAGS: &[&str] = &[
    "v",
    "vmodule",
    "logtostderr",
    "alsologtostderr",
    "stderrthreshold",
    "log_backtrace_at",
    "log_dir",
    "log_flush_frequency",
];

/// A flag of early releases that has nothing left to set.
#[derive(Clone, Copy, Debug)]
pub struct Obsolete {
    /// Its name.
    pub name: &'static str,
    /// Whether it is a truth value, for which the flag alone stands for true.
    pub switch: bool,
    /// What stands in its place.
    pub instead: &'static str,
}

/// Flags of early releases that are taken with a warning, so that old manifests start.
pub const OBSOLETE: &[Obsolete] = &[
    Obsolete { name: "use_model", switch: true, instead: "the model is always there" },
    Obsolete {
        name: "stats_resolution",
        switch: false,
        instead: "one sample is taken each --model_resolution",
    },
    Obsolete { name: "poll_duration", switch: false, instead: "kubelets are asked each --model_resolution" },
    Obsolete { name: "sink_frequency", switch: false, instead: "sinks are fed each --model_resolution" },
    Obsolete { name: "cache_duration", switch: false, instead: "points are kept for --retention" },
    Obsolete { name: "model_frequency", switch: false, instead: "the model is never behind" },
];

/// Flags of Heapster that this release does not know yet, so that the answer can say so.
pub const NOT_YET: &[&str] = &["api_server"];

/// The setting of this name or alias, whichever of `_` and `-` it is spelled with.
pub fn find(name: &str) -> Option<&'static Setting> {
    let name = name.replace('-', "_");
    SETTINGS.iter().find(|setting| setting.name == name || setting.aliases.contains(&name.as_str()))
}

/// Every name and alias.
pub fn names() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().flat_map(|setting| std::iter::once(setting.name).chain(setting.aliases.iter().copied()))
}
