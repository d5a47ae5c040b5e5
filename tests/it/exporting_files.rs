//! An exporter with a spool: what waits outlives the process, files that are full, torn or damaged cost what was in them
//! and nothing else, and all of it is in the account.

use crate::databases::free_port;
use crate::exporting::{ROOM, Watched, assert_took, lines};
use crate::fake_sink::{FakeSink, Manner};
use heapster::messages::Drain;
use heapster::rollup::queue::Limits;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The files of the one sink below a folder, oldest first; its lock is none.
fn files(folder: &Path) -> Vec<PathBuf> {
    let home = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let all = std::fs::read_dir(home).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = all.filter(|path| path.extension().is_some()).collect();
    files.sort();
    files
}

fn uri(port: u16) -> String {
    format!("influxdb:http://127.0.0.1:{port}")
}

#[actix_web::test]
async fn what_waits_outlives_the_process() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let mut first = Watched::start(&uri(port), ROOM, Some(folder.path()));
    for n in 0..4 {
        first.export(n).await;
    }
    let before = first.waits_for("a failure", |state| state.failures > 0).await;
    assert_eq!((files(folder.path()).len(), before.only_in_memory, before.spooled), (4, 0, true));
    assert!(before.disk_bytes > 0);
    first.kill();
    // The second finds all of it, and has windows of its own.
    let mut second = Watched::start(&uri(port), ROOM, Some(folder.path()));
    second.export(4).await;
    let state = second.waits_for("a failure", |state| state.failures > 0).await;
    assert_eq!((state.ledger.recovered, state.windows), (before.ledger.made, 5));
    assert_eq!(state.oldest, Some(crate::handmade::window(0).end()));
    // Told to end while nobody takes anything, it does not wait: all is in files.
    tokio::time::timeout(Duration::from_secs(5), second.exporter.send(Drain)).await.unwrap().unwrap();
    second.kill();
    let server = FakeSink::at(port, |_, _| Manner::good());
    let third = Watched::start(&uri(port), ROOM, Some(folder.path()));
    let state = third.settled().await;
    let all = lines(0..5);
    assert_eq!((state.ledger.recovered, state.ledger.made), (all.len() as u64, 0));
    assert_eq!((state.ledger.delivered, state.disk_bytes), (all.len() as u64, 0));
    assert_took(&server, all);
    third.waits_for("its files gone", |_| files(folder.path()).is_empty()).await;
    assert!(
        server.took().is_sorted_by_key(|line| line.rsplit(' ').next().unwrap().to_owned()),
        "oldest first"
    );
}

/// The options may be others after a restart: then a window has another number of points than its file's name says.
#[actix_web::test]
async fn a_window_left_behind_is_counted_by_what_it_is_now() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let mut first = Watched::start(&uri(port), ROOM, Some(folder.path()));
    first.export(0).await;
    let before = first.checked().ledger.made;
    first.kill();
    let server = FakeSink::at(port, |_, _| Manner::good());
    let less = format!("{}?disable_counter_metrics=true", uri(port));
    let second = Watched::start(&less, ROOM, Some(folder.path()));
    let state = second.settled().await;
    assert_eq!(state.ledger.recovered, state.ledger.delivered);
    assert_eq!(state.ledger.delivered, server.took().len() as u64);
    assert!(state.ledger.delivered <= before && state.ledger.delivered > 0);
}

#[actix_web::test]
async fn files_take_over_where_memory_is_full() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let mut probe = Watched::start(&uri(free_port()), ROOM, None);
    probe.export(0).await;
    let size = probe.checked().memory_bytes;
    let limits = Limits { memory: size * 2, disk: 1 << 30 };
    let mut watched = Watched::start(&uri(port), limits, Some(folder.path()));
    for n in 0..12 {
        watched.export(n).await;
    }
    let state = watched.waits_for("it put back", |state| state.memory_bytes <= size * 2).await;
    assert_eq!((state.ledger.lost(), state.windows, files(folder.path()).len()), (0, 12, 12));
    let server = FakeSink::at(port, |_, _| Manner::good());
    let state = watched.settled().await;
    assert_eq!(state.ledger.delivered, state.ledger.made);
    assert_took(&server, lines(0..12));
    watched.waits_for("its files gone", |_| files(folder.path()).is_empty()).await;
}

#[actix_web::test]
async fn files_that_are_full_drop_the_oldest() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let mut probe = Watched::start(&uri(free_port()), ROOM, Some(folder.path()));
    probe.export(0).await;
    let state = probe.checked();
    probe.kill();
    let folder = tempfile::tempdir().unwrap();
    // Room for one in memory and four in files.
    let limits = Limits { memory: state.memory_bytes * 3 / 2, disk: state.disk_bytes * 9 / 2 };
    let mut watched = Watched::start(&uri(port), limits, Some(folder.path()));
    for n in 0..12 {
        watched.export(n).await;
    }
    let state = watched.waits_for("it put back", |state| state.disk_bytes <= limits.disk).await;
    assert!(files(folder.path()).len() <= 5, "{:?}", files(folder.path()));
    let lost = state.ledger.lost();
    let reasons = ["spool_full", "queue_full"];
    assert!(lost > 0 && state.ledger.dropped.keys().all(|reason| reasons.contains(reason)));
    let server = FakeSink::at(port, |_, _| Manner::good());
    let state = watched.settled().await;
    assert_eq!((state.ledger.lost(), state.ledger.delivered), (lost, state.ledger.made - lost));
    let one = lines(0..1).len() as u64;
    let kept = (state.ledger.delivered / one) as i64;
    assert_took(&server, lines(12 - kept..12));
}

#[actix_web::test]
async fn torn_and_damaged_files_cost_what_was_in_them() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let mut first = Watched::start(&uri(port), ROOM, Some(folder.path()));
    for n in 0..6 {
        first.export(n).await;
    }
    first.kill();
    let one = lines(0..1).len() as u64;
    let files = files(folder.path());
    let mut bytes = std::fs::read(&files[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&files[1], bytes).unwrap();
    std::fs::rename(&files[2], files[2].with_extension("part")).unwrap();
    // Cut short behind what says how long it is, within that, and at its very beginning.
    for (file, length) in files[3..].iter().zip([middle as u64, 7, 0]) {
        std::fs::File::options().write(true).open(file).unwrap().set_len(length).unwrap();
    }
    let server = FakeSink::at(port, |_, _| Manner::good());
    let second = Watched::start(&uri(port), ROOM, Some(folder.path()));
    let state = second.settled().await;
    assert_eq!(state.ledger.dropped, BTreeMap::from([("torn", 4 * one), ("unreadable", one)]));
    assert_eq!((state.ledger.recovered, state.ledger.delivered), (6 * one, one));
    assert_took(&server, lines(0..1));
    assert_eq!(second.telemetry.sink_spool_failures.of([&state.name, "read"]).get(), 4);
}

/// A file system of 64 KiB. None, said aloud, where it cannot be made.
struct Tiny(tempfile::TempDir);

impl Tiny {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(folder.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(folder)),
            other => {
                eprintln!("skipped: a tiny file system needs root and the right to mount: {other:?}");
                None
            }
        }
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[actix_web::test]
async fn a_full_disk_is_counted_and_memory_goes_on() {
    let Some(tiny) = Tiny::mount() else { return };
    let port = free_port();
    let mut watched = Watched::start(&uri(port), ROOM, Some(tiny.0.path()));
    let mut n = 0;
    while watched.checked().only_in_memory == 0 {
        assert!(n < 200, "64 KiB were never full");
        watched.export(n).await;
        n += 1;
    }
    let state = watched.checked();
    assert_eq!(state.ledger.lost(), 0);
    assert!(watched.telemetry.sink_spool_failures.of([&state.name, "write"]).get() > 0);
    assert!(
        files(tiny.0.path()).iter().all(|file| file.extension().unwrap() == "window"),
        "no halves are left"
    );
    let server = FakeSink::at(port, |_, _| Manner::good());
    let state = watched.settled().await;
    assert_eq!((state.ledger.lost(), state.ledger.delivered), (0, state.ledger.made));
    assert_took(&server, lines(0..n));
    // There is room again, and it is used.
    watched.waits_for("room", |state| state.disk_bytes == 0).await;
    drop(server);
    watched.export(n).await;
    assert_eq!(watched.checked().only_in_memory, 0);
    watched.kill();
}
