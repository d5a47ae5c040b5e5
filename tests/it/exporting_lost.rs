//! What an exporter says of points that are lost: at the end of the process, and while there is no room for them.

use crate::binary::heapster;
use crate::exporting::{ROOM, Watched};
use crate::fake_sink::{FakeSink, Manner};
use crate::support::Collector;
use heapster::model::time::Timestamp;
use heapster::rollup::loss::{EVERY, Losses, Word};
use heapster::rollup::queue::{Ledger, Limits, QUEUE_FULL, SPOOL_FULL};
use heapster::spool::{Spool, orphans};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The demo in front of a sink, and what it has logged so far.
pub struct Demo {
    child: Child,
    pub log: Arc<Mutex<Vec<String>>>,
    reader: std::thread::JoinHandle<()>,
}

impl Demo {
    pub fn start(sink: &str, options: &[&str]) -> Self {
        let mut command = heapster(&["demo", "--port=0", "--log_level=info", "--shutdown_grace=1s"]);
        command.arg(format!("--sink={sink}")).args(options).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (errors, log) = (child.stderr.take().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let kept = log.clone();
        let reader = std::thread::spawn(move || {
            let lines = BufReader::new(errors).lines().map_while(Result::ok);
            lines.for_each(|line| kept.lock().unwrap().push(line));
        });
        Self { child, log, reader }
    }

    /// Ends it with SIGTERM. Gives its whole log.
    pub fn stop(mut self) -> Vec<String> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap();
        self.reader.join().unwrap();
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

/// The number of points that a line of a log begins with, behind its sink's name.
fn points(log: &[String], words: &str) -> Option<u64> {
    let line = log.iter().find(|line| line.contains(words))?;
    line.split(words).next()?.split_whitespace().last()?.parse().ok()
}

#[actix_web::test]
async fn what_is_under_way_is_lost_too_unless_it_is_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    for spool in [None, Some(folder.path())] {
        let server = FakeSink::start(|_, _| Manner::Hang);
        let mut watched = Watched::start(&format!("influxdb:{}", server.base()), ROOM, spool);
        watched.export(0).await;
        watched.export(1).await;
        crate::support::until("a request", async || (!server.asked().is_empty()).then_some(())).await;
        let state = watched.checked();
        assert_eq!((state.windows, state.ledger.queued), (2, state.ledger.made));
        let lost = if spool.is_some() { 0 } else { state.ledger.made };
        assert_eq!(state.only_in_memory, lost, "{spool:?}");
        watched.kill();
    }
}

/// What a process says that is ended while a request is under way.
async fn last_words(spool: Option<&Path>) -> Vec<String> {
    let server = FakeSink::start(|_, _| Manner::Hang);
    let option = spool.map(|folder| format!("--spool_dir={}", folder.display()));
    let mut options = vec!["--nodes=2", "--pods=2", "--model_resolution=5s"];
    options.extend(option.as_deref());
    let demo = Demo::start(&format!("influxdb:{}", server.base()), &options);
    crate::support::until("a request", async || (!server.asked().is_empty()).then_some(())).await;
    demo.stop()
}

#[actix_web::test]
async fn the_last_words_name_a_spool_only_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, lost) = ("points stay in its spool", "points were not delivered and are lost");
    let (without, with) = futures_util::join!(last_words(None), last_words(Some(folder.path())));
    assert!(points(&without, lost) > Some(0) && points(&without, kept).is_none(), "{without:?}");
    assert!(points(&with, kept) > Some(0) && points(&with, lost).is_none(), "{with:?}");
}

#[test]
fn drops_are_told_at_first_then_now_and_then_and_once_they_end() {
    let (mut losses, mut ledger, start) = (Losses::default(), Ledger::default(), Timestamp::from_nanos(0));
    let mut look = |queue: u64, spool: u64, after: Duration| {
        ledger.dropped.insert(QUEUE_FULL, queue);
        ledger.dropped.insert(SPOOL_FULL, spool);
        // What the sink refuses is told by its answer.
        ledger.dropped.insert("bad_request", queue);
        losses.look(&ledger, start.after(after))
    };
    let second = Duration::from_secs(1);
    assert_eq!(look(0, 0, Duration::ZERO), []);
    assert_eq!(look(5, 0, Duration::ZERO), [(QUEUE_FULL, Word::Began(5))]);
    assert_eq!(look(7, 0, second), []);
    assert_eq!(look(7, 3, second), [(SPOOL_FULL, Word::Began(3))]);
    assert_eq!(look(9, 3, EVERY - second), []);
    assert_eq!(look(9, 3, EVERY), [(QUEUE_FULL, Word::More(4))]);
    assert_eq!(look(9, 3, EVERY + second), [(SPOOL_FULL, Word::Over(3))]);
    assert_eq!(look(9, 3, EVERY * 2), [(QUEUE_FULL, Word::Over(9))]);
    assert_eq!(look(9, 3, EVERY * 9), []);
    assert_eq!(look(10, 3, EVERY * 9), [(QUEUE_FULL, Word::Began(1))]);
    assert_eq!(look(12, 3, EVERY * 10), [(QUEUE_FULL, Word::More(2))]);
    assert_eq!(look(12, 3, EVERY * 11), [(QUEUE_FULL, Word::Over(3))]);
}

/// What the log says of a demo whose sink drops something.
async fn warned(sink: &str, options: &[&str], reason: &str) -> String {
    let demo = Demo::start(sink, options);
    let words = format!("points were dropped ({reason}): ");
    crate::support::until("a warning", async || points(&demo.log.lock().unwrap(), &words)).await;
    let log = demo.stop();
    let lines: Vec<&String> = log.iter().filter(|line| line.contains(&words)).collect();
    assert_eq!(lines.len(), 1, "once: {log:?}");
    assert!(lines[0].contains("WARN") && points(&log, &words) > Some(0), "{log:?}");
    lines[0].clone()
}

#[actix_web::test]
async fn the_log_says_what_is_dropped_for_want_of_room_and_what_to_do() {
    let dead = format!("influxdb:http://127.0.0.1:{}", crate::databases::free_port());
    let full = ["--nodes=60", "--pods=30", "--model_resolution=5s", "--queue_limit=1Mi"];
    let small = FakeSink::start(|_, _| Manner::status(413, "too large"));
    let small_sink = format!("influxdb:{}", small.base());
    let few = ["--nodes=1", "--pods=1", "--model_resolution=5s"];
    let (full, large) =
        futures_util::join!(warned(&dead, &full, "queue_full"), warned(&small_sink, &few, "too_large"));
    assert!(full.contains("queue_limit") && full.contains("spool_dir"), "{full}");
    assert!(large.contains("server's limit"), "{large}");
}

#[actix_web::test]
async fn a_sink_that_loses_points_is_dropping_until_it_takes_a_whole_window() {
    let partial = r#"{"error":"partial write: points beyond retention policy dropped=4"}"#;
    for (status, body) in [(400, "no"), (422, "no"), (413, "too large"), (400, partial), (410, "gone")] {
        let bad = Arc::new(Mutex::new(true));
        let now = bad.clone();
        let server =
            FakeSink::start(
                move |_, _| {
                    if *now.lock().unwrap() { Manner::status(status, body) } else { Manner::good() }
                },
            );
        let mut watched = Watched::start(&format!("influxdb:{}", server.base()), ROOM, None);
        watched.export(0).await;
        let state = watched.settled().await;
        assert!(state.dropping && state.failures == 0, "{status}: {state:?}");
        *bad.lock().unwrap() = false;
        watched.export(1).await;
        watched.waits_for("a whole window", |state| state.windows == 0 && !state.dropping).await;
    }
    // And so is one whose queue is full.
    let dead = format!("influxdb:http://127.0.0.1:{}", crate::databases::free_port());
    let mut watched = Watched::start(&dead, Limits { memory: 1, disk: 0 }, None);
    watched.export(0).await;
    watched.export(1).await;
    watched.waits_for("a full queue", |state| state.dropping && state.windows == 0).await;
}

#[actix_web::test]
async fn the_status_says_that_a_sink_is_dropping() {
    let server = FakeSink::start(|_, _| Manner::status(400, "no"));
    let simulator = crate::sinks_influxdb::simulator();
    let source = format!("--source={}", simulator.source_uri());
    let sink = format!("--sink=influxdb:{}", server.base());
    let collector = Collector::start(&[&source, &sink]).await;
    crate::support::until("points dropped", async || {
        let body = collector.get("/api/v1/status").await.body;
        let status: serde_json::Value = serde_json::from_str(&body).unwrap();
        let sink = &status["sinks"][0];
        let none = sink["pointsDropped"].as_object().unwrap().is_empty();
        assert_eq!(sink["state"], if none { "ok" } else { "dropping" }, "{sink}");
        (!none).then_some(())
    })
    .await;
    collector.running.stop().await;
    simulator.stop().await;
}

#[actix_web::test]
async fn windows_of_a_sink_that_is_no_longer_given_are_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = ("influxdb:http://127.0.0.1:1/old", "influxdb:http://127.0.0.1:1/k8s");
    let (mut spool, _) = Spool::open(folder.path(), old).unwrap();
    for id in 1..=3 {
        spool.put(id, crate::handmade::window(0).end(), 5, b"a window").unwrap();
    }
    // A folder without windows is nobody's business, and neither is one that a process uses.
    std::fs::create_dir(folder.path().join("lost+found")).unwrap();
    assert_eq!(orphans(folder.path(), &[new]).unwrap(), []);
    drop(spool);
    let found = orphans(folder.path(), &[new]).unwrap();
    assert_eq!(found.iter().map(|(_, windows)| *windows).collect::<Vec<_>>(), [3]);
    assert_eq!(orphans(folder.path(), &[new, old]).unwrap(), []);

    let spool = format!("--spool_dir={}", folder.path().display());
    let demo = Demo::start("influxdb:http://127.0.0.1:1", &["--nodes=1", "--pods=1", &spool]);
    let words = "3 windows in ";
    crate::support::until("a warning", async || {
        demo.log.lock().unwrap().iter().any(|line| line.contains(words)).then_some(())
    })
    .await;
    let log = demo.stop();
    let lines: Vec<&String> = log.iter().filter(|line| line.contains(words)).collect();
    let name = found[0].0.file_name().unwrap().to_str().unwrap();
    assert!(lines.len() == 1 && lines[0].contains("WARN") && lines[0].contains(name), "{log:?}");
}
