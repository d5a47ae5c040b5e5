//! Nodes, pods and namespaces as the API server writes them, reduced to the members that count and read leniently:
//! what a watch decodes into before it becomes a record of the inventory.

use super::lenient::{Leaf, Loose, Map, Object};
use super::quantity;
use crate::model::address::NodePolicy;
use crate::model::amount::Amount;
use crate::model::entity::{Labels, Name};
use crate::model::inventory::{ContainerFacts, NamespaceFacts, NodeFacts, PodFacts, Resources, Unusable};
use crate::model::list;
use crate::model::resources::Packed;
use crate::model::time::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::net::IpAddr;

type Text = Leaf<String>;
type Child<T> = Leaf<Object<T>>;
type List<T> = Leaf<Vec<Leaf<Object<T>>>>;
type Quantities = Leaf<Map<Loose>>;

/// The members of an object's metadata that count. Managed fields, most of its bytes, are skipped.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Meta {
    name: Text,
    namespace: Text,
    uid: Text,
    resource_version: Text,
    labels: Leaf<Map<String>>,
    annotations: Leaf<Map<String>>,
}

/// The metadata without annotations, which may be large and of which only a node's count.
fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let mut meta = annotated(deserializer)?;
    meta.annotations = None;
    Ok(meta)
}

fn annotated<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let meta =
        Child::<Meta>::deserialize(deserializer)?.into_option().map(|Object(meta)| meta).unwrap_or_default();
    Ok(ObjectMeta {
        name: meta.name.into_option(),
        namespace: meta.namespace.into_option(),
        uid: meta.uid.into_option(),
        resource_version: meta.resource_version.into_option(),
        labels: meta.labels.into_option().map(|Map(pairs)| pairs.into_iter().collect()),
        annotations: meta.annotations.into_option().map(|Map(pairs)| pairs.into_iter().collect()),
        ..ObjectMeta::default()
    })
}

macro_rules! object {
    ($type:ident, $kind:literal, $plural:literal, $scope:ty) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = $scope;
            fn kind((): &()) -> Cow<'_, str> {
                $kind.into()
            }
            fn group((): &()) -> Cow<'_, str> {
                "".into()
            }
            fn version((): &()) -> Cow<'_, str> {
                "v1".into()
            }
            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }
            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

/// A Node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ApiNode {
    #[serde(deserialize_with = "annotated")]
    metadata: ObjectMeta,
    spec: Child<NodeSpec>,
    status: Child<NodeStatus>,
}
object!(ApiNode, "Node", "nodes", ClusterResourceScope);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeSpec {
    #[serde(rename = "externalID")]
    external_id: Text,
    unschedulable: Leaf<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeStatus {
    capacity: Quantities,
    allocatable: Quantities,
    conditions: List<Condition>,
    addresses: List<Address>,
    daemon_endpoints: Child<Endpoints>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Endpoints {
    kubelet_endpoint: Child<Endpoint>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    #[serde(rename = "Port")]
    port: Leaf<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: Text,
    status: Text,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Address {
    r#type: Text,
    address: Text,
}

/// A Pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ApiPod {
    #[serde(deserialize_with = "metadata")]
    metadata: ObjectMeta,
    spec: Child<PodSpec>,
    status: Child<PodStatus>,
}
object!(ApiPod, "Pod", "pods", NamespaceResourceScope);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodSpec {
    node_name: Text,
    host_network: Leaf<bool>,
    containers: List<Container>,
    init_containers: List<Container>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Container {
    name: Text,
    image: Text,
    resources: Child<Requirements>,
    restart_policy: Text,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Requirements {
    requests: Quantities,
    limits: Quantities,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodStatus {
    start_time: Leaf<Timestamp>,
    container_statuses: List<ContainerStatus>,
    init_container_statuses: List<ContainerStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContainerStatus {
    name: Text,
    restart_count: Leaf<u64>,
}

/// A Namespace.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ApiNamespace {
    #[serde(deserialize_with = "metadata")]
    metadata: ObjectMeta,
}
object!(ApiNamespace, "Namespace", "namespaces", ClusterResourceScope);

impl ApiNode {
    /// The record by Heapster's own policy. None for an object without a name.
    pub fn facts(&self) -> Option<NodeFacts> {
        self.facts_by(&NodePolicy::default())
    }

    /// The record by this policy. None for an object without a name.
    pub fn facts_by(&self, policy: &NodePolicy) -> Option<NodeFacts> {
        let name = name(&self.metadata)?;
        let spec = self.spec.get().map(|Object(spec)| spec);
        let status = self.status.get().map(|Object(status)| status);
        let addresses = || elements(status.map(|status| &status.addresses));
        let hostnames = addresses().filter(|address| is(&address.r#type, "Hostname"));
        let hostname = hostnames.filter_map(|a| a.address.get()).filter(|text| !text.is_empty()).last();
        let ready = elements(status.map(|status| &status.conditions))
            .filter(|condition| is(&condition.r#type, "Ready"))
            .all(|condition| is(&condition.status, "True"));
        let address = if ready { usable_address(addresses(), policy) } else { Err(Unusable::NotReady) };
        let endpoint = status.and_then(|status| status.daemon_endpoints.get()?.0.kubelet_endpoint.get());
        let port = endpoint.and_then(|Object(endpoint)| u16::try_from(*endpoint.port.get()?).ok());
        let external = spec.and_then(|spec| spec.external_id.get()).filter(|id| !id.is_empty());
        let annotated = || self.metadata.annotations.as_ref()?.get(policy.host_id_annotation.as_ref()?);
        Some(NodeFacts {
            hostname: hostname.map_or_else(|| name.clone(), |text| text.as_str().into()),
            name,
            host_id: external.or_else(annotated).map(String::as_str).unwrap_or_default().into(),
            address,
            port: port.filter(|port| policy.port_from_status && *port > 0),
            labels: labels(&self.metadata),
            schedulable: spec.and_then(|spec| spec.unschedulable.get()) != Some(&true),
            capacity: resources(status.and_then(|status| status.capacity.get())),
            allocatable: resources(status.and_then(|status| status.allocatable.get())),
        })
    }
}

/// The last address of the first type that any is of.
fn usable_address<'a>(
    addresses: impl Iterator<Item = &'a Address> + Clone,
    policy: &NodePolicy,
) -> Result<IpAddr, Unusable> {
    let last = |kind: &String| {
        let of_kind = addresses.clone().filter(|address| is(&address.r#type, kind));
        of_kind.filter_map(|address| address.address.get()?.parse::<IpAddr>().ok()).last()
    };
    let address = policy.address_types.iter().find_map(last).ok_or(Unusable::NoAddress)?;
    match policy.rule.judge(address) {
        Ok(()) => Ok(address),
        Err(refusal) => Err(Unusable::RefusedAddress(address, refusal)),
    }
}

impl ApiPod {
    /// The record. None for an object without a name or namespace.
    pub fn facts(&self) -> Option<PodFacts> {
        let spec = self.spec.get().map(|Object(spec)| spec);
        let status = self.status.get().map(|Object(status)| status);
        let statuses = || {
            let plain = elements(status.map(|status| &status.container_statuses));
            plain.chain(elements(status.map(|status| &status.init_container_statuses)))
        };
        let restarts = |name: &str| statuses().find(|s| is(&s.name, name))?.restart_count.get().copied();
        let plain = elements(spec.map(|spec| &spec.containers));
        // An init container that restarts runs beside the others for as long as the pod lives (KEP-753).
        let sidecars =
            elements(spec.map(|spec| &spec.init_containers)).filter(|c| is(&c.restart_policy, "Always"));
        let containers = plain.chain(sidecars).filter_map(|container| {
            let name = container.name.get()?;
            let requirements = container.resources.get().map(|Object(requirements)| requirements);
            let requests = requirements.and_then(|r| r.requests.get());
            let facts = ContainerFacts {
                name: name.as_str().into(),
                image: container.image.get().map(String::as_str).unwrap_or_default().into(),
                requests: Packed::from(resources(requests)).with(other_requests(requests)),
                limits: resources(requirements.and_then(|r| r.limits.get())).into(),
            };
            Some((facts, Amount::from(restarts(name))))
        });
        let (containers, restarts): (Vec<_>, Vec<_>) = containers.unzip();
        let node = spec.and_then(|spec| spec.node_name.get()).filter(|node| !node.is_empty());
        Some(PodFacts {
            namespace: self.metadata.namespace.as_deref()?.into(),
            name: name(&self.metadata)?,
            uid: self.metadata.uid.as_deref().unwrap_or_default().into(),
            node: node.map(|node| node.as_str().into()),
            host_network: spec.and_then(|spec| spec.host_network.get()) == Some(&true),
            labels: labels(&self.metadata),
            started: status.and_then(|status| status.start_time.get()).copied().filter(|at| at.nanos() > 0),
            containers: containers.into(),
            restarts: restarts.into(),
        })
    }
}

impl ApiNamespace {
    /// The record. None for an object without a name.
    pub fn facts(&self) -> Option<NamespaceFacts> {
        let uid = self.metadata.uid.as_deref().unwrap_or_default().into();
        Some(NamespaceFacts { name: name(&self.metadata)?, uid })
    }
}

fn name(meta: &ObjectMeta) -> Option<Name> {
    meta.name.as_deref().filter(|name| !name.is_empty()).map(Name::from)
}

fn labels(meta: &ObjectMeta) -> Labels {
    Labels::new(meta.labels.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str())))
}

fn is(leaf: &Text, text: &str) -> bool {
    leaf.get().is_some_and(|value| value == text)
}

fn elements<T>(list: Option<&List<T>>) -> impl Iterator<Item = &T> + Clone {
    let list = list.and_then(Leaf::get).into_iter().flatten();
    list.filter_map(|element| element.get().map(|Object(value)| value))
}

fn quantity_of<'m>(map: Option<&'m Map<Loose>>, resource: &str) -> Option<&'m str> {
    map?.0.iter().find(|(name, _)| name == resource).map(|(_, Loose(text))| text.as_str())
}

fn resources(map: Option<&Map<Loose>>) -> Resources {
    Resources {
        cpu: quantity_of(map, "cpu").and_then(quantity::millis).into(),
        memory: quantity_of(map, "memory").and_then(quantity::units).into(),
        ephemeral_storage: quantity_of(map, "ephemeral-storage").and_then(quantity::units).into(),
    }
}

fn other_requests(map: Option<&Map<Loose>>) -> list::List<(Name, u64)> {
    let pairs = map.into_iter().flat_map(|Map(pairs)| pairs);
    let other = pairs.filter(|(name, _)| !matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage"));
    other.filter_map(|(name, Loose(text))| Some((name.as_str().into(), quantity::units(text)?))).collect()
}
