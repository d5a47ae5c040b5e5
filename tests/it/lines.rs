//! Line protocol: the lines that Heapster wrote, and names of any kind read back as they were by a reader that follows
//! InfluxDB's rules and by one that follows VictoriaMetrics'.

use crate::handmade::{container, inventory, node, of_container, of_free, of_node, pod, window};
use heapster::model::entity::{Entity, EntityRef, Labels};
use heapster::model::inventory::{ContainerFacts, NodeFacts, PodFacts};
use heapster::model::label_copier::LabelCopier;
use heapster::model::metric::Value;
use heapster::wire::influx_query as query;
use heapster::wire::line_protocol::{line, names, set_apart, tags};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

fn text(metric: &str, with_fields: bool, tags: &str, value: Value) -> String {
    let mut out = Vec::new();
    assert!(line(&mut out, &names(metric, None, with_fields), tags, value, window(0).end()));
    String::from_utf8(out).unwrap()
}

#[test]
fn lines_are_those_of_the_original() {
    let main = ContainerFacts { image: "nginx:1.9".into(), ..container("web") };
    let web =
        PodFacts { labels: Labels::new([("app", "web"), ("tier", "fe")]), ..pod("shop", "web-1", [main]) };
    let host =
        NodeFacts { hostname: "n1.local".into(), labels: Labels::new([("os", "linux")]), ..node("n1") };
    let known = inventory(host, [web]);
    let stamp = window(0).end().nanos();
    let of = |entity: &Entity, part: Option<&Labels>| {
        tags("default", None, entity.borrowed(), part, Some(&known), &LabelCopier::default(), false)
    };
    let web = of(&of_container("shop", "web-1", "web"), None);
    let in_pod = ",cluster_name=default,container_base_image=nginx:1.9,container_name=web,labels=app:web\\,tier:fe,namespace_name=shop,nodename=n1,pod_name=web-1,type=pod_container";
    assert_eq!(web, in_pod);
    let whole = Value::Integer(12);
    assert_eq!(
        text("cpu/usage_rate", false, &web, whole),
        format!("cpu/usage_rate{in_pod} value=12i {stamp}\n")
    );
    assert_eq!(text("cpu/usage_rate", true, &web, whole), format!("cpu{in_pod} usage_rate=12i {stamp}\n"));
    let gpu = text("nvidia.com/gpu/request", true, &web, whole);
    assert_eq!(gpu, format!("nvidia.com{in_pod} gpu/request=12i {stamp}\n"));
    let disk = of(&of_node("n1"), Some(&Labels::new([("resource_id", "/dev/sda1")])));
    let on_node = ",cluster_name=default,labels=os:linux,nodename=n1,resource_id=/dev/sda1,type=node";
    assert_eq!(disk, on_node);
    assert_eq!(text("uptime", true, &disk, whole), format!("uptime{on_node} value=12i {stamp}\n"));
    let float = |float| text("network/tx_rate", false, ",type=cluster", Value::Float(float));
    assert_eq!(float(0.25), format!("network/tx_rate,type=cluster value=0.25 {stamp}\n"));
    assert_eq!(float(1e300), format!("network/tx_rate,type=cluster value=1{} {stamp}\n", "0".repeat(300)));
    assert_eq!(float(3.0), format!("network/tx_rate,type=cluster value=3 {stamp}\n"));
    let part = |label, value| set_apart(Some(&Labels::new([(label, value)])));
    assert_eq!(
        (part("resource_id", "/"), part("resource_id", "Volume:a"), set_apart(None)),
        (None, None, None)
    );
    assert_eq!(names("network/rx", part("interface", "eth0"), false).0, "network/interface/rx");
    let image = names("filesystem/usage", part("resource_id", "imagefs"), true);
    assert_eq!(image, ("filesystem".to_owned(), "imagefs/usage".to_owned()));
    let free = of(&of_free("n1", "kubelet"), None);
    assert_eq!(free, ",cluster_name=default,container_name=kubelet,nodename=n1,type=sys_container");
    assert_eq!(
        tags("c", None, EntityRef::Cluster, None, None, &LabelCopier::default(), false),
        ",cluster_name=c,type=cluster"
    );
    let namespace = tags("c", None, EntityRef::Namespace("shop"), None, None, &LabelCopier::default(), false);
    assert_eq!(namespace, ",cluster_name=c,namespace_name=shop,type=ns");
    let most = u64::try_from(i64::MAX).unwrap();
    assert!(text("memory/usage", false, "", Value::Integer(most)).contains(&format!("value={most}i ")));
    let mut out = Vec::new();
    assert!(!line(
        &mut out,
        &names("memory/usage", None, false),
        "",
        Value::Integer(most + 1),
        window(0).end()
    ));
    assert!(out.is_empty(), "a number that it has no form for leaves nothing behind");
}

/// How a reader takes a backslash.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reader {
    /// It escapes what needs to be, and is itself before anything else.
    Influx,
    /// It escapes whatever follows.
    Victoria,
}

type Parsed = (String, BTreeMap<String, String>, String, String, i64);

/// Splits at the first of `ends` that is not escaped; gives what is before it, unescaped, the end, and the rest.
fn word<'t>(text: &'t str, ends: &[char], reader: Reader) -> (String, Option<char>, &'t str) {
    let mut out = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, each)) = chars.next() {
        if each == '\\' {
            match chars.peek() {
                Some((_, next)) if reader == Reader::Victoria || [',', '=', ' '].contains(next) => {
                    out.push(*next);
                    chars.next();
                }
                _ => out.push('\\'),
            }
        } else if ends.contains(&each) {
            return (out, Some(each), &text[at + each.len_utf8()..]);
        } else {
            out.push(each);
        }
    }
    (out, None, "")
}

fn parse(line: &str, reader: Reader) -> Parsed {
    let (measurement, mut end, mut rest) = word(line, &[',', ' '], reader);
    let mut tags = BTreeMap::new();
    while end == Some(',') {
        let (key, equals, after) = word(rest, &['=', ',', ' '], reader);
        assert_eq!(equals, Some('='), "{line:?}");
        let (value, next, after) = word(after, &[',', ' ', '='], reader);
        assert!(!key.is_empty() && !value.is_empty() && next != Some('='), "{line:?}");
        assert!(tags.insert(key, value).is_none(), "{line:?}");
        (end, rest) = (next, after);
    }
    let (field, equals, after) = word(rest, &['=', ',', ' '], reader);
    assert_eq!((end, equals), (Some(' '), Some('=')), "{line:?}");
    let (value, stamp) = after.split_once(' ').unwrap();
    (measurement, tags, field, value.to_owned(), stamp.parse().unwrap())
}

/// What stands for a backslash or a control character, back again.
fn meant(text: &str) -> String {
    let back = |each: char| match each {
        '＼' => '\\',
        '␡' => '\u{7f}',
        '\u{2400}'..='\u{241f}' => char::from_u32(u32::from(each) - 0x2400).unwrap(),
        other => other,
    };
    text.chars().map(back).collect()
}

/// Names with whatever could end or escape something, anywhere in them.
fn hostile() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        " ", ",", "=", "\"", "'", "\\", "\n", "\r", "\t", "\0", "#", "/", ":", "é", "\u{7f}", "\u{202e}",
    ]);
    prop::collection::vec(prop_oneof![special.prop_map(str::to_owned), "[a-z]{1,3}"], 1..8)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(crate::handmade::cases(2_000))]

    #[test]
    fn hostile_names_come_back(
        namespace in hostile(), name in hostile(), image in hostile(), key in hostile(), value in hostile(),
        custom in hostile(), cluster in hostile(), with_fields in any::<bool>(), float in any::<f64>().prop_filter("finite", |f| f.is_finite()),
    ) {
        let main = ContainerFacts { image: image.as_str().into(), ..container("main") };
        let facts = PodFacts { labels: Labels::new([(key.as_str(), value.as_str())]), ..pod(&namespace, &name, [main]) };
        let known = inventory(node("n1"), [facts]);
        let part = Labels::new([("resource_id", value.as_str())]);
        let entity = of_container(&namespace, &name, "main");
        let tags = tags(&cluster, None, entity.borrowed(), Some(&part), Some(&known), &LabelCopier::default(), false);
        let metric = format!("custom/{custom}");
        let text = text(&metric, with_fields, &tags, Value::Float(float));
        prop_assert_eq!(text.matches('\n').count(), 1, "one line, whatever the names");
        let line = text.strip_suffix('\n').unwrap();
        let expected = BTreeMap::from([
            ("cluster_name", cluster.clone()),
            ("container_base_image", image.clone()),
            ("container_name", "main".to_owned()),
            ("labels", format!("{key}:{value}")),
            ("namespace_name", namespace.clone()),
            ("nodename", "n1".to_owned()),
            ("pod_name", name.clone()),
            ("resource_id", value.clone()),
            ("type", "pod_container".to_owned()),
        ]);
        for reader in [Reader::Influx, Reader::Victoria] {
            let (measurement, tags, field, value, stamp) = parse(line, reader);
            let tags: BTreeMap<&str, String> = tags.iter().map(|(key, value)| (key.as_str(), meant(value))).collect();
            prop_assert_eq!(&tags, &expected, "{:?}", reader);
            let named = if with_fields { ("custom".to_owned(), custom.clone()) } else { (metric.clone(), "value".to_owned()) };
            prop_assert_eq!((meant(&measurement), meant(&field)), named);
            prop_assert_eq!((value.parse::<f64>().unwrap(), stamp), (float, window(0).end().nanos()));
        }
    }
}

#[test]
fn statements_hold_names_of_any_kind() {
    let month = Duration::from_secs(30 * 86_400);
    assert_eq!(query::show_policies("k8s"), "SHOW RETENTION POLICIES ON \"k8s\"");
    assert_eq!(
        query::create_database("a\"; DROP DATABASE b\\", "default", Duration::ZERO),
        "CREATE DATABASE \"a\\\"; DROP DATABASE b\\\\\" WITH DURATION INF REPLICATION 1 NAME \"default\""
    );
    assert_eq!(
        query::create_policy("k8s", "p", month, true),
        "CREATE RETENTION POLICY \"p\" ON \"k8s\" DURATION 2592000s REPLICATION 1 DEFAULT"
    );
    assert_eq!(
        query::create_policy("k8s", "p", month, false),
        "CREATE RETENTION POLICY \"p\" ON \"k8s\" DURATION 2592000s REPLICATION 1"
    );
    assert_eq!(
        query::alter_policy("k8s", "p", month),
        "ALTER RETENTION POLICY \"p\" ON \"k8s\" DURATION 2592000s"
    );
}

#[test]
fn durations_are_read_as_the_database_writes_them() {
    let cases = [
        ("0", Some(0)),
        ("INF", Some(0)),
        ("0s", Some(0)),
        ("30d", Some(30 * 86_400)),
        ("4w", Some(28 * 86_400)),
        ("168h0m0s", Some(7 * 86_400)),
        ("1h30m", Some(5_400)),
        ("1500ms", None),
        ("", None),
        ("d", None),
        ("5", None),
        ("5 d", None),
        ("-1h", None),
        ("1y", None),
        ("99999999999999999999w", None),
    ];
    for (text, seconds) in cases {
        let read = query::parse_duration(text).filter(|read| read.subsec_nanos() == 0);
        assert_eq!(read.map(|read| read.as_secs()), seconds, "{text}");
    }
}
