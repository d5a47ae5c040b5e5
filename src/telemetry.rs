//! What the collector says of itself: logs, counters, and `/metrics`. Counting is left to whoever sees the thing happen.

use crate::model::entity::Name;
use crate::rollup::node::Tally;
use crate::rollup::rate::NoRate;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::cell::Cell;
use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Labels in the order in which a family names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Labelled<const N: usize>([(&'static str, Name); N]);

impl<const N: usize> EncodeLabelSet for Labelled<N> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        self.0.iter().map(|(name, value)| (*name, &**value)).collect::<Vec<_>>().encode(encoder)
    }
}

/// A family of counters or gauges told apart by `N` labels.
#[derive(Clone, Debug)]
pub struct ByLabels<M, const N: usize> {
    names: [&'static str; N],
    family: Family<Labelled<N>, M>,
}

impl<M: Default + Clone, const N: usize> ByLabels<M, N> {
    fn new(names: [&'static str; N]) -> Self {
        Self { names, family: Family::default() }
    }

    /// The member with these values, in the order of the names.
    pub fn of(&self, values: [&str; N]) -> M {
        let mut at = 0;
        let labels = self.names.map(|name| {
            let value = values.get(at).copied().unwrap_or_default();
            at += 1;
            (name, Name::from(value))
        });
        self.family.get_or_create(&Labelled(labels)).clone()
    }
}

/// A histogram with the buckets of a scrape or a question, in seconds.
#[derive(Clone, Debug)]
pub struct Seconds(Histogram);

impl Seconds {
    fn new() -> Self {
        let buckets = [0.000_1, 0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        Self(Histogram::new(buckets))
    }

    /// Counts one duration.
    pub fn observe(&self, duration: std::time::Duration) {
        self.0.observe(duration.as_secs_f64());
    }
}

/// Histograms of how long a thread is held by one thing after the other, told apart by a label.
#[derive(Clone, Debug)]
pub struct HeldSeconds {
    name: &'static str,
    family: Family<Labelled<1>, Histogram, fn() -> Histogram>,
}

impl HeldSeconds {
    fn new(name: &'static str) -> Self {
        let make: fn() -> Histogram = || {
            Histogram::new([
                0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25,
                0.5, 1.0,
            ])
        };
        Self { name, family: Family::new_with_constructor(make) }
    }

    /// The member with this value.
    pub fn of(&self, value: &str) -> Seconds {
        Seconds(self.family.get_or_create(&Labelled([(self.name, Name::from(value))])).clone())
    }
}

/// A gauge of a fraction.
pub type Fraction = Gauge<f64, AtomicU64>;

macro_rules! telemetry {
    ($($field:ident: $type:ty = $make:expr, $name:literal, $unit:expr, $help:literal;)*) => {
        /// Everything that is counted. Cloning is cheap, and every clone counts into the same numbers.
        #[derive(Clone, Debug)]
        pub struct Telemetry {
            $(#[doc = $help] pub $field: $type,)*
            registry: Arc<Registry>,
        }

        impl Telemetry {
            /// Everything at zero.
            pub fn new() -> Self {
                let mut registry = Registry::with_prefix("heapster");
                $(
                    let $field: $type = $make;
                    let unit: Option<Unit> = $unit;
                    match unit {
                        Some(unit) => registry.register_with_unit($name, $help, unit, $field.registered()),
                        None => registry.register($name, $help, $field.registered()),
                    }
                )*
                let build = ByLabels::<Gauge, 1>::new(["version"]);
                build.of([env!("CARGO_PKG_VERSION")]).set(1);
                registry.register("build_info", "The version that runs", build.registered());
                Self { $($field,)* registry: Arc::new(registry) }
            }
        }
    };
}

/// What a registry is handed of a metric.
trait Registered {
    type Metric: prometheus_client::registry::Metric;
    fn registered(&self) -> Self::Metric;
}

impl<const N: usize> Registered for ByLabels<Counter, N> {
    type Metric = Family<Labelled<N>, Counter>;
    fn registered(&self) -> Self::Metric {
        self.family.clone()
    }
}

impl<const N: usize> Registered for ByLabels<Gauge, N> {
    type Metric = Family<Labelled<N>, Gauge>;
    fn registered(&self) -> Self::Metric {
        self.family.clone()
    }
}

impl<const N: usize> Registered for ByLabels<Fraction, N> {
    type Metric = Family<Labelled<N>, Fraction>;
    fn registered(&self) -> Self::Metric {
        self.family.clone()
    }
}

impl Registered for HeldSeconds {
    type Metric = Family<Labelled<1>, Histogram, fn() -> Histogram>;
    fn registered(&self) -> Self::Metric {
        self.family.clone()
    }
}

impl Registered for Counter {
    type Metric = Counter;
    fn registered(&self) -> Counter {
        self.clone()
    }
}

impl Registered for Gauge {
    type Metric = Gauge;
    fn registered(&self) -> Gauge {
        self.clone()
    }
}

impl Registered for Seconds {
    type Metric = Histogram;
    fn registered(&self) -> Histogram {
        self.0.clone()
    }
}

telemetry! {
    scrapes: ByLabels<Counter, 2> = ByLabels::new(["cluster", "outcome"]), "scrapes", None, "Turns of nodes by what came of them";
    scrape_seconds: Seconds = Seconds::new(), "scrape_duration", Some(Unit::Seconds), "Time from asking a kubelet to its last byte";
    scrape_bytes: Counter = Counter::default(), "scrape_body", Some(Unit::Bytes), "Bytes that kubelets sent";
    nodes: ByLabels<Gauge, 2> = ByLabels::new(["cluster", "state"]), "nodes", None, "Nodes known, by whether they are scraped";
    pods: ByLabels<Gauge, 1> = ByLabels::new(["cluster"]), "pods", None, "Pods that the API server tells of";
    namespaces: ByLabels<Gauge, 1> = ByLabels::new(["cluster"]), "namespaces", None, "Namespaces that the API server tells of";
    watch_failures: ByLabels<Counter, 2> = ByLabels::new(["cluster", "kind"]), "watch_failures", None, "Watches of the API server that broke and began anew";
    windows: ByLabels<Counter, 1> = ByLabels::new(["cluster"]), "windows_closed", None, "Windows closed";
    last_window: ByLabels<Gauge, 1> = ByLabels::new(["cluster"]), "last_window_timestamp", Some(Unit::Seconds), "End of the last window in which a node answered";
    carried: ByLabels<Gauge, 1> = ByLabels::new(["cluster"]), "window_nodes_carried", None, "Nodes that count in the last window with their values of the one before";
    missing: ByLabels<Gauge, 1> = ByLabels::new(["cluster"]), "window_nodes_missing", None, "Nodes that do not count in the last window";
    entities: ByLabels<Gauge, 1> = ByLabels::new(["cluster"]), "entities", None, "Entities that the newest answers tell of";
    points: ByLabels<Gauge, 1> = ByLabels::new(["cluster"]), "points", None, "Points held";
    blocks: ByLabels<Gauge, 1> = ByLabels::new(["cluster"]), "blocks", None, "Packed blocks held";
    history_bytes: ByLabels<Gauge, 1> = ByLabels::new(["cluster"]), "history", Some(Unit::Bytes), "Bytes of packed values held";
    dropped: ByLabels<Counter, 2> = ByLabels::new(["what", "reason"]), "dropped", None, "Things left out, by reason";
    rates_withheld: ByLabels<Counter, 1> = ByLabels::new(["reason"]), "rates_withheld", None, "Rates that could not be told, by reason";
    mailbox: ByLabels<Gauge, 1> = ByLabels::new(["actor"]), "mailbox_depth", None, "Messages sent to an actor and not yet handled";
    handling: HeldSeconds = HeldSeconds::new("message"), "aggregator_handling", Some(Unit::Seconds), "Time for which one message holds the aggregator's thread, by what it is";
    longest_handling: ByLabels<Fraction, 1> = ByLabels::new(["message"]), "aggregator_longest_handling", Some(Unit::Seconds), "The longest that one message ever held the aggregator's thread, by what it is";
    questions: ByLabels<Counter, 1> = ByLabels::new(["outcome"]), "questions", None, "Questions asked over HTTP, by outcome";
    historical: ByLabels<Counter, 1> = ByLabels::new(["outcome"]), "historical_questions", None, "Questions asked of the historical source, by outcome";
    requests: ByLabels<Counter, 1> = ByLabels::new(["code"]), "http_requests", None, "HTTP requests answered, by status";
    refused: ByLabels<Counter, 1> = ByLabels::new(["reason"]), "refused", None, "Requests and connections turned away or cut off, by reason";
    connections: Gauge = Gauge::default(), "http_connections", None, "Connections of clients that are open";
    certificates: ByLabels<Counter, 1> = ByLabels::new(["outcome"]), "certificate_changes", None, "Changes of the files of the server's TLS, by outcome";
    certificate_expiry: Gauge = Gauge::default(), "certificate_expiry_timestamp", Some(Unit::Seconds), "End of the validity of the certificate that is shown; 0 without TLS";
    exports: ByLabels<Counter, 2> = ByLabels::new(["sink", "outcome"]), "exports", None, "Windows that sinks are done with, by outcome";
    export_queue: ByLabels<Gauge, 1> = ByLabels::new(["sink"]), "export_queue", None, "Windows that wait for a sink";
    sink_points: ByLabels<Counter, 2> = ByLabels::new(["sink", "fate"]), "sink_points", None, "Points made for a sink, recovered from its spool, and delivered";
    sink_dropped: ByLabels<Counter, 2> = ByLabels::new(["sink", "reason"]), "sink_points_dropped", None, "Points that a sink will never get, by reason";
    sink_queued: ByLabels<Gauge, 1> = ByLabels::new(["sink"]), "sink_points_queued", None, "Points that wait for a sink or are under way";
    sink_queue_bytes: ByLabels<Gauge, 2> = ByLabels::new(["sink", "where"]), "sink_queue", Some(Unit::Bytes), "Bytes that wait for a sink in memory and on disk";
    sink_oldest: ByLabels<Gauge, 1> = ByLabels::new(["sink"]), "sink_oldest_timestamp", Some(Unit::Seconds), "End of the oldest window that waits for a sink; 0 where none does";
    sink_requests: ByLabels<Counter, 2> = ByLabels::new(["sink", "outcome"]), "sink_requests", None, "Requests to a sink by what came of them";
    sink_spool_failures: ByLabels<Counter, 2> = ByLabels::new(["sink", "what"]), "sink_spool_failures", None, "Files of a sink's spool that could not be written, read or removed";
    clock_steps: Counter = Counter::default(), "clock_steps", None, "Steps of the machine's wall clock that were followed";
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// Everything in OpenMetrics text, which Prometheus reads.
    ///
    /// # Errors
    /// Never in practice: writing to a string does not fail.
    pub fn exposition(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Counts what a block left out.
    pub fn tally(&self, tally: &Tally) {
        let dropped = [
            ("leaf", "broken", tally.broken_leaves),
            ("entity", "nameless", tally.nameless),
            ("row", "foreign_pod", tally.foreign_rows),
            ("row", "unknown_pod", tally.unknown_rows),
            ("row", "superseded", tally.superseded_rows),
            ("row", "over_limit", tally.rows_over_limit),
            ("value", "metric_over_limit", tally.metrics_over_limit),
            ("name", "other_node_claimed", tally.other_node_claimed),
        ];
        for (what, reason, count) in dropped {
            if count > 0 {
                self.dropped.of([what, reason]).inc_by(count);
            }
        }
        for (reason, count) in NoRate::ALL.iter().zip(tally.no_rate) {
            if count > 0 {
                self.rates_withheld.of([reason.as_label()]).inc_by(count);
            }
        }
    }
}

/// A number for a gauge; its largest where it would not fit.
pub fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// An error with its causes, each said once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// A text from outside as it may be shown: nothing in it steers a terminal or feigns another line, and what follows the
/// name of an authentication scheme is left out.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut hidden = false;
    for word in text.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        if hidden && !bare.is_empty() {
            out.push('…');
            out.push_str(word.get(bare.len()..).unwrap_or_default());
        } else {
            out.push_str(word);
        }
        hidden = (hidden && bare.is_empty())
            || SCHEMES.iter().any(|scheme| bare.len() >= scheme.len() && ends_with(bare, scheme));
    }
    if !out.chars().any(steers) {
        return out;
    }
    out.chars().map(|c| if steers(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// Names before which credentials stand in an HTTP header.
const SCHEMES: [&str; 2] = ["bearer", "basic"];

fn ends_with(word: &str, scheme: &str) -> bool {
    let start = word.len() - scheme.len();
    word.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(scheme))
}

/// Whether a character does something else than to be seen: control characters, and those that turn the direction of
/// writing.
const fn steers(c: char) -> bool {
    matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Libraries whose every failure comes back to us as a value and is told once, in our own words.
const TOLD_BY_US: [&str; 5] = ["kube", "actix", "rustls", "hyper", "tower"];

/// Starts logging to standard error: time, level, message. What other libraries say is kept to warnings, with the
/// library's name, and what the Kubernetes client and the libraries of HTTP and TLS say to debugging.
pub fn start_logs(level: log::LevelFilter) {
    let quiet = if level >= log::LevelFilter::Debug { log::LevelFilter::Warn } else { log::LevelFilter::Off };
    let mut builder = env_logger::Builder::new();
    builder.filter_level(level.min(log::LevelFilter::Warn));
    for library in TOLD_BY_US {
        builder.filter_module(library, quiet);
    }
    builder
        // Says the status alone of every request that fails, without what was asked.
        .filter_module("kube_client::client::builder", log::LevelFilter::Off)
        .filter_module("heapster", level)
        .format(|out, record| {
            let library = match record.target() {
                own if own.starts_with("heapster") => String::new(),
                other => format!("{other}: "),
            };
            // The log sink's own text has a line for each point.
            let text = record.args().to_string();
            let lines: Vec<String> = text.split('\n').map(printable).collect();
            writeln!(out, "{} {:<5} {library}{}", out.timestamp_millis(), record.level(), lines.join("\n"))
        });
    // Only the first start counts: tests start the program's parts many times in one process.
    let _ = builder.try_init();
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs what decodes bytes from outside: a panic in it is a bug that costs this call and nothing else.
pub fn guarded<T>(decode: impl FnOnce() -> T) -> Option<T> {
    GUARDED.set(true);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode));
    GUARDED.set(false);
    result.ok()
}

/// Has every panic that is not [`guarded`] end the process: an actor that panicked is deaf for ever, and Kubernetes
/// restarts what ends.
pub fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        if !GUARDED.get() {
            std::process::abort();
        }
    }));
}
