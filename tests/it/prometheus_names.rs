//! Names and labels for Prometheus: none twice, none that its own linter would refuse, and the README has each.

use crate::documents::assert_table;
use crate::handmade::{node, of_container, of_free, of_namespace, of_node, of_pod};
use heapster::model::entity::{Entity, Labels};
use heapster::model::metric::{Kind, Labelled, Metric, MetricKey};
use heapster::telemetry::Telemetry;
use heapster::wire::prometheus_names::{
    Family, Level, Type, Whose, apart, kinds_of_parts, labels, levels, own_label, part_label, takes, value,
};
use std::collections::{BTreeMap, BTreeSet};

/// Every family that there may be: metric, level, and what sets its parts apart.
fn families() -> Vec<(MetricKey, Level, Option<&'static str>)> {
    let known = Metric::ALL.iter().map(|metric| (MetricKey::Known(*metric), levels(*metric)));
    let others =
        [MetricKey::Resource("nvidia.com/gpu/request".into()), MetricKey::Custom("custom/queries".into())];
    let all = known.chain(others.map(|key| (key, u8::MAX))).filter(|(key, _)| takes(key));
    let level = |(key, levels): (MetricKey, u8)| {
        let of = Level::ALL.into_iter().filter(move |level| levels & level.bit() != 0);
        let kinds = match &key {
            MetricKey::Known(metric) => kinds_of_parts(*metric),
            _ => &[None],
        };
        of.flat_map(move |level| kinds.iter().map(|apart| (key.clone(), level, *apart)).collect::<Vec<_>>())
    };
    all.flat_map(level).collect()
}

#[test]
fn every_metric_has_a_name_of_its_own() {
    let mut named: BTreeMap<String, (MetricKey, Level, Option<&str>)> = BTreeMap::new();
    for (key, level, apart) in families() {
        let (family, own) = (Family::new(&key, level, apart), (key, level, apart));
        for name in BTreeSet::from([family.name.clone(), family.series()]) {
            let other = named.insert(name.clone(), own.clone());
            assert_eq!(other, None, "{name} is {own:?} as well");
        }
    }
    // OpenMetrics has more names of a counter than its own.
    let made =
        |name: &str| ["_created", "_bucket", "_count", "_sum", "_info"].iter().any(|end| name.ends_with(end));
    assert!(named.keys().all(|name| !made(name)));
    let own = Telemetry::new().exposition().unwrap();
    let own = own.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    for name in own {
        assert!(!named.contains_key(name), "{name} is one of the collector's own");
    }
    for level in Level::ALL {
        // A name of one level must not be read as one of another.
        let begins = format!("heapster_{}_", level.word());
        let others = named.iter().filter(|(name, (_, of, _))| name.starts_with(&begins) && *of != level);
        assert_eq!(others.count(), 0, "{begins}");
    }
}

#[test]
fn names_end_as_prometheus_has_it() {
    for (key, level, apart) in families() {
        let family = Family::new(&key, level, apart);
        let plain = |name: &str| name.bytes().all(|each| matches!(each, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        assert!(plain(&family.name) && !family.name.contains("__"), "{}", family.name);
        assert!(
            family.unit.is_empty() || family.name.ends_with(&format!("_{}", family.unit)),
            "{}",
            family.name
        );
        assert_eq!(family.kind == Type::Counter, family.series().ends_with("_total"), "{}", family.name);
        let MetricKey::Known(metric) = key else { continue };
        let counts = metric.descriptor().kind == Kind::Cumulative && metric != Metric::Uptime;
        assert_eq!(counts, family.kind == Type::Counter);
        let twice = ["_usage_usage", "_rate", "_node_node", "_ns", "_ms"];
        assert!(twice.iter().all(|end| !family.name.ends_with(end)), "{}", family.name);
        assert!(!family.help.ends_with('.') && !family.help.contains(['\\', '\n']), "{}", family.help);
    }
}

/// What cAdvisor calls its metrics (google/cadvisor `docs/storage/prometheus.md`), and the kubelet's resource metrics, as
/// far as there is the like here.
const CADVISOR: [&str; 20] = [
    "cpu_usage_seconds_total",
    "fs_inodes_free",
    "fs_limit_bytes",
    "fs_reads_bytes_total",
    "fs_usage_bytes",
    "fs_writes_bytes_total",
    "memory_usage_bytes",
    "memory_working_set_bytes",
    "network_receive_bytes_total",
    "network_receive_errors_total",
    "network_transmit_bytes_total",
    "network_transmit_errors_total",
    "pressure_cpu_stalled_seconds_total",
    "pressure_cpu_waiting_seconds_total",
    "pressure_io_waiting_seconds_total",
    "pressure_memory_waiting_seconds_total",
    "processes",
    "start_time_seconds",
    "accelerator_memory_total_bytes",
    "accelerator_memory_used_bytes",
];

#[test]
fn what_cadvisor_has_is_called_as_there() {
    let names: Vec<String> =
        families().iter().map(|(key, level, _)| Family::new(key, *level, None).series()).collect();
    for name in CADVISOR {
        assert!(names.iter().any(|other| other.ends_with(&format!("_{name}"))), "{name}");
    }
}

#[test]
fn values_are_in_base_units() {
    let of = |metric, held| value(&MetricKey::Known(metric), held);
    assert_eq!(of(Metric::CpuUsage, 1_234_567_890_123_456_789), 1_234_567_890.123_456_8);
    assert_eq!(of(Metric::CpuUsageRate, 1_500), 1.5);
    assert_eq!(of(Metric::CpuUsageNanocores, 1), 1e-9);
    assert_eq!(of(Metric::CpuNodeUtilization, 333_333), 0.333_333);
    assert_eq!(of(Metric::CpuPressureSomeAvg10, 12_340), 0.123_4);
    assert_eq!(of(Metric::AcceleratorDutyCycle, 50), 0.5);
    assert_eq!(of(Metric::CpuLoad, 2_500), 2.5);
    assert_eq!(of(Metric::MemoryUsage, u64::MAX), u64::MAX as f64);
    assert_eq!(of(Metric::Uptime, 1_500), 1.5);
    assert_eq!(of(Metric::NetworkRxRate, 1), 0.001);
    assert_eq!(value(&MetricKey::Resource("a/request".into()), 3), 3.0);
    assert_eq!(value(&MetricKey::Custom("custom/a".into()), (-0.5_f64).to_bits()), -0.5);
}

#[test]
fn labels_tell_entities_apart_and_are_sorted() {
    let facts = crate::handmade::inventory(node("a"), []);
    let entities = [
        Entity::Cluster,
        of_namespace("shop"),
        of_node("a"),
        of_free("a", "kubelet"),
        of_pod("shop", "web"),
        of_container("shop", "web", "app"),
    ];
    let part = Labels::new([("resource_id", "/"), ("make", "")]);
    for (entity, level) in entities.iter().zip(Level::ALL) {
        assert_eq!(Level::of(entity), level);
        let own: Vec<&str> = labels(Whose::default(), entity.borrowed(), None, Some(&facts))
            .iter()
            .map(|(label, _)| *label)
            .collect();
        assert_eq!(own, level.labels(), "{entity}");
        let all = labels(
            Whose { cluster: Some("east"), shard: None },
            entity.borrowed(),
            Some(&part),
            Some(&facts),
        );
        assert!(all.is_sorted() && all.contains(&("device", "/")) && all.contains(&("cluster", "east")));
        assert!(all.iter().all(|(_, value)| !value.is_empty()), "an empty label is none");
    }
    let request = MetricKey::Resource("nvidia.com/gpu/request".into());
    assert_eq!(own_label(&request), Some(("resource", "nvidia.com/gpu")));
    assert_eq!(own_label(&MetricKey::Custom("custom/custom/a".into())), Some(("metric", "custom/a")));
    assert_eq!(own_label(&MetricKey::Known(Metric::CpuUsage)), None);
}

#[test]
fn parts_that_are_in_others_are_apart() {
    let part = |value: &str| Labels::new([("resource_id", value)]);
    let of = |metric, part: Option<&Labels>| apart(&MetricKey::Known(metric), part);
    for id in ["imagefs", "containerfs", "ephemeral-storage"] {
        assert_eq!(of(Metric::FilesystemUsage, Some(&part(id))), Some(id));
        assert_eq!(of(Metric::DiskReadBytes, Some(&part(id))), None, "a device may be called so");
    }
    assert_eq!(of(Metric::FilesystemUsage, Some(&part("/"))), None);
    assert_eq!(of(Metric::NetworkRx, None), None);
    assert_eq!(of(Metric::NetworkRx, Some(&Labels::new([("interface", "eth0")]))), Some("interface"));
    // Whatever part there is, its family is one of those that are told.
    for metric in Metric::ALL {
        let parts = ["imagefs", "containerfs", "ephemeral-storage", "/"].map(part);
        for part in parts.iter().chain([&Labels::new([("interface", "eth0")])]).map(Some).chain([None]) {
            assert!(kinds_of_parts(*metric).contains(&of(*metric, part)), "{metric:?} {part:?}");
        }
    }
}

#[test]
fn names_are_told() {
    let begins = format!("heapster_{}_", Level::Node.word());
    let name = |key: &MetricKey, apart| {
        let series = Family::new(key, Level::Node, apart).series();
        format!("`{}`", series.strip_prefix(&begins).unwrap())
    };
    let known = Metric::ALL.iter().filter(|metric| takes(&MetricKey::Known(**metric)));
    let rows = known.map(|metric| {
        let (key, line) = (MetricKey::Known(*metric), metric.descriptor());
        let names: Vec<String> = kinds_of_parts(*metric).iter().map(|apart| name(&key, *apart)).collect();
        let parts = match line.labelled {
            Labelled::No => String::new(),
            Labelled::Interface => "none, and `interface`".to_owned(),
            Labelled::Resource => format!("`{}`", part_label("resource_id")),
            Labelled::Accelerator => "`make`, `model`, `accelerator_id`".to_owned(),
        };
        format!("| `{}` | {} | {parts} |", line.name, names.join(", "))
    });
    let other = |shown: &str, key: &MetricKey| {
        let (label, _) = own_label(key).unwrap();
        format!("| {shown} | {} | `{label}` |", name(key, None))
    };
    let others = [
        other("`RESOURCE/request`", &MetricKey::Resource("x/request".into())),
        other("`custom/NAME`", &MetricKey::Custom("custom/x".into())),
    ];
    assert_table("### Names in Prometheus", &rows.chain(others).collect::<Vec<_>>());
    let levels = Level::ALL.map(|level| {
        let shown: Vec<String> = level.labels().iter().map(|label| format!("`{label}`")).collect();
        format!("| `heapster_{}_` | {} |", level.word(), shown.join(", "))
    });
    assert_table("### Scraping", &levels);
}
