//! Windows as bytes and back, and the spool that keeps them: what was written is what is read, whatever was damaged is
//! found out, whatever an earlier process left is there.

use crate::handmade::{container, inventory, keys, names, pod, said, window};
use heapster::model::entity::{Entity, Labels};
use heapster::model::inventory::{ContainerFacts, NodeFacts, PodFacts};
use heapster::model::label_copier::LabelCopier;
use heapster::model::metric::{Metric, MetricKey};
use heapster::model::report::{Part, Subject};
use heapster::model::resources::Packed;
use heapster::rollup::block::Block;
use heapster::rollup::cluster::Batch;
use heapster::rollup::points::{Numbered, public};
use heapster::rollup::stored::{Broken, read, write};
use heapster::rollup::sum::NamespaceSums;
use heapster::spool::{Spool, SpoolError};
use heapster::wire::batch_text::encode;
use proptest::prelude::*;
use std::sync::Arc;

/// One node's answer: pods of these values, with parts and with metrics that only this cluster knows.
fn block(name: &str, n: i64, values: &[u64]) -> (Block, NamespaceSums) {
    let names: Vec<String> = (0..values.len()).map(|at| format!("web-{at}")).collect();
    let mut report =
        said(&[(Subject::Node, &[(Metric::CpuTime, 1_795_288_790_000_000_000), (Metric::MemoryUsage, 7)])]);
    for (at, (pod, value)) in names.iter().zip(values).enumerate() {
        report.begin(Subject::Pod("shop", pod), Part::Whole);
        report.push(Metric::MemoryUsage, *value);
        report.push(Metric::StartTime, 1_795_288_000_000_000_000 + at as u64);
        report.begin(Subject::Container("shop", pod, "main"), Part::Whole);
        report.push(Metric::MemoryUsage, value / 2);
        report.begin(Subject::Container("shop", pod, "main"), Part::Resource("", "/"));
        report.push(Metric::FilesystemUsage, value / 3);
    }
    let facts = |name: &String| PodFacts {
        labels: Labels::new([("app", "web"), ("of", name)]),
        host_network: name.ends_with('1'),
        ..pod(
            "shop",
            name,
            [ContainerFacts { requests: Packed::default().with([("gpu".into(), 2)]), ..container("main") }],
        )
    };
    let host = NodeFacts {
        hostname: format!("{name}.local").into(),
        host_id: "i-1".into(),
        ..crate::handmade::node(name)
    };
    let known = inventory(host, names.iter().map(facts));
    let made = crate::handmade::assembled(&report, &known, window(n), None);
    (made.block, made.sums)
}

/// A window of these nodes.
pub fn batch(n: i64, nodes: &[(&str, &[u64])]) -> Batch {
    let made: Vec<_> = nodes.iter().map(|(name, values)| block(name, n, values)).collect();
    let mut sums = NamespaceSums::default();
    made.iter().for_each(|(_, own)| sums.add_all(own));
    let sums = sums.pack(window(n), window(n).end(), None);
    Batch {
        cluster: "here".into(),
        window: window(n),
        nodes: made.into_iter().map(|(block, _)| Arc::new(block)).collect(),
        sums: Some(Arc::new(sums)),
        carried: 3,
        missing: 70_000,
    }
}

/// Everything that an encoder can see of a block.
fn seen(block: &Block) -> (Vec<(Entity, Option<Labels>)>, Vec<(usize, MetricKey, u64)>, String) {
    let rows = keys(&block.layout.rows);
    let mut values = Vec::new();
    block.for_each(|row, metric, held| values.push((row, metric.clone(), held)));
    (rows, values, format!("{:?} {:?}", block.window, block.scraped_at))
}

proptest! {
    #![proptest_config(crate::handmade::cases(200))]

    #[test]
    fn a_window_comes_back(n in 0..1_000_i64, a in prop::collection::vec(any::<u64>(), 0..20), b in prop::collection::vec(0..9_u64, 0..5)) {
        let made = batch(n, &[("a", &a), ("b", &b)]);
        let back = read(&write(&made)).unwrap();
        prop_assert_eq!(made.blocks().map(|b| seen(b)).collect::<Vec<_>>(), back.blocks().map(|b| seen(b)).collect::<Vec<_>>());
        prop_assert_eq!(encode(&made, &LabelCopier::default()), encode(&back, &LabelCopier::default()), "labels and all");
        prop_assert_eq!((made.carried, made.missing, made.sums.is_some()), (back.carried, back.missing, back.sums.is_some()));
        let (made, back) = (Numbered::new(Arc::new(made), public), Numbered::new(Arc::new(back), public));
        prop_assert_eq!(made.len(), back.len());
    }

    #[test]
    fn damaged_bytes_end_in_an_error_or_a_window(cut in 0..4_000_usize, at in 0..4_000_usize, byte in any::<u8>()) {
        let mut bytes = write(&batch(1, &[("a", &[1, 2, 3]), ("b", &[])]));
        let whole = bytes.len();
        prop_assert!(read(&bytes[..cut.min(whole - 1)]).is_err(), "it is cut short");
        bytes[at % whole] = byte;
        if let Ok(back) = read(&bytes) {
            // Whatever it says now can be walked without harm.
            let _ = (encode(&back, &LabelCopier::default()), Numbered::new(Arc::new(back), public).len());
        }
    }

    /// The numbers of a window's points are those of one walk through it, however they are cut.
    #[test]
    fn slices_are_the_window(cuts in prop::collection::vec(0..200_usize, 0..6)) {
        let window = Numbered::new(Arc::new(batch(1, &[("a", &[1, 2, 3]), ("b", &[4]), ("c", &[])])), public);
        let walk = |range: std::ops::Range<usize>| {
            let mut points = Vec::new();
            for (block, part) in window.slices(range) {
                window.for_each(block, part, |row, metric, held| {
                    points.push((format!("{:?}", block.layout.rows.key(row)), metric.clone(), held));
                });
            }
            points
        };
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(window.len())).chain([0, window.len()]).collect();
        cuts.sort_unstable();
        let parts: Vec<_> = cuts.windows(2).flat_map(|pair| walk(pair[0]..pair[1])).collect();
        prop_assert_eq!(parts.len(), window.len());
        prop_assert_eq!(parts, walk(0..window.len()));
    }
}

#[test]
fn what_is_no_window_is_refused() {
    assert_eq!(read(b"").err(), Some(Broken::Foreign));
    assert_eq!(read(b"heapster window 2\nxyz").err(), Some(Broken::Foreign));
    assert_eq!(read(b"heapster window 1\n").err(), Some(Broken::Damaged));
    let mut more = write(&batch(1, &[("a", &[1])]));
    more.push(0);
    assert_eq!(read(&more).err(), Some(Broken::Damaged), "nothing may follow");
}

#[test]
fn what_windows_share_is_counted_once() {
    let (first, second) = (batch(1, &[("a", &[1; 20]), ("b", &[2; 20])]), batch(2, &[("b", &[2; 20])]));
    let alone = second.own_bytes(None);
    assert_eq!(second.own_bytes(Some(&first)), alone, "nothing of these is shared");
    let same = Batch { nodes: first.nodes[1..].to_vec(), sums: first.sums.clone(), ..batch(1, &[]) };
    assert!(same.own_bytes(Some(&first)) * 3 < same.own_bytes(None), "rows, facts and steady columns are");
    let names = names(&["b"]);
    assert_eq!(same.nodes[0].facts.as_ref().unwrap().node.name, names[0]);
}

#[test]
fn a_spool_keeps_what_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let end = |n: i64| window(n).end();
    let (mut spool, left) = Spool::open(folder.path(), "influxdb:http://db/k8s").unwrap();
    assert_eq!(left, Default::default());
    assert!(matches!(Spool::open(folder.path(), "influxdb:http://db/k8s"), Err(SpoolError::Taken(_))));
    // Another sink has another folder, even if its name looks the same as one.
    drop(Spool::open(folder.path(), "influxdb:http://db-k8s").unwrap());
    let ids: Vec<u64> = (0..4).map(|_| spool.next_id()).collect();
    let sizes: Vec<usize> = ids
        .iter()
        .map(|id| spool.put(*id, end(*id as i64), 10, &vec![7; *id as usize * 100]).unwrap())
        .collect();
    spool.remove(ids[1]).unwrap();
    spool.remove(ids[1]).unwrap();
    drop(spool);
    let home = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let home = home.max_by_key(|home| std::fs::read_dir(home).unwrap().count()).unwrap();
    let named = |id: u64| {
        let files = std::fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().path());
        let mut files =
            files.filter(|path| path.file_name().unwrap().to_str().unwrap().contains(&format!("{id:020}-")));
        files.next().unwrap()
    };
    // One was not written to its end, one was damaged, and one is somebody else's.
    std::fs::write(home.join(format!("{:020}-{}-55.part", 9, end(9).nanos())), [1, 2]).unwrap();
    std::fs::write(home.join("notes.txt"), "mine").unwrap();
    let damaged = named(ids[2]);
    let mut bytes = std::fs::read(&damaged).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let (mut spool, left) = Spool::open(folder.path(), "influxdb:http://db/k8s").unwrap();
    assert_eq!((left.torn, left.torn_points, left.foreign), (1, 55, 1));
    let found: Vec<_> =
        left.whole.iter().map(|found| (found.id, found.end, found.points, found.size)).collect();
    let kept = [0, 2, 3].map(|at| (ids[at], end(ids[at] as i64), 10, sizes[at]));
    assert_eq!(found, kept);
    assert_eq!(spool.get(ids[0]).unwrap(), vec![7; ids[0] as usize * 100]);
    assert_eq!(spool.get(ids[2]).unwrap_err().to_string(), "it is damaged");
    std::fs::write(named(ids[3]), [1, 2, 3]).unwrap();
    assert!(spool.get(ids[3]).is_err() && spool.get(77).is_err());
    assert!(spool.next_id() > ids[3], "numbers go on");
    assert!(home.join("notes.txt").exists());
}

#[test]
fn a_spool_that_cannot_be_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Spool::open(&file, "influxdb:http://db").unwrap_err().to_string();
    assert!(error.starts_with("--spool_dir: ") && error.contains("folder that can be written to"), "{error}");
}
