//! Several collectors that feed one InfluxDB: shards, whose sums add up there, and replicas, whose points fall together.

use crate::databases::{Database, Series};
use crate::sinks_influxdb::{delivered, simulator};
use crate::support::Collector;
use std::collections::BTreeMap;

/// The sums of a metric by stamp and namespace.
fn by_namespace(series: &[Series]) -> BTreeMap<(i64, String), f64> {
    let rows = series.iter().flat_map(|series| series.values.iter().map(move |row| (series, row)));
    rows.map(|(series, row)| {
        ((row[0].as_i64().unwrap(), series.tags["namespace_name"].clone()), row[1].as_f64().unwrap())
    })
    .collect()
}

#[actix_web::test]
async fn sums_of_shards_add_up_in_the_database() {
    let Some(database) = Database::influxdb().await else { return };
    let simulator = simulator();
    let source = format!("--source={}", simulator.source_uri());
    let sink = format!("--sink=influxdb:{}?db=k8s", database.base);
    let mut shards = Vec::new();
    for index in 1..=2 {
        shards.push(Collector::start(&[&source, &sink, &format!("--shard={index}/2")]).await);
    }
    for shard in &shards {
        delivered(shard, "/k8s", 4.0).await;
    }
    let sum = async |of: &str, what: &str| {
        let statement = format!(
            "SELECT {what}(\"value\") FROM \"memory/usage\" WHERE \"type\" = '{of}' AND time > now() - 15m \
             GROUP BY time(5s), \"namespace_name\" fill(none)"
        );
        by_namespace(&database.influxql("k8s", &statement).await)
    };
    let (pods, sums) = (sum("pod", "sum").await, sum("ns", "sum").await);
    let (count, shares) = (sum("pod", "count").await, sum("ns", "count").await);
    // At a stamp at which either collector has not written yet, only a part is there.
    let most = |counts: &BTreeMap<(i64, String), f64>, namespace: &str| {
        let of = counts.iter().filter(|((_, other), _)| other == namespace);
        of.map(|(_, count)| *count).fold(0.0, f64::max)
    };
    let whole: Vec<_> = sums
        .keys()
        .filter(|key| count.get(key) == Some(&most(&count, &key.1)) && shares[*key] == most(&shares, &key.1))
        .collect();
    assert!(whole.len() >= 4, "{sums:?}");
    for key in whole {
        assert_eq!(sums[key], pods[key], "{key:?}");
    }
    // Each shard has a series of its own of what both sum up, and none has one of what is its own.
    let tags = async |of: &str| {
        let statement = format!(
            "SELECT last(\"value\") FROM \"memory/usage\" WHERE \"type\" = '{of}' GROUP BY \"shard\""
        );
        let series = database.influxql("k8s", &statement).await;
        series.iter().map(|series| series.tags["shard"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (tags("cluster").await, tags("ns").await),
        (vec!["1/2".to_owned(), "2/2".into()], vec!["1/2".to_owned(), "2/2".into()])
    );
    for of in ["node", "pod", "pod_container"] {
        assert_eq!(tags(of).await, [""], "{of}");
    }
}

#[actix_web::test]
async fn replicas_write_the_same_points_at_the_same_stamps() {
    let Some(database) = Database::influxdb().await else { return };
    let simulator = simulator();
    let source = format!("--source={}", simulator.source_uri());
    let sink = format!("--sink=influxdb:{}?db=k8s", database.base);
    let replicas = [Collector::start(&[&source, &sink]).await, Collector::start(&[&source, &sink]).await];
    for replica in &replicas {
        delivered(replica, "/k8s", 4.0).await;
    }
    for of in ["pod", "pod_container", "node", "ns", "cluster"] {
        let statement = format!(
            "SELECT count(\"value\") FROM \"memory/usage\" WHERE \"type\" = '{of}' AND time > now() - 15m \
             GROUP BY time(5s), * fill(none)"
        );
        let series = database.influxql("k8s", &statement).await;
        let counts: Vec<f64> =
            series.iter().flat_map(|series| &series.values).filter_map(|row| row[1].as_f64()).collect();
        let expected = match of {
            "pod" => 12,
            "pod_container" => 24,
            "node" => 3,
            "ns" => 2,
            _ => 1,
        };
        assert_eq!(series.len(), expected, "series of {of}");
        assert!(counts.len() >= 3 * expected && counts.iter().all(|count| *count == 1.0), "{of}: {counts:?}");
    }
}
