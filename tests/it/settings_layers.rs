//! Settings from flags, environment and file: which one wins, and what is said of each that cannot be used.

use heapster::config::cli::parse;
use heapster::config::settings::SETTINGS;
use heapster::config::{Config, Environment};
use heapster::model::entity::Labels;
use proptest::prelude::*;
use std::io::{Error, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

/// What a command line, an environment and a file (name, text) come to; the error as its text, which is one line.
pub fn resolve(
    args: &[&str],
    environment: &[(&str, &str)],
    file: Option<(&str, &str)>,
) -> Result<Config, String> {
    let mut args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    args.extend(file.map(|(name, _)| format!("--config={name}")));
    let typed = parse(args, "", "").unwrap();
    let environment: Environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let read = |path: &str| match file {
        Some((name, text)) if name == path => Ok(text.to_owned()),
        _ => Err(Error::new(ErrorKind::NotFound, "no such file")),
    };
    Config::resolve(&typed, &environment, &read).map_err(|error| {
        let text = error.to_string();
        assert!(!text.contains('\n') && !text.is_empty(), "{text:?}");
        text
    })
}

fn defaults() -> Config {
    resolve(&[], &[], None).unwrap()
}

/// What a setting came to, as text.
fn shown(config: &Config, setting: &str) -> String {
    let path = |path: Option<&PathBuf>| path.map_or(String::new(), |path| path.display().to_string());
    let clients = config.tls.as_ref().and_then(|tls| tls.clients.as_ref());
    let xyz = ["x", "y", "z"].map(|label| Labels::new([(label, "1")]));
    match setting {
        "source" => format!("{:?}", config.sources),
        "sink" => format!("{:?}", config.sinks),
        "historical_source" => format!("{:?}", config.historical_source),
        "model_resolution" => format!("{:?}", config.resolution),
        "retention" => format!("{:?}", config.retention),
        "shard" => format!("{:?}", config.shard),
        "port" => config.listen.port().to_string(),
        "listen_ip" => config.listen.ip().to_string(),
        "log_level" => config.log_level.to_string(),
        "max_procs" => config.max_procs.to_string(),
        "queue_limit" => config.queue_limit.to_string(),
        "spool_dir" => format!("{:?}", config.spool_dir),
        "spool_limit" => config.spool_limit.to_string(),
        "shutdown_grace" => format!("{:?}", config.shutdown_grace),
        "tls_cert" => path(config.tls.as_ref().map(|tls| &tls.cert)),
        "tls_key" => path(config.tls.as_ref().map(|tls| &tls.key)),
        "tls_client_ca" => path(clients.map(|clients| &clients.ca)),
        "allowed_users" => clients.map_or(String::new(), |clients| clients.names.join(",")),
        "label_separator" => config.labels.joined(&Labels::new([("a", ""), ("b", "")])),
        "ignore_label" => {
            format!("{:?}", xyz.iter().map(|xyz| config.labels.joined(xyz)).collect::<Vec<_>>())
        }
        "store_label" => {
            format!("{:?}", xyz.iter().flat_map(|xyz| config.labels.stored(xyz)).collect::<Vec<_>>())
        }
        "disable_export" => config.disable_export.to_string(),
        "disable_metric_sink" => config.disable_metric_sink.to_string(),
        "sink_export_data_timeout" => format!("{:?}", config.export_within),
        other => panic!("{other} is new: say how it is shown"),
    }
}

/// Flags without which a setting cannot be: their names and values.
fn companions(setting: &str) -> Vec<(&'static str, &'static str)> {
    let (cert, key, ca) = (("tls_cert", "cert"), ("tls_key", "key"), ("tls_client_ca", "ca"));
    match setting {
        "tls_cert" => vec![key],
        "tls_key" => vec![cert],
        "tls_client_ca" => vec![cert, key],
        "allowed_users" => vec![cert, key, ca],
        _ => Vec::new(),
    }
}

/// Three values for a setting, all sound and all different from its default.
fn sound(setting: &str) -> [&'static str; 3] {
    match setting {
        "source" => ["a:http://one", "a:http://two", "a:http://three"],
        "sink" => ["s:http://one", "s:http://two", "s:http://three"],
        "historical_source" => ["h:http://one", "h:http://two", "h:http://three"],
        "model_resolution" => ["10s", "45s", "1m"],
        "retention" => ["5m", "1h", "2h 30m"],
        "shard" => ["1/3", "2/3", "1000/1000"],
        "port" => ["1", "65535", "0"],
        "listen_ip" => ["127.0.0.1", "::1", "10.0.0.1"],
        "log_level" => ["off", "warn", "trace"],
        "max_procs" => ["1", "2", "256"],
        "queue_limit" => ["1Mi", "1000000000", "64Gi"],
        "spool_dir" => ["a", "/b", "c/d e"],
        "spool_limit" => ["1Mi", "2097152", "16Ti"],
        "shutdown_grace" => ["1s", "500ms", "10m"],
        "tls_cert" | "tls_key" | "tls_client_ca" => ["one", "two", "three"],
        "allowed_users" | "ignore_label" => ["x", "y", "x,z"],
        "label_separator" => [";", "--", "|"],
        "store_label" => ["x", "new=y", "x,new=z"],
        "disable_export" | "disable_metric_sink" => ["true", "1", "T"],
        "sink_export_data_timeout" => ["1s", "500ms", "1h"],
        other => panic!("{other} is new: give it values"),
    }
}

#[test]
fn defaults_are_those_of_the_table() {
    let (config, table) =
        (defaults(), |name: &str| SETTINGS.iter().find(|s| s.name == name).unwrap().default);
    assert!(config.sources.is_empty() && config.sinks.is_empty());
    assert_eq!(table("model_resolution"), "30s", "the documents say so");
    assert_eq!(config.resolution.duration(), Duration::from_secs(30));
    assert_eq!(config.retention, Duration::from_secs(15 * 60));
    assert_eq!(config.listen.port().to_string(), table("port"));
    assert_eq!(config.max_procs.to_string(), table("max_procs"));
    assert!(config.listen.ip().is_unspecified());
    for setting in SETTINGS.iter().filter(|setting| !setting.default.is_empty()) {
        let flag = format!("--{}={}", setting.name, setting.default);
        assert_eq!(resolve(&[&flag], &[], None).as_ref(), Ok(&config), "{flag}");
    }
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    for setting in SETTINGS {
        let [in_file, in_environment, typed] = sound(setting.name);
        let companions = companions(setting.name);
        let beside: Vec<String> =
            companions.iter().map(|(name, value)| format!("--{name}={value}")).collect();
        let resolve = |args: &[&str], environment: &[(&str, &str)], file: Option<(&str, &str)>| {
            let args: Vec<&str> = beside.iter().map(String::as_str).chain(args.iter().copied()).collect();
            resolve(&args, environment, file)
        };
        let alone = |value: &str| {
            shown(&resolve(&[&format!("--{}={value}", setting.name)], &[], None).unwrap(), setting.name)
        };
        let file = format!("{} = {in_file:?}", setting.name);
        let variable = format!("HEAPSTER_{}", setting.name.to_uppercase());
        let flag = format!("--{}={typed}", setting.name);
        let environment = [(variable.as_str(), in_environment)];
        let file = Some(("heapster.toml", file.as_str()));
        type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], Option<(&'a str, &'a str)>, &'a str);
        let cases: [Case<'_>; 6] = [
            (&[], &[], file, in_file),
            (&[], &environment, None, in_environment),
            (&[], &environment, file, in_environment),
            (&[&flag], &[], file, typed),
            (&[&flag], &environment, None, typed),
            (&[&flag], &environment, file, typed),
        ];
        for (args, environment, file, winner) in cases {
            let config =
                resolve(args, environment, file).unwrap_or_else(|error| panic!("{}: {error}", setting.name));
            assert_eq!(
                shown(&config, setting.name),
                alone(winner),
                "{}: {args:?} {environment:?} {file:?}",
                setting.name
            );
            assert_ne!(shown(&config, setting.name), shown(&defaults(), setting.name));
            let others = SETTINGS.iter().filter(|other| other.name != setting.name);
            for other in others {
                let beside = companions.iter().find(|(name, _)| *name == other.name);
                assert_eq!(
                    shown(&config, other.name),
                    beside.map_or_else(|| shown(&defaults(), other.name), |(_, value)| (*value).to_owned()),
                    "{} is left alone",
                    other.name
                );
            }
        }
    }
}

#[test]
fn every_alias_is_taken_by_file_and_environment_too() {
    for (setting, alias) in SETTINGS.iter().flat_map(|s| s.aliases.iter().map(move |alias| (s, alias))) {
        let value = sound(setting.name)[0];
        let expected = resolve(&[&format!("--{}={value}", setting.name)], &[], None);
        let file = format!("{alias} = {value:?}");
        assert_eq!(resolve(&[], &[], Some(("a.toml", &file))), expected, "{alias}");
        let variable = format!("HEAPSTER_{}", alias.to_uppercase());
        assert_eq!(resolve(&[], &[(&variable, value)], None), expected, "{alias}");
    }
}

#[test]
fn of_a_flag_given_twice_the_last_counts_and_lists_take_all() {
    let config =
        resolve(&["--port=1", "--heapster-port=2", "--source=a", "--source=b", "--source=a"], &[], None)
            .unwrap();
    assert_eq!(config.listen.port(), 2);
    assert_eq!(config.sources.iter().map(|uri| uri.prefix.as_str()).collect::<Vec<_>>(), ["a", "b", "a"]);
    let config = resolve(&[], &[("HEAPSTER_SOURCE", "a:http://x?y=1 b\n c:''\n")], None).unwrap();
    assert_eq!(config.sources.iter().map(|uri| uri.prefix.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn files_are_toml_yaml_or_json_by_their_ending() {
    let expected =
        resolve(&["--port=9000", "--source=a", "--source=b:http://h", "--model_resolution=1m"], &[], None);
    let toml = "port = 9000\nsource = [\"a\", \"b:http://h\"]\nmodel_resolution = \"1m\"\n";
    let yaml = "port: 9000\nsource:\n- a\n- b:http://h\nmodel_resolution: 1m\n";
    let json = r#"{ "port": 9000, "source": ["a", "b:http://h"], "model_resolution": "1m" }"#;
    for (name, text) in
        [("a.toml", toml), ("conf", toml), ("/etc/heapster/a.yaml", yaml), ("a.yml", yaml), ("a.json", json)]
    {
        assert_eq!(resolve(&[], &[], Some((name, text))), expected, "{name}");
    }
    assert_eq!(resolve(&[], &[], Some(("a.toml", "source = \"a\""))), resolve(&["--source=a"], &[], None));
    assert_eq!(resolve(&[], &[], Some(("a.toml", "port = \"9000\""))), resolve(&["--port=9000"], &[], None));
    assert_eq!(
        resolve(&[], &[], Some(("a.toml", "model-resolution = \"1m\""))),
        resolve(&["--model_resolution=1m"], &[], None)
    );
    for (name, text) in [("a.toml", ""), ("a.toml", "# nothing\n"), ("a.json", "{}")] {
        assert_eq!(resolve(&[], &[], Some((name, text))), Ok(defaults()), "{name}");
    }
    for (name, text, format) in
        [("a.toml", "port = = 1", "TOML"), ("a.yaml", "port: [1", "YAML"), ("a.json", "{\"port\":", "JSON")]
    {
        let error = resolve(&[], &[], Some((name, text))).unwrap_err();
        assert!(error.contains(name) && error.contains(format), "{error}");
    }
}

#[test]
fn file_that_is_not_there_is_told() {
    let typed = resolve(&["--config=nowhere.toml"], &[], None).unwrap_err();
    assert!(
        typed.contains("--config") && typed.contains("nowhere.toml") && typed.contains("no such file"),
        "{typed}"
    );
    let named = resolve(&[], &[("HEAPSTER_CONFIG", "nowhere.toml")], None).unwrap_err();
    assert!(named.contains("nowhere.toml"), "{named}");
}

#[test]
fn unknown_keys_are_named_with_the_nearest() {
    for (key, meant) in [("prot", "port"), ("model_resolutoin", "model_resolution"), ("sources", "source")] {
        let in_file = resolve(&[], &[], Some(("a.toml", &format!("{key} = 1")))).unwrap_err();
        assert!(in_file.contains(key) && in_file.contains("a.toml") && in_file.contains(meant), "{in_file}");
        let variable = format!("HEAPSTER_{}", key.to_uppercase());
        let in_environment = resolve(&[], &[(&variable, "1")], None).unwrap_err();
        assert!(in_environment.contains(&variable) && in_environment.contains(meant), "{in_environment}");
    }
}

#[test]
fn values_of_a_wrong_type_are_told() {
    for text in ["port = [1]", "port = {}", "[port]\nx = 1", "model_resolution = [\"1m\"]", "[source]\nx = 1"]
    {
        let error = resolve(&[], &[], Some(("a.toml", text))).unwrap_err();
        assert!(error.contains("a.toml") && error.contains("give"), "{text}: {error}");
    }
    for text in ["port: null", "port: ~", "source: {a: b}"] {
        let error = resolve(&[], &[], Some(("a.yaml", text))).unwrap_err();
        assert!(error.contains("a.yaml") && error.contains("give"), "{text}: {error}");
    }
    for text in ["source = [[1], {}]", "source = [{ a = 1 }]"] {
        assert!(
            resolve(&[], &[], Some(("a.toml", text))).is_err(),
            "{text}: no source is dropped in silence"
        );
    }
}

#[test]
fn links_of_a_service_named_heapster_are_no_settings() {
    let links = [
        ("HEAPSTER_SERVICE_HOST", "10.0.0.1"),
        ("HEAPSTER_SERVICE_PORT", "8082"),
        ("HEAPSTER_SERVICE_PORT_HTTP", "8082"),
        ("HEAPSTER_PORT", "tcp://10.0.0.1:8082"),
        ("HEAPSTER_PORT_8082_TCP", "tcp://10.0.0.1:8082"),
        ("HEAPSTER_PORT_8082_TCP_PROTO", "tcp"),
        ("HEAPSTER_PORT_8082_TCP_ADDR", "10.0.0.1"),
        ("HEAPSTER_", "x"),
        ("MONITORING_HEAPSTER_PORT", "x"),
        ("heapster_port", "x"),
    ];
    assert_eq!(resolve(&[], &links, None), Ok(defaults()));
    assert_eq!(resolve(&[], &[("HEAPSTER_PORT", "9000")], None).unwrap().listen.port(), 9_000);
    for udp in [("HEAPSTER_PORT", "udp://10.0.0.1:8082"), ("HEAPSTER_PORT", "sctp://10.0.0.1:8082")] {
        assert_eq!(resolve(&[], &[udp], None), Ok(defaults()), "{udp:?}");
    }
}

#[test]
fn verbosity_raises_the_log_level_and_never_lowers_it() {
    use log::LevelFilter as Level;
    for (args, expected) in [
        (&["--v=0"][..], Level::Info),
        (&["--v=1"], Level::Debug),
        (&["--v=3"], Level::Debug),
        (&["--v=4"], Level::Trace),
        (&["--v=255"], Level::Trace),
        (&["--v=1", "--log_level=trace"], Level::Trace),
        (&["--v=2", "--log_level=error"], Level::Debug),
        (&["--v=0", "--log_level=error"], Level::Error),
    ] {
        assert_eq!(resolve(args, &[], None).unwrap().log_level, expected, "{args:?}");
    }
}

#[test]
fn uris_are_filled_in_from_the_environment() {
    let environment = [("KUBERNETES_SERVICE_HOST", "10.0.0.1")];
    let config =
        resolve(&["--source=kubernetes:https://$KUBERNETES_SERVICE_HOST:443"], &environment, None).unwrap();
    assert_eq!(config.sources[0].config().unwrap().and_then(|url| url.host_str()), Some("10.0.0.1"));
}

proptest! {
    #![proptest_config(crate::handmade::cases(150))]

    #[test]
    fn any_file_is_understood_or_a_mistake_in_one_line(text in "(port|source|retention|x)?[ =:\\[\\]{}\"a-z0-9\n-]{0,40}", ending in prop::sample::select(&["toml", "yaml", "json"][..])) {
        let name = format!("a.{ending}");
        let _ = resolve(&[], &[], Some((&name, &text)));
    }
}
