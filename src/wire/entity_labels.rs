//! The labels that Heapster gave an entity's points (`metrics/core/labels.go`). Which of them a format shows, and how, is
//! left to that format.

use crate::model::entity::{Entity, Labels, Name};
use crate::model::inventory::{NodeInventory, PodFacts};
use std::borrow::Cow;

/// A label and its value.
pub type Label<'a> = (&'static str, Cow<'a, str>);

/// The labels of an entity, in no order. Those that nothing is known of are left out; some may be empty.
pub fn labels<'a>(entity: &'a Entity, facts: Option<&'a NodeInventory>) -> Vec<Label<'a>> {
    let mut labels: Vec<Label<'a>> = Vec::with_capacity(12);
    labels.push(("type", entity.type_label().into()));
    if let Some(node) = facts.map(|facts| &facts.node) {
        labels.push(("nodename", Cow::Borrowed(&node.name)));
        labels.push(("hostname", Cow::Borrowed(&node.hostname)));
        labels.push(("host_id", Cow::Borrowed(&node.host_id)));
    }
    match entity {
        Entity::Cluster => {}
        Entity::Namespace(namespace) => labels.push(("namespace_name", Cow::Borrowed(namespace))),
        Entity::Node(_) => {
            labels.extend(facts.map(|facts| ("labels", joined(&facts.node.labels).into())));
        }
        Entity::FreeContainer { container, .. } => {
            labels.push(("container_name", Cow::Borrowed(container)));
        }
        Entity::Pod { namespace, pod } => {
            of_pod(&mut labels, facts, namespace, pod);
        }
        Entity::PodContainer { namespace, pod, container } => {
            let pod = of_pod(&mut labels, facts, namespace, pod);
            labels.push(("container_name", Cow::Borrowed(container)));
            let facts = pod.and_then(|pod| pod.containers.iter().find(|facts| facts.name == *container));
            labels.extend(facts.map(|facts| ("container_base_image", Cow::Borrowed(&*facts.image))));
        }
    }
    labels
}

fn of_pod<'a>(
    labels: &mut Vec<Label<'a>>,
    facts: Option<&'a NodeInventory>,
    namespace: &'a Name,
    pod: &'a Name,
) -> Option<&'a PodFacts> {
    labels.push(("namespace_name", Cow::Borrowed(namespace)));
    labels.push(("pod_name", Cow::Borrowed(pod)));
    let uid = facts.and_then(|facts| facts.namespaces.get(namespace));
    labels.extend(uid.map(|uid| ("namespace_id", Cow::Borrowed(&**uid))));
    let pod = facts.and_then(|facts| facts.pod(namespace, pod))?;
    labels.push(("pod_id", Cow::Borrowed(&pod.uid)));
    labels.push(("labels", joined(&pod.labels).into()));
    Some(pod)
}

fn joined(labels: &Labels) -> String {
    let mut text = String::new();
    for (key, value) in labels.iter() {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(key);
        text.push(':');
        text.push_str(value);
    }
    text
}
