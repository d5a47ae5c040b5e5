//! The command line: every spelling of every flag, and what is said of a mistake.

use heapster::config::cli::{Action, CliError, Demo, Typed, parse};
use heapster::config::settings::{GLOG_FLAGS, NOT_YET, OBSOLETE, SETTINGS, Setting};
use proptest::prelude::*;

fn typed(args: &[&str]) -> Typed {
    read(args).unwrap_or_else(|error| panic!("{args:?}: {error}"))
}

fn read(args: &[&str]) -> Result<Typed, CliError> {
    parse(args.iter().map(|arg| (*arg).to_owned()), "the sources", "the sinks")
}

/// The mistake in a command line, which must be one line.
#[track_caller]
fn mistake(args: &[&str]) -> String {
    match read(args) {
        Err(CliError::Mistake(text)) => {
            assert!(!text.contains('\n') && !text.is_empty(), "{text:?}");
            text
        }
        other => panic!("{args:?}: {other:?}"),
    }
}

/// How many ways there are to give a setting its value: that of a switch must stand behind a `=`, as in Go.
fn spellings(setting: &Setting) -> usize {
    if setting.switch { 1 } else { 2 }
}

#[test]
fn switches_need_no_value() {
    for setting in SETTINGS.iter().filter(|setting| setting.switch) {
        for flag in [format!("--{}", setting.name), format!("-{}", setting.name.replace('_', "-"))] {
            let typed = typed(&[&flag, "--port=1"]);
            assert_eq!(
                (&typed.values[setting.name][..], &typed.values["port"][..]),
                (&["true".to_owned()][..], &["1".to_owned()][..]),
                "{flag}"
            );
        }
    }
}

#[test]
fn flags_that_have_nothing_left_to_set_are_taken_with_a_warning() {
    let manifest = ["--use_model=true", "-stats_resolution=5s", "--sink-frequency", "10s", "--port=1"];
    let told = typed(&manifest).warnings;
    assert_eq!(told.len(), 3, "{told:?}");
    for flag in OBSOLETE {
        let shown = format!("--{}", flag.name);
        for args in [vec![format!("{shown}=1s")], vec![shown.clone(), "1s".to_owned()]]
            .iter()
            .take(if flag.switch { 1 } else { 2 })
        {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let typed = typed(&args);
            assert!(typed.values.is_empty(), "{args:?}");
            assert_eq!(typed.warnings.len(), 1, "{args:?}");
            assert!(
                typed.warnings[0].starts_with(&shown) && typed.warnings[0].ends_with(flag.instead),
                "{args:?}"
            );
        }
        assert!(SETTINGS.iter().all(|setting| setting.name != flag.name), "{shown} is a setting as well");
    }
    assert!(typed(&["--port=1"]).warnings.is_empty());
}

#[test]
fn every_spelling_of_every_setting() {
    for setting in SETTINGS {
        for name in std::iter::once(&setting.name).chain(setting.aliases) {
            for spelled in [(*name).to_owned(), name.replace('_', "-")] {
                for dashes in ["-", "--"] {
                    let flag = format!("{dashes}{spelled}");
                    let joined = format!("{flag}=a_b-c=d");
                    let apart = [flag.as_str(), "a_b-c=d"];
                    for args in [&[joined.as_str()][..], &apart].into_iter().take(spellings(setting)) {
                        let typed = typed(args);
                        assert_eq!(typed.values.len(), 1, "{args:?}");
                        assert_eq!(typed.values[setting.name], ["a_b-c=d"], "{args:?}");
                        assert_eq!(typed.spelling(setting.name).as_deref(), Some(flag.as_str()));
                        assert_eq!(typed.action, Action::Collect);
                    }
                }
            }
        }
    }
}

#[test]
fn mission_and_manifests_are_understood() {
    let typed = typed(&[
        "--source=kubernetes:http://kubernetes-ro?inClusterConfig=false&useServiceAccount=true&auth=",
        "--sink=influxdb:http://monitoring-influxdb:80",
        "-model_resolution",
        "1m",
        "--metric-resolution=30s",
        "--heapster-port=8083",
        "--v=2",
    ]);
    assert_eq!(typed.values["source"].len(), 1);
    assert_eq!(typed.values["sink"], ["influxdb:http://monitoring-influxdb:80"]);
    assert_eq!(typed.values["model_resolution"], ["1m", "30s"], "in the order in which they were typed");
    assert_eq!(typed.values["port"], ["8083"]);
    assert_eq!(typed.verbosity, Some(2));
}

#[test]
fn repeated_flags_are_all_there() {
    let typed = typed(&["--source=a", "-source", "b", "--source=c", "--port=1", "--heapster_port=2"]);
    assert_eq!(typed.values["source"], ["a", "b", "c"]);
    assert_eq!(typed.values["port"], ["1", "2"]);
}

#[test]
fn values_may_begin_with_a_dash_or_be_empty() {
    assert_eq!(typed(&["--retention", "-5m"]).values["retention"], ["-5m"]);
    assert_eq!(typed(&["--listen_ip="]).values["listen_ip"], [""]);
    assert_eq!(typed(&["--listen_ip", ""]).values["listen_ip"], [""]);
}

#[test]
fn flags_of_the_logging_library_are_taken() {
    for (args, verbosity) in [
        (&["-v=4"][..], Some(4)),
        (&["--v=4"], Some(4)),
        (&["-v", "4"], Some(4)),
        (&["--v", "0"], Some(0)),
        (&["-v=1", "-v=3"], Some(3)),
        (&[], None),
    ] {
        assert_eq!(typed(args).verbosity, verbosity, "{args:?}");
    }
    for name in GLOG_FLAGS.iter().filter(|name| **name != "v") {
        for flag in [format!("-{name}"), format!("--{name}"), format!("--{}=x=3,y=4", name.replace('_', "-"))]
        {
            let typed = typed(&[&flag, "--port=1"]);
            assert_eq!((typed.values.len(), typed.verbosity), (1, None), "{flag}");
        }
    }
    for bad in ["-v=x", "--v=-1", "--v=256", "-v=1.5"] {
        let value = bad.split('=').nth(1).unwrap();
        let text = mistake(&[bad]);
        assert!(text.contains("--v") && text.contains(value) && text.contains("255"), "{text}");
    }
}

#[test]
fn unknown_flag_is_named_with_the_nearest() {
    for (typo, meant) in [
        ("--sorce=x", "--source"),
        ("-sinks=x", "--sink"),
        ("--metric-resolutoin=1m", "--metric_resolution"),
        ("--metric_resolutoin=1m", "--metric_resolution"),
        ("--model_resolutio=1m", "--model_resolution"),
        ("-prot=1", "--port"),
        ("--listenip=::", "--listen_ip"),
        ("--hlep", "--help"),
    ] {
        let text = mistake(&[typo]);
        let shown = typo.split('=').next().unwrap();
        assert!(text.starts_with(&format!("{shown}:")) && text.contains(meant), "{typo}: {text}");
    }
    let text = mistake(&["--qqqqqqqqqqqqqqq=secret"]);
    assert!(text.contains("--qqqqqqqqqqqqqqq") && text.contains("--source"), "{text}");
    assert!(!text.contains("secret"), "values are not shown: {text}");
}

#[test]
fn flags_of_the_original_that_are_not_there_yet_are_told_apart() {
    for name in NOT_YET {
        for flag in [format!("--{name}=x"), format!("-{}=x", name.replace('_', "-"))] {
            let text = mistake(&[&flag]);
            assert!(
                text.contains(flag.split('=').next().unwrap()) && text.contains("not yet"),
                "{flag}: {text}"
            );
        }
    }
}

#[test]
fn missing_value_is_told() {
    for setting in SETTINGS.iter().filter(|setting| !setting.switch) {
        for flag in [format!("--{}", setting.name), format!("-{}", setting.name.replace('_', "-"))] {
            let text = mistake(&[&flag]);
            assert!(text.contains(&flag) && text.contains("value"), "{flag}: {text}");
        }
    }
}

#[test]
fn words_that_are_no_command_are_refused() {
    let text = mistake(&["dmeo"]);
    assert!(text.contains("dmeo") && text.contains("demo"), "{text}");
    let text = mistake(&["kubernetes:''"]);
    assert!(text.contains("kubernetes"), "{text}");
    mistake(&["--port=1", "more"]);
    mistake(&["demo", "more"]);
    mistake(&["--", "demo"]);
}

#[test]
fn help_and_version() {
    for args in [&["-h"][..], &["--help"], &["-help"], &["demo", "--help"], &["--port=1", "-h"]] {
        let Err(CliError::Help(text)) = read(args) else { panic!("{args:?}") };
        for setting in SETTINGS {
            assert!(
                text.contains(setting.name) && text.contains(setting.about),
                "{args:?}: {}",
                setting.name
            );
        }
    }
    let Err(CliError::Help(text)) = read(&["--help"]) else { panic!() };
    assert!(text.contains("the sources") && text.contains("the sinks"), "{text}");
    for args in [&["--version"][..], &["-version"], &["--version", "--port=1"]] {
        assert_eq!(typed(args).action, Action::Version, "{args:?}");
    }
}

#[test]
fn demo_has_its_sizes_and_takes_every_setting() {
    let Action::Demo(default) = typed(&["demo"]).action else { panic!() };
    let sized = typed(&["demo", "-nodes=7", "--pods", "6", "--containers=5", "--namespaces=2", "--port=0"]);
    assert_eq!(sized.action, Action::Demo(Demo { nodes: 7, pods: 6, containers: 5, namespaces: 2 }));
    assert_eq!(sized.values["port"], ["0"]);
    assert_eq!(typed(&["demo", "--nodes=7"]).action, Action::Demo(Demo { nodes: 7, ..default }));
    assert_eq!(typed(&["--port=9", "demo"]).values["port"], ["9"], "flags may stand before the command");
    assert_eq!(typed(&["--port=9", "demo", "--port=10"]).values["port"].last().unwrap(), "10");
    for (size, most) in [("nodes", 5_000), ("pods", 110), ("containers", 10), ("namespaces", 1_000)] {
        typed(&["demo", &format!("--{size}={most}")]);
        for bad in ["0".to_owned(), (most + 1).to_string(), "-1".to_owned(), "x".to_owned(), String::new()] {
            let text = mistake(&["demo", &format!("--{size}={bad}")]);
            assert!(text.contains(&format!("--{size}")) && text.contains(&most.to_string()), "{text}");
        }
        mistake(&[&format!("--{size}=1")]);
    }
}

#[test]
fn settings_before_and_after_the_command_are_one() {
    let typed = typed(&["--log-level=debug", "-v=3", "--config=a.toml", "demo"]);
    assert_eq!(typed.values["log_level"], ["debug"]);
    assert_eq!((typed.verbosity, typed.config.as_deref()), (Some(3), Some("a.toml")));
}

proptest! {
    #![proptest_config(crate::handmade::cases(150))]

    #[test]
    fn any_words_are_understood_or_a_mistake_in_one_line(
        args in prop::collection::vec(prop_oneof![
            "-{0,3}[a-z_=-]{0,12}",
            prop::sample::select(&["demo", "--source", "--port=1", "-v", "--", "-", "--nodes=3", "", "--v=", "=", "-=x", "é"][..]).prop_map(str::to_owned),
            "\\PC{0,8}",
        ], 0..5),
    ) {
        match parse(args.clone(), "", "") {
            Err(CliError::Mistake(text)) => prop_assert!(!text.is_empty() && !text.contains('\n'), "{args:?}: {text:?}"),
            Ok(_) | Err(CliError::Help(_)) => {}
        }
    }
}
