//! What is odd about answers, over real sockets: the doctor, the status and the log of the program say the same of it, the
//! log once when it begins and once when it ends.

use crate::doctor::{examined, node};
use crate::documents::says;
use crate::support::{Collector, until};
use heapster::clock::Clock;
use heapster::simulator::{ApiServer, Kind, KubeletAnswer, KubeletRequest, Kubelets};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What is odd about the nodes 1 to 5: the beginning, and what would mend it. Times stand between them.
const ODD: [(&str, &str); 5] = [
    ("its clock is ", " behind ours; set the clock of that node, or of the machine that Heapster runs on"),
    (
        "its newest figures are ",
        " old; look at the kubelet's log, and at that of the node's container runtime",
    ),
    ("it calls itself \"n9\"", "; look whether two nodes have the same address, or the kubelet was renamed"),
    (
        "pods of other nodes in its answer: 1",
        "; they do not count: look whether two nodes have the same address",
    ),
    (
        "numbers in its answer are broken: 1",
        "; the others count: look at the kubelet's version, or for a proxy in between",
    ),
];

/// The kubelet at `127.84.0.<last>`, whose answers are odd as the table says, or all well.
fn answer(ask: &KubeletRequest, well: bool) -> KubeletAnswer {
    let IpAddr::V4(address) = ask.address else { unreachable!("only IPv4 is bound here") };
    let (last, now) = (if well { 0 } else { address.octets()[3] }, Clock::system().now().seconds());
    let instant = |seconds| chrono::DateTime::from_timestamp(seconds, 0).unwrap();
    let date = if last == 1 { now - 3_600 } else { now };
    let measured = if matches!(last, 1 | 2) { now - 3_600 } else { now };
    let time = instant(measured).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut body = json!({"node": {"cpu": {"time": time, "usageCoreNanoSeconds": 5}}, "pods": []});
    match last {
        3 => body["node"]["nodeName"] = "n9".into(),
        4 => body["pods"] = json!([{"podRef": {"namespace": "shop", "name": "moved"}}]),
        5 => body["node"]["memory"] = json!({"usageBytes": -5}),
        _ => {}
    }
    let date = instant(date).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    KubeletAnswer { headers: vec![("Date".to_owned(), date)], ..KubeletAnswer::json(body.to_string()) }
}

fn is_odd(text: &str, last: usize) -> bool {
    let (start, end) = ODD[last - 1];
    text.starts_with(start) && text.ends_with(end)
}

#[actix_web::test]
async fn doctor_status_and_log_say_the_same_of_odd_answers() {
    let well = Arc::new(AtomicBool::new(false));
    let api = ApiServer::start().unwrap();
    let addresses: Vec<IpAddr> = (1..=5).map(|last| IpAddr::from([127, 84, 0, last])).collect();
    let is_well = well.clone();
    let answers = move |ask: &KubeletRequest| answer(ask, is_well.load(Ordering::Relaxed));
    let kubelets = Kubelets::start(&addresses, Arc::new(answers)).unwrap();
    for last in 1..=5 {
        api.apply(Kind::Node, node(&format!("n{last}"), &format!("127.84.0.{last}"), "True"));
    }
    let metadata = json!({"name": "moved", "namespace": "shop", "uid": "u"});
    api.apply(Kind::Pod, json!({"metadata": metadata, "spec": {"nodeName": "n5", "containers": []}}));
    let (url, port) = (api.url(), kubelets.port());
    let source =
        format!("kubernetes.summary_api:{url}?inClusterConfig=false&clusterName=it&kubeletPort={port}");

    let (wrong, lines) = examined(&source).await;
    assert_eq!(wrong, 5, "{lines:?}");
    let lines: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("WRONG  ")).collect();
    for last in 1..=5 {
        let start = format!("node n{last}: 127.84.0.{last}:{port}: ");
        let line = lines.iter().find_map(|line| line.strip_prefix(&start)).unwrap_or_default();
        assert!(is_odd(line, last), "{lines:?}");
    }

    let collector = Collector::start(&[&format!("--source={source}")]).await;
    let nodes = async || -> Vec<Value> {
        let status: Value = serde_json::from_str(&collector.get("/api/v1/status").await.body).unwrap();
        status["clusters"][0]["nodes"].as_array().unwrap().clone()
    };
    let nodes = until("a turn of every node", async || {
        let nodes = nodes().await;
        (nodes.len() == 5 && nodes.iter().all(|node| node["outcome"] == "ok")).then_some(nodes)
    })
    .await;
    for (last, node) in (1..=5).zip(&nodes) {
        let notices: Vec<&str> =
            node["notices"].as_array().unwrap().iter().map(|notice| notice.as_str().unwrap()).collect();
        assert!(matches!(notices[..], [notice] if is_odd(notice, last)), "n{last}: {notices:?}");
    }
    let skew = nodes[0]["clockSkewSeconds"].as_i64().unwrap();
    assert!((-3_602..=-3_598).contains(&skew), "{skew}");
    collector.running.stop().await;

    for (start, _) in ODD {
        says("### Of a node that answers", start.trim_end_matches("\"n9\"").trim_end_matches('1'));
    }
    let (mut child, log) = program(&source);
    let count = |text: &str| log.lock().unwrap().iter().filter(|line| line.contains(text)).count();
    let began = |last: usize| {
        let log = log.lock().unwrap();
        let start = format!("node n{last} (127.84.0.{last}:{port}): ");
        let said = log.iter().filter_map(|line| line.split_once(&start));
        said.filter(|(level, said)| level.contains("WARN") && is_odd(said, last)).count()
    };
    until("a line of each", async || (1..=5).all(|last| began(last) == 1).then_some(())).await;
    well.store(true, Ordering::Relaxed);
    let over = |last: usize| {
        format!("INFO  node n{last} (127.84.0.{last}:{port}): no longer so: {}", ODD[last - 1].0)
    };
    until("its end", async || (1..=5).all(|last| count(&over(last)) == 1).then_some(())).await;
    assert!((1..=5).all(|last| began(last) == 1), "{:?}", log.lock().unwrap());
    assert_eq!((count("WARN"), count("no longer so")), (5, 5), "{:?}", log.lock().unwrap());
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    kubelets.stop().await;
    api.stop().await;
}

/// The program, collecting this source, and the lines that it has logged so far.
fn program(source: &str) -> (std::process::Child, Arc<Mutex<Vec<String>>>) {
    let mut heapster = Command::new(env!("CARGO_BIN_EXE_heapster"));
    heapster.args([&format!("--source={source}"), "--port=0", "--listen_ip=127.0.0.1"]);
    heapster.args(["--model_resolution=5s", "--log_level=info"]);
    // What the machine that runs the tests has set must not count.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HEAPSTER_")) {
        heapster.env_remove(name);
    }
    let mut child =
        heapster.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (errors, log) = (child.stderr.take().unwrap(), Arc::<Mutex<Vec<String>>>::default());
    let kept = log.clone();
    std::thread::spawn(move || {
        BufReader::new(errors).lines().map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line));
    });
    (child, log)
}
