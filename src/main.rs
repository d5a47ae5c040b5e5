//! The binary, a table of contents: flags, settings, logs, topology, signals, exit code.

use heapster::clock::Clock;
use heapster::config::cli::{self, Action, CliError, Typed};
use heapster::config::uri::Uri;
use heapster::config::{Config, Environment};
use heapster::rollup::schedule::Schedule;
use heapster::simulator::Simulator;
use heapster::{demo, doctor, sinks, sources, telemetry, topology};
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Scraping makes and drops many small things a second: the C library's own allocator takes a sixth more CPU for that, a
/// static one's far more. This one puts what is new where older things lie already, so that pages become free again after
/// many pods came and went; how it is set up is in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What was given cannot be used.
const USAGE: u8 = 2;
/// What was given can be used, but it cannot be started.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let args = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned());
    let typed = match cli::parse(args, &sources::help(), &sinks::help()) {
        Ok(typed) => typed,
        Err(CliError::Help(text)) => {
            return said(say(&text), ExitCode::SUCCESS);
        }
        Err(mistake) => return end(USAGE, &mistake),
    };
    if typed.action == Action::Version {
        let told = say(&format!(
            "version: {}
commit: {}
",
            env!("CARGO_PKG_VERSION"),
            option_env!("HEAPSTER_COMMIT").unwrap_or("unknown")
        ));
        return said(told, ExitCode::SUCCESS);
    }
    let system = actix::System::new();
    let result = system.block_on(run(typed));
    result.unwrap_or_else(|(code, error)| end(code, &*error))
}

/// Says something to whoever listens: a reader that has gone is no reason to fail.
fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Ends with a code, or with a failure where what there was to say could not be.
fn said(told: std::io::Result<()>, code: ExitCode) -> ExitCode {
    told.map_or_else(|error| end(FAILED, &Unsaid(error)), |()| code)
}

/// Standard output cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("standard output cannot be written: {0}")]
struct Unsaid(std::io::Error);

/// Says in one line why it ends.
fn end(code: u8, error: &dyn std::error::Error) -> ExitCode {
    let text = telemetry::chain(error);
    let line: Vec<&str> = text.split_whitespace().collect();
    let _ = writeln!(std::io::stderr(), "heapster: {}", line.join(" "));
    ExitCode::from(code)
}

type Failure = (u8, Box<dyn std::error::Error>);

fn usage(error: impl std::error::Error + 'static) -> Failure {
    (USAGE, Box::new(error))
}

fn failed(error: impl std::error::Error + 'static) -> Failure {
    (FAILED, Box::new(error))
}

async fn run(mut typed: Typed) -> Result<ExitCode, Failure> {
    if typed.action == Action::Doctor {
        typed.default_to("log_level", "error");
    }
    if let Action::Demo(_) = typed.action {
        for (setting, default) in cli::DEMO_DEFAULTS {
            typed.default_to(setting, default);
        }
    }
    let variables = std::env::vars_os();
    let environment: Environment = variables
        .map(|(name, value)| (name.to_string_lossy().into(), value.to_string_lossy().into()))
        .collect();
    let mut config =
        Config::resolve(&typed, &environment, &|path| std::fs::read_to_string(path)).map_err(usage)?;
    let mut found = sources::build(&config.sources).map_err(usage)?;
    let sinks = sinks::build(&config.sinks, &config.labels).map_err(usage)?;
    let past = config.historical_source.as_ref().map(sinks::asked::build).transpose().map_err(usage)?;
    if found.is_empty() && matches!(typed.action, Action::Collect | Action::Doctor) {
        return Err(usage(sources::SourceError::None));
    }

    telemetry::start_logs(config.log_level);
    telemetry::abort_on_panic();
    log::info!("{}", std::env::args_os().next().unwrap_or_default().to_string_lossy());
    log::info!("Heapster version {}", env!("CARGO_PKG_VERSION"));
    for warning in &typed.warnings {
        log::warn!("{warning}");
    }
    for uri in config.sources.iter().chain(&config.sinks).chain(&config.historical_source) {
        for name in uri.unset() {
            log::warn!("{}: the variable {name} is not set and counts as empty", uri.origin);
        }
        for option in uri.repeated() {
            let (origin, prefix) = (&uri.origin, &uri.prefix);
            log::warn!(
                "{origin}: {prefix}: {option} is given more than once and the first counts; give it once"
            );
        }
    }
    let clock = Clock::system();
    if typed.action == Action::Doctor {
        let schedule = Schedule::new(config.resolution);
        let mut told = Ok(());
        let mut tell = |line: &str| {
            if told.is_ok() {
                told = say(&format!("{line}\n"));
            }
        };
        let wrong = doctor::examine(found, schedule, clock, &mut tell).await;
        told.map_err(|error| failed(Unsaid(error)))?;
        return Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) });
    }
    // Before anything is started, so that no signal is missed.
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let simulator = match typed.action {
        Action::Demo(size) => {
            let simulator = Simulator::start(demo::shape(size), clock.clone()).map_err(failed)?;
            config.sources = vec![Uri::parse(&simulator.source_uri(), &|_| None).map_err(usage)?];
            found = sources::build(&config.sources).map_err(usage)?;
            Some(simulator)
        }
        Action::Collect | Action::Doctor | Action::Version => None,
    };
    let running = topology::start(&config, found, sinks, past, clock).await.map_err(failed)?;
    if let Some(simulator) = &simulator {
        let url = demo::url(running.address, config.tls.is_some());
        simulator.api().proxy("kube-system", "heapster", &url);
        actix::spawn(demo::guide(
            url,
            config.resolution.duration(),
            simulator.cluster().clone(),
            simulator.source_uri(),
            simulator.api_url(),
        ));
    }

    tokio::select! {
        _ = terminate.recv() => end_within(config.shutdown_grace, "SIGTERM"),
        _ = interrupt.recv() => end_within(config.shutdown_grace, "interrupted"),
    }
    running.stop().await;
    if let Some(simulator) = simulator {
        simulator.stop().await;
    }
    log::info!("done");
    Ok(ExitCode::SUCCESS)
}

/// Ends the process if it has not ended by itself shortly after the grace: standard error may be a pipe that nobody
/// reads, and then whoever logs stands still.
fn end_within(grace: Duration, signal: &'static str) {
    std::thread::spawn(move || {
        std::thread::sleep(grace + Duration::from_secs(1));
        std::process::exit(0);
    });
    log::info!("{signal}: finishing what is under way");
}
