//! The nodes, pods and namespaces of a synthetic cluster as a real API server shows them. Serving them is left to
//! `api_server`.

use super::cluster::{Container, Node, Pod, SyntheticCluster};
use super::curve::child;
use crate::model::time::Timestamp;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

/// An instant as the API server writes it: `2026-11-21T19:10:58Z`.
pub fn rfc3339(at: Timestamp) -> String {
    DateTime::from_timestamp(at.seconds(), 0)
        .map_or_else(|| "1970-01-01T00:00:00Z".into(), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// The API object of a namespace. Its uid is another one in each of several clusters.
pub fn namespace(cluster: &SyntheticCluster, name: &str, salt: u16) -> Value {
    let seed = name.bytes().fold(child(3, u64::from(salt)), |hash, byte| child(hash, u64::from(byte)));
    json!({
        "metadata": {
            "name": name,
            "uid": super::cluster::uid(seed),
            "creationTimestamp": rfc3339(cluster.born()),
            "labels": { "kubernetes.io/metadata.name": name },
        },
        "spec": { "finalizers": ["kubernetes"] },
        "status": { "phase": "Active" },
    })
}

/// The API object of a node whose kubelet listens on `kubelet_port`.
pub fn node(node: &Node, kubelet_port: u16) -> Value {
    let (name, since) = (&node.name, rfc3339(node.started));
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "lastHeartbeatTime": since, "lastTransitionTime": since,
            "reason": reason, "message": message,
        })
    };
    let machine = node.uid.replace('-', "");
    let kibibytes = node.memory / 1024;
    json!({
        "metadata": {
            "name": name,
            "uid": node.uid,
            "creationTimestamp": since,
            "labels": {
                "beta.kubernetes.io/arch": "amd64",
                "beta.kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "topology.kubernetes.io/zone": if node.seed.is_multiple_of(2) { "zone-a" } else { "zone-b" },
            },
            "annotations": {
                "node.alpha.kubernetes.io/ttl": "0",
                "volumes.kubernetes.io/controller-managed-attach-detach": "true",
            },
        },
        "spec": {},
        "status": {
            "capacity": {
                "cpu": node.cores.to_string(), "ephemeral-storage": "104857600Ki", "hugepages-1Gi": "0",
                "hugepages-2Mi": "0", "memory": format!("{kibibytes}Ki"), "pods": "110",
            },
            "allocatable": {
                "cpu": format!("{}m", node.cores * 1000 - 100), "ephemeral-storage": "96636764160",
                "hugepages-1Gi": "0", "hugepages-2Mi": "0",
                "memory": format!("{}Ki", kibibytes - 1_048_576), "pods": "110",
            },
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory",
                    "kubelet has sufficient memory available"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ],
            "addresses": [
                { "type": "InternalIP", "address": node.address.to_string() },
                { "type": "Hostname", "address": name },
            ],
            "daemonEndpoints": { "kubeletEndpoint": { "Port": kubelet_port } },
            "nodeInfo": {
                "machineID": machine, "systemUUID": machine, "bootID": node.uid,
                "kernelVersion": "6.12.0", "osImage": "Debian GNU/Linux 12 (bookworm)",
                "containerRuntimeVersion": "containerd://1.7.27", "kubeletVersion": "v1.36.2",
                "kubeProxyVersion": "", "operatingSystem": "linux", "architecture": "amd64",
            },
        },
    })
}

/// The API object of a pod on `node`.
pub fn pod(node: &Node, pod: &Pod) -> Value {
    let since = rfc3339(pod.started);
    let condition = |kind: &str| json!({ "type": kind, "status": "True", "lastTransitionTime": since });
    let conditions = ["Initialized", "Ready", "ContainersReady", "PodScheduled"].map(condition);
    let mut spec = json!({
        "containers": pod.containers.iter().map(container_spec).collect::<Vec<_>>(),
        "restartPolicy": "Always",
        "serviceAccountName": "default",
        "nodeName": node.name,
        "schedulerName": "default-scheduler",
    });
    if let (true, Some(spec)) = (pod.host_network, spec.as_object_mut()) {
        spec.insert("hostNetwork".into(), true.into());
    }
    json!({
        "metadata": {
            "name": pod.name,
            "namespace": pod.namespace,
            "uid": pod.uid,
            "creationTimestamp": since,
            "labels": { "app": pod.app, "tier": if pod.host_network { "system" } else { "workload" } },
        },
        "spec": spec,
        "status": {
            "phase": "Running",
            "conditions": conditions,
            "hostIP": node.address.to_string(),
            "podIP": pod.address.to_string(),
            "podIPs": [{ "ip": pod.address.to_string() }],
            "startTime": since,
            "containerStatuses": pod.containers.iter().map(container_status).collect::<Vec<_>>(),
            "qosClass": if pod.containers.iter().any(|one| one.cpu_request.is_some()) { "Burstable" } else { "BestEffort" },
        },
    })
}

fn container_spec(container: &Container) -> Value {
    let quantities = |cpu: Option<u64>, memory: Option<u64>| {
        let cpu = cpu.map(|millis| ("cpu".to_owned(), Value::from(format!("{millis}m"))));
        let memory = memory.map(|bytes| ("memory".to_owned(), Value::from(format!("{}Mi", bytes >> 20))));
        Value::Object(cpu.into_iter().chain(memory).collect())
    };
    let mut resources = Map::new();
    if container.cpu_limit.is_some() || container.memory_limit.is_some() {
        resources.insert("limits".into(), quantities(container.cpu_limit, container.memory_limit));
    }
    if container.cpu_request.is_some() || container.memory_request.is_some() {
        resources.insert("requests".into(), quantities(container.cpu_request, container.memory_request));
    }
    json!({ "name": container.name, "image": container.image, "resources": resources })
}

fn container_status(container: &Container) -> Value {
    let since = rfc3339(container.started);
    let id = container_id(container.seed);
    let mut last = json!({});
    if container.restarts > 0 {
        last = json!({ "terminated": {
            "exitCode": 137, "reason": "OOMKilled", "finishedAt": since, "containerID": container_id(!container.seed),
        }});
    }
    json!({
        "name": container.name,
        "state": { "running": { "startedAt": since } },
        "lastState": last,
        "ready": true,
        "restartCount": container.restarts,
        "image": container.image,
        "imageID": format!("sha256:{:016x}", child(container.seed, 91)),
        "containerID": id,
        "started": true,
    })
}

fn container_id(seed: u64) -> String {
    format!("containerd://{:016x}{:016x}", child(seed, 92), child(seed, 93))
}
