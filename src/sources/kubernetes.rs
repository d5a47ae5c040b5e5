//! What every Kubernetes source has in common: its options and how they make a login
//! (Heapster `common/kubernetes/configs.go`, `metrics/sources/kubelet/configs.go`).

use super::{Format, Source};
use crate::client::kubelet::{KubeletOptions, MAX_BODY};
use crate::client::kubernetes::Login;
use crate::config::options::OptionLine;
use crate::config::uri::{Uri, UriError};
use crate::model::address::{AddressRule, Network, NodePolicy};
use crate::model::selector::Selector;
use crate::wire::quantity;
use std::path::PathBuf;
use std::sync::Arc;

/// The options.
pub const OPTIONS: &[OptionLine] = &[
    OptionLine {
        name: "inClusterConfig",
        default: "true",
        about: "use the service account of the pod this runs in",
    },
    OptionLine { name: "kubeletPort", default: "10255", about: "port of every kubelet" },
    OptionLine { name: "kubeletHttps", default: "false", about: "whether kubelets speak TLS" },
    OptionLine { name: "apiVersion", default: "v1", about: "taken for old manifests; only v1 is spoken" },
    OptionLine { name: "insecure", default: "false", about: "trust any certificate" },
    OptionLine { name: "auth", default: "", about: "kubeconfig file, used where inClusterConfig is false" },
    OptionLine {
        name: "useServiceAccount",
        default: "false",
        about: "send the mounted service account token where inClusterConfig is false, or over plain HTTP",
    },
    OptionLine {
        name: "host_id_annotation",
        default: "",
        about: "node annotation that stands for a missing host_id",
    },
    OptionLine { name: "clusterName", default: "", about: "what the cluster is called, if not by the URI" },
    OptionLine { name: "nodeSelector", default: "", about: "label selector of the nodes that are collected" },
    OptionLine {
        name: "kubeletPortFromStatus",
        default: "false",
        about: "take each kubelet's port from its node's status",
    },
    OptionLine {
        name: "kubeletAddressTypes",
        default: "InternalIP,ExternalIP,LegacyHostIP",
        about: "types of node addresses, the preferred first",
    },
    OptionLine {
        name: "allowedAddresses",
        default: "",
        about: "networks such as 10.0.0.0/8 that node addresses must be in; may open loopback",
    },
    OptionLine {
        name: "kubeletServerName",
        default: "ip",
        about: "what a kubelet's certificate must be for: ip, or node for the node's name",
    },
    OptionLine {
        name: "kubeletCA",
        default: "",
        about: "PEM file with the CA of the kubelets, if not the cluster's",
    },
    OptionLine { name: "kubeletCert", default: "", about: "PEM file with a client certificate for kubelets" },
    OptionLine { name: "kubeletKey", default: "", about: "PEM file with its key" },
    OptionLine { name: "kubeletInsecure", default: "false", about: "trust any certificate of a kubelet" },
    OptionLine {
        name: "kubeletTimeout",
        default: "",
        about: "deadline of one answer; the resolution bounds it",
    },
    OptionLine { name: "kubeletMaxBody", default: "16Mi", about: "most bytes of one answer" },
];

/// The most that `kubeletMaxBody` may be: one answer at a time for each node is held in memory.
const LARGEST_BODY: usize = 1 << 30;

/// Types of addresses that a node has (core/v1 `NodeAddressType`, and that of Kubernetes 1.0 to 1.6).
const ADDRESS_TYPES: [&str; 6] =
    ["InternalIP", "ExternalIP", "LegacyHostIP", "Hostname", "InternalDNS", "ExternalDNS"];

/// Reads a URI.
///
/// # Errors
/// The first option that is unknown or has a value that it cannot have.
pub fn parse(uri: &Uri, options: &[OptionLine], format: Arc<dyn Format>) -> Result<Source, UriError> {
    uri.check_options(options.iter().map(|option| option.name))?;
    if let Some(version) = uri.text("apiVersion").filter(|version| *version != "v1") {
        return Err(uri.bad_option("apiVersion", version, "is not spoken: give v1 or leave it out"));
    }
    let login = login(uri)?;
    if let Some(bad) = uri.text("clusterName").filter(|name| name.chars().any(char::is_control)) {
        return Err(uri.bad_option("clusterName", bad, "has characters that cannot be seen: take them out"));
    }
    if let Some(selector) = uri.text("nodeSelector")
        && selector.parse::<Selector>().is_err()
    {
        let problem = "is no label selector: give one such as pool=work,zone in (a,b)";
        return Err(uri.bad_option("nodeSelector", selector, problem));
    }
    let name = match (uri.text("clusterName"), &login) {
        (Some(name), _) => name.to_owned(),
        // CONFIG is not looked at then.
        (None, Login::Kubeconfig(path)) => format!("{}:{}", uri.prefix, path.display()),
        (None, _) => uri.to_string(),
    };
    Ok(Source {
        name: name.as_str().into(),
        login,
        kubelets: kubelets(uri)?,
        nodes: nodes(uri)?,
        node_selector: uri.text("nodeSelector").map(str::to_owned),
        format,
    })
}

fn login(uri: &Uri) -> Result<Login, UriError> {
    let insecure = uri.flag("insecure", false)?;
    let mounted_token = uri.flag("useServiceAccount", false)?;
    let in_cluster = uri.flag("inClusterConfig", true)?;
    match (in_cluster, uri.text("auth"), uri.config()?.cloned()) {
        (true, _, server) => Ok(Login::InCluster { server, insecure, token_over_http: mounted_token }),
        (false, Some(path), _) => Ok(Login::Kubeconfig(path.into())),
        (false, None, Some(server)) => Ok(Login::Bare { server, insecure, mounted_token }),
        (false, None, None) => Err(uri.incomplete(
            "no API server; give its URL, auth=KUBECONFIG, or leave inClusterConfig out, and quote the whole flag: \
             an unquoted & ends it in a shell",
        )),
    }
}

fn kubelets(uri: &Uri) -> Result<KubeletOptions, UriError> {
    let by_name = match uri.text("kubeletServerName") {
        None | Some("ip") => false,
        Some("node") => true,
        Some(other) => return Err(uri.bad_option("kubeletServerName", other, "is neither: give ip or node")),
    };
    let identity = match (uri.text("kubeletCert"), uri.text("kubeletKey")) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => None,
        _ => return Err(uri.incomplete("kubeletCert and kubeletKey go together; give both or neither")),
    };
    let timeout = match uri.text("kubeletTimeout") {
        None => None,
        Some(text) => match humantime::parse_duration(text) {
            Ok(timeout) if !timeout.is_zero() => Some(timeout),
            _ => return Err(uri.bad_option("kubeletTimeout", text, "is no duration: give one such as 5s")),
        },
    };
    let max_body = match uri.text("kubeletMaxBody") {
        None => MAX_BODY,
        Some(text) => match quantity::units(text).map(usize::try_from) {
            Some(Ok(bytes)) if (1_024..=LARGEST_BODY).contains(&bytes) => bytes,
            _ => {
                return Err(uri.bad_option(
                    "kubeletMaxBody",
                    text,
                    "is no size: give one from 1Ki to 1Gi, such as 16Mi",
                ));
            }
        },
    };
    let (insecure, ca) = (uri.flag("kubeletInsecure", false)?, uri.text("kubeletCA").map(PathBuf::from));
    if insecure && ca.is_some() {
        return Err(uri.incomplete(
            "kubeletInsecure=true trusts any certificate, kubeletCA only those of that CA; give one of them",
        ));
    }
    Ok(KubeletOptions {
        port: uri.port("kubeletPort", 10_255)?,
        https: uri.flag("kubeletHttps", false)?,
        by_name,
        insecure,
        ca,
        identity,
        timeout,
        max_body,
    })
}

/// Whether loopback may be asked is not known before the API server is.
fn nodes(uri: &Uri) -> Result<NodePolicy, UriError> {
    let list = |option: &str| uri.text(option).map(|text| text.split(',').map(str::trim).map(str::to_owned));
    let default = NodePolicy::default();
    let allowed = list("allowedAddresses").into_iter().flatten().map(|text| {
        let problem = "is no list of networks: give one such as 10.0.0.0/8,fd00::/8";
        let network: Network =
            text.parse().map_err(|_| uri.bad_option("allowedAddresses", &text, problem))?;
        match network.never() {
            None => Ok(network),
            Some(_) => {
                let problem = "has only addresses that are never asked: leave it out";
                Err(uri.bad_option("allowedAddresses", &text, problem))
            }
        }
    });
    let address_types: Vec<String> =
        list("kubeletAddressTypes").map_or(default.address_types, Iterator::collect);
    if let Some(unknown) = address_types.iter().find(|kind| !ADDRESS_TYPES.contains(&kind.as_str())) {
        let problem = "is no type of address: give some of InternalIP, ExternalIP, LegacyHostIP, Hostname, InternalDNS, \
                       ExternalDNS";
        return Err(uri.bad_option("kubeletAddressTypes", unknown, problem));
    }
    Ok(NodePolicy {
        address_types,
        rule: AddressRule { allowed: allowed.collect::<Result<_, _>>()?, loopback: false },
        port_from_status: uri.flag("kubeletPortFromStatus", false)?,
        host_id_annotation: uri.text("host_id_annotation").map(str::to_owned),
    })
}
