//! What a login comes to in the Kubernetes client's own configuration: servers, CAs, tokens, proxies. Asking is left to
//! [`super::kubernetes`].

use super::credentials::{Secret, TokenSource, secret_of};
use super::kubernetes::{Login, LoginError};
use super::plugin::Plugin;
use kube::config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig, KubeconfigError};
use secrecy::ExposeSecret;
use std::io::IsTerminal;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use url::Url;

/// Where Kubernetes mounts a pod's service account (KEP-1205).
const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Where Kubernetes tells a pod of the API server.
const HOST: &str = "KUBERNETES_SERVICE_HOST";
const PORT: &str = "KUBERNETES_SERVICE_PORT";

/// What a pod has of its service account: where the API server is, and the folder with CA and token (KEP-1205).
#[derive(Clone, Debug)]
pub struct Pod {
    /// Host and port of the API server. None outside a cluster.
    pub server: Option<(String, String)>,
    /// The folder with `ca.crt` and `token`.
    pub folder: PathBuf,
}

impl Pod {
    /// The pod that this runs in.
    pub fn here() -> Self {
        let server = std::env::var(HOST).ok().zip(std::env::var(PORT).ok());
        Self { server, folder: MOUNT.into() }
    }

    fn token(&self) -> PathBuf {
        self.folder.join("token")
    }

    /// The client's own configuration of it.
    fn configure(&self) -> Result<kube::Config, LoginError> {
        let (host, port) = self.server.as_ref().ok_or(LoginError::NotInCluster)?;
        let wrong =
            |name, value: &String, problem| Err(LoginError::Variable { name, value: value.clone(), problem });
        if host.is_empty() {
            return wrong(HOST, host, "no host");
        }
        if !port.parse().is_ok_and(|port: u16| port > 0) {
            return wrong(PORT, port, "no port");
        }
        let host = if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.clone() };
        let server = format!("https://{host}:{port}/");
        let mut config = kube::Config::new(server.parse().map_err(|_| LoginError::BadServer(server))?);
        let ca = self.folder.join("ca.crt");
        let text = std::fs::read(&ca).map_err(|error| LoginError::File(ca.clone(), error))?;
        // Read here for a client to be made at all, and again by its verifier whenever the file changes.
        config.root_cert = Some(certificates(&text).ok_or_else(|| LoginError::NoCertificate(ca.clone()))?);
        config.root_cert_file = Some(ca);
        config.auth_info.token_file = Some(self.token().to_string_lossy().into_owned());
        Ok(config)
    }
}

/// Why a kubeconfig cannot be used, without the lines of it that the library quotes: there are secrets in it.
fn unquoted(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(error) => {
            let place = error.location().map(|at| format!(" at line {}, column {}", at.line(), at.column()));
            format!("it is no YAML of a kubeconfig{}", place.unwrap_or_default())
        }
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        other => other.to_string(),
    }
}

/// The client's own configuration of a login.
///
/// # Errors
/// When the login cannot be made from what is there.
pub(super) async fn configure(login: &Login, pod: &Pod) -> Result<kube::Config, LoginError> {
    let parsed = |url: &Url| url.as_str().parse().map_err(|_| LoginError::BadServer(url.to_string()));
    match login {
        Login::InCluster { server, insecure, token_over_http } => {
            let mut config = pod.configure()?;
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
            let failed = |error| LoginError::Kubeconfig(path.clone(), unquoted(&error));
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
            let mut bare = server.clone();
            // Neither fails for a URL that has a host.
            let _ = (bare.set_username(""), bare.set_password(None));
            let mut config = kube::Config::new(parsed(&bare)?);
            if !server.username().is_empty() {
                config.auth_info.username = Some(decoded(server.username()));
                config.auth_info.password = Some(decoded(server.password().unwrap_or_default()).into());
            }
            config.proxy_url = None;
            set_insecure(&mut config, *insecure);
            if *mounted_token && pod.token().exists() {
                config.auth_info.token_file = Some(pod.token().to_string_lossy().into_owned());
            }
            Ok(config)
        }
    }
}

/// A part of a URL as it was meant.
fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// Takes the bearer token out of the client's own configuration: files are read again in our own way, and a program's
/// token goes to kubelets too. Certificates, names and passwords stay with the client.
///
/// # Errors
/// When a token file cannot be read, or a program gives nothing.
pub(super) async fn take_token(config: &mut kube::Config) -> Result<TokenSource, LoginError> {
    let auth = &mut config.auth_info;
    if auth.auth_provider.is_none() && auth.username.is_none() {
        if let Some(path) = auth.token_file.take().map(PathBuf::from) {
            auth.token = None;
            let text =
                std::fs::read_to_string(&path).map_err(|error| LoginError::File(path.clone(), error))?;
            secret_of(&text).map_err(|problem| LoginError::Token(path.clone(), problem))?;
            return Ok(TokenSource::File(path));
        }
        if let Some(token) = auth.token.take() {
            return Ok(TokenSource::Fixed(Secret::new(token.expose_secret().trim())));
        }
    }
    if auth.username.is_some() && auth.auth_provider.is_none()
        || auth.exec.is_none() && auth.auth_provider.is_none()
    {
        return Ok(TokenSource::None);
    }
    if let Some(exec) = &mut config.auth_info.exec
        && exec.interactive_mode != Some(ExecInteractiveMode::Always)
        && !std::io::stdin().is_terminal()
    {
        // Nobody is there to be asked, and what it says on standard error goes into our own words.
        exec.interactive_mode = Some(ExecInteractiveMode::Never);
    }
    let Some(plugin) = Plugin::new(config).await? else { return Ok(TokenSource::None) };
    (config.auth_info.exec, config.auth_info.auth_provider) = (None, None);
    Ok(TokenSource::Plugin(Box::new(plugin)))
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
