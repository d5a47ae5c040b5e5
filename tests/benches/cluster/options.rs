//! What the benchmark is asked to do: sizes of clusters, how long, how many questions. Doing it is left to `measure`.

use std::time::Duration;

/// How a cluster is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    pub nodes: u32,
    pub pods: u32,
    pub containers: u32,
    pub psi: bool,
    pub pretty: bool,
}

impl Size {
    /// One namespace for about ten nodes.
    pub fn namespaces(&self) -> u32 {
        (self.nodes / 10).clamp(10, 1_000)
    }

    /// As its process is given it.
    pub fn arguments(&self) -> Vec<String> {
        let white = if self.pretty { "--pretty" } else { "--plain" };
        let psi = if self.psi { "--psi" } else { "--no-psi" };
        vec![
            format!("--nodes={}", self.nodes),
            format!("--pods={}", self.pods),
            format!("--containers={}", self.containers),
            psi.to_owned(),
            white.to_owned(),
        ]
    }

    /// In words.
    pub fn kind(&self) -> String {
        let psi = if self.psi { "psi" } else { "no psi" };
        format!("{psi}, {}", if self.pretty { "indented" } else { "compact" })
    }
}

/// How many pods come and go, and within what time.
#[derive(Clone, Copy, Debug)]
pub struct Churn {
    pub pods: u32,
    pub during: Duration,
}

/// Everything that can be asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The clusters, one after the other.
    pub sizes: Vec<Size>,
    pub resolution: Duration,
    /// Rounds that are measured without questions.
    pub rounds: u32,
    /// Rounds after them with questions; none where there are no questions.
    pub query_rounds: u32,
    /// Questions a second.
    pub queries: u32,
    /// Pods that come and go, instead of the rounds.
    pub churn: Option<Churn>,
    /// More of the collector's command line.
    pub flags: Vec<String>,
    /// Tell what holds the aggregator's thread instead.
    pub handlings: bool,
    /// Play the cluster of the one size instead of measuring.
    pub simulate: bool,
}

pub const HELP: &str = "\
cargo bench --bench cluster -- [OPTIONS]
  --nodes=N --pods=N --containers=N   one cluster of this size instead of three: 1,000 nodes with psi, indented, and 1,000
                                      and 5,000 without either (all of 30 pods of 2 containers)
  --psi | --no-psi                    whether kubelets tell pressure (they do)
  --pretty | --plain                  whether bodies are indented (they are)
  --resolution=SECONDS                length of a round (30)
  --rounds=N                          rounds measured without questions (6)
  --query-rounds=N                    rounds measured with questions (2)
  --queries=N                         questions a second, paced (1000); 0 for none
  --churn[=PODS] [--churn-seconds=N]  memory while so many pods come and go (100,000 in 600 s), instead of the rounds;
                                      and for two retentions (15 min, or what --flag=--retention=… says)
  --flag=FLAG                         one more flag of the collector, such as --flag=--shard=1/2
  --handlings                         what holds the aggregator's thread, without actors: 5,000 nodes
  --quick                             50 nodes, 5 s, 3 and 1 rounds";

const fn usual() -> Size {
    Size { nodes: 1_000, pods: 30, containers: 2, psi: true, pretty: true }
}

fn size(one: &mut Option<Size>) -> &mut Size {
    one.get_or_insert_with(usual)
}

/// How long the collector keeps points while pods come and go, where `--flag=--retention=…` does not say: as long as it does
/// by default.
const RETENTION: Duration = Duration::from_secs(900);

impl Options {
    /// How long the collector keeps points while pods come and go.
    pub fn retention(&self) -> Duration {
        let given = self.flags.iter().rev().find_map(|flag| flag.strip_prefix("--retention="));
        given.and_then(|text| humantime::parse_duration(text).ok()).unwrap_or(RETENTION)
    }

    /// How long one cluster is measured, about.
    pub fn length(&self) -> Duration {
        match self.churn {
            Some(churn) => (self.retention() + self.resolution * 4) * 2 + churn.during,
            None => self.resolution * (self.rounds + self.query_rounds + 2),
        }
    }
}

/// Reads a command line.
///
/// # Errors
/// What cannot be understood.
pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut one: Option<Size> = None;
    let plain = usual();
    let mut options = Options {
        sizes: vec![
            plain.clone(),
            Size { psi: false, pretty: false, ..plain.clone() },
            Size { nodes: 5_000, psi: false, pretty: false, ..plain.clone() },
        ],
        resolution: Duration::from_secs(30),
        rounds: 6,
        query_rounds: 2,
        queries: 1_000,
        churn: None,
        flags: Vec::new(),
        handlings: false,
        simulate: false,
    };
    for argument in arguments {
        let (name, value) = argument.split_once('=').unwrap_or((&argument, ""));
        let number = || value.parse::<u32>().map_err(|_| format!("{argument}: no count"));
        match name {
            // What cargo adds.
            "--bench" => {}
            "--help" | "-h" => return Err(HELP.to_owned()),
            "--nodes" => size(&mut one).nodes = number()?,
            "--pods" => size(&mut one).pods = number()?,
            "--containers" => size(&mut one).containers = number()?,
            "--psi" => size(&mut one).psi = true,
            "--no-psi" => size(&mut one).psi = false,
            "--pretty" => size(&mut one).pretty = true,
            "--plain" => size(&mut one).pretty = false,
            "--resolution" => options.resolution = Duration::from_secs(number()?.max(5).into()),
            "--rounds" => options.rounds = number()?.max(1),
            "--query-rounds" => options.query_rounds = number()?,
            "--queries" => options.queries = number()?,
            "--churn" => {
                let pods = if value.is_empty() { 100_000 } else { number()? };
                options.churn = Some(Churn { pods, during: Duration::from_secs(600) });
                size(&mut one);
            }
            "--churn-seconds" => {
                let during = Duration::from_secs(number()?.max(1).into());
                options.churn = options.churn.map(|churn| Churn { during, ..churn });
            }
            "--flag" => options.flags.push(value.to_owned()),
            "--handlings" => {
                options.handlings = true;
                let Size { psi, pretty, .. } = *size(&mut one);
                *size(&mut one) = Size { nodes: 5_000, psi, pretty, ..usual() };
            }
            "--simulate" => options.simulate = true,
            "--quick" => {
                size(&mut one).nodes = 50;
                options.resolution = Duration::from_secs(5);
                (options.rounds, options.query_rounds) = (3, 1);
            }
            _ => return Err(format!("{argument}: no such option\n{HELP}")),
        }
    }
    if let Some(one) = one {
        if one.nodes == 0 || one.pods == 0 || one.containers == 0 {
            return Err("--nodes, --pods and --containers: at least one".to_owned());
        }
        options.sizes = vec![one];
    }
    if options.queries == 0 {
        options.query_rounds = 0;
    }
    Ok(options)
}
