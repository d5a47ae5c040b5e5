//! Remote write to servers that speak 2.0, speak 1.0 alone, or fail: which version they get, what becomes of every point,
//! and which series are marked as ended.

use crate::exporting::{ROOM, Watched};
use crate::fake_sink::{Asked, FakeSink, Manner};
use crate::remote_write::{read_one, read_two};
use crate::stored::batch;
use heapster::config::uri::Uri;
use heapster::messages::Export;
use heapster::model::label_copier::LabelCopier;
use heapster::rollup::cluster::Batch;
use heapster::rollup::points::Numbered;
use heapster::sinks;
use heapster::wire::prometheus_names::takes;
use heapster::wire::remote_write::STALE;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a receiver of 2.0 answers: it took so many.
fn took(samples: usize) -> Manner {
    let header = ("X-Prometheus-Remote-Write-Samples-Written", samples.to_string());
    Manner::Answer(204, vec![header], String::new())
}

fn is_two(asked: &Asked) -> bool {
    asked.headers["content-type"].ends_with(";proto=io.prometheus.write.v2.Request")
}

/// A series that came: labels, the name first, and value and milliseconds.
pub type Series = (Vec<(String, String)>, f64, i64);

/// The series of a request, in whichever version it is.
pub fn series(asked: &Asked) -> Vec<Series> {
    assert_eq!(asked.headers["content-encoding"], "snappy");
    let version = &asked.headers["x-prometheus-remote-write-version"];
    let all: Vec<Series> = if is_two(asked) {
        assert_eq!(version, "2.0.0");
        read_two(&asked.raw).into_iter().map(|((labels, value, at, _), _)| (labels, value, at)).collect()
    } else {
        assert_eq!(
            (version.as_str(), asked.headers["content-type"].as_str()),
            ("0.1.0", "application/x-protobuf")
        );
        read_one(&asked.raw).into_iter().map(|(labels, value, at, _)| (labels, value, at)).collect()
    };
    for (labels, ..) in &all {
        let names: Vec<&String> = labels.iter().map(|(name, _)| name).collect();
        assert!(
            names[0] == "__name__" && names.is_sorted() && names.windows(2).all(|pair| pair[0] != pair[1])
        );
        assert!(labels.iter().all(|(name, value)| !name.is_empty() && !value.is_empty()));
    }
    all
}

/// A receiver of 2.0 that takes everything.
fn good() -> FakeSink {
    FakeSink::start(|_, asked| took(series(asked).len()))
}

fn is_stale(series: &Series) -> bool {
    series.1.to_bits() == STALE.to_bits()
}

pub async fn export(watched: &Watched, batch: Batch) -> u64 {
    let points = Numbered::new(Arc::new(batch), takes);
    watched.exporter.send(Export(points.batch.clone())).await.unwrap();
    watched.checked();
    points.len() as u64
}

pub fn two_nodes(n: i64) -> Batch {
    batch(n, &[("a", &[1, 2, 3]), ("b", &[4, 5])])
}

#[actix_web::test]
async fn every_point_comes_as_a_series_of_its_own() {
    let server = good();
    let uri = format!("prometheus:{}?batch=100&cluster=east&tenant=team+a&token=t0p-secret", server.base());
    let watched = Watched::start(&uri, ROOM, None);
    let made = export(&watched, two_nodes(0)).await;
    let state = watched.settled().await;
    assert_eq!((state.ledger.delivered, state.ledger.lost()), (made, 0));
    let asked = server.asked();
    assert!(asked.len() > 1 && asked.iter().all(is_two), "2.0 is spoken where it is taken");
    for request in &asked {
        assert_eq!(request.path, "/api/v1/write");
        assert_eq!(request.headers["x-scope-orgid"], "team a");
        assert_eq!(request.headers["authorization"], "Bearer t0p-secret");
        assert!(request.headers["user-agent"].starts_with("heapster/"));
        assert!(series(request).len() <= 100);
    }
    let all: Vec<Series> = asked.iter().flat_map(series).collect();
    let keys: BTreeSet<_> = all.iter().map(|(labels, ..)| labels).collect();
    assert_eq!((all.len() as u64, keys.len()), (made, all.len()));
    let at = two_nodes(0).window.end().nanos() / 1_000_000;
    assert!(
        all.iter()
            .all(|(labels, _, stamp)| *stamp == at && labels.contains(&("cluster".into(), "east".into())))
    );
    let value = |name: &str, pairs: &[(&str, &str)]| {
        let wanted = |labels: &Vec<(String, String)>| {
            labels[0].1 == name && pairs.iter().all(|(k, v)| labels.contains(&((*k).into(), (*v).into())))
        };
        let found: Vec<f64> =
            all.iter().filter(|(labels, ..)| wanted(labels)).map(|(_, value, _)| *value).collect();
        let [value] = found[..] else { panic!("{name} {pairs:?}: {found:?}") };
        value
    };
    assert_eq!(
        value("heapster_pod_memory_usage_bytes", &[("pod", "web-1"), ("node", "b"), ("namespace", "shop")]),
        5.0
    );
    assert_eq!(value("heapster_node_memory_usage_bytes", &[("node", "a")]), 7.0);
    assert_eq!(value("heapster_pod_start_time_seconds", &[("pod", "web-0"), ("node", "a")]), 1_795_288_000.0);
    let request = [("resource", "gpu"), ("pod", "web-2"), ("container", "main")];
    assert_eq!(value("heapster_container_resource_request", &request), 2.0);
}

#[actix_web::test]
async fn counters_say_what_they_are_and_since_when() {
    let server = good();
    let simulated = crate::sinks_influxdb::simulator();
    let source = format!("--source={}", simulated.source_uri());
    let sink = format!("--sink=prometheus:{}", server.base());
    let collector = crate::support::Collector::start(&[&source, &sink]).await;
    crate::sinks_influxdb::delivered(&collector, "prometheus:", 2.0).await;
    collector.running.stop().await;
    let all: Vec<_> = server.asked().iter().flat_map(|asked| read_two(&asked.raw)).collect();
    let mut starts = BTreeMap::new();
    for ((labels, value, _, _), _) in &all {
        if let Some(level) = labels[0].1.strip_suffix("_start_time_seconds") {
            starts.insert((level.to_owned(), labels[1..].to_vec()), (value * 1e3).round() as i64);
        }
    }
    let (mut counters, mut gauges) = (0, 0);
    for ((labels, _, at, start), (kind, help, unit)) in &all {
        let name = &labels[0].1;
        assert!(!help.is_empty(), "{name}");
        assert!(
            unit.is_empty() || name.trim_end_matches("_total").ends_with(unit.as_str()),
            "{name} in {unit}"
        );
        if name.ends_with("_total") {
            let own =
                labels[1..].iter().filter(|(label, _)| !["device", "interface"].contains(&label.as_str()));
            let level = ["node", "pod", "system_container", "container"].into_iter();
            let level = level
                .map(|level| format!("heapster_{level}"))
                .find(|level| name.starts_with(&format!("{level}_")));
            let key = (level.unwrap(), own.cloned().collect::<Vec<_>>());
            assert_eq!((*kind, starts.get(&key)), (1, Some(start)), "{name} {labels:?}");
            assert!(start < at);
            counters += 1;
        } else {
            assert_eq!((*kind, *start), (2, 0), "{name}");
            gauges += 1;
        }
    }
    assert!(counters > 100 && gauges > 100, "{counters} {gauges}");
    simulated.stop().await;
}

#[actix_web::test]
async fn a_server_that_speaks_1_0_alone_gets_that_from_then_on() {
    let refusals: [fn() -> Manner; 4] = [
        || Manner::status(415, "expected application/x-protobuf"),
        || Manner::status(400, "snappy: what is this"),
        || Manner::status(404, "no such thing"),
        // What it does not know it passes over, and is content.
        || Manner::status(204, ""),
    ];
    for refusal in refusals {
        let server =
            FakeSink::start(move |_, asked| if is_two(asked) { refusal() } else { Manner::status(204, "") });
        let watched = Watched::start(&format!("prometheus:{}?batch=50", server.base()), ROOM, None);
        let made = export(&watched, two_nodes(0)).await + export(&watched, two_nodes(1)).await;
        let state = watched.settled().await;
        assert_eq!((state.ledger.delivered, state.ledger.lost(), state.failures), (made, 0, 0));
        let asked = server.asked();
        let tried: Vec<bool> = asked.iter().map(is_two).collect();
        assert!(tried[0] && tried[1..].iter().all(|two| !two), "it is tried once: {tried:?}");
        let sent: usize = asked[1..].iter().map(|asked| series(asked).len()).sum();
        assert_eq!(sent as u64, made, "every point once");
    }
}

#[actix_web::test]
async fn a_server_that_stops_speaking_2_0_gets_1_0() {
    let server = FakeSink::start(|n, asked| match (is_two(asked), n) {
        (true, 0..2) => took(series(asked).len()),
        (true, _) => Manner::status(415, "not any more"),
        (false, _) => Manner::status(204, ""),
    });
    let watched = Watched::start(&format!("prometheus:{}?batch=50", server.base()), ROOM, None);
    let made = export(&watched, two_nodes(0)).await;
    assert_eq!(watched.settled().await.ledger.delivered, made);
    let tried: Vec<bool> = server.asked().iter().map(is_two).collect();
    assert_eq!(tried[..4], [true, true, true, false]);
    assert!(tried[4..].iter().all(|two| !two));
}

#[actix_web::test]
async fn a_version_that_was_chosen_is_kept_to() {
    let old = FakeSink::start(|_, _| Manner::status(204, ""));
    let watched = Watched::start(&format!("prometheus:{}?version=2", old.base()), ROOM, None);
    let made = export(&watched, two_nodes(0)).await;
    let state = watched.waits_for("a refusal", |state| state.failures > 0).await;
    assert_eq!((state.ledger.queued, state.ledger.lost()), (made, 0), "nothing is lost by a wrong option");
    let said = state.last_error.unwrap();
    assert!(said.starts_with("version: ") && said.contains("give version=1"), "{said}");
    assert!(old.asked().iter().all(is_two));
    let watched = Watched::start(&format!("prometheus:{}?version=1", old.base()), ROOM, None);
    let made = export(&watched, two_nodes(0)).await;
    assert_eq!(watched.settled().await.ledger.delivered, made);
    assert!(!is_two(old.asked().last().unwrap()));
}

#[actix_web::test]
async fn what_is_refused_is_counted_and_the_rest_delivered() {
    let dropped = |reason, count| BTreeMap::from([(reason, count)]);
    let left_out: [fn(&Asked) -> Manner; 2] = [
        |asked| took(series(asked).len() - 3),
        |asked| {
            let header = ("X-Prometheus-Remote-Write-Samples-Written", (series(asked).len() - 3).to_string());
            Manner::Answer(400, vec![header], "out of order sample for web-1".to_owned())
        },
    ];
    for answer in left_out {
        let server =
            FakeSink::start(move |n, asked| if n == 1 { answer(asked) } else { took(series(asked).len()) });
        let watched = Watched::start(&format!("prometheus:{}?batch=50", server.base()), ROOM, None);
        let made = export(&watched, two_nodes(0)).await;
        let state = watched.settled().await;
        assert_eq!((state.ledger.dropped, state.ledger.delivered), (dropped("partial_write", 3), made - 3));
    }
    for version in [1, 2] {
        let server = FakeSink::start(|n, asked| match n {
            1 => Manner::status(400, "out of order sample"),
            _ => took(series(asked).len()),
        });
        let uri = format!("prometheus:{}?batch=50&version={version}", server.base());
        let watched = Watched::start(&uri, ROOM, None);
        let made = export(&watched, two_nodes(0)).await;
        let state = watched.settled().await;
        assert_eq!((state.ledger.dropped, state.ledger.delivered), (dropped("bad_request", 50), made - 50));
        assert!(state.last_error.unwrap().ends_with("status 400: out of order sample"));
    }
}

#[actix_web::test]
async fn what_may_pass_is_waited_for() {
    for version in ["1", "2", "auto"] {
        let server = FakeSink::start(|n, asked| match n {
            0 => Manner::Answer(429, vec![("Retry-After", "1".to_owned())], "slower".to_owned()),
            1 => Manner::status(503, "later"),
            2 => Manner::Cut,
            3 => Manner::status(401, "who"),
            _ => took(series(asked).len()),
        });
        let watched = Watched::start(&format!("prometheus:{}?version={version}", server.base()), ROOM, None);
        let made = export(&watched, two_nodes(0)).await;
        let state = watched.settled().await;
        assert_eq!((state.ledger.delivered, state.ledger.lost()), (made, 0));
        let asked = server.asked();
        assert!(asked[1].at - asked[0].at >= std::time::Duration::from_secs(1), "as the server asks");
        let same =
            |asked: &Asked| series(asked).into_iter().map(|(labels, ..)| labels).collect::<BTreeSet<_>>();
        assert!(asked.iter().all(|other| same(other) == same(&asked[0])), "the same again");
        assert!(
            asked.iter().all(|asked| is_two(asked) == (version != "1")),
            "an outage says nothing of versions"
        );
    }
}

#[actix_web::test]
async fn series_that_end_are_marked_once_and_before_the_window_that_has_them_no_more() {
    // The second answer to a mark is a refusal for now: it is sent again, and no point before it.
    let server = FakeSink::start(|n, asked| {
        let all = series(asked);
        if n == 2 { Manner::status(503, "later") } else { took(all.len()) }
    });
    let watched = Watched::start(&format!("prometheus:{}", server.base()), ROOM, None);
    let mut made = export(&watched, two_nodes(0)).await;
    // The third pod of a has gone, and the whole of b is silent.
    made += export(&watched, batch(1, &[("a", &[1, 2])])).await;
    made += export(&watched, batch(2, &[("a", &[1, 2])])).await;
    made += export(&watched, batch(3, &[("a", &[1, 2])])).await;
    let state = watched.settled().await;
    assert_eq!(
        (state.ledger.delivered, state.ledger.lost(), state.ledger.made),
        (made, 0, made),
        "marks are no points"
    );
    let requests: Vec<Vec<Series>> = server.asked().iter().map(series).collect();
    let marks = |request: &Vec<Series>| request.iter().filter(|series| is_stale(series)).count();
    for request in &requests {
        assert!([0, request.len()].contains(&marks(request)), "points and marks do not mix");
    }
    let begun = |n: i64| batch(n, &[]).window.end().nanos() / 1_000_000;
    let ended = |n: i64| -> BTreeSet<Vec<(String, String)>> {
        let of = requests.iter().flatten().filter(|series| is_stale(series) && series.2 == begun(n));
        of.map(|(labels, ..)| labels.clone()).collect()
    };
    let had = |wanted: &dyn Fn(&Vec<(String, String)>) -> bool| -> BTreeSet<Vec<(String, String)>> {
        let first = requests[0].iter().map(|(labels, ..)| labels);
        first.filter(|labels| wanted(labels)).cloned().collect()
    };
    let has = |labels: &Vec<(String, String)>, name: &str, value: &str| {
        labels.contains(&(name.into(), value.into()))
    };
    let third = had(&|labels| has(labels, "pod", "web-2") && has(labels, "node", "a"));
    assert!(third.len() > 5 && ended(1) == third, "{:?}", ended(1));
    // A node that misses one window has not ended; one that misses two has, with all that ran on it.
    let silent = had(&|labels| has(labels, "node", "b"));
    assert!(silent.len() > 10 && ended(2) == silent);
    assert_eq!(ended(3), BTreeSet::new());
    // The mark came, was refused for now, came again, and only then the window's points.
    let order: Vec<(i64, bool)> = requests.iter().map(|all| (all[0].2, is_stale(&all[0]))).collect();
    let (w0, w1, w2, w3) = (begun(0), begun(1), begun(2), begun(3));
    let expected = [(w0, false), (w1, true), (w1, false), (w1, false), (w2, true), (w2, false), (w3, false)];
    assert_eq!(order, expected);
}

#[test]
fn options_that_cannot_be_are_refused_with_what_would_do() {
    let refused = |options: &str| {
        let uri = Uri::parse(&format!("prometheus:http://127.0.0.1:9{options}"), &|_| None).unwrap();
        sinks::build(&[uri], &LabelCopier::default()).err().map(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            format!("{error} {source}")
        })
    };
    for (options, part) in [
        ("?version=3", "give 1, 2 or auto"),
        ("?batch=0", "give 1 to 100000"),
        ("?concurrency=65", "give 1 to 64"),
        ("?timeout=1ms", "give 100ms to 10m"),
        ("?user=a", "give both"),
        ("?pw=a", "give both"),
        ("?user=a&pw=b&token=c", "give one or the other"),
        ("?tenant=%0a", "give plain ASCII"),
        ("?tenat=a", "tenant"),
        ("?insecuressl=maybe", "insecuressl"),
    ] {
        let said = refused(options).unwrap_or_else(|| panic!("{options} is taken"));
        assert!(said.contains(part), "{options}: {said}");
    }
    for options in ["", "?version=auto", "?user=a&pw=b", "?token=a", "/other/path?tenant=a&cluster=b"] {
        assert_eq!(refused(options), None, "{options}");
    }
    let name = |text: &str| {
        let uri = Uri::parse(text, &|_| None).unwrap();
        sinks::build(&[uri], &LabelCopier::default()).unwrap().remove(0).name
    };
    assert_eq!(name("prometheus:http://h:9090?token=secret"), "prometheus:http://h:9090/api/v1/write");
    assert_eq!(name("prometheus:https://h/api/v1/push?user=a&pw=b"), "prometheus:https://h/api/v1/push");
    assert_eq!(name("prometheus"), "prometheus:http://localhost:9090/api/v1/write");
}
