//! Numbers of a summary as they may be written: which are taken, which are counted as broken, and what they cost.

use heapster::model::metric::Metric;
use heapster::wire::kubelet_summary::read;

fn node_usage(leaf: &str) -> (Option<u64>, u64) {
    let body = format!("{{\"node\":{{\"memory\":{{\"usageBytes\":{leaf},\"rssBytes\":5}}}}}}");
    let mut usage = None;
    let told = read(body.as_bytes(), |report| {
        let row = report.rows()[0];
        assert_eq!(report.value(&row, Metric::MemoryRss), Some(5), "{leaf} costs its neighbour");
        usage = Some((report.value(&row, Metric::MemoryUsage), report.broken_leaves));
    });
    told.unwrap_or_else(|error| panic!("{leaf}: {error:?}"));
    usage.unwrap()
}

#[test]
fn whole_numbers_are_taken_however_they_are_written() {
    for (leaf, held) in [
        ("0", 0),
        ("-0", 0),
        ("0.0", 0),
        ("-0.0", 0),
        ("1e3", 1_000),
        ("1.5E1", 15),
        ("7.0", 7),
        ("1e-0", 1),
        ("18446744073709551615", u64::MAX),
    ] {
        assert_eq!(node_usage(leaf), (Some(held), 0), "{leaf}");
    }
}

#[test]
fn numbers_that_no_metric_holds_are_counted() {
    for leaf in [
        "-1",
        "-1.5",
        "18446744073709551616",
        "1.8446744073709552e19",
        "99999999999999999999999999999999",
        "1e300",
        "-9223372036854775809",
    ] {
        assert_eq!(node_usage(leaf), (None, 1), "{leaf}");
    }
}

#[test]
fn fractions_of_things_are_counted_and_not_cut_off() {
    for leaf in ["1.5", "0.1", "1e-1", "1048576.5"] {
        assert_eq!(node_usage(leaf), (None, 1), "{leaf}");
    }
}

#[test]
fn numbers_too_large_for_a_double_cost_no_more_than_themselves() {
    for leaf in ["1e400", "-1e400", "1e999999999999", "2e308"] {
        assert_eq!(node_usage(leaf), (None, 1), "{leaf}");
    }
}

#[test]
fn several_numbers_of_several_lines_may_be_too_large() {
    let memory = |usage: &str| format!("{{\n\t\"usageBytes\": {usage}\r\n,\n\"rssBytes\": 5 }}");
    for usages in
        [["1e400", "7", "-1e999"], ["7", "1e400", "1e401"], ["1e309", "1e310", "1e99999999999999999999"]]
    {
        let pods = usages.map(|usage| {
            format!(
                "{{ \"podRef\": {{ \"namespace\": \"a\", \"name\": \"p{usage}\" }},\n \"memory\": {} }}",
                memory(usage)
            )
        });
        let body = format!("{{\n\"pods\": [\n{}\n] }}\n", pods.join(",\n\n"));
        let mut told = None;
        read(body.as_bytes(), |report| {
            let of = |metric| report.rows().iter().map(|row| report.value(row, metric)).collect::<Vec<_>>();
            told = Some((of(Metric::MemoryUsage), of(Metric::MemoryRss), report.broken_leaves));
        })
        .unwrap_or_else(|error| panic!("{usages:?}: {error:?}"));
        let expected = usages.map(|usage| usage.parse().ok());
        let broken = expected.iter().filter(|usage| usage.is_none()).count() as u64;
        assert_eq!(told, Some((expected.to_vec(), vec![Some(5); 3], broken)), "{usages:?}");
    }
}

/// Whoever has no name cannot be asked for: that is counted, and costs its neighbours nothing.
#[test]
fn what_has_no_name_is_counted() {
    let pod = |reference: &str, inner: &str| format!("{{\"podRef\":{reference},\"swap\":{{}}{inner}}}");
    let named = r#"{"namespace":"shop","name":"cart"}"#;
    let inner = r#","containers":[{"name":""},{},{"name":"app"},null],"volume":[{"name":"","usedBytes":1},{"name":"data"}]"#;
    let of_pods = [
        pod(named, inner),
        pod(r#"{"namespace":"shop","name":""}"#, r#","containers":[{"name":"app"}]"#),
        pod(r#"{"namespace":"","name":"cart"}"#, ""),
        "{}".to_owned(),
        "null".to_owned(),
    ];
    let body = format!(r#"{{"node":{{"systemContainers":[{{"name":""}}]}},"pods":[{}]}}"#, of_pods.join(","));
    let mut told = None;
    read(body.as_bytes(), |report| {
        let rows: Vec<String> =
            report.rows().iter().map(|row| format!("{:?} {:?}", row.subject, row.part)).collect();
        told = Some((rows, report.nameless, report.broken_leaves));
    })
    .unwrap();
    let rows = [
        "Node Whole",
        r#"Pod("shop", "cart") Whole"#,
        r#"Pod("shop", "cart") Resource("Volume:", "data")"#,
        r#"Container("shop", "cart", "app") Whole"#,
    ];
    // A container of the node, two and a volume of the pod that has a name, and three pods.
    assert_eq!(told, Some((rows.map(str::to_owned).to_vec(), 1 + 2 + 1 + 3, 0)));
}
