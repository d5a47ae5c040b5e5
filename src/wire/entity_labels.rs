//! The labels by which Heapster told entities apart in what it exported. Which of them a format shows is left to it.

use crate::model::entity::EntityRef;
use crate::model::inventory::{NodeInventory, PodFacts};
use crate::model::label_copier::{JOINED, LabelCopier};
use std::collections::BTreeMap;

/// The labels that Heapster gave an entity (`metrics/core/labels.go`), with those that `copier` adds.
pub fn of(
    entity: EntityRef<'_>,
    facts: Option<&NodeInventory>,
    copier: &LabelCopier,
) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([("type", entity.type_label().to_owned())]);
    let mut of_object = None;
    if let Some(node) = facts.map(|facts| &facts.node) {
        labels.insert("nodename", node.name.to_string());
        labels.insert("hostname", node.hostname.to_string());
        labels.insert("host_id", node.host_id.to_string());
    }
    let mut of_pod = |labels: &mut BTreeMap<_, _>, namespace: &str, pod: &str| {
        labels.insert("namespace_name", namespace.to_string());
        labels.insert("pod_name", pod.to_string());
        if let Some(uid) = facts.and_then(|facts| facts.namespaces.get(namespace)) {
            labels.insert("namespace_id", uid.to_string());
        }
        let pod = facts.and_then(|facts| facts.pod(namespace, pod)).cloned();
        if let Some(pod) = &pod {
            labels.insert("pod_id", pod.uid.to_string());
            of_object = Some(pod.labels.clone());
        }
        pod
    };
    match entity {
        EntityRef::Cluster => {}
        EntityRef::Namespace(namespace) => {
            labels.insert("namespace_name", namespace.to_string());
        }
        EntityRef::Node(_) => {
            if let Some(facts) = facts {
                of_object = Some(facts.node.labels.clone());
            }
        }
        EntityRef::FreeContainer(_, container) => {
            labels.insert("container_name", container.to_string());
        }
        EntityRef::Pod(namespace, pod) => {
            of_pod(&mut labels, namespace, pod);
        }
        EntityRef::PodContainer(namespace, pod, container) => {
            let pod = of_pod(&mut labels, namespace, pod);
            labels.insert("container_name", container.to_string());
            if let Some(image) = pod.as_deref().and_then(|pod| image_of(pod, container)) {
                labels.insert("container_base_image", image);
            }
        }
    }
    if let Some(object) = &of_object {
        labels.insert(JOINED, copier.joined(object));
    }
    let mut labels: BTreeMap<String, String> =
        labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    for (name, value) in of_object.iter().flat_map(|object| copier.stored(object)) {
        labels.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    labels
}

fn image_of(pod: &PodFacts, container: &str) -> Option<String> {
    pod.containers.iter().find(|facts| *facts.name == *container).map(|facts| facts.image.to_string())
}
