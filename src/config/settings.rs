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
        about: "Cluster to collect, as PREFIX:CONFIG[?OPTIONS]; may be repeated",
    },
    Setting {
        name: "sink",
        aliases: &[],
        placeholder: "URI",
        default: "",
        repeatable: true,
        about: "Where points go, as PREFIX[:CONFIG[?OPTIONS]]; may be repeated",
    },
    Setting {
        name: "model_resolution",
        aliases: &["metric_resolution"],
        placeholder: "DURATION",
        default: "30s",
        repeatable: false,
        about: "Time between two points of a series, 5s to 1h",
    },
    Setting {
        name: "retention",
        aliases: &[],
        placeholder: "DURATION",
        default: "15m",
        repeatable: false,
        about: "How long every point is kept: at least two resolutions, at most 24h",
    },
    Setting {
        name: "port",
        aliases: &["heapster_port"],
        placeholder: "PORT",
        default: "8082",
        repeatable: false,
        about: "Port of the API; 0 takes any that is free",
    },
    Setting {
        name: "listen_ip",
        aliases: &[],
        placeholder: "IP",
        default: "",
        repeatable: false,
        about: "Address of the API; empty listens on all",
    },
    Setting {
        name: "log_level",
        aliases: &[],
        placeholder: "LEVEL",
        default: "info",
        repeatable: false,
        about: "off, error, warn, info, debug or trace",
    },
    Setting {
        name: "max_procs",
        aliases: &[],
        placeholder: "COUNT",
        default: "0",
        repeatable: false,
        about: "Threads that scrape; 0 takes one for each core",
    },
    Setting {
        name: "queue_limit",
        aliases: &[],
        placeholder: "SIZE",
        default: "64Mi",
        repeatable: false,
        about: "Memory that windows may take while they wait for one sink, 1Mi to 64Gi",
    },
    Setting {
        name: "spool_dir",
        aliases: &[],
        placeholder: "PATH",
        default: "",
        repeatable: false,
        about: "Folder where windows wait for sinks too, so that they outlive the process; empty for none",
    },
    Setting {
        name: "spool_limit",
        aliases: &[],
        placeholder: "SIZE",
        default: "1Gi",
        repeatable: false,
        about: "Disk that windows may take there while they wait for one sink, 1Mi to 16Ti",
    },
    Setting {
        name: "shutdown_grace",
        aliases: &[],
        placeholder: "DURATION",
        default: "10s",
        repeatable: false,
        about: "How long answering and exporting may go on after SIGTERM",
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

/// Flags of Heapster that this release does not know yet, so that the answer can say so.
pub const NOT_YET: &[&str] = &[
    "tls_cert",
    "tls_key",
    "tls_client_ca",
    "allowed_users",
    "historical_source",
    "label_separator",
    "label_seperator",
    "ignore_label",
    "store_label",
    "disable_export",
    "disable_metric_sink",
    "sink_export_data_timeout",
    "api_server",
];

/// The setting of this name or alias, whichever of `_` and `-` it is spelled with.
pub fn find(name: &str) -> Option<&'static Setting> {
    let name = name.replace('-', "_");
    SETTINGS.iter().find(|setting| setting.name == name || setting.aliases.contains(&name.as_str()))
}

/// Every name and alias.
pub fn names() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().flat_map(|setting| std::iter::once(setting.name).chain(setting.aliases.iter().copied()))
}
