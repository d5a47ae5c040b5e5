//! The whole collector on a simulated cluster of a thousand or five thousand nodes: the simulator in a process of its own,
//! the real binary in another, over loopback. Prints tables; holds nobody to a time. `cargo bench --bench cluster --
//! --help` tells the options.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::disallowed_methods
)]

mod churn;
mod handlings;
mod measure;
mod moving;
mod options;
mod process;
mod queries;
mod simulate;

use measure::{Measured, Rounds, megabytes};
use options::Options;
use std::process::ExitCode;

/// As the program.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let options = match options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(text) => {
            println!("{text}");
            return ExitCode::from(u8::from(text != options::HELP) * 2);
        }
    };
    match options.sizes.first() {
        Some(size) if options.simulate => {
            simulate::run(size);
            ExitCode::SUCCESS
        }
        Some(size) if options.handlings => {
            // Many lists of some length, and few long ones.
            handlings::run(size, size.namespaces());
            handlings::run(size, 2);
            ExitCode::SUCCESS
        }
        _ => actix_web::rt::System::new().block_on(all(&options)),
    }
}

async fn all(options: &Options) -> ExitCode {
    let mut measured = Vec::new();
    for size in &options.sizes {
        println!(
            "{} nodes × {} pods × {} containers, {}; {} B a body; about {} min …",
            size.nodes,
            size.pods,
            size.containers,
            size.kind(),
            simulate::first_body(size),
            options.length().as_secs().div_ceil(60)
        );
        match measure::run(options, size).await {
            Ok(one) => measured.extend(one),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    if !measured.is_empty() {
        tables(options, &measured);
    }
    ExitCode::SUCCESS
}

/// A row of a table: its name, and what it says of one cluster.
type Line = (&'static str, fn(&Measured) -> String);

const LINES: [Line; 19] = [
    ("nodes", |m| m.size.nodes.to_string()),
    ("pods of containers on each", |m| format!("{} × {}", m.size.pods, m.size.containers)),
    ("bodies", |m| m.size.kind()),
    ("body, kB", |m| format!("{:.1}", m.body / 1e3)),
    ("seconds until every node had answered", |m| format!("{:.1}", m.warm)),
    ("rounds complete", |m| complete(&m.quiet)),
    ("turns of nodes", |m| outcomes(&m.quiet)),
    ("received a round, MB", |m| format!("{:.1}", m.quiet.received / 1e6)),
    ("collector's CPU-seconds a round", |m| format!("{:.2}", m.quiet.cpu)),
    ("simulator's CPU-seconds a round", |m| format!("{:.2}", m.quiet.simulator_cpu)),
    ("collector's memory, MB, resident (most)", |m| {
        format!("{:.0} ({:.0})", megabytes(m.used.resident), megabytes(m.used.most))
    }),
    ("rounds held", |m| format!("{:.0}", m.rounds_held)),
    ("history, bytes a point", |m| format!("{:.2}", m.history / m.points)),
    ("with questions: rounds complete", |m| complete(&m.asked)),
    ("with questions: collector's CPU-seconds a round", |m| format!("{:.2}", m.asked.cpu)),
    ("questions (not answered with 200)", |m| format!("{} ({})", m.answers.count(), m.answers.failed)),
    ("questions, ms: p50", |m| asked(m, |m| format!("{:.2}", m.answers.quantile(None, 0.5)))),
    ("questions, ms: p99 / longest", |m| {
        asked(m, |m| format!("{:.1} / {:.1}", m.answers.quantile(None, 0.99), m.answers.quantile(None, 1.0)))
    }),
    ("aggregator's longest handling, ms", |m| m.longest.map_or("–".into(), |s| format!("{:.2}", s * 1e3))),
];

fn asked(measured: &Measured, told: impl Fn(&Measured) -> String) -> String {
    if measured.answers.count() == 0 { "–".into() } else { told(measured) }
}

fn complete(rounds: &Rounds) -> String {
    if rounds.count == 0 { "–".into() } else { format!("{} of {}", rounds.complete, rounds.count) }
}

fn outcomes(rounds: &Rounds) -> String {
    let each = rounds.outcomes.iter().map(|(labels, n)| {
        let label = labels.split("outcome=\"").nth(1).and_then(|rest| rest.split('"').next());
        format!("{n} {}", label.unwrap_or(labels))
    });
    each.collect::<Vec<_>>().join(", ")
}

fn tables(options: &Options, measured: &[Measured]) {
    let (seconds, rate) = (options.resolution.as_secs(), options.queries);
    println!("\nrounds of {seconds} s; {rate} questions a second in {} of them\n", options.query_rounds);
    for (name, of) in LINES {
        let cells: Vec<String> = measured.iter().map(of).collect();
        println!("| {name} | {} |", cells.join(" | "));
        if name == LINES[0].0 {
            println!("|---|{}", "---|".repeat(measured.len()));
        }
    }
    for one in measured.iter().filter(|one| one.answers.count() > 0) {
        println!(
            "\n{} nodes, {}: questions by kind, p50 / p99 / longest in ms",
            one.size.nodes,
            one.size.kind()
        );
        for (at, (name, _)) in queries::KINDS.iter().enumerate() {
            let of = |share| one.answers.quantile(Some(at), share);
            println!("  {name}: {:.2} / {:.1} / {:.1}", of(0.5), of(0.99), of(1.0));
        }
        println!("  {:.1} MB of answers", one.answers.bytes as f64 / 1e6);
        if let Some(failure) = &one.answers.failure {
            println!("  the first that failed: {failure}");
        }
        for (labels, longest) in &one.handled {
            println!("  longest handling {labels}: {:.2} ms", longest * 1e3);
        }
    }
}
