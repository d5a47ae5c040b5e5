//! The labels by which Heapster told entities apart in what it exported. Which of them a format shows is left to it.

use crate::model::entity::{Entity, Labels, Name};
use crate::model::inventory::{NodeInventory, PodFacts};
use std::collections::BTreeMap;

/// The labels that Heapster gave an entity (`metrics/core/labels.go`).
pub fn of(entity: &Entity, facts: Option<&NodeInventory>) -> BTreeMap<&'static str, String> {
    let mut labels = BTreeMap::from([("type", entity.type_label().to_owned())]);
    if let Some(node) = facts.map(|facts| &facts.node) {
        labels.insert("nodename", node.name.to_string());
        labels.insert("hostname", node.hostname.to_string());
        labels.insert("host_id", node.host_id.to_string());
    }
    let of_pod = |labels: &mut BTreeMap<_, _>, namespace: &Name, pod: &Name| {
        labels.insert("namespace_name", namespace.to_string());
        labels.insert("pod_name", pod.to_string());
        if let Some(uid) = facts.and_then(|facts| facts.namespaces.get(namespace)) {
            labels.insert("namespace_id", uid.to_string());
        }
        let pod = facts.and_then(|facts| facts.pod(namespace, pod)).cloned();
        if let Some(pod) = &pod {
            labels.insert("pod_id", pod.uid.to_string());
            labels.insert("labels", joined(&pod.labels));
        }
        pod
    };
    match entity {
        Entity::Cluster => {}
        Entity::Namespace(namespace) => {
            labels.insert("namespace_name", namespace.to_string());
        }
        Entity::Node(_) => {
            if let Some(facts) = facts {
                labels.insert("labels", joined(&facts.node.labels));
            }
        }
        Entity::FreeContainer { container, .. } => {
            labels.insert("container_name", container.to_string());
        }
        Entity::Pod { namespace, pod } => {
            of_pod(&mut labels, namespace, pod);
        }
        Entity::PodContainer { namespace, pod, container } => {
            let pod = of_pod(&mut labels, namespace, pod);
            labels.insert("container_name", container.to_string());
            if let Some(image) = pod.as_deref().and_then(|pod| image_of(pod, container)) {
                labels.insert("container_base_image", image);
            }
        }
    }
    labels
}

fn image_of(pod: &PodFacts, container: &Name) -> Option<String> {
    pod.containers.iter().find(|facts| facts.name == *container).map(|facts| facts.image.to_string())
}

fn joined(labels: &Labels) -> String {
    labels.iter().map(|(key, value)| format!("{key}:{value}")).collect::<Vec<_>>().join(",")
}
