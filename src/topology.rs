//! The whole: builds every part downstream first and hands each the addresses it needs; drains in flow order. The only
//! room that knows all the others.

use crate::actors::aggregator::Aggregator;
use crate::actors::discovery::{Discovery, MakeScraper, ScraperHandle};
use crate::actors::exporter::{Exporter, Setup};
use crate::actors::scraper::{Scraper, Shared};
use crate::api::certificates::{Certificates, TlsError};
use crate::api::limits::Limits;
use crate::api::server::server;
use crate::api::{Api, Settings};
use crate::client::kubelet::{Deadline, KubeletAccess, KubeletClient};
use crate::client::kubernetes::{ApiServer, LoginError};
use crate::clock::Clock;
use crate::config::Config;
use crate::messages::{Drain, Export, SinkState};
use crate::model::entity::{ClusterId, Name};
use crate::rollup::Rollup;
use crate::rollup::queue;
use crate::rollup::schedule::Schedule;
use crate::sinks::asked::Past;
use crate::sinks::{Built, Surroundings};
use crate::sources::Source;
use crate::spool::{self, Spool, SpoolError};
use crate::telemetry::Telemetry;
use actix::prelude::*;
use actix_web::dev::ServerHandle;
use futures_util::future::join_all;
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Data that is older is not healthy (Heapster `metrics/heapster.go`), or three windows where those are longer.
const STALE_AFTER: Duration = Duration::from_secs(180);

/// Why it could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {0}; give another --port or --listen_ip")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The files of TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A source's API server cannot be asked.
    #[error("--source {0}")]
    Login(Name, #[source] LoginError),
    /// The spool cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Two sources have the same API server.
    #[error(
        "--source {0}: another source has the same API server {1}; every point would be there twice: leave one out"
    )]
    SameServer(Name, String),
}

/// A running collector.
pub struct Running {
    /// Where the API listens.
    pub address: SocketAddr,
    api: Api,
    server: ServerHandle,
    discoveries: Vec<Addr<Discovery>>,
    aggregator: Addr<Aggregator>,
    exporters: Vec<Addr<Exporter>>,
    sinks: Vec<watch::Receiver<SinkState>>,
    arbiters: Vec<Arbiter>,
    grace: Duration,
    /// Looks at the files of TLS.
    keeper: Option<JoinHandle<()>>,
}

/// Starts everything. Must be called within an actix system.
///
/// # Errors
/// When the address cannot be listened on, the files of TLS cannot be used, or a source's login cannot be made; nothing
/// runs then.
pub async fn start(
    config: &Config,
    sources: Vec<Source>,
    sinks: Vec<Built>,
    past: Option<Past>,
    clock: Clock,
) -> Result<Running, StartError> {
    start_with(config, sources, sinks, past, clock, Limits::default()).await
}

/// [`start`] with other limits of clients.
///
/// # Errors
/// As [`start`].
pub async fn start_with(
    config: &Config,
    sources: Vec<Source>,
    sinks: Vec<Built>,
    past: Option<Past>,
    clock: Clock,
    limits: Limits,
) -> Result<Running, StartError> {
    let telemetry = Telemetry::new();
    let certificates =
        config.tls.clone().map(|files| Certificates::load(files, telemetry.clone())).transpose()?;
    let schedule = Schedule::new(config.resolution);
    if let Some(shard) = config.shard {
        log::info!(
            "shard {shard}: other collectors take the other nodes; sums of namespaces and of the cluster are this shard's part"
        );
    }
    let mut logins = Vec::new();
    for source in &sources {
        let failed = |error| StartError::Login(source.name.clone(), error);
        let api_server = ApiServer::new(&source.login, &clock).await.map_err(failed)?;
        let access = api_server.kubelets(&source.kubelets).map_err(failed)?;
        log::info!("{}: API server {}, kubelet port {}", source.name, api_server.url, source.kubelets.port);
        let same = |(other, _): &&(ApiServer, KubeletAccess)| other.is_same_server(&api_server);
        if logins.iter().any(|login| same(&login)) {
            return Err(StartError::SameServer(source.name.clone(), api_server.url));
        }
        logins.push((api_server, access));
    }
    let listener = listen(config.listen)?;
    let address = listener.local_addr().map_err(|error| StartError::Listen(config.listen, error))?;

    let room = queue::Limits { memory: config.queue_limit, disk: config.spool_limit };
    let mut spools = Vec::new();
    for sink in &sinks {
        let folder = config.spool_dir.as_ref().filter(|_| sink.waits);
        spools.push(folder.map(|folder| Spool::open(folder, &sink.name)).transpose()?);
    }
    if let Some(folder) = &config.spool_dir {
        say_orphans(folder, &sinks);
    }
    let mut arbiters = Vec::new();
    let mut exporters = Vec::new();
    let mut sink_states = Vec::new();
    let surroundings = Surroundings {
        clock: clock.clone(),
        within: config.export_within,
        several_clusters: sources.len() > 1,
        shard: config.shard,
    };
    let archive = past.map(|past| {
        log::info!("the historical API asks {}", past.name);
        if !config.sinks.iter().any(|sink| Some(sink) == config.historical_source.as_ref()) {
            log::info!("no sink writes there by this URI: it is as full as others make it");
        }
        (past.make)(&surroundings)
    });
    for (Built { name, make, .. }, spool) in sinks.into_iter().zip(spools) {
        let (arbiter, telemetry, shown) = (Arbiter::new(), telemetry.clone(), name.clone());
        log::info!("starting with sink {name}");
        let (state, seen) = watch::channel(SinkState { name: name.clone(), ..SinkState::default() });
        sink_states.push(seen);
        let surroundings = surroundings.clone();
        let exporter = Exporter::start_in_arbiter(&arbiter.handle(), move |_| {
            let (sink, clock) = (make(&surroundings), surroundings.clock);
            Exporter::new(Setup { name: shown, sink, limits: room, spool, clock, telemetry, state })
        });
        arbiters.push(arbiter);
        exporters.push((name, exporter));
    }

    let names: Vec<Name> = sources.iter().map(|source| source.name.clone()).collect();
    let arbiter = Arbiter::new();
    let recipients: Vec<(String, Recipient<Export>)> =
        exporters.iter().map(|(name, exporter)| (name.clone(), exporter.clone().recipient())).collect();
    let rollup = Rollup::new(names.iter().cloned(), schedule, config.kept());
    let aggregator = {
        let (names, clock, telemetry) = (names.clone(), clock.clone(), telemetry.clone());
        Aggregator::start_in_arbiter(&arbiter.handle(), move |_| {
            Aggregator::new(rollup, names, recipients, clock, telemetry)
        })
    };
    arbiters.push(arbiter);

    let stale_after = STALE_AFTER.max(config.resolution.duration() * 3);
    let api = Api::new(
        aggregator.clone().recipient(),
        aggregator.clone().recipient(),
        aggregator.clone().recipient(),
        names,
        Settings {
            stale_after,
            disable_export: config.disable_export,
            labels: config.labels.clone(),
            shard: config.shard,
            sinks: exporters.iter().map(|(name, _)| name.clone()).collect(),
        },
        clock.clone(),
        telemetry.clone(),
    )
    .with_sinks(sink_states.clone())
    .with_archive(archive);
    let server = server(&api, listener, limits, certificates.as_ref())
        .map_err(|error| StartError::Listen(config.listen, error))?;
    let handle = server.handle();
    actix::spawn(async move {
        if let Err(error) = server.await {
            log::error!("the HTTP server ended: {error}");
        }
    });
    let keeper = certificates.map(|certificates| actix::spawn(certificates.keep(limits.reread)));

    let threads: Vec<Arbiter> = (0..threads(config.max_procs)).map(|_| Arbiter::new()).collect();
    let mut discoveries = Vec::new();
    for ((at, source), (api_server, access)) in (0_u16..).zip(sources).zip(logins) {
        let mut nodes = source.nodes;
        nodes.rule.loopback = api_server.is_loopback();
        let shared = Arc::new(Shared {
            deadline: Deadline::new(&source.kubelets, schedule),
            kubelets: Arc::new(source.kubelets),
            cluster: ClusterId(at),
            cluster_name: source.name.clone(),
            format: source.format.clone(),
            schedule,
            clock: clock.clone(),
            telemetry: telemetry.clone(),
            aggregator: aggregator.clone().recipient(),
        });
        let handles: Vec<ArbiterHandle> = threads.iter().map(Arbiter::handle).collect();
        let (keep, token) = (config.resolution.duration() * 3, api_server.token());
        let make_scraper =
            make_scraper(shared, handles, move |_| KubeletClient::new(access.clone(), token.clone(), keep));
        let discovery = Discovery::new(
            ClusterId(at),
            source.name,
            api_server.watch(nodes, source.node_selector.as_deref()),
            make_scraper,
            aggregator.clone().recipient(),
            clock.clone(),
            telemetry.clone(),
        );
        discoveries.push(discovery.telling(aggregator.clone().recipient()).of_shard(config.shard).start());
    }
    arbiters.extend(threads);
    log::info!("listening on {address}");
    let exporters = exporters.into_iter().map(|(_, exporter)| exporter).collect();
    let grace = config.shutdown_grace;
    Ok(Running {
        address,
        api,
        server: handle,
        discoveries,
        aggregator,
        exporters,
        sinks: sink_states,
        arbiters,
        grace,
        keeper,
    })
}

impl Running {
    /// Ends everything in flow order: no new scrapes, then the aggregator, the sinks, the server. What is not done
    /// within the grace is cut off. Returns whether everything was done.
    pub async fn stop(self) -> bool {
        self.api.drain();
        let drain = async {
            for discovery in &self.discoveries {
                // An actor that is gone has nothing left to finish.
                let _ = discovery.send(Drain).await;
            }
            let _ = self.aggregator.send(Drain).await;
            // All at once: a sink that takes its time costs the others nothing.
            join_all(self.exporters.iter().map(|exporter| exporter.send(Drain))).await;
            self.server.stop(true).await;
        };
        let done = tokio::time::timeout(self.grace, drain).await.is_ok();
        if !done {
            log::warn!("not everything was finished within {}", humantime::format_duration(self.grace));
            self.server.stop(false).await;
        }
        for sink in &self.sinks {
            say_what_is_left(&sink.borrow());
        }
        if let Some(keeper) = self.keeper {
            keeper.abort();
        }
        for arbiter in self.arbiters {
            arbiter.stop();
        }
        done
    }
}

/// Says what waits for sinks that are no longer given, so that it neither fills the disk nor is missed in silence.
fn say_orphans(folder: &Path, sinks: &[Built]) {
    let names: Vec<&str> = sinks.iter().filter(|sink| sink.waits).map(|sink| sink.name.as_str()).collect();
    match spool::orphans(folder, &names) {
        Ok(orphans) => orphans.iter().for_each(|(path, windows)| {
            log::warn!(
                "a spool of {windows} windows in {path:?} belongs to no sink of this process and is not sent; give that sink as it was, or remove the folder"
            );
        }),
        // A folder is made with the first spool; where no sink waits there may be none.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => log::warn!("spools in {folder:?} cannot be listed: {error}"),
    }
}

/// Says what a sink did not get.
fn say_what_is_left(sink: &SinkState) {
    let (name, kept) = (&sink.name, sink.ledger.queued.saturating_sub(sink.only_in_memory));
    if sink.spooled && kept > 0 {
        log::info!("sink {name}: {kept} points stay in its spool");
    }
    if sink.only_in_memory > 0 {
        log::warn!("sink {name}: {} points were not delivered and are lost", sink.only_in_memory);
    }
}

/// Spreads scrapers over the threads in turn. A client is made on the thread on which it stays.
fn make_scraper(
    shared: Arc<Shared>,
    threads: Vec<ArbiterHandle>,
    client: impl Fn(Clock) -> KubeletClient + Clone + Send + 'static,
) -> MakeScraper {
    let turn = Cell::new(0_usize);
    Box::new(move |inventory, discovery| {
        let at = turn.replace(turn.get().wrapping_add(1)).checked_rem(threads.len()).unwrap_or(0);
        let (shared, client) = (shared.clone(), client.clone());
        let make = move |_: &mut Context<Scraper>| {
            let fetch = Rc::new(client(shared.clock.clone()));
            Scraper::new(shared, fetch, discovery, inventory)
        };
        let scraper = match threads.get(at) {
            Some(thread) => Scraper::start_in_arbiter(thread, make),
            None => Scraper::create(make),
        };
        ScraperHandle {
            assigned: scraper.clone().recipient(),
            retired: scraper.clone().recipient(),
            drain: scraper.recipient(),
        }
    })
}

/// Threads that scrape.
fn threads(max_procs: usize) -> usize {
    match max_procs {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        count => count,
    }
}

/// The socket. Where all addresses are asked for and the machine has no IPv6, all of IPv4.
fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let result = TcpListener::bind(address).or_else(|error| {
        if address.ip().is_unspecified() && address.is_ipv6() && error.kind() != std::io::ErrorKind::AddrInUse
        {
            return TcpListener::bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()));
        }
        Err(error)
    });
    result.map_err(|error| StartError::Listen(address, error))
}
