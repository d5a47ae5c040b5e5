//! Benchmarks: decoding a summary, making a block of it, rolling up a large cluster, appending to and reading from the
//! history, encoding a window for sinks. Run by `cargo bench`; the figures stand in the README.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions
)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use heapster::client::post::gzip;
use heapster::model::Set;
use heapster::model::entity::{ClusterId, Entity, Name};
use heapster::model::inventory::{Inventory, NodeInventory};
use heapster::model::label_copier::LabelCopier;
use heapster::model::time::{Resolution, Timestamp, Window};
use heapster::rollup::Rollup;
use heapster::rollup::block::Block;
use heapster::rollup::cluster::Batch;
use heapster::rollup::history::{SeriesKey, Span};
use heapster::rollup::known::Known;
use heapster::rollup::latest::{Latest, Recent};
use heapster::rollup::node::{Answer, Assembled, assemble, assemble_at};
use heapster::rollup::points::{Numbered, public};
use heapster::rollup::query::{Answer as Told, Query};
use heapster::rollup::schedule::Schedule;
use heapster::rollup::stored::{read, write};
use heapster::rollup::sum::NamespaceSums;
use heapster::simulator::cluster::Node;
use heapster::simulator::{Shape, SyntheticCluster, objects, summary};
use heapster::sinks::Slice;
use heapster::sinks::influxdb::Lines;
use heapster::sinks::prometheus::{Cluster, Whose, points as points_of};
use heapster::wire::batch_text;
use heapster::wire::exposition::{Asked, Format, exposition};
use heapster::wire::kubelet_summary::{Summary, decode};
use heapster::wire::kubernetes_objects::{ApiNode, ApiPod};
use heapster::wire::prometheus_names::{Level, takes};
use heapster::wire::remote_write::Version;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// As the program.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const BORN: Timestamp = Timestamp::from_seconds(1_795_288_800);
const WINDOWS: i64 = 30;

fn resolution() -> Resolution {
    Resolution::new(Duration::from_secs(30)).unwrap()
}

fn window(n: i64) -> Window {
    resolution().last_ended(BORN.after(Duration::from_secs(3600))).step(n)
}

fn cluster(nodes: u32, pods: u32) -> SyntheticCluster {
    SyntheticCluster::new(Shape { nodes, pods, containers: 2, namespaces: 10, ..Shape::default() }, BORN)
}

fn body(cluster: &SyntheticCluster, node: &Node, window: Window) -> Vec<u8> {
    let mut body = Vec::new();
    summary::write(cluster, node, window.end(), &mut body);
    body
}

/// What the API server would have told of one node.
fn inventory(node: &Node) -> Arc<NodeInventory> {
    use heapster::model::inventory::Change;
    let mut inventory = Inventory::default();
    let object: ApiNode = serde_json::from_value(objects::node(node, 10_255)).unwrap();
    inventory.node(Change::Applied(object.facts().unwrap()));
    for pod in &node.pods {
        let object: ApiPod = serde_json::from_value(objects::pod(node, pod)).unwrap();
        inventory.pod(Change::Applied(object.facts().unwrap()));
    }
    Arc::new(inventory.of_node(&Name::from(&*node.name)).unwrap())
}

fn made(body: &[u8], inventory: &Arc<NodeInventory>, window: Window, previous: Option<&Block>) -> Assembled {
    let summary = decode(body).unwrap();
    let report = summary.report();
    let answer = Answer {
        report: &report,
        inventory,
        foreign: &Set::default(),
        strangers: &Set::default(),
        previous,
        window,
        scraped_at: window.end(),
    };
    assemble(&answer)
}

fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    let recorded = include_bytes!("../data/two-nodes/node-b/1.json");
    let large = cluster(1, 110);
    let large = body(&large, &large.nodes()[0], window(0));
    for (name, body) in [("recorded, 7 pods", recorded.as_slice()), ("110 pods of 2 containers", &large)] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(decode(body).unwrap().report().rows().len()))
        });
    }
    group.finish();
}

/// The same rows written by way of JSON libraries, beside the collector's own reader.
fn decoding_by_others(criterion: &mut Criterion) {
    let cluster = cluster(1, 30);
    let body = body(&cluster, &cluster.nodes()[0], window(0));
    let mut group = criterion.benchmark_group("summary of 30 pods of 2 containers into the same rows");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("the collector's own reader", |bencher| {
        bencher.iter(|| black_box(decode(&body).unwrap()))
    });
    group.bench_function("serde_json", |bencher| {
        bencher.iter(|| black_box(serde_json::from_slice::<Summary<'_>>(&body).unwrap()))
    });
    group.bench_function("sonic-rs", |bencher| {
        bencher.iter(|| black_box(sonic_rs::from_slice::<Summary<'_>>(&body).unwrap()))
    });
    group.bench_function("simd-json", |bencher| {
        // It writes into the bytes that it reads.
        let fill = || body.clone();
        bencher.iter_batched_ref(
            fill,
            |body| drop(black_box(simd_json::from_slice::<Summary<'_>>(body).unwrap())),
            BatchSize::SmallInput,
        )
    });
    group.finish();
}

fn assembling(criterion: &mut Criterion) {
    let cluster = cluster(1, 30);
    let node = &cluster.nodes()[0];
    let inventory = inventory(node);
    let first = made(&body(&cluster, node, window(0)), &inventory, window(0), None).block;
    let second = body(&cluster, node, window(1));
    let mut group = criterion.benchmark_group("block");
    let summary = decode(&second).unwrap();
    let report = summary.report();
    let none = Set::default();
    group.bench_function("30 pods of 2 containers, rated and packed", |bencher| {
        bencher.iter(|| {
            let foreign = Set::default();
            let previous = Some(&first);
            let (window, scraped_at) = (window(1), window(1).end());
            let answer = Answer {
                report: &report,
                inventory: &inventory,
                foreign: &foreign,
                strangers: &foreign,
                previous,
                window,
                scraped_at,
            };
            black_box(assemble(&answer).block.points())
        });
    });
    let answer = |previous| Answer {
        report: &report,
        inventory: &inventory,
        foreign: &none,
        strangers: &none,
        previous,
        window: window(1),
        scraped_at: window(1).end(),
    };
    let mut known = Known::default();
    let (made, row_of) = assemble_at(&answer(Some(&first)), None);
    known.remember(&answer(Some(&first)), &row_of, &made);
    group.bench_function("the same, of the rows of the answer before", |bencher| {
        bencher.iter(|| {
            let found = known.find(&report, &inventory, Some(&first.layout.rows));
            assert!(found.is_some());
            black_box(assemble_at(&answer(Some(&first)), found).0.block.points())
        });
    });
    group.finish();
}

type Made = (Name, Vec<(Arc<Block>, Arc<NamespaceSums>)>);

/// Blocks of every node for some windows.
fn blocks(nodes: u32, windows: i64) -> Vec<Made> {
    let cluster = cluster(nodes, 30);
    let each = |node: &Node| {
        let inventory = inventory(node);
        let mut blocks: Vec<(Arc<Block>, Arc<NamespaceSums>)> = Vec::new();
        for n in 0..windows {
            let previous = blocks.last().map(|(block, _)| block.clone());
            let made = made(&body(&cluster, node, window(n)), &inventory, window(n), previous.as_deref());
            blocks.push((Arc::new(made.block), Arc::new(made.sums)));
        }
        (Name::from(&*node.name), blocks)
    };
    cluster.nodes().iter().map(each).collect()
}

fn empty(made: &[Made]) -> Rollup {
    let mut rollup = Rollup::new(["bench".into()], Schedule::new(resolution()), Duration::from_secs(900));
    rollup.expect(ClusterId(0), made.iter().map(|(node, _)| node.clone()), window(0).end());
    rollup
}

fn fill(rollup: &mut Rollup, made: &[Made], n: i64) -> usize {
    let uptime = Duration::from_secs(30 * n as u64);
    for (node, blocks) in made {
        let (block, sums) = blocks[n as usize].clone();
        rollup.took(ClusterId(0), node, block, sums, uptime);
    }
    rollup.close_due(window(n).end(), uptime).len()
}

fn rolling_up(criterion: &mut Criterion) {
    let made = blocks(1_000, 2);
    let mut group = criterion.benchmark_group("roll-up");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    group.bench_function("1000 nodes of 30 pods of 2 containers, one window", |bencher| {
        let prepare = || {
            let mut rollup = empty(&made);
            assert_eq!(fill(&mut rollup, &made, 0), 1);
            rollup
        };
        bencher.iter_batched(
            prepare,
            |mut rollup| {
                assert_eq!(fill(&mut rollup, &made, 1), 1);
                rollup
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn history(criterion: &mut Criterion) {
    let made = blocks(20, WINDOWS);
    let mut rollup = empty(&made);
    let points: usize = made.iter().flat_map(|(_, blocks)| blocks).map(|(block, _)| block.points()).sum();
    let mut group = criterion.benchmark_group("history");
    group.throughput(Throughput::Elements(points as u64));
    group.bench_function("append 20 nodes, 30 windows", |bencher| {
        bencher.iter_batched(
            || empty(&made),
            |mut rollup| {
                (0..WINDOWS).for_each(|n| assert!(fill(&mut rollup, &made, n) > 0));
                rollup
            },
            BatchSize::LargeInput,
        );
    });
    (0..WINDOWS).for_each(|n| assert!(fill(&mut rollup, &made, n) > 0));
    for (_, held, _) in rollup.held() {
        let (bytes, points) = (held.bytes as f64, held.points as f64);
        println!("history: {points} points in {bytes} bytes, {:.2} bytes a point", bytes / points);
    }
    let rows = made[0].1[0].0.layout.rows.clone();
    let entity = rows.owned(rows.entity_count() - 1).unwrap();
    assert!(matches!(entity, Entity::PodContainer { .. }), "{entity}");
    group.throughput(Throughput::Elements(1));
    for metric in ["memory/usage", "cpu/usage_rate"] {
        let key = SeriesKey { entity: entity.clone(), metric: metric.to_owned(), labels: None };
        let query = Query::Series(key, Span::ALL);
        group.bench_function(format!("read {metric} of a container, 30 points"), |bencher| {
            bencher.iter(|| match rollup.answer(None, &query) {
                Told::Series(points) => assert!(black_box(points.len()) >= WINDOWS as usize - 1),
                other => panic!("{other:?}"),
            });
        });
    }
    let pods = Query::Pods("shop".into());
    group.bench_function("list the pods of a namespace", |bencher| {
        bencher.iter(|| black_box(rollup.answer(None, &pods)))
    });
    group.finish();
}

/// The second window of a cluster of this many nodes, as sinks are given it.
fn batch(nodes: u32) -> Arc<Batch> {
    let made = blocks(nodes, 2);
    let mut rollup = empty(&made);
    assert_eq!(fill(&mut rollup, &made, 0), 1);
    let uptime = Duration::from_secs(30);
    for (node, blocks) in &made {
        let (block, sums) = blocks[1].clone();
        rollup.took(ClusterId(0), node, block, sums, uptime);
    }
    Arc::new(rollup.close_due(window(1).end(), uptime).pop().unwrap())
}

/// Both versions of remote write.
const VERSIONS: [(&str, Version); 2] =
    [("remote write 1.0", Version::One), ("remote write 2.0", Version::Two)];

/// A window of 1,000 nodes through each encoder, in requests as sinks send them.
fn encoding(criterion: &mut Criterion) {
    let batch = batch(1_000);
    let numbered = Rc::new(Numbered::new(batch.clone(), public));
    let points = numbered.len();
    let slices = || {
        let window = &numbered;
        (0..points)
            .step_by(10_000)
            .map(move |start| Slice { window: window.clone(), range: start..points.min(start + 10_000) })
    };
    let lines = |with_fields| Lines {
        labels: LabelCopier::default(),
        with_fields,
        pod_id: false,
        cluster_name: Some("default".to_owned()),
        shard: None,
    };
    let say = |what: &str, bytes: usize, largest: usize| {
        let each = bytes as f64 / points as f64;
        println!(
            "{what}: {points} points in {bytes} bytes, {each:.2} a point; at once {largest} bytes at most"
        );
    };
    for (what, with_fields) in [("line protocol", false), ("line protocol with fields", true)] {
        let plain: Vec<usize> = slices().map(|slice| lines(with_fields).body(&slice).0.len()).collect();
        say(what, plain.iter().sum(), plain.iter().copied().max().unwrap());
    }
    let packed: Vec<usize> = slices().map(|slice| gzip(&lines(false).body(&slice).0).len()).collect();
    say("line protocol, compressed", packed.iter().sum(), packed.iter().copied().max().unwrap());
    let known = Rc::new(Numbered::new(batch.clone(), takes));
    let whose = Whose { cluster: Cluster::None, shard: None, pod_id: false };
    let request = |version, range: std::ops::Range<usize>| {
        points_of(version, &whose, &Slice { window: known.clone(), range })
    };
    let requests = |version| {
        let all = (0..known.len()).step_by(5_000).map(|start| start..known.len().min(start + 5_000));
        all.map(|range| black_box(request(version, range)).len()).collect::<Vec<_>>()
    };
    for (what, version) in VERSIONS {
        let (sent, once) = (requests(version), request(version, 0..5_000));
        say(what, sent.iter().sum(), sent.iter().copied().max().unwrap());
        let whole = snap::raw::decompress_len(&once).unwrap();
        println!("{what}: {:.2} bytes a point before snappy", whole as f64 / 5_000.0);
    }
    let latest = || Latest {
        nodes: batch.nodes.iter().map(|block| Recent { newest: block.clone(), older: Vec::new() }).collect(),
        sums: batch.sums.iter().map(|block| Recent { newest: block.clone(), older: Vec::new() }).next(),
    };
    let asked = Asked {
        format: Format::Text,
        levels: Level::ALL.to_vec(),
        timestamps: true,
        created: false,
        shard: None,
    };
    let scrape = || exposition(vec![(None, latest())], asked.clone()).map(|piece| black_box(piece).len());
    say("a scrape", scrape().sum(), scrape().max().unwrap());
    let stored = write(&batch);
    say("a spool's file", stored.len(), stored.len());
    say("a queue's memory, alone", batch.own_bytes(None), batch.own_bytes(None));
    let mut group = criterion.benchmark_group("1000 nodes of 30 pods of 2 containers");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(5))
        .throughput(Throughput::Elements(points as u64));
    group.bench_function("line protocol", |bencher| {
        bencher.iter(|| slices().map(|slice| black_box(lines(false).body(&slice).0).len()).sum::<usize>())
    });
    group.bench_function("line protocol, compressed", |bencher| {
        bencher.iter(|| slices().map(|slice| gzip(&lines(false).body(&slice).0).len()).sum::<usize>())
    });
    for (what, version) in VERSIONS {
        group.bench_function(what, |bencher| bencher.iter(|| requests(version).len()));
    }
    group.bench_function("a scrape", |bencher| bencher.iter(|| scrape().sum::<usize>()));
    group.bench_function("written for a spool", |bencher| bencher.iter(|| black_box(write(&batch)).len()));
    group.bench_function("read from a spool", |bencher| {
        bencher.iter(|| black_box(read(&stored).unwrap()).nodes.len())
    });
    group.bench_function("counted", |bencher| {
        bencher.iter(|| Numbered::new(batch.clone(), public).len());
    });
    group.bench_function("log", |bencher| {
        bencher.iter(|| black_box(batch_text::encode(&batch, &LabelCopier::default())).len())
    });
    group.finish();
}

criterion_group!(benches, decoding, decoding_by_others, assembling, rolling_up, history, encoding);
criterion_main!(benches);
