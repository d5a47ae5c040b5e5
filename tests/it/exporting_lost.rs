//! What an exporter says of points that are lost: at the end of the process, and while there is no room for them.

use crate::binary::heapster;
use crate::exporting::{ROOM, Watched};
use crate::fake_sink::{FakeSink, Manner};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// The demo in front of a sink, and what it has logged so far.
struct Demo {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    reader: std::thread::JoinHandle<()>,
}

impl Demo {
    fn start(sink: &str, options: &[&str]) -> Self {
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
    fn stop(mut self) -> Vec<String> {
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
