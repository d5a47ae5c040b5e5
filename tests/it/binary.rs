//! The binary as a user runs it: exit codes, one line for a mistake, the demo, signals.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

/// The command with these arguments, without what the machine has set.
pub fn heapster(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heapster"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // What the machine that runs the tests has set must not count.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HEAPSTER_")) {
        command.env_remove(name);
    }
    command
}

fn run(args: &[&str]) -> Output {
    heapster(args).output().unwrap()
}

#[test]
fn a_mistake_is_one_line_and_exit_code_2() {
    let good = "--source=kubernetes.summary_api:http://127.0.0.1:1?inClusterConfig=false";
    let mistakes: [(&[&str], &[&str]); 20] = [
        (&[], &["--source"]),
        (&["--sauce=x"], &["--sauce", "--source"]),
        (&["demo", "--noeds=2"], &["--noeds", "--nodes"]),
        (&["--port=http", good], &["--port", "http"]),
        (&["-model-resolution", "30", good], &["-model-resolution", "30", "30s"]),
        (&["--metric_resolution=1s", good], &["--metric_resolution", "1s"]),
        (&["--retention=1s", good], &["--retention", "1s"]),
        (&["--listen_ip=here", good], &["--listen_ip", "here"]),
        (&["--log_level=loud", good], &["--log_level", "loud"]),
        (&["--config=/no/such/file", good], &["--config", "/no/such/file"]),
        (&["--source=kubernetes.sumary_api:''"], &["kubernetes.sumary_api", "kubernetes.summary_api"]),
        (&["--source=kubernetes.summary_api:''?kubletPort=1"], &["kubletPort", "kubeletPort"]),
        (&["--source=kubernetes.summary_api:''?kubeletHttps=maybe"], &["kubeletHttps", "maybe", "true"]),
        (&["--sink=lag", good], &["--sink", "lag", "log"]),
        (&["--historical_source=log", good], &["--historical_source", "log", "influxdb or prometheus"]),
        (&["--sink=graphite:tcp://carbon:2003", good], &["--sink", "graphite", "not supported yet"]),
        (&["--source=cadvisor:external"], &["--source", "cadvisor", "not supported yet"]),
        (&["--tls_cert=cert.pem", good], &["--tls_cert", "--tls_key"]),
        (&["--allowed_users=me", good], &["--allowed_users", "--tls_client_ca"]),
        (&["serve"], &["serve", "demo"]),
    ];
    for (args, words) in mistakes {
        let output = run(args);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert_eq!((error.lines().count(), output.stdout.len()), (1, 0), "{args:?}: {error}");
        assert!(words.iter().all(|word| error.contains(word)), "{args:?}: {error}");
    }
}

#[test]
fn what_cannot_be_started_is_exit_code_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let source = "--source=kubernetes.summary_api:http://127.0.0.1:1?inClusterConfig=false";
    let output = run(&[source, "--listen_ip=127.0.0.1", "--port", &port]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(&port) && error.contains("--port"), "{error}");

    let cert = ["--tls_cert=no-such.pem", "--tls_key=no-such.pem", source];
    let output = run(&cert);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("--tls_cert") && error.contains("no-such.pem"), "{error}");

    let mut outside = heapster(&["--source=kubernetes.summary_api:''"]);
    let output = outside.env_remove("KUBERNETES_SERVICE_HOST").output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("inClusterConfig=false"), "{error}");
}

#[test]
fn help_and_version_are_told() {
    for args in [["--help"], ["-h"], ["-help"]] {
        let output = run(&args);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(text.contains("--model_resolution") && text.contains("kubernetes.summary_api"), "{text}");
    }
    let output = run(&["--version"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with(&format!("version: {}\ncommit: ", env!("CARGO_PKG_VERSION"))), "{text}");
}

#[test]
fn the_demo_shows_a_cluster_and_ends_at_sigterm() {
    // With flags of Heapster 0.18 that have nothing left to set, and rules for labels.
    let args = [
        "demo",
        "--port=0",
        "--nodes=2",
        "--pods=2",
        "--sink=log:$NOBODY_SETS_THIS",
        "--log_level=info",
        "--use_model",
        "-stats_resolution=5s",
        "--sink_frequency",
        "10s",
        "--store_label=of=app",
    ];
    let mut child = heapster(&args).spawn().unwrap();
    let mut errors = child.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).map(|_| text)
    });
    let mut said = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        said.push(line.clone());
        if line.contains("Ctrl-C") {
            break;
        }
    }
    let text = said.join("\n");
    assert!(
        text.contains("waiting for the first window") && text.contains("/api/v1/model/metrics/"),
        "{text}"
    );
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let status = child.wait().unwrap();
    let log = log.join().unwrap().unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("SIGTERM") && log.trim_end().ends_with("done"), "{log}");
    assert!(log.contains("DataBatch     Timestamp: ") && log.contains("MetricSet: cluster"), "{log}");
    assert!(log.contains("MetricSet: node:node-1\n"), "{log}");
    for flag in ["--use_model", "-stats_resolution", "--sink_frequency"] {
        assert_eq!(log.matches(&format!("{flag} is taken for old manifests")).count(), 1, "{flag}: {log}");
    }
    assert!(log.contains("\n      of = "), "a label that is stored: {log}");
    assert!(log.contains("--sink: the variable NOBODY_SETS_THIS is not set and counts as empty"), "{log}");
}

#[test]
fn a_reader_that_goes_is_no_reason_to_fail() {
    for args in [&["--help"][..], &["--version"]] {
        let mut child = heapster(args).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}");
    }
}

#[test]
fn a_signal_at_any_moment_ends_the_demo_well() {
    let mut child = heapster(&["demo", "--port=0", "--nodes=50", "--pods=110"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The first line comes before anything is built.
    assert!(lines.next().unwrap().unwrap().starts_with("simulating 50 nodes of 110 pods"));
    drop(lines);
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_uri_that_stands_elsewhere_shows_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = |text: &str| {
        let path = folder.path().join(format!("{}.toml", text.len()));
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let uri = "influxdb:http://db?user=me&pw=hunter2";
    let cut = file(&format!("port = 8082\nsink = [\"{uri}\" oops\n"));
    let misplaced = file(&format!("port = \"{uri}\"\n"));
    let cases: [(&[&str], &str); 4] = [
        (&[uri], "--sink=URI"),
        (&["--config", &cut], "line 2"),
        (&["--config", &misplaced], "port"),
        (&["--port", uri], "--port"),
    ];
    for (args, word) in cases {
        let output = run(args);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), error.lines().count()), (Some(2), 1), "{error}");
        assert!(error.contains(word) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_broken_file_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heapster.toml");
    std::fs::write(&path, "port = \n").unwrap();
    let path = path.to_string_lossy().into_owned();
    let output = run(&["--config", &path]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), error.lines().count()), (Some(2), 1), "{error}");
    assert!(error.contains(&path) && error.contains("TOML"), "{error}");
}
