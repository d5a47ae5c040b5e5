//! What a login comes to in the Kubernetes client's own configuration: servers, CAs, tokens, proxies. Asking is left to
//! [`super::kubernetes`].

use super::kubernetes::{Login, LoginError, MOUNTED_TOKEN};
use kube::config::{KubeConfigOptions, Kubeconfig};
use url::Url;

/// A token file that ends in a line end, as every editor leaves it, makes no header: the client takes the file as it is.
/// Then the token is taken from it here, and not again.
pub(super) fn trim_token(config: &mut kube::Config) {
    let text = config.auth_info.token_file.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
    if let Some(text) = text.filter(|text| text.trim() != text) {
        log::warn!(
            "the token file of the API server ends in a blank: it is read only once; take the blank away"
        );
        config.auth_info.token = Some(text.trim().to_owned().into());
        config.auth_info.token_file = None;
    }
}

/// The client's own configuration of a login.
///
/// # Errors
/// When the login cannot be made from what is there.
pub(super) async fn configure(login: &Login) -> Result<kube::Config, LoginError> {
    let parsed = |url: &Url| url.as_str().parse().map_err(|_| LoginError::BadServer(url.to_string()));
    match login {
        Login::InCluster { server, insecure, token_over_http } => {
            let mut config = kube::Config::incluster().map_err(LoginError::NotInCluster)?;
            config.proxy_url = None;
            if let Some(server) = server {
                config.cluster_url = parsed(server)?;
                config.tls_server_name = None;
                if server.scheme() == "http" && !token_over_http {
                    config.auth_info.token_file = None;
                }
            }
            set_insecure(&mut config, *insecure);
            Ok(config)
        }
        Login::Kubeconfig(path) => {
            let failed = |error| LoginError::Kubeconfig(path.clone(), Box::new(error));
            let kubeconfig = Kubeconfig::read_from(path).map_err(failed)?;
            let mut clusters = kubeconfig.clusters.iter().filter_map(|named| named.cluster.as_ref());
            let proxied = clusters.any(|cluster| cluster.proxy_url.is_some());
            let options = KubeConfigOptions::default();
            let mut config =
                kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(failed)?;
            // Only a proxy that the file names, none from the environment.
            if !proxied {
                config.proxy_url = None;
            }
            Ok(config)
        }
        Login::Bare { server, insecure, mounted_token } => {
            let mut config = kube::Config::new(parsed(server)?);
            config.proxy_url = None;
            set_insecure(&mut config, *insecure);
            if *mounted_token && std::path::Path::new(MOUNTED_TOKEN).exists() {
                config.auth_info.token_file = Some(MOUNTED_TOKEN.to_owned());
            }
            Ok(config)
        }
    }
}

/// Has any certificate do, where that is asked for.
pub(super) fn set_insecure(config: &mut kube::Config, insecure: bool) {
    if insecure {
        config.accept_invalid_certs = true;
        trust_nothing(config);
    }
}

/// Leaves out the system's CAs, which need not be there where no certificate is verified.
pub(super) fn trust_nothing(config: &mut kube::Config) {
    config.root_cert = Some(Vec::new());
    config.root_cert_file = None;
}

/// The certificates of a PEM text, as DER. None where there is none, or one is broken.
pub(super) fn certificates(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    all.ok().filter(|all| !all.is_empty()).map(|all| all.iter().map(|der| der.to_vec()).collect())
}
