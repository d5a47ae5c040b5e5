//! The documents say what the code says, no more and no less: the README's tables are the code's tables, row for row,
//! its flags, paths and examples are there, and the settings file is the defaults.

use heapster::api::archive::AT_ONCE;
use heapster::api::limits::Limits;
use heapster::api::past::{BUCKETS, PODS};
use heapster::api::routes::{HISTORICAL, ROUTES, Route};
use heapster::config::cli::{self, Typed};
use heapster::config::options::OptionLine;
use heapster::config::settings::{GLOG_FLAGS, NOT_YET, OBSOLETE, SETTINGS, names};
use heapster::config::{Config, Environment};
use heapster::model::metric::{self, Descriptor, Kind, Labelled, Metric};
use heapster::model::past::AGGREGATIONS;
use heapster::sinks::asked::MOST_BYTES;
use heapster::telemetry::Telemetry;
use heapster::{sinks, sources};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const README: &str = include_str!("../../README.md");
const SETTINGS_FILE: &str = include_str!("../../config/heapster.toml");
const TELEMETRY: &str = include_str!("../../src/telemetry.rs");

/// A file of the project.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// What the real command line makes of these arguments.
pub fn parse(args: &[&str]) -> Typed {
    let args = args.iter().map(|arg| (*arg).to_owned());
    cli::parse(args, &sources::help(), &sinks::help()).unwrap()
}

/// The text below a heading, up to the next of the same rank or above.
fn section(heading: &str) -> &'static str {
    let start = README.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no heading {heading:?}"));
    let text = &README[start + heading.len() + 2..];
    let rank = heading.split(' ').next().unwrap();
    let ends = (2..=rank.len()).filter_map(|rank| text.find(&format!("\n{} ", "#".repeat(rank))));
    &text[..ends.min().unwrap_or(text.len())]
}

/// The rows of the first table below a heading, without its head.
pub fn table(heading: &str) -> Vec<&'static str> {
    let lines = section(heading).lines().skip_while(|line| !line.starts_with('|'));
    lines.take_while(|line| line.starts_with('|')).skip(2).collect()
}

/// Fails unless the section below a heading has this text, however its lines are broken.
pub fn says(heading: &str, text: &str) {
    let told = section(heading).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains(text), "below {heading:?} there should be:\n{text}\n");
}

/// Fails with the rows as they ought to be, to be put in their place.
pub fn assert_table(heading: &str, expected: &[String]) {
    assert_eq!(table(heading), *expected, "below {heading:?} there should be:\n{}\n", expected.join("\n"));
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

fn codes<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(code).collect::<Vec<_>>().join(", ")
}

#[test]
fn settings_are_told() {
    let rows = SETTINGS.iter().map(|setting| {
        let name = format!("--{} {}", setting.name, setting.placeholder);
        let aliases = codes(setting.aliases.iter().copied());
        format!("| {} | {aliases} | {} | {} |", code(&name), code(setting.default), setting.about)
    });
    assert_table("### Every setting", &rows.collect::<Vec<_>>());
    assert!(section("### Flags of the logging library").contains(&codes(GLOG_FLAGS.iter().copied())));
}

#[test]
fn flags_that_have_nothing_left_to_set_are_told() {
    let rows = OBSOLETE.iter().map(|flag| {
        let name = format!("--{}", flag.name);
        format!("| {} | {} |", code(&name), flag.instead)
    });
    assert_table("### Flags of early releases", &rows.collect::<Vec<_>>());
}

#[test]
fn demo_sizes_are_told() {
    let command = cli::command("", "");
    let demo = command.find_subcommand("demo").unwrap();
    let sizes = demo.get_arguments().filter(|arg| !arg.get_default_values().is_empty());
    let rows: Vec<String> = sizes
        .map(|size| {
            let default = size.get_default_values()[0].to_str().unwrap();
            let name = format!("--{} COUNT", size.get_long().unwrap());
            format!("| {} | {} | {} |", code(&name), code(default), size.get_help().unwrap())
        })
        .collect();
    assert!(rows.len() >= 4);
    assert_table("### The demo's size", &rows);
}

#[test]
fn sources_and_sinks_are_told() {
    for kind in sources::KINDS {
        let row = |o: &OptionLine| format!("| {} | {} | {} |", code(o.name), code(o.default), o.about);
        let rows: Vec<String> = kind.options.iter().map(row).collect();
        assert_table("### Options of sources", &rows);
    }
    let rows = sources::KINDS.iter().map(|kind| format!("| {} | {} |", code(kind.prefix), kind.about));
    assert_table("### Kinds of sources", &rows.collect::<Vec<_>>());
    for kind in sinks::KINDS.iter().filter(|kind| !kind.options.is_empty()) {
        let row = |o: &OptionLine| format!("| {} | {} | {} |", code(o.name), code(o.default), o.about);
        let rows: Vec<String> = kind.options.iter().map(row).collect();
        assert_table(&format!("### Options of `{}`", kind.prefix), &rows);
    }
    let rows = sinks::KINDS.iter().map(|kind| format!("| {} | {} |", code(kind.prefix), kind.about));
    assert_table("### Kinds of sinks", &rows.collect::<Vec<_>>());
}

#[test]
fn what_is_not_yet_there_is_told() {
    let section = section("## Not yet");
    let flags = NOT_YET.iter().map(|flag| format!("--{flag}"));
    let kinds = sources::NOT_YET.iter().chain(sinks::NOT_YET).map(|kind| (*kind).to_owned());
    for name in flags.chain(kinds) {
        assert!(section.contains(&code(&name)), "{name} is not named");
    }
}

#[test]
fn routes_are_told() {
    let rows = ROUTES.iter().map(|route| format!("| {} | {} |", code(&route.shown()), route.about));
    assert_table("## Routes", &rows.collect::<Vec<_>>());
    let rows = HISTORICAL.iter().map(|route| format!("| {} | {} |", code(&route.shown()), route.about));
    assert_table("### Historical routes", &rows.collect::<Vec<_>>());
    says("### Historical routes", &format!("At most {AT_ONCE} questions are asked at once"));
    says("### Historical routes", &format!("An answer of the database has at most {} MiB", MOST_BYTES >> 20));
    let most = format!("at most {PODS} pods, and a series at most {BUCKETS} buckets");
    says("### Historical routes", &most);
    for (name, _) in AGGREGATIONS {
        assert!(section("### Historical routes").contains(&code(name)), "{name}");
    }
}

#[test]
fn limits_are_told() {
    let Limits { uri, headers, body, requests, connections, bytes, .. } = Limits::default();
    let Limits { head_within, quiet_within, keep_alive, taken_within, reread, .. } = Limits::default();
    let time = humantime::format_duration;
    let head = time(head_within);
    let rows = [
        format!("| a URI | {uri} bytes | 414 | `uri` |"),
        format!("| the headers of a request | {headers} bytes | 431 | `headers` |"),
        format!(
            "| the body of a request, which no path needs | {body} bytes, of a length that is told | 413, or 411 without a \
             length | `body` |"
        ),
        format!(
            "| requests that are answered at once | {requests} | 503 with `Retry-After`, but for probes | `requests` |"
        ),
        format!(
            "| connections | {connections} | 503 with `Retry-After`, but for probes, and they are closed | `connections` |"
        ),
        format!("| the head of the first request | {head} | 408 |  |"),
        format!("| the handshake of TLS | {head} | closed | `handshake_late` |"),
        format!("| a connection on which nothing is answered | {} | closed | `quiet` |", time(quiet_within)),
        format!("| an idle connection | {} | closed |  |", time(keep_alive)),
        format!(
            "| taking {bytes} bytes of an answer, or the rest of it | {} | cut off | `slow_reader` |",
            time(taken_within)
        ),
    ];
    assert_table("### Limits", &rows);
    assert!(section("## TLS").contains(&format!("every {} seconds", reread.as_secs())));
}

/// Every route there may be.
fn all() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().chain(HISTORICAL)
}

/// The paths of the README's curl lines, queries included.
fn examples() -> Vec<&'static str> {
    // The demo's port, and that of one which asks a database.
    let lines = README.lines().filter_map(|line| line.strip_prefix("curl -s 'http://127.0.0.1:808"));
    let lines = lines.filter_map(|line| line.strip_prefix(['2', '3']));
    lines.map(|line| line.split('\'').next().unwrap()).collect()
}

#[test]
fn every_route_has_an_example_and_every_example_a_route() {
    let mut shown = BTreeSet::new();
    for example in examples() {
        let path = example.split('?').next().unwrap();
        let route = all().find(|route| route.matches(path));
        shown.insert(route.unwrap_or_else(|| panic!("no route answers {example}")).path);
    }
    let missing: Vec<&str> = all().map(|route| route.path).filter(|path| !shown.contains(path)).collect();
    assert_eq!(missing, [""; 0], "routes without a curl line");
}

#[test]
fn paths_that_are_mentioned_are_there() {
    for span in README.split('`').skip(1).step_by(2).filter(|span| span.starts_with('/')) {
        let path = span.split('?').next().unwrap();
        let known = all().any(|route| route.matches(path));
        assert!(known || path == "/stats/summary", "no route {span:?}");
    }
}

/// Flags in the README that are those of other programs.
const OTHER_FLAGS: &[&str] = &[
    "release",
    "raw",
    "cacert",
    "cert",
    "key",
    "web",
    "bench",
    "quick",
    "handlings",
    "churn",
    "psi",
    "no-psi",
    "plain",
    "resolution",
    "query-rounds",
];

#[test]
fn flags_that_are_mentioned_are_there() {
    let command = cli::command("", "");
    let demo = command.find_subcommand("demo").unwrap();
    let own = command.get_arguments().chain(demo.get_arguments()).filter_map(clap::Arg::get_long);
    let mut known: BTreeSet<String> = own.map(str::to_owned).collect();
    known.extend(names().chain(["help"]).chain(OTHER_FLAGS.iter().copied()).map(str::to_owned));
    known.extend(NOT_YET.iter().map(|flag| (*flag).to_owned()));
    known.extend(OBSOLETE.iter().map(|flag| flag.name.to_owned()));
    for (at, _) in README.match_indices("--") {
        let name: String = README[at + 2..]
            .chars()
            .take_while(|each| each.is_ascii_lowercase() || matches!(each, '_' | '-'))
            .collect();
        let name = name.trim_end_matches('-');
        let spelled = known.contains(name) || known.contains(&name.replace('-', "_"));
        assert!(name.is_empty() || spelled, "no flag --{name}");
    }
}

fn levels(descriptor: &Descriptor) -> String {
    let has = |bits: metric::Levels| descriptor.levels & bits == bits;
    let (container, pod, free, node) = (metric::CONTAINER, metric::POD, metric::FREE, metric::NODE);
    let each = [(container, "container"), (pod, "pod"), (free, "free"), (node, "node")];
    let mut words: Vec<&str> = each.into_iter().filter(|(bit, _)| has(*bit)).map(|(_, word)| word).collect();
    if words.len() == each.len() {
        words = vec!["runs"];
    }
    if has(metric::NAMESPACE | metric::CLUSTER) {
        words.push("sums");
    }
    words.join(", ")
}

#[test]
fn metrics_are_told() {
    let public = Metric::ALL.iter().map(|metric| metric.descriptor()).filter(|line| line.is_public());
    let rows = public.map(|line| {
        let kind = match line.kind {
            Kind::Cumulative => "counter",
            Kind::Gauge => "gauge",
        };
        let labelled = match line.labelled {
            Labelled::No => "",
            Labelled::Resource => "`resource_id`",
            Labelled::Interface => "none, or `interface`",
            Labelled::Accelerator => "`make`, `model`, `accelerator_id`",
        };
        let unit = line.unit.name();
        format!("| `{}` | {kind} | {unit} | {} | {labelled} | {} |", line.name, levels(line), line.about)
    });
    assert_table("### Catalogue", &rows.collect::<Vec<_>>());
}

/// The rows of the self metrics, read from the lines of the table in `telemetry.rs`: a family without a member yet is
/// not in the exposition.
fn families() -> Vec<String> {
    let start = TELEMETRY.find("\ntelemetry! {\n").unwrap();
    let lines = TELEMETRY[start..].lines().skip(2).take_while(|line| *line != "}");
    let rows = lines.map(|line| {
        let (of, rest) = line.trim().split_once(" = ").unwrap();
        let quoted: Vec<&str> = rest.split('"').skip(1).step_by(2).collect();
        let [labels @ .., name, help] = &quoted[..] else { panic!("{line}") };
        let (kind, ending) = match of {
            _ if of.contains("Seconds") => ("histogram", ""),
            _ if of.contains("Counter") => ("counter", "_total"),
            _ => ("gauge", ""),
        };
        let unit = rest.split_once("Unit::").map_or("", |(_, unit)| unit.split(')').next().unwrap());
        let unit = if unit.is_empty() { String::new() } else { format!("_{}", unit.to_lowercase()) };
        let labels = codes(labels.iter().copied());
        format!("| `heapster_{name}{unit}{ending}` | {kind} | {labels} | {help} |")
    });
    rows.chain(["| `heapster_build_info` | gauge | `version` | The version that runs |".to_owned()]).collect()
}

#[test]
fn self_metrics_are_told() {
    assert_table("## Self metrics", &families());
    for family in
        Telemetry::new().exposition().unwrap().lines().filter_map(|line| line.strip_prefix("# TYPE "))
    {
        let name = family.split(' ').next().unwrap();
        assert!(README.contains(&format!("| `{name}")), "{name} is not told");
    }
}

#[test]
fn help_names_every_setting_with_its_default() {
    let help = cli::command(&sources::help(), &sinks::help()).render_help().to_string();
    for setting in SETTINGS {
        let value = if setting.switch { "[=<_>]" } else { " <_>" }.replace('_', setting.placeholder);
        let flag = format!("--{}{value}", setting.name);
        let line =
            help.lines().find(|line| line.contains(&flag)).unwrap_or_else(|| panic!("{flag} is not told"));
        let default = format!("[default: {}]", setting.default);
        assert_eq!(line.contains(&default), !setting.default.is_empty(), "{line}");
        assert!(setting.aliases.iter().all(|alias| line.contains(alias)), "{line}");
        assert!(line.contains(setting.about), "{line}");
    }
    let kinds = sources::KINDS.iter().flat_map(|kind| kind.options.iter().map(|option| option.name));
    let prefixes = sources::KINDS.iter().map(|kind| kind.prefix);
    for name in kinds.chain(prefixes).chain(sinks::KINDS.iter().map(|kind| kind.prefix)) {
        assert!(help.contains(&format!("  {name}")), "{name} is not told");
    }
}

#[test]
fn the_doctors_help_names_every_source_and_option() {
    let mut command = cli::command(&sources::help(), &sinks::help());
    let help = command.find_subcommand_mut("doctor").unwrap().render_help().to_string();
    let options = sources::KINDS.iter().flat_map(|kind| kind.options.iter().map(|option| option.name));
    for name in options.chain(sources::KINDS.iter().map(|kind| kind.prefix)) {
        assert!(help.contains(&format!("  {name}")), "{name} is not told");
    }
}

#[test]
fn the_settings_file_is_the_defaults() {
    let read = |path: &str| std::fs::read_to_string(path);
    let file = path("config/heapster.toml");
    let given = parse(&["--config", file.to_str().unwrap()]);
    let resolve = |typed: &Typed| Config::resolve(typed, &Environment::new(), &read).unwrap();
    assert_eq!(resolve(&given), resolve(&parse(&[])));
    let lines: Vec<&str> = SETTINGS_FILE.lines().collect();
    let told: Vec<&str> = lines.iter().filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
    assert_eq!(told, SETTINGS.iter().map(|setting| setting.name).collect::<Vec<_>>());
    for pair in lines.windows(2).filter(|pair| pair[1].contains(" = ")) {
        assert!(pair[0].starts_with("# ") && pair[0].ends_with('.'), "{} has no comment", pair[1]);
    }
}

#[test]
fn the_two_commands_are_there() {
    use std::os::unix::fs::PermissionsExt;
    assert!(README.contains("\ncargo run -- demo\n") && README.contains("\ntests/run\n"));
    for script in ["tests/run", ".ci/run"] {
        let mode = std::fs::metadata(path(script)).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} cannot be executed");
    }
    let ci = std::fs::read_to_string(path(".ci/run")).unwrap();
    assert_eq!(ci.lines().last(), Some("exec tests/run"));
    assert!(README.contains("<!-- figures -->") && README.contains("<!-- /figures -->"));
}
