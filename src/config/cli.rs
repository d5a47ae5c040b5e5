//! What was typed: flags in every spelling that a release of Heapster took, and the command. What it means is left to
//! [`super::Config`].

use super::nearest::nearest;
use super::settings::{GLOG_FLAGS, NOT_YET, OBSOLETE, Obsolete, SETTINGS, Setting, find};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeMap;

/// The size of the simulated cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demo {
    /// Nodes.
    pub nodes: u32,
    /// Pods on each node.
    pub pods: u32,
    /// Containers in each pod.
    pub containers: u32,
    /// Namespaces.
    pub namespaces: u32,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Collect what the sources name.
    Collect,
    /// Simulate a cluster and collect it.
    Demo(Demo),
    /// Try everything that collecting needs.
    Doctor,
    /// Print the version.
    Version,
}

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    /// What to do.
    pub action: Action,
    /// The settings given as flags.
    pub values: BTreeMap<&'static str, Vec<String>>,
    /// The file named by `--config`.
    pub config: Option<String>,
    /// The number given to `--v`.
    pub verbosity: Option<u8>,
    /// What to say of flags that have nothing left to set.
    pub warnings: Vec<String>,
    spellings: BTreeMap<&'static str, String>,
    defaults: BTreeMap<&'static str, String>,
}

impl Typed {
    /// The flag under which a setting was given, as it was typed.
    pub fn spelling(&self, setting: &str) -> Option<String> {
        self.spellings.get(setting).cloned()
    }

    /// Gives a setting another default.
    pub fn default_to(&mut self, setting: &'static str, value: &str) {
        self.defaults.insert(setting, value.to_owned());
    }

    /// The default that a setting was given in place of the table's.
    pub fn default_of(&self, setting: &str) -> Option<&str> {
        self.defaults.get(setting).map(String::as_str)
    }
}

/// What the command line asks for that is no run.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Help, to be printed as it is.
    #[error("{0}")]
    Help(String),
    /// A mistake, in one line.
    #[error("{0}")]
    Mistake(String),
}

const DEMO_SIZES: &[(&str, &str, &str, u32)] = &[
    ("nodes", "3", "Nodes of the simulated cluster, 1 to 5000", 5_000),
    ("pods", "8", "Pods on each node, 1 to 110", 110),
    ("containers", "2", "Containers in each pod, 1 to 10", 10),
    ("namespaces", "4", "Namespaces, 1 to 1000", 1_000),
];

/// Settings whose default is another in the demo.
pub const DEMO_DEFAULTS: &[(&str, &str)] =
    &[("model_resolution", "5s"), ("listen_ip", "127.0.0.1"), ("log_level", "warn")];

/// The command line as clap knows it; `sources` and `sinks` are the help texts of their tables.
pub fn command(sources: &str, sinks: &str) -> Command {
    let root = Command::new("heapster")
        .about("Collects the usage of every node, pod and container of a Kubernetes cluster, keeps 15 minutes of it and answers over REST")
        .override_usage("heapster [FLAGS]\n       heapster demo [FLAGS]\n       heapster doctor [FLAGS]")
        .after_help(format!(
            "Every flag may also be written with one dash, and with - for _. Each setting may stand in the file given by \
             --config and in the environment as HEAPSTER_<NAME>; flags win over the environment, the environment over \
             the file.\n\nSources:\n{sources}\nSinks:\n{sinks}"
        ))
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .arg(Arg::new("version").long("version").global(true).action(ArgAction::SetTrue).help("Print the version"));
    let demo = Command::new("demo")
        .about("Simulates a cluster on loopback and collects it")
        .args_override_self(true)
        .args(DEMO_SIZES.iter().map(|(name, default, about, _)| {
            Arg::new(*name).long(*name).value_name("COUNT").default_value(*default).help(*about)
        }));
    let doctor = Command::new("doctor").about(
        "Tries everything that collecting needs, once: API server, rights, each kubelet. Says what is wrong and what to \
         do; exit code 1 if anything is",
    );
    let doctor = doctor.after_help(format!("Sources:\n{sources}"));
    let obsolete = |flag: &Obsolete| {
        let value = Arg::new(flag.name).long(flag.name).hide(true).action(ArgAction::Append);
        if flag.switch { as_switch(value) } else { value.allow_hyphen_values(true) }
    };
    let with_settings = |command: Command, defaults: &[(&str, &str)]| {
        let config = Arg::new("config").long("config").value_name("FILE").action(ArgAction::Append);
        let glog = GLOG_FLAGS.iter().map(|name| {
            let value = Arg::new(*name).long(*name).hide(true).action(ArgAction::Append);
            value.num_args(0..=1).require_equals(*name != "v").default_missing_value("true")
        });
        // One line for each flag, however wide.
        let command = command.term_width(0);
        command
            .args(SETTINGS.iter().map(|setting| setting_flag(setting, defaults)))
            .arg(config.help("File with settings: TOML, or YAML or JSON by its ending"))
            .args(glog)
            .args(OBSOLETE.iter().map(obsolete))
    };
    with_settings(root, &[])
        .subcommand(with_settings(demo, DEMO_DEFAULTS))
        .subcommand(with_settings(doctor, &[]))
}

fn setting_flag(setting: &Setting, defaults: &[(&str, &str)]) -> Arg {
    let other = defaults.iter().find(|(name, _)| *name == setting.name);
    let default = other.map_or(setting.default, |(_, default)| default);
    let default = if default.is_empty() { String::new() } else { format!(" [default: {default}]") };
    let flag = Arg::new(setting.name)
        .long(setting.name)
        .value_name(setting.placeholder)
        .visible_aliases(setting.aliases.to_vec())
        .help(format!("{}{default}", setting.about));
    // Of a flag given twice the last counts, as in Go.
    let flag = flag.action(ArgAction::Append).allow_hyphen_values(true);
    if setting.switch { as_switch(flag) } else { flag }
}

/// A truth value as Go takes it: the flag alone is true, and a value needs a `=`.
fn as_switch(flag: Arg) -> Arg {
    flag.num_args(0..=1).require_equals(true).default_missing_value("true")
}

/// Reads a command line, the program's name left out.
///
/// # Errors
/// Help where it was asked for; the first mistake in one line otherwise.
pub fn parse(args: impl IntoIterator<Item = String>, sources: &str, sinks: &str) -> Result<Typed, CliError> {
    let args: Vec<String> = args.into_iter().collect();
    let normal = std::iter::once("heapster".to_owned()).chain(normalise(&args));
    let matches =
        command(sources, sinks).try_get_matches_from(normal).map_err(|error| explain(&error, &args))?;
    let (flags, name) = match matches.subcommand() {
        Some((name, flags)) => (flags, Some(name)),
        None => (&matches, None),
    };
    let action = if matches.get_flag("version") {
        Action::Version
    } else {
        match name {
            Some("demo") => Action::Demo(demo_sizes(flags)?),
            Some(_) => Action::Doctor,
            None => Action::Collect,
        }
    };
    let mut values = BTreeMap::new();
    for setting in SETTINGS {
        let given = [&matches, flags].into_iter().take(1 + usize::from(name.is_some()));
        let given = given.filter_map(|matches| matches.get_many::<String>(setting.name)).flatten();
        let given: Vec<String> = given.cloned().collect();
        if !given.is_empty() {
            values.insert(setting.name, given);
        }
    }
    let last = |name: &str| {
        let given = [flags, &matches].into_iter().filter_map(|matches| matches.get_many::<String>(name));
        given.filter_map(Iterator::last).next().cloned()
    };
    let verbosity = match last("v") {
        None => None,
        Some(text) if text == "true" => Some(1),
        Some(text) => Some(
            text.parse()
                .map_err(|_| CliError::Mistake(format!("--v: {text:?} is no number from 0 to 255")))?,
        ),
    };
    Ok(Typed {
        action,
        values,
        config: last("config"),
        verbosity,
        warnings: warnings(&args),
        spellings: spellings(&args),
        defaults: BTreeMap::new(),
    })
}

fn demo_sizes(matches: &ArgMatches) -> Result<Demo, CliError> {
    let size = |name: &str| {
        let text = matches.get_one::<String>(name).map(String::as_str).unwrap_or_default();
        let most = DEMO_SIZES.iter().find(|size| size.0 == name).map_or(0, |size| size.3);
        match text.parse() {
            Ok(count) if (1..=most).contains(&count) => Ok(count),
            _ => Err(CliError::Mistake(format!(
                "--{name}: {text:?} is no count: give a number from 1 to {most}"
            ))),
        }
    };
    let demo = Demo {
        nodes: size("nodes")?,
        pods: size("pods")?,
        containers: size("containers")?,
        namespaces: size("namespaces")?,
    };
    Ok(demo)
}

/// Go took `-name` for `--name`, later releases `-` for `_`: both become the table's spelling.
fn normalise(args: &[String]) -> Vec<String> {
    args.iter()
        .map(|arg| match flag_name(arg) {
            Some(("h" | "help", _)) => "--help".to_owned(),
            Some((name, value)) => format!("--{}{value}", name.replace('-', "_")),
            None => arg.clone(),
        })
        .collect()
}

/// The flag's name without dashes, and `=value` if it has one.
fn flag_name(arg: &str) -> Option<(&str, &str)> {
    let bare = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-'))?;
    let (name, value) = bare.split_at(bare.find('=').unwrap_or(bare.len()));
    name.starts_with(|c: char| c.is_ascii_alphabetic()).then_some((name, value))
}

/// One line for each flag that is given and has nothing left to set.
fn warnings(args: &[String]) -> Vec<String> {
    let given = args.iter().filter_map(|arg| Some((flag_name(arg)?.0, arg.split('=').next().unwrap_or(arg))));
    let obsolete = given.filter_map(|(name, shown)| {
        let flag = OBSOLETE.iter().find(|flag| flag.name == name.replace('-', "_"))?;
        Some(format!("{shown} is taken for old manifests and sets nothing: {}", flag.instead))
    });
    obsolete.collect()
}

fn spellings(args: &[String]) -> BTreeMap<&'static str, String> {
    let given = args.iter().filter_map(|arg| Some((flag_name(arg)?.0, arg)));
    let named = given.filter_map(|(name, arg)| {
        let shown = arg.split('=').next().unwrap_or(arg);
        Some((find(name)?.name, shown.to_owned()))
    });
    named.collect()
}

fn explain(error: &clap::Error, args: &[String]) -> CliError {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand) {
        return CliError::Help(error.render().to_string());
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let argument =
        text(ContextKind::InvalidArg).or_else(|| text(ContextKind::InvalidSubcommand)).unwrap_or_default();
    let name = argument.trim_start_matches('-').split(['=', ' ']).next().unwrap_or_default().to_owned();
    let typed =
        args.iter().find(|arg| flag_name(arg).is_some_and(|(flag, _)| flag.replace('-', "_") == name));
    let shown = typed.map_or(argument.as_str(), |arg| arg.split('=').next().unwrap_or(arg));
    CliError::Mistake(match error.kind() {
        ErrorKind::UnknownArgument if NOT_YET.contains(&name.as_str()) => {
            format!("{shown}: Heapster has this flag, this release does not yet; leave it out")
        }
        ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand if argument.starts_with('-') => {
            let known: Vec<String> = super::settings::names()
                .chain(["config", "version", "help"])
                .chain(DEMO_SIZES.iter().map(|(name, ..)| *name))
                .map(|n| format!("--{n}"))
                .collect();
            // Without its value: what nobody knows may be a secret.
            format!(
                "{shown}: no such flag; {}",
                nearest(&format!("--{name}"), known.iter().map(String::as_str))
            )
        }
        ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand if argument.contains(':') => {
            // What follows the prefix may hold a password.
            let prefix = argument.split(':').next().unwrap_or_default();
            format!("{prefix}:…: a URI without its flag; give --source=URI or --sink=URI")
        }
        ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand => {
            format!("{shown:?}: no such command; {}", nearest(&name, ["demo", "doctor"]))
        }
        ErrorKind::InvalidValue
        | ErrorKind::TooFewValues
        | ErrorKind::WrongNumberOfValues
        | ErrorKind::NoEquals => {
            format!("{shown}: a value is missing; give {shown}=VALUE")
        }
        _ => error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    })
}
