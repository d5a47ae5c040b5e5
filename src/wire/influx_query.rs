//! InfluxDB's query language, as much of it as is needed to have a database with a retention policy: statements, and what
//! is answered to them (InfluxDB 1.x, `/query`). When which is asked is left to the sink.

use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// What is said of an answer that cannot be read.
pub const FOREIGN: &str = "an answer that is not an InfluxDB's";

/// A retention policy of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// How long it keeps; zero for ever.
    pub keeps: Duration,
    /// Whether it is meant where none is named.
    pub is_default: bool,
}

/// What was answered to a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It was done, or this is what there is. None where the answer is not that of an InfluxDB, which alone has policies.
    Policies(Option<Vec<Policy>>),
    /// It was not done.
    Error(String),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Vec<Outcome>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    series: Vec<Series>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    values: Vec<Vec<Value>>,
}

/// Asks for the policies of a database.
pub fn show_policies(database: &str) -> String {
    format!("SHOW RETENTION POLICIES ON {}", quoted(database))
}

/// Makes a database with one policy, which is its default.
pub fn create_database(database: &str, policy: &str, keeps: Duration) -> String {
    let (database, policy, keeps) = (quoted(database), quoted(policy), duration(keeps));
    format!("CREATE DATABASE {database} WITH DURATION {keeps} REPLICATION 1 NAME {policy}")
}

/// Makes another policy in a database that is there, its default if so wished.
pub fn create_policy(database: &str, policy: &str, keeps: Duration, default: bool) -> String {
    let (database, policy, keeps) = (quoted(database), quoted(policy), duration(keeps));
    let default = if default { " DEFAULT" } else { "" };
    format!("CREATE RETENTION POLICY {policy} ON {database} DURATION {keeps} REPLICATION 1{default}")
}

/// Has a policy keep as long as this.
pub fn alter_policy(database: &str, policy: &str, keeps: Duration) -> String {
    let (database, policy, keeps) = (quoted(database), quoted(policy), duration(keeps));
    format!("ALTER RETENTION POLICY {policy} ON {database} DURATION {keeps}")
}

/// What an answer says.
pub fn read(body: &[u8]) -> Said {
    let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
        return Said::Error(FOREIGN.to_owned());
    };
    let errors = answer.results.iter().map(|outcome| &outcome.error).chain([&answer.error]);
    if let Some(error) = errors.flatten().next() {
        return Said::Error(error.clone());
    }
    let Some(series) = answer.results.first().and_then(|outcome| outcome.series.first()) else {
        return Said::Policies(Some(Vec::new()));
    };
    let column = |name: &str| series.columns.iter().position(|column| column == name);
    let (Some(name), Some(keeps), Some(default)) = (column("name"), column("duration"), column("default"))
    else {
        return Said::Policies(None);
    };
    let policy = |row: &Vec<Value>| {
        Some(Policy {
            name: row.get(name)?.as_str()?.to_owned(),
            keeps: parse_duration(row.get(keeps)?.as_str()?)?,
            is_default: row.get(default)?.as_bool()?,
        })
    };
    Said::Policies(Some(series.values.iter().filter_map(policy).collect()))
}

/// A name as the language wants it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn duration(keeps: Duration) -> String {
    if keeps.is_zero() { "INF".to_owned() } else { format!("{}s", keeps.as_secs()) }
}

/// A duration as the language and its answers write it: `30d`, `168h0m0s`; `0` and `INF` for ever, which is zero.
/// None where it is none.
pub fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" || text.eq_ignore_ascii_case("inf") {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let end = rest.find(|each: char| !each.is_ascii_digit())?;
        let (number, behind) = rest.split_at(end);
        let end = behind.find(|each: char| each.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        let nanos: u64 = match unit {
            "ns" => 1,
            "u" | "µ" | "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "w" => 604_800_000_000_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_nanos(number.parse::<u64>().ok()?.checked_mul(nanos)?))?;
        rest = behind;
    }
    (!text.is_empty()).then_some(total)
}
