//! Settings that cannot be used, alone or together: what is said of each.

use crate::settings_layers::resolve;
use heapster::config::settings::SETTINGS;
use heapster::sinks;

/// Values that cannot be used, each with a word of the fix.
const BAD: &[(&str, &[&str], &str)] = &[
    (
        "model_resolution",
        &["", "30", "x", "-5s", "30 parsecs", "4s", "4999ms", "61m", "1d", "0s", "30000500us"],
        "30s",
    ),
    ("retention", &["", "15", "x", "30s", "59s", "25h", "1000d", "0s"], "give"),
    (
        "shard",
        &["x", "3", "0/3", "4/3", "1/0", "1/1001", "1/", "/3", "1/3/5", "-1/3", "01/3", "1/03"],
        "is no shard",
    ),
    ("port", &["", "x", "-1", "65536", "8082/tcp", "80.5", "http"], "65535"),
    ("listen_ip", &["localhost", "256.0.0.1", "1.2.3", "::1::", "127.0.0.1:8082", "[::1"], "127.0.0.1"),
    ("log_level", &["", "loud", "5", "inf o"], "debug"),
    ("max_procs", &["", "x", "-1", "257", "1.5", "99999999999999999999999"], "256"),
    ("queue_limit", &["", "x", "0", "1023Ki", "-1", "65Gi", "128Gi", "1.5Gi", "Mi", "64M"], "64Gi"),
    // Whether a folder can be used is seen once it is.
    ("spool_dir", &[], ""),
    ("spool_limit", &["", "x", "0", "1000", "32Ti", "99999999Ti"], "16Ti"),
    ("shutdown_grace", &["", "10", "x", "0s", "0", "11m", "-1s"], "give"),
    ("disable_export", &["", "yes", "2", "tRue"], "true"),
    ("disable_metric_sink", &["", "no", "-1"], "false"),
    ("historical_source", &[":http://db", ":"], "PREFIX"),
    ("sink_export_data_timeout", &["", "20", "0s", "61m"], "give"),
    ("allowed_users", &[",", " , ,"], "names"),
    ("store_label", &["=", "a=", "=a", "b=c=d"], "NEW=NAME"),
];

/// Settings that take any text; files are read when the API starts.
const ANY: [&str; 4] = ["tls_cert", "tls_key", "tls_client_ca", "label_separator"];

#[test]
fn what_cannot_be_used_is_told_with_its_name_its_value_and_the_fix() {
    for setting in SETTINGS.iter().filter(|setting| !setting.repeatable && !ANY.contains(&setting.name)) {
        assert!(BAD.iter().any(|(name, ..)| *name == setting.name), "{} is new", setting.name);
    }
    for (name, values, fix) in BAD {
        for value in *values {
            let flag = format!("--{name}");
            let typed =
                resolve(&[&format!("{flag}={value}")], &[], None).expect_err(&format!("{flag}={value}"));
            let variable = format!("HEAPSTER_{}", name.to_uppercase());
            let set = resolve(&[], &[(&variable, value)], None).expect_err(&format!("{variable}={value}"));
            let file = format!("{name} = {value:?}");
            let written = resolve(&[], &[], Some(("a.toml", &file))).expect_err(&file);
            let expected = [(typed, flag), (set, variable), (written, format!("{name} in a.toml"))];
            for (message, origin) in expected {
                assert!(message.starts_with(&origin), "{origin} is not named: {message}");
                assert!(message.contains(&format!("{value:?}")), "{value:?} is not shown: {message}");
                assert!(message.contains(fix), "{fix:?} is not said: {message}");
            }
        }
    }
}

#[test]
fn bad_uri_is_told_with_where_it_stands_and_without_its_password() {
    let bad = "log:ftp://root:hunter2@db?pw=hunter2";
    let file = format!("sink = [{bad:?}]");
    let cases = [
        (resolve(&[&format!("--sink={bad}")], &[], None), "--sink"),
        (resolve(&[], &[("HEAPSTER_SINK", bad)], None), "HEAPSTER_SINK"),
        (resolve(&[], &[], Some(("a.toml", &file))), "sink in a.toml"),
    ];
    for (result, origin) in cases {
        let config = result.unwrap();
        let message = sinks::build(&config.sinks, &config.labels).err().unwrap().to_string();
        assert!(
            message.starts_with(&format!("{origin}: log: ")) && !message.contains("hunter2"),
            "{message}"
        );
    }
    let config = resolve(&["--sink=influxdb:http://root:hunter2@db?pw=hunter2"], &[], None).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn limits_are_inclusive() {
    for (name, value) in [
        ("model_resolution", "5s"),
        ("model_resolution", "5001ms"),
        ("retention", "1m"),
        ("retention", "24h"),
        ("shutdown_grace", "1ms"),
        ("shutdown_grace", "10m"),
        ("listen_ip", "[::1]"),
        ("log_level", "WARN"),
    ] {
        assert!(resolve(&[&format!("--{name}={value}")], &[], None).is_ok(), "{name}={value}");
    }
    let error = resolve(&["--model_resolution=10m", "--retention=15m"], &[], None).unwrap_err();
    assert!(error.contains("retention") && error.contains("15m"), "two windows must fit: {error}");
    assert!(resolve(&["--model_resolution=10m", "--retention=20m"], &[], None).is_ok());
}

#[test]
fn files_of_tls_are_given_together_and_names_never_without_a_ca() {
    let (cert, key, ca, names) = ("--tls_cert=c", "--tls_key=k", "--tls_client_ca=a", "--allowed_users=n");
    let refused: [(&[&str], &[&str]); 8] = [
        (&[cert], &["--tls_cert", "--tls_key"]),
        (&[key], &["--tls_key", "--tls_cert"]),
        (&[ca], &["--tls_client_ca", "--tls_cert"]),
        (&[ca, names], &["--tls_client_ca", "--tls_cert"]),
        (&[cert, ca], &["--tls_cert", "--tls_key"]),
        (&[key, ca, names], &["--tls_key", "--tls_cert"]),
        (&[names], &["--allowed_users", "--tls_client_ca"]),
        (&[cert, key, names], &["--allowed_users", "--tls_client_ca"]),
    ];
    for (flags, words) in refused {
        let said = resolve(flags, &[], None).expect_err(&flags.join(" "));
        assert!(words.iter().all(|word| said.contains(word)), "{flags:?}: {said}");
    }
    for flags in [&[][..], &[cert, key], &[cert, key, ca], &[cert, key, ca, names]] {
        assert!(resolve(flags, &[], None).is_ok(), "{flags:?}");
    }
    let users = |text: &str| {
        let config = resolve(&[cert, key, ca, &format!("--allowed_users={text}")], &[], None).unwrap();
        config.tls.unwrap().clients.unwrap().names
    };
    assert_eq!(users("a, b c ,,d"), ["a", "b c", "d"], "blanks around commas are none of a name's");
    assert!(users("").is_empty());
}
