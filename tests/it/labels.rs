//! Labels of objects as labels of points: joined, left out, stored, by the rules that flags give.

use crate::support::{Collector, until};
use heapster::clock::Clock;
use heapster::config::cli::parse;
use heapster::config::{Config, Environment};
use heapster::model::entity::Labels;
use heapster::model::label_copier::LabelCopier;
use heapster::simulator::{Shape, Simulator};
use serde_json::Value;
use std::collections::BTreeSet;

/// An object's labels, one of them with the name that the joined ones have.
fn bike() -> Labels {
    Labels::new([
        ("weight", "10kg"),
        ("name", "bike"),
        ("price", "too_high"),
        ("colour", "red"),
        ("labels", "preorder;configurable"),
    ])
}

/// What these flags come to.
fn copier(flags: &[&str]) -> LabelCopier {
    let typed = parse(flags.iter().map(|flag| (*flag).to_owned()), "", "").unwrap();
    Config::resolve(&typed, &Environment::new(), &|_| unreachable!()).unwrap().labels
}

#[test]
fn labels_are_joined_sorted() {
    let joined = "colour:red,labels:preorder;configurable,name:bike,price:too_high,weight:10kg";
    assert_eq!(copier(&[]), LabelCopier::default());
    assert_eq!(copier(&[]).joined(&bike()), joined);
    assert_eq!(copier(&[]).stored(&bike()).count(), 0);
    for flag in ["--label_separator=-", "--label-seperator=-", "-label_seperator=-"] {
        assert_eq!(copier(&[flag]).joined(&bike()), joined.replace(',', "-"), "{flag}");
    }
    assert_eq!(copier(&[]).joined(&Labels::new([("", ""); 0])), "");
}

#[test]
fn ignored_labels_are_left_out() {
    for flags in
        [&["--ignore_label=colour,weight"][..], &["--ignore_label=colour", "--ignore-label", " weight ,"]]
    {
        let joined = copier(flags).joined(&bike());
        assert_eq!(joined, "labels:preorder;configurable,name:bike,price:too_high", "{flags:?}");
    }
}

#[test]
fn stored_labels_stand_by_themselves_under_their_own_name_or_another() {
    let copier = copier(&[
        "--store_label=name,price",
        "--store_label=copiedlabels=labels",
        "--store_label=unknown",
        "--ignore_label=name",
    ]);
    let (labels, stored) =
        (bike(), [("name", "bike"), ("price", "too_high"), ("copiedlabels", "preorder;configurable")]);
    assert_eq!(copier.stored(&labels).collect::<Vec<_>>(), stored);
    let joined = copier.joined(&labels);
    assert!(
        !joined.contains("name:bike") && joined.contains("price:too_high"),
        "stored, and ignored in the joined ones: {joined}"
    );
}

/// The newest export, once there is one.
async fn exported(collector: &Collector) -> Vec<Value> {
    until("an export", async || {
        let export = collector.get("/api/v1/metric-export").await.body;
        serde_json::from_str::<Option<Vec<Value>>>(&export).unwrap()
    })
    .await
}

#[actix_web::test]
async fn the_export_joins_labels_as_the_flags_say() {
    let shape = Shape { nodes: 1, pods: 4, ..Shape::default() };
    let simulator = Simulator::start(shape, Clock::system()).unwrap();
    let source = format!("--source={}", simulator.source_uri());
    let plain = Collector::start(&[&source]).await;
    let joined = |export: Vec<Value>| -> BTreeSet<String> {
        let labels = export.iter().filter_map(|entity| entity["labels"]["labels"].as_str());
        labels.map(str::to_owned).collect()
    };
    let by_commas = joined(exported(&plain).await);
    let keys: BTreeSet<&str> = by_commas
        .iter()
        .flat_map(|text| text.split(','))
        .filter_map(|pair| Some(pair.split_once(':')?.0))
        .collect();
    let ignored = *keys.first().expect("objects have labels");
    plain.running.stop().await;

    let ignore = format!("--ignore_label={ignored}");
    let changed = Collector::start(&[&source, "--label_separator=;", &ignore]).await;
    let expected: BTreeSet<String> = by_commas
        .iter()
        .map(|text| {
            let kept = text.split(',').filter(|pair| !pair.starts_with(&format!("{ignored}:")));
            kept.collect::<Vec<_>>().join(";")
        })
        .collect();
    assert_ne!(expected, by_commas);
    assert_eq!(joined(exported(&changed).await), expected);
    changed.running.stop().await;

    let disabled = Collector::start(&[&source, "--disable_export"]).await;
    until("data", async || (disabled.get("/healthz").await.status == 200).then_some(())).await;
    assert_eq!(disabled.get("/api/v1/metric-export").await.body, "[]\n");
    assert_eq!(disabled.get("/api/v1/export/prometheus").await.body, "");
    disabled.running.stop().await;
    simulator.stop().await;
}
