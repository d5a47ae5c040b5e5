//! Pods that come and go for real: the simulator replaces them node by node, and the collector's memory is told before,
//! during and a retention after. The same without processes and without waiting is a test, `churn` in `tests/it`.

use crate::measure::{Measuring, megabytes};
use crate::options::Churn;
use crate::process::Process;
use heapster::model::time::Timestamp;
use heapster::simulator::cluster::Node;
use heapster::simulator::curve::child;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// Seconds that a new pod has run when it is first told of.
const YOUTH: i64 = 10;

/// Puts another pod in the place of each of a node, up to so many. How many were replaced, with the names of those that
/// are gone.
pub fn replace(node: &mut Node, most: usize, generation: u64, now: Timestamp) -> Vec<(String, String)> {
    let mut gone = Vec::new();
    for pod in node.pods.iter_mut().take(most) {
        gone.push((pod.namespace.clone(), pod.name.clone()));
        let bare = pod.name.split("-g").next().unwrap_or_default().to_owned();
        pod.name = format!("{bare}-g{generation}");
        pod.seed = child(pod.seed, generation);
        pod.uid = format!("{:08x}-0000-4000-a000-{:012x}", generation & 0xffff_ffff, pod.seed >> 16);
        pod.started = Timestamp::from_seconds(now.seconds() - YOUTH);
        for container in &mut pod.containers {
            container.seed = child(container.seed, generation);
            container.started = pod.started;
            container.restarts = 0;
        }
    }
    gone
}

/// Runs the churn and prints what the collector's memory does.
pub async fn run(measuring: &Measuring<'_>, simulator: &mut Process, churn: Churn) -> Result<(), String> {
    let retention = measuring.retention() + measuring.resolution() * 3;
    println!("a retention first, so that the history is as full as it gets …");
    sleep(retention).await;
    let mut told = Vec::new();
    let mut tell = async |what: &'static str| -> Result<(), String> {
        let held = measuring.metrics().await?;
        let figures = [held.sum("pods"), held.sum("entities"), held.sum("points"), held.sum("history_bytes")];
        told.push((what, measuring.collector().used().resident, figures));
        Ok(())
    };
    tell("before").await?;
    simulator.tell(&format!("churn {} {}", churn.pods, churn.during.as_secs()));
    println!("{} pods come and go within {} s …", churn.pods, churn.during.as_secs());
    let began = Instant::now();
    sleep_until(began + churn.during / 2).await;
    tell("half-way").await?;
    let replaced = loop {
        sleep(Duration::from_millis(500)).await;
        let lines = simulator.rest();
        if let Some(count) = lines.iter().find_map(|line| line.strip_prefix("churned ")?.parse::<u32>().ok())
        {
            break count;
        }
        if began.elapsed() > churn.during * 2 {
            return Err("the simulator does not come to an end".to_owned());
        }
    };
    tell("at its end").await?;
    println!("{replaced} replaced in {:.0} s; one retention more …", began.elapsed().as_secs_f64());
    sleep(retention).await;
    tell("a retention after").await?;
    println!(
        "\n| memory | resident, MB | pods | entities | points | bytes of values |\n|---|---|---|---|---|---|"
    );
    for (what, resident, [pods, entities, points, bytes]) in &told {
        println!("| {what} | {:.1} | {pods} | {entities} | {points} | {bytes} |", megabytes(*resident));
    }
    if let (Some((_, before, _)), Some((_, after, _))) = (told.first(), told.last()) {
        println!("\nafter / before: {:.3}", *after as f64 / *before as f64);
    }
    Ok(())
}
