//! What every Kubernetes source has in common: its options and how they make a login
//! (Heapster `common/kubernetes/configs.go`, `metrics/sources/kubelet/configs.go`).

use super::{Format, Source};
use crate::client::kubernetes::Login;
use crate::config::options::OptionLine;
use crate::config::uri::{Uri, UriError};
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
        about: "send the mounted service account token, where inClusterConfig is false",
    },
];

/// Reads a URI.
///
/// # Errors
/// The first option that is unknown or has a value that it cannot have.
pub fn parse(uri: &Uri, options: &[OptionLine], format: Arc<dyn Format>) -> Result<Source, UriError> {
    uri.check_options(options.iter().map(|option| option.name))?;
    if let Some(version) = uri.text("apiVersion").filter(|version| *version != "v1") {
        return Err(uri.bad_option("apiVersion", version, "is not spoken: give v1 or leave it out"));
    }
    let insecure = uri.flag("insecure", false)?;
    let mounted_token = uri.flag("useServiceAccount", false)?;
    let in_cluster = uri.flag("inClusterConfig", true)?;
    let server = uri.config.clone();
    let login = match (in_cluster, uri.text("auth"), server) {
        (true, _, server) => Login::InCluster { server, insecure },
        (false, Some(path), _) => Login::Kubeconfig(path.into()),
        (false, None, Some(server)) => Login::Bare { server, insecure, mounted_token },
        (false, None, None) => {
            return Err(
                uri.incomplete("no API server; give its URL, auth=KUBECONFIG, or leave inClusterConfig out")
            );
        }
    };
    Ok(Source {
        name: uri.to_string().as_str().into(),
        login,
        kubelet_port: uri.port("kubeletPort", 10_255)?,
        kubelet_https: uri.flag("kubeletHttps", false)?,
        format,
    })
}
