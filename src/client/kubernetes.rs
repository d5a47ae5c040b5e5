//! The API server: how to log in, and one stream of everything that its watches tell. What is made of it is left to
//! the discovery actor.

use super::credentials::{Secret, TokenSource};
use super::kubelet::KubeletAccess;
use crate::model::inventory::{Change, NamespaceFacts, NodeFacts, PodFacts};
use crate::telemetry::chain;
use crate::wire::kubernetes_objects::{ApiNamespace, ApiNode, ApiPod};
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, select_all};
use kube::client::ConfigExt;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use secrecy::ExposeSecret;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Where Kubernetes mounts a pod's token (KEP-1205).
pub const MOUNTED_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// How to reach an API server and as whom.
#[derive(Clone, Debug, PartialEq)]
pub enum Login {
    /// As the pod that this runs in; at another URL, or without verifying the certificate, where that is given.
    InCluster {
        /// Instead of the one in the environment.
        server: Option<Url>,
        /// Whether any certificate will do.
        insecure: bool,
    },
    /// As a kubeconfig says.
    Kubeconfig(PathBuf),
    /// As nobody, or with the mounted token.
    Bare {
        /// The server.
        server: Url,
        /// Whether any certificate will do.
        insecure: bool,
        /// Whether the mounted token is sent, even over plain HTTP.
        mounted_token: bool,
    },
}

/// Why there is no way to the API server.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Not in a pod.
    #[error(
        "not in a cluster, or its mounted service account is incomplete; run it in a pod, or give inClusterConfig=false"
    )]
    NotInCluster(#[source] kube::config::InClusterError),
    /// The kubeconfig cannot be used.
    #[error("kubeconfig {0:?} cannot be used; check that it exists, can be read and names a current context")]
    Kubeconfig(PathBuf, #[source] Box<kube::config::KubeconfigError>),
    /// The URL cannot be used.
    #[error("{0:?} is no URL of an API server")]
    BadServer(String),
    /// What was given makes no client.
    #[error("these credentials make no client; check certificates and keys")]
    Client(#[source] Box<kube::Error>),
}

/// A way to one API server.
#[derive(Clone)]
pub struct ApiServer {
    client: kube::Client,
    config: kube::Config,
    /// Its URL.
    pub url: String,
}

/// What a watch tells.
#[derive(Debug)]
pub enum Told {
    /// Of nodes.
    Node(Change<NodeFacts>),
    /// Of pods.
    Pod(Change<PodFacts>),
    /// Of namespaces.
    Namespace(Change<NamespaceFacts>),
    /// That it failed and will begin anew: of what, and why.
    Failed(&'static str, String),
}

impl ApiServer {
    /// Gets ready to ask; nothing is asked yet.
    ///
    /// # Errors
    /// When the login cannot be made from what is there.
    pub async fn new(login: &Login) -> Result<Self, LoginError> {
        let mut config = configure(login).await?;
        config.connect_timeout = Some(Duration::from_secs(10));
        let client =
            kube::Client::try_from(config.clone()).map_err(|error| LoginError::Client(Box::new(error)))?;
        let url = config.cluster_url.to_string();
        Ok(Self { client, config, url })
    }

    /// How kubelets are reached with the same certificates.
    ///
    /// # Errors
    /// When they make no TLS client.
    pub fn kubelets(&self, port: u16, https: bool) -> Result<KubeletAccess, LoginError> {
        let tls = if https { Some(self.kubelet_tls()?) } else { None };
        Ok(KubeletAccess { port, tls: tls.map(Into::into) })
    }

    fn kubelet_tls(&self) -> Result<rustls::ClientConfig, LoginError> {
        let mut config = self.config.clone();
        // As Heapster: without a CA there is nothing to verify against.
        if config.root_cert.is_none() && config.root_cert_file.is_none() {
            set_insecure(&mut config, true);
        }
        let mut tls = config.rustls_client_config().map_err(|error| LoginError::Client(Box::new(error)))?;
        tls.alpn_protocols.clear();
        Ok(tls)
    }

    /// The bearer token that kubelets are asked with.
    pub fn token(&self) -> TokenSource {
        let auth = &self.config.auth_info;
        match (&auth.token_file, &auth.token) {
            (Some(path), _) => TokenSource::File(path.into()),
            (None, Some(token)) => TokenSource::Fixed(Secret::new(token.expose_secret())),
            (None, None) => TokenSource::None,
        }
    }

    /// Everything that the watches of nodes, pods and namespaces tell, for ever: a watch that fails begins anew, with
    /// growing pauses.
    pub fn watch(&self) -> BoxStream<'static, Told> {
        let nodes = self.watch_kind::<ApiNode, _>("nodes", ApiNode::facts, Told::Node);
        let pods = self.watch_kind::<ApiPod, _>("pods", ApiPod::facts, Told::Pod);
        let namespaces =
            self.watch_kind::<ApiNamespace, _>("namespaces", ApiNamespace::facts, Told::Namespace);
        select_all([nodes, pods, namespaces]).boxed()
    }

    fn watch_kind<K, R: Send + 'static>(
        &self,
        kind: &'static str,
        facts: fn(&K) -> Option<R>,
        told: fn(Change<R>) -> Told,
    ) -> BoxStream<'static, Told>
    where
        K: kube::Resource<DynamicType = ()>
            + Clone
            + serde::de::DeserializeOwned
            + std::fmt::Debug
            + Send
            + 'static,
    {
        let events =
            watcher(kube::Api::<K>::all(self.client.clone()), watcher::Config::default()).default_backoff();
        let change = move |event: Event<K>| match event {
            Event::Init => Some(Change::ListBegins),
            Event::InitApply(object) => facts(&object).map(Change::Listed),
            Event::InitDone => Some(Change::ListDone),
            Event::Apply(object) => facts(&object).map(Change::Applied),
            Event::Delete(object) => facts(&object).map(Change::Gone),
        };
        let tell = move |event: Result<Event<K>, watcher::Error>| {
            let told = match event {
                Ok(event) => change(event).map(told),
                Err(error) => Some(Told::Failed(kind, chain(&error))),
            };
            std::future::ready(told)
        };
        events.filter_map(tell).boxed()
    }
}

async fn configure(login: &Login) -> Result<kube::Config, LoginError> {
    let parsed = |url: &Url| url.as_str().parse().map_err(|_| LoginError::BadServer(url.to_string()));
    match login {
        Login::InCluster { server, insecure } => {
            let mut config = kube::Config::incluster().map_err(LoginError::NotInCluster)?;
            if let Some(server) = server {
                config.cluster_url = parsed(server)?;
                config.tls_server_name = None;
            }
            set_insecure(&mut config, *insecure);
            Ok(config)
        }
        Login::Kubeconfig(path) => {
            let failed = |error| LoginError::Kubeconfig(path.clone(), Box::new(error));
            let kubeconfig = Kubeconfig::read_from(path).map_err(failed)?;
            kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .map_err(failed)
        }
        Login::Bare { server, insecure, mounted_token } => {
            let mut config = kube::Config::new(parsed(server)?);
            set_insecure(&mut config, *insecure);
            if *mounted_token && std::path::Path::new(MOUNTED_TOKEN).exists() {
                config.auth_info.token_file = Some(MOUNTED_TOKEN.to_owned());
            }
            Ok(config)
        }
    }
}

fn set_insecure(config: &mut kube::Config, insecure: bool) {
    if insecure {
        config.accept_invalid_certs = true;
        trust_nothing(config);
    }
}

/// Leaves out the system's CAs, which need not be there where no certificate is verified.
fn trust_nothing(config: &mut kube::Config) {
    config.root_cert = Some(Vec::new());
    config.root_cert_file = None;
}
