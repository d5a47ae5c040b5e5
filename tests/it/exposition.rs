//! What Prometheus is told when it scrapes: byte for byte, with hostile names, and through its own parser and linter.

use crate::handmade::{assembled, container, inventory, node, pod, window};
use crate::programs::program;
use heapster::model::entity::Name;
use heapster::model::inventory::Resources;
use heapster::model::metric::Metric;
use heapster::model::report::{Part, Report, Subject};
use heapster::model::resources::Packed;
use heapster::rollup::latest::{Latest, Recent};
use heapster::wire::exposition::{Asked, Format, exposition};
use heapster::wire::prometheus_names::Level;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// A node with one pod of these names: one whole value, a counter, parts, a resource and an application's own.
fn latest(names: [&str; 4]) -> Latest {
    let [host, namespace, name, inner] = names;
    let mut facts = container(inner);
    let cpu = Resources { cpu: 250.into(), ..Resources::default() };
    facts.requests = Packed::from(cpu).with([("nvidia.com/gpu".into(), 2)]);
    let known = inventory(node(host), [pod(namespace, name, [facts])]);
    let mut report = Report::default();
    report.begin(Subject::Node, Part::Whole);
    report.push(Metric::StartTime, 1_700_000_000_500_000_000);
    report.push(Metric::CpuUsage, 1_500_000_000);
    report.push(Metric::NetworkRx, 7);
    report.begin(Subject::Node, Part::Interface(inner));
    report.push(Metric::NetworkRx, 5);
    report.begin(Subject::Container(namespace, name, inner), Part::Whole);
    report.push(Metric::StartTime, 1_700_000_000_000_000_000);
    report.push(Metric::CpuUsage, 250_000_000);
    report.push(Metric::MemoryUsage, 4_096);
    report.push_custom(inner, 0.5);
    report.begin(Subject::Container(namespace, name, inner), Part::Resource("", inner));
    report.push(Metric::FilesystemUsage, 9);
    let made = assembled(&report, &known, window(0), None);
    let sums = made.sums.pack(window(0), window(0).end(), None);
    let newest = Arc::new(made.block);
    let sums = Recent { newest: Arc::new(sums), older: Vec::new() };
    Latest { nodes: vec![Recent { newest, older: Vec::new() }], sums: Some(sums) }
}

fn asked(format: Format) -> Asked {
    Asked { format, levels: Level::ALL.to_vec(), timestamps: true, created: false, shard: None }
}

fn text(cluster: Option<&str>, names: [&str; 4], asked: Asked) -> String {
    exposition(vec![(cluster.map(Name::from), latest(names))], asked).collect()
}

const PLAIN: [&str; 4] = ["a", "shop", "web", "app"];

#[test]
fn the_text_is_that_of_the_format() {
    let told = text(None, PLAIN, Asked { levels: vec![Level::Node], ..asked(Format::Text) });
    let expected = "\
# HELP heapster_node_start_time_seconds Start of the entity, since the Unix epoch.
# TYPE heapster_node_start_time_seconds gauge
heapster_node_start_time_seconds{node=\"a\"} 1700000000.5 1795288800000
";
    assert!(told.starts_with(expected), "{told}");
    for part in [
        "# TYPE heapster_node_cpu_usage_seconds_total counter\n\
         heapster_node_cpu_usage_seconds_total{node=\"a\"} 1.5 1795288800000\n",
        "# TYPE heapster_node_network_receive_bytes_total counter\n\
         heapster_node_network_receive_bytes_total{node=\"a\"} 7 1795288800000\n",
        "# TYPE heapster_node_network_interface_receive_bytes_total counter\n\
         heapster_node_network_interface_receive_bytes_total{interface=\"app\",node=\"a\"} 5 1795288800000\n",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let all = text(None, PLAIN, asked(Format::Text));
    let labels = "container=\"app\",namespace=\"shop\",node=\"a\",pod=\"web\"";
    for part in [
        format!("heapster_container_cpu_usage_seconds_total{{{labels}}} 0.25 1795288800000\n"),
        format!(
            "heapster_container_fs_usage_bytes{{{},device=\"app\",{}}} 9 1795288800000\n",
            "container=\"app\"", "namespace=\"shop\",node=\"a\",pod=\"web\""
        ),
        format!("heapster_container_cpu_request_cores{{{labels}}} 0.25 1795288800000\n"),
        format!(
            "heapster_container_resource_request{{{labels},resource=\"nvidia.com/gpu\"}} 2 1795288800000\n"
        ),
        format!(
            "# TYPE heapster_container_custom untyped\n\
             heapster_container_custom{{{labels},metric=\"app\"}} 0.5 1795288800000\n"
        ),
        "heapster_pod_memory_usage_bytes{namespace=\"shop\",node=\"a\",pod=\"web\"} 4096 1795288800000\n"
            .to_owned(),
        "heapster_namespace_memory_usage_bytes{namespace=\"shop\"} 4096 1795288800000\n".to_owned(),
        "heapster_cluster_memory_usage_bytes 4096 1795288800000\n".to_owned(),
    ] {
        assert!(all.contains(&part), "{part}\n{all}");
    }
    let bare = text(None, PLAIN, Asked { timestamps: false, ..asked(Format::Text) });
    assert_eq!(bare, all.replace(" 1795288800000\n", "\n"));
    let named = text(Some("east"), PLAIN, asked(Format::Text));
    assert!(named.contains("heapster_cluster_memory_usage_bytes{cluster=\"east\"} 4096 "));
}

#[test]
fn open_metrics_has_units_creation_and_an_end() {
    let plain = text(None, PLAIN, asked(Format::OpenMetrics));
    assert!(!plain.contains("_created"));
    let told = text(None, PLAIN, Asked { created: true, ..asked(Format::OpenMetrics) });
    let expected = "\
# HELP heapster_node_cpu_usage_seconds CPU time used, over all cores.
# TYPE heapster_node_cpu_usage_seconds counter
# UNIT heapster_node_cpu_usage_seconds seconds
heapster_node_cpu_usage_seconds_total{node=\"a\"} 1.5 1795288800
heapster_node_cpu_usage_seconds_created{node=\"a\"} 1700000000.5 1795288800
";
    assert!(told.contains(expected), "{told}");
    assert!(told.contains("# TYPE heapster_container_custom unknown\n"));
    assert!(told.ends_with("\n# EOF\n"));
    assert_eq!(exposition(Vec::new(), asked(Format::OpenMetrics)).collect::<String>(), "# EOF\n");
    assert_eq!(exposition(Vec::new(), asked(Format::Text)).collect::<String>(), "");
}

#[test]
fn families_are_whole_and_each_series_is_there_once() {
    let clusters =
        vec![(Some("one".into()), latest(PLAIN)), (Some("two".into()), latest(["b", "shop", "web", "app"]))];
    let text: String = exposition(clusters, asked(Format::Text)).collect();
    let (mut families, mut series, mut current) = (BTreeSet::new(), BTreeSet::new(), "");
    for line in text.lines() {
        if let Some(line) = line.strip_prefix("# TYPE ") {
            current = line.split(' ').next().unwrap();
            assert!(families.insert(current), "{current} is begun twice");
        } else if !line.starts_with('#') {
            let key = line.rsplitn(3, ' ').last().unwrap();
            assert_eq!(key.split('{').next(), Some(current));
            assert!(series.insert(key), "{key} is there twice");
        }
    }
    let of =
        |cluster: &str| series.iter().filter(|key| key.contains(&format!("cluster=\"{cluster}\""))).count();
    assert!(of("one") > 20 && of("one") == of("two") && of("one") * 2 == series.len());
}

#[test]
fn the_client_chooses_the_format() {
    let own = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
               text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    for (accept, format) in [
        ("", Format::Text),
        ("*/*", Format::Text),
        ("text/plain", Format::Text),
        ("application/json", Format::Text),
        (own, Format::OpenMetrics),
        ("application/openmetrics-text", Format::OpenMetrics),
        ("Application/OpenMetrics-Text; version=\"1.0.0\"", Format::OpenMetrics),
        ("application/openmetrics-text; version=2.0.0, text/plain;q=0.1", Format::Text),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.3", Format::Text),
        ("application/openmetrics-text;q=0", Format::Text),
        ("application/openmetrics-text;q=x", Format::Text),
    ] {
        assert_eq!(Format::preferred(accept), format, "{accept:?}");
    }
}

/// What Prometheus' own linter says of a text. None where it is not installed.
fn linted(text: &str) -> Option<(bool, String)> {
    let program = program("promtool", "prometheus")?;
    let mut child = Command::new(program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    Some((output.status.success(), said))
}

#[test]
fn prometheus_own_linter_has_nothing_to_say() {
    let hostile = ["no\\de", "\"quoted\"", "two\nlines", "ä,={}#"];
    for names in [PLAIN, hostile] {
        let told = text(Some("the \"east\"\\"), names, asked(Format::Text));
        let Some(said) = linted(&told) else { return };
        assert_eq!(said, (true, String::new()), "{told}");
    }
    // That it says something of what is wrong.
    let (good, said) = linted("# TYPE a_total gauge\na_total 1\na_total 2\n").unwrap();
    assert!(!good && !said.is_empty());
}
