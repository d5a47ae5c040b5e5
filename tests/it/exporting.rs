//! An exporter in front of a server that fails: whatever happens, points made are points delivered, queued or dropped by
//! reason, and the server has what it said yes to.

use crate::fake_sink::{FakeSink, Manner};
use crate::stored::batch;
use crate::support::until;
use actix::{Actor, Addr, Arbiter};
use heapster::actors::exporter::{Exporter, Setup};
use heapster::clock::Clock;
use heapster::config::uri::Uri;
use heapster::messages::{Drain, Export, SinkState};
use heapster::model::label_copier::LabelCopier;
use heapster::rollup::points::{Numbered, public};
use heapster::rollup::queue::Limits;
use heapster::sinks::{self, Surroundings};
use heapster::spool::Spool;
use heapster::telemetry::Telemetry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Room for everything.
pub const ROOM: Limits = Limits { memory: 1 << 30, disk: 1 << 30 };

/// An exporter that is watched.
pub struct Watched {
    pub exporter: Addr<Exporter>,
    pub state: watch::Receiver<SinkState>,
    pub telemetry: Telemetry,
    made: u64,
    arbiter: Arbiter,
}

impl Watched {
    /// One in front of the sink of this URI, with a spool where a folder is given.
    pub fn start(uri: &str, limits: Limits, folder: Option<&Path>) -> Self {
        let uri = Uri::parse(uri, &|_| None).unwrap();
        let built = sinks::build(&[uri], &LabelCopier::default()).unwrap().pop().unwrap();
        let (clock, telemetry) = (Clock::system(), Telemetry::new());
        let spool = folder.map(|folder| Spool::open(folder, &built.name).unwrap());
        let (sender, state) = watch::channel(SinkState::default());
        let (arbiter, counts) = (Arbiter::new(), telemetry.clone());
        let exporter = Exporter::start_in_arbiter(&arbiter.handle(), move |_| {
            let sink = (built.make)(&Surroundings {
                clock: clock.clone(),
                within: Duration::from_secs(20),
                several_clusters: false,
                shard: None,
            });
            Exporter::new(Setup {
                name: built.name,
                sink,
                limits,
                spool,
                clock,
                telemetry: counts,
                state: sender,
            })
        });
        Self { exporter, state, telemetry, made: 0, arbiter }
    }

    /// Ends it in the middle of whatever it does.
    pub fn kill(self) {
        self.arbiter.stop();
        self.arbiter.join().unwrap();
    }

    /// Hands it window `n` of two nodes and checks the account.
    pub async fn export(&mut self, n: i64) {
        let batch = Arc::new(batch(n, &[("a", &[1, 2, 3]), ("b", &[4, 5])]));
        self.made += Numbered::new(batch.clone(), public).len() as u64;
        self.exporter.send(Export(batch)).await.unwrap();
        assert_eq!(self.checked().ledger.made, self.made);
    }

    /// How it does; the account holds at any moment.
    pub fn checked(&self) -> SinkState {
        let state = self.state.borrow().clone();
        let ledger = &state.ledger;
        assert_eq!(
            ledger.made + ledger.recovered,
            ledger.delivered + ledger.queued + ledger.lost(),
            "{ledger:?}"
        );
        state
    }

    /// Waits until nothing is queued.
    pub async fn settled(&self) -> SinkState {
        until("an empty queue", async || {
            Some(self.checked()).filter(|state| !state.name.is_empty() && state.ledger.queued == 0)
        })
        .await
    }

    pub async fn waits_for(&self, what: &str, seen: impl Fn(&SinkState) -> bool) -> SinkState {
        until(what, async || Some(self.checked()).filter(|state| seen(state))).await
    }
}

/// What all of these windows are as lines, each once.
pub fn lines(windows: std::ops::Range<i64>) -> BTreeSet<String> {
    let lines = sinks::influxdb::Lines {
        labels: LabelCopier::default(),
        with_fields: false,
        pod_id: false,
        cluster_name: Some("default".to_owned()),
        shard: None,
    };
    let each = windows.flat_map(|n| {
        let batch = Arc::new(batch(n, &[("a", &[1, 2, 3]), ("b", &[4, 5])]));
        let window = std::rc::Rc::new(Numbered::new(batch, public));
        let (text, without) = lines.body(&sinks::Slice { range: 0..window.len(), window });
        assert_eq!(without, 0);
        String::from_utf8(text).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    });
    each.collect()
}

/// The server has these lines and no others, without showing them all where it has not.
pub fn assert_took(server: &FakeSink, expected: BTreeSet<String>) {
    let took = set(server.took());
    let (missing, more) = (expected.difference(&took), took.difference(&expected));
    let (missing, more): (Vec<_>, Vec<_>) = (missing.collect(), more.collect());
    assert!(
        missing.is_empty() && more.is_empty(),
        "{} missing, {} more of {}: {:?} {:?}",
        missing.len(),
        more.len(),
        expected.len(),
        missing.first(),
        more.first()
    );
}

fn set(took: Vec<String>) -> BTreeSet<String> {
    took.into_iter().collect()
}

/// Outages that pass: the first two writes meet them, the third is taken.
#[actix_web::test]
async fn what_fails_for_a_while_loses_nothing() {
    let outages: [(&str, fn() -> Manner); 8] = [
        ("server_error", || Manner::status(500, "engine: cannot write")),
        ("server_error", || Manner::status(503, "busy")),
        ("too_many_requests", || Manner::status(429, "slow down")),
        ("timeout", || Manner::Hang),
        ("timeout", || Manner::status(408, "too slow")),
        ("cut_off", || Manner::Cut),
        ("server_error", || Manner::HalfBody(500)),
        ("unauthorized", || Manner::status(401, "who are you?")),
    ];
    let run = async |(reason, outage): (&str, fn() -> Manner)| {
        // A connection that is cut is tried once more at once, so that one takes twice as many.
        let times = if reason == "cut_off" { 4 } else { 2 };
        let server = FakeSink::start(move |n, _| if n < times { outage() } else { Manner::good() });
        let mut watched = Watched::start(&format!("influxdb:{}?timeout=300ms", server.base()), ROOM, None);
        for n in 0..3 {
            watched.export(n).await;
        }
        let state = watched.settled().await;
        assert_eq!((state.ledger.lost(), state.failures, state.windows), (0, 0, 0), "{reason}");
        assert!(!state.dropping, "{reason}");
        let said = state.last_error.unwrap();
        assert!(said.starts_with(&format!("{reason}: ")), "{reason}: {said}");
        assert_eq!(set(server.took()), lines(0..3), "{reason}");
        let name = &state.name;
        assert_eq!(watched.telemetry.sink_requests.of([name, reason]).get(), 2, "{reason}");
        assert_eq!(watched.telemetry.exports.of([name, "ok"]).get(), 3);
        assert_eq!(watched.telemetry.sink_points.of([name, "delivered"]).get(), state.ledger.delivered);
    };
    futures_util::future::join_all(outages.map(run)).await;
}

#[actix_web::test]
async fn an_answer_cut_off_after_its_yes_is_a_yes() {
    let server = FakeSink::start(|_, _| Manner::HalfBody(200));
    let mut watched = Watched::start(&format!("influxdb:{}", server.base()), ROOM, None);
    watched.export(0).await;
    let state = watched.settled().await;
    assert_eq!((state.ledger.delivered, state.failures), (state.ledger.made, 0));
    assert_eq!(server.took().len() as u64, state.ledger.made, "and it is not sent again");
}

#[actix_web::test]
async fn a_sink_that_is_down_at_start_gets_all_of_it_later() {
    let port = crate::databases::free_port();
    let mut watched = Watched::start(&format!("influxdb:http://127.0.0.1:{port}"), ROOM, None);
    for n in 0..5 {
        watched.export(n).await;
    }
    let state = watched.waits_for("two failures", |state| state.failures >= 2).await;
    assert!(state.last_error.unwrap().starts_with("unreachable: no connection: "));
    assert_eq!((state.ledger.queued, state.windows), (state.ledger.made, 5));
    assert_eq!(state.oldest, Some(crate::handmade::window(0).end()));
    assert!(state.memory_bytes > 0);
    let server = FakeSink::at(port, |_, _| Manner::good());
    let state = watched.settled().await;
    assert_eq!((state.ledger.delivered, state.oldest), (state.ledger.made, None));
    let took = server.took();
    let stamps: Vec<&str> = took.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert!(stamps.is_sorted(), "the oldest first");
    assert_eq!(set(took), lines(0..5));
}

#[actix_web::test]
async fn a_server_that_asks_for_a_pause_gets_it() {
    let wait = || Manner::Answer(429, vec![("retry-after", "2".to_owned())], String::new());
    let server = FakeSink::start(move |n, _| if n == 0 { wait() } else { Manner::good() });
    let mut watched = Watched::start(&format!("influxdb:{}", server.base()), ROOM, None);
    watched.export(0).await;
    watched.settled().await;
    let writes: Vec<_> = server.asked().into_iter().filter(|asked| !asked.lines().is_empty()).collect();
    assert_eq!(writes.len(), 2);
    let waited = writes[1].at - writes[0].at;
    assert!((Duration::from_secs(2)..Duration::from_secs(6)).contains(&waited), "{waited:?}");
}

#[actix_web::test]
async fn what_is_too_large_is_halved_until_it_fits() {
    let fits = |lines: usize| if lines > 11 { Manner::status(413, "too large") } else { Manner::good() };
    let server = FakeSink::start(move |_, asked| fits(asked.lines().len()));
    let mut watched = Watched::start(&format!("influxdb:{}?concurrency=3", server.base()), ROOM, None);
    watched.export(0).await;
    watched.export(1).await;
    let state = watched.settled().await;
    assert_eq!((state.ledger.lost(), set(server.took())), (0, lines(0..2)));
    assert_eq!(server.took().len() as u64, state.ledger.made, "none of them twice");
    let refused = watched.telemetry.sink_requests.of([&state.name, "too_large"]).get();
    assert!(refused < 40, "halves of halves, and no more: {refused}");

    let server = FakeSink::start(|_, asked| {
        if asked.body.contains("pod_name=web-2") { Manner::status(413, "") } else { Manner::good() }
    });
    let mut watched = Watched::start(&format!("influxdb:{}", server.base()), ROOM, None);
    watched.export(0).await;
    let state = watched.settled().await;
    let (too_large, rest): (Vec<_>, Vec<_>) =
        lines(0..1).into_iter().partition(|line| line.contains("pod_name=web-2"));
    assert_eq!(state.ledger.dropped, BTreeMap::from([("too_large", too_large.len() as u64)]));
    assert_eq!(set(server.took()), rest.into_iter().collect());
}

#[actix_web::test]
async fn what_is_refused_for_good_is_dropped_and_counted_by_reason() {
    let partial =
        r#"{"error":"partial write: field type conflict: input field \"value\" is type float dropped=3"}"#;
    let old = r#"{"error":"partial write: points beyond retention policy dropped=4"}"#;
    let unparsable = r#"{"error":"unable to parse 'x': missing fields"}"#;
    let cases: [(u16, &str, &str, Option<u64>); 6] = [
        (400, partial, "field_type_conflict", Some(3)),
        (400, old, "beyond_retention", Some(4)),
        (
            422,
            r#"{"message":"partial write: max-values-per-tag limit exceeded dropped=2"}"#,
            "too_many_series",
            Some(2),
        ),
        (400, unparsable, "bad_request", None),
        (422, "no", "unprocessable", None),
        (410, "gone", "refused", None),
    ];
    for (status, body, reason, some) in cases {
        let server =
            FakeSink::start(move |n, _| if n == 0 { Manner::status(status, body) } else { Manner::good() });
        let mut watched = Watched::start(&format!("influxdb:{}", server.base()), ROOM, None);
        watched.export(0).await;
        watched.export(1).await;
        let state = watched.settled().await;
        let lost = some.unwrap_or(lines(0..1).len() as u64);
        assert_eq!(state.ledger.dropped, BTreeMap::from([(reason, lost)]));
        assert_eq!(state.ledger.delivered, state.ledger.made - lost);
        assert_eq!(
            server.asked().iter().filter(|asked| !asked.lines().is_empty()).count(),
            2,
            "asked once each"
        );
        let name = &state.name;
        let counted = |outcome| watched.telemetry.exports.of([name, outcome]).get();
        assert_eq!((counted("refused"), counted("ok")), (1, 1));
        assert_eq!(watched.telemetry.sink_dropped.of([name, reason]).get(), lost);
    }
}

#[actix_web::test]
async fn an_outage_too_long_drops_the_oldest_and_says_how_many() {
    let one = lines(0..1).len() as u64;
    let dead = format!("influxdb:http://127.0.0.1:{}", crate::databases::free_port());
    let mut watched = Watched::start(&dead, ROOM, None);
    watched.export(0).await;
    let size = watched.checked().memory_bytes;
    let mut watched = Watched::start(&dead, Limits { memory: size * 7 / 2, disk: 0 }, None);
    for n in 0..9 {
        watched.export(n).await;
    }
    let state = watched.waits_for("a failure", |state| state.failures > 0).await;
    assert!(state.memory_bytes <= size * 9 / 2, "what waits, and what is in hand");
    let state =
        watched.waits_for("what is in hand put back", |state| state.memory_bytes <= size * 7 / 2).await;
    assert_eq!(state.ledger.queued % one, 0);
    assert_eq!(
        state.ledger.dropped,
        BTreeMap::from([("queue_full", state.ledger.made - state.ledger.queued)])
    );
    assert_eq!(
        state.oldest,
        Some(crate::handmade::window(9 - state.windows as i64).end()),
        "the newest are kept"
    );
    // At the end what nobody takes is tried for as long as there is time.
    let drained = tokio::time::timeout(Duration::from_millis(300), watched.exporter.send(Drain)).await;
    assert!(drained.is_err() && watched.checked().only_in_memory == state.ledger.queued);
}

#[actix_web::test]
async fn a_redirect_is_not_followed_and_loses_nothing() {
    let other = FakeSink::start(|_, _| Manner::good());
    let there = format!("{}/write?db=k8s", other.base());
    let away = move |n| {
        if n < 2 {
            Manner::Answer(307, vec![("location", there.clone())], String::new())
        } else {
            Manner::good()
        }
    };
    let server = FakeSink::start(move |n, _| away(n));
    let mut watched = Watched::start(&format!("influxdb:{}", server.base()), ROOM, None);
    watched.export(0).await;
    let state = watched.settled().await;
    assert!(state.last_error.unwrap().starts_with("redirect: status 307"));
    assert_eq!((other.asked().len(), set(server.took())), (0, lines(0..1)));
}

#[actix_web::test]
async fn a_redirect_is_told_with_where_it_leads_and_without_secrets() {
    let base = "status 302: X; redirects are not followed, give the URL that it points to";
    for (location, shown) in [
        ("http://me:hunter2@other:8086/in/write?p=hunter2#hunter2", " (http://other:8086/in/write)"),
        ("/in/write?p=hunter2#hunter2", " (/in/write)"),
        ("/of/root-password", " (/of/…)"),
        ("//me:hunter2@other/write", ""),
        ("mailto:hunter2", ""),
    ] {
        let away = move |_, _: &_| Manner::Answer(302, vec![("location", location.into())], "X".into());
        let server = FakeSink::start(away);
        let uri = format!("influxdb:{}?user=me&pw=root-password", server.base());
        let mut watched = Watched::start(&uri, ROOM, None);
        watched.export(0).await;
        let state = watched.waits_for("a refusal", |state| state.last_error.is_some()).await;
        assert_eq!(state.last_error.unwrap(), format!("redirect: {base}{shown}"), "{location}");
        watched.kill();
    }
}
