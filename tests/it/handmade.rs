//! Hand-made nodes, pods, reports and blocks: what the pure tests are built of.

use heapster::model::Set;
use heapster::model::entity::{Entity, Labels, Name};
use heapster::model::inventory::{ContainerFacts, NodeFacts, NodeInventory, PodFacts, Resources};
use heapster::model::list::List;
use heapster::model::metric::{Metric, MetricKey};
use heapster::model::pods::Pods;
use heapster::model::report::{Part, Report, Subject};
use heapster::model::resources::Packed;
use heapster::model::time::{Resolution, Timestamp, Window};
use heapster::rollup::block::{Block, Rows};
use heapster::rollup::node::{Answer, Assembled, assemble};
use proptest::test_runner::Config as ProptestConfig;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// 2026-11-21T19:20:00Z, the end of window 0 of every grid whose windows divide a minute.
pub const T0: Timestamp = Timestamp::from_seconds(1_795_288_800);

/// The default grid: 30 s.
pub fn grid() -> Resolution {
    Resolution::new(Duration::from_secs(30)).unwrap()
}

/// The window that ends `n` windows after [`T0`].
pub fn window(n: i64) -> Window {
    grid().last_ended(T0).step(n)
}

pub fn of_pod(namespace: &str, pod: &str) -> Entity {
    Entity::Pod { namespace: namespace.into(), pod: pod.into() }
}

pub fn of_container(namespace: &str, pod: &str, container: &str) -> Entity {
    Entity::PodContainer { namespace: namespace.into(), pod: pod.into(), container: container.into() }
}

pub fn of_free(node: &str, container: &str) -> Entity {
    Entity::FreeContainer { node: node.into(), container: container.into() }
}

pub fn of_node(node: &str) -> Entity {
    Entity::Node(node.into())
}

pub fn of_namespace(namespace: &str) -> Entity {
    Entity::Namespace(namespace.into())
}

pub fn resources(cpu: u64, memory: u64, ephemeral_storage: u64) -> Resources {
    Resources { cpu: cpu.into(), memory: memory.into(), ephemeral_storage: ephemeral_storage.into() }
}

/// A container that requests nothing and was never started.
pub fn container(name: &str) -> ContainerFacts {
    ContainerFacts {
        name: name.into(),
        image: "registry.example/image:1".into(),
        requests: Packed::default(),
        limits: Packed::default(),
    }
}

/// A pod that waits for a node.
pub fn pod(namespace: &str, name: &str, containers: impl IntoIterator<Item = ContainerFacts>) -> PodFacts {
    PodFacts {
        namespace: namespace.into(),
        name: name.into(),
        uid: format!("uid-of-{namespace}-{name}").into(),
        node: None,
        host_network: false,
        labels: Labels::new([("app", name)]),
        started: None,
        containers: containers.into_iter().collect(),
        restarts: List::default(),
    }
}

/// A node that tells nothing of what it has.
pub fn node(name: &str) -> NodeFacts {
    NodeFacts {
        name: name.into(),
        hostname: name.into(),
        host_id: "".into(),
        address: Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        port: None,
        labels: Labels::new([("role", "worker")]),
        schedulable: true,
        capacity: Resources::default(),
        allocatable: Resources::default(),
    }
}

/// A node with these pods bound to it.
pub fn inventory(node: NodeFacts, pods: impl IntoIterator<Item = PodFacts>) -> Arc<NodeInventory> {
    let bound = |mut pod: PodFacts| {
        pod.node = Some(node.name.clone());
        Arc::new(pod)
    };
    let pods: Pods = pods.into_iter().map(bound).collect();
    let namespaces = pods.iter().map(|pod| (pod.namespace.clone(), format!("id-{}", pod.namespace).into()));
    Arc::new(NodeInventory { namespaces: Arc::new(namespaces.collect()), node: Arc::new(node), pods })
}

/// One answer made into a block, asked for a second after its window's end.
pub fn assembled(
    report: &Report<'_>,
    inventory: &Arc<NodeInventory>,
    window: Window,
    previous: Option<&Block>,
) -> Assembled {
    let scraped_at = window.end().after(Duration::from_secs(1));
    assemble(&Answer {
        report,
        inventory,
        foreign: &Set::default(),
        strangers: &Set::default(),
        previous,
        window,
        scraped_at,
    })
}

/// Every entity of a table.
pub fn entities(rows: &Rows) -> Vec<Entity> {
    (0..rows.entity_count()).map(|at| rows.owned(at).unwrap()).collect()
}

/// Every row's key.
pub fn keys(rows: &Rows) -> Vec<(Entity, Option<Labels>)> {
    let entities = entities(rows);
    let owned =
        |entity| entities[entities.binary_search_by(|held| held.borrowed().cmp(&entity)).unwrap()].clone();
    rows.iter().map(|(entity, labels)| (owned(entity), labels.cloned())).collect()
}

/// A value of a block, as its metric's form holds it.
pub fn held(block: &Block, entity: &Entity, metric: Metric) -> Option<u64> {
    held_as(block, entity, &MetricKey::Known(metric))
}

pub fn held_as(block: &Block, entity: &Entity, metric: &MetricKey) -> Option<u64> {
    block.value(block.layout.rows.find(entity, None)?, metric)
}

pub fn held_part(block: &Block, entity: &Entity, labels: &Labels, metric: Metric) -> Option<u64> {
    block.value(block.layout.rows.find(entity, Some(labels))?, &MetricKey::Known(metric))
}

pub fn names(names: &[&str]) -> Vec<Name> {
    names.iter().map(|name| Name::from(*name)).collect()
}

/// What a kubelet said: subjects with the values of each.
pub fn said<'a>(rows: &[(Subject<'a>, &[(Metric, u64)])]) -> Report<'a> {
    let mut report = Report::default();
    for (subject, values) in rows {
        report.begin(*subject, Part::Whole);
        values.iter().for_each(|(metric, held)| report.push(*metric, *held));
    }
    report
}

/// So many cases of a property; what fails is printed and not kept in a file.
pub fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(count) }
}
