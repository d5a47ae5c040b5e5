//! The API server: how to log in, and one stream of everything that its watches tell. What is made of it is left to
//! the discovery actor.

use super::bearer::Bearer;
use super::credentials::Token;
use super::following::{FollowError, Heard, following};
use super::foreign::sound;
use super::kubelet::{KubeletAccess, KubeletOptions};
pub use super::login::Pod;
use super::login::{certificates, configure, set_insecure, take_token, trust_nothing};
pub use super::plugin::PluginError;
pub use super::trouble::Trouble;
use super::trouble::{CONNECT, Question, Way};
use super::verifier::Verifier;
use crate::clock::Clock;
use crate::model::address::NodePolicy;
use crate::model::inventory::{Change, NamespaceFacts, NodeFacts, PodFacts};
use crate::wire::kubernetes_objects::{ApiNamespace, ApiNode, ApiPod};
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, select_all};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::client::{ClientBuilder, ConfigExt};
use kube::config::AuthInfo;
use kube::runtime::watcher::Event;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tower::buffer::BufferLayer;
use tower::util::MapResultLayer;
use url::Url;

/// Requests to an API server that may wait for each other.
const QUEUED: usize = 64;

/// How to reach an API server and as whom.
#[derive(Clone, Debug, PartialEq)]
pub enum Login {
    /// As the pod that this runs in; at another URL, or without verifying the certificate, where that is given.
    InCluster {
        /// Instead of the one in the environment.
        server: Option<Url>,
        /// Whether any certificate will do.
        insecure: bool,
        /// Whether the mounted token is sent even over plain HTTP.
        token_over_http: bool,
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
        "not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not both set; run it in a pod, or give \
         inClusterConfig=false"
    )]
    NotInCluster,
    /// A variable that names the API server cannot be used.
    #[error(
        "{name} is {value:?}, which is {problem}; Kubernetes sets it in every pod: see who sets it otherwise, or give the \
         API server's URL with inClusterConfig=false"
    )]
    Variable {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The kubeconfig cannot be used.
    #[error(
        "kubeconfig {0:?} cannot be used: {1}; check that it exists, can be read and names a current context"
    )]
    Kubeconfig(PathBuf, String),
    /// The URL cannot be used.
    #[error("{0:?} is no URL of an API server")]
    BadServer(String),
    /// A file cannot be read.
    #[error("{0:?} cannot be read")]
    File(PathBuf, #[source] std::io::Error),
    /// A token file holds no token.
    #[error("{0:?} {1}; give a file with the token alone")]
    Token(PathBuf, &'static str),
    /// A file holds no certificate.
    #[error("{0:?} holds no certificate in PEM form")]
    NoCertificate(PathBuf),
    /// A program that the kubeconfig names gives no credentials.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// What was given makes no client.
    #[error("these credentials make no client; check certificates and keys")]
    Client(#[source] Box<kube::Error>),
}

/// Something that one may or may not do.
#[derive(Clone, Copy, Debug)]
pub struct Right {
    /// What is done.
    pub verb: &'static str,
    /// To what.
    pub resource: &'static str,
    /// To which part of it.
    pub subresource: Option<&'static str>,
}

impl Right {
    /// The rule of a ClusterRole that gives it.
    pub fn rule(&self) -> String {
        let Self { verb, .. } = self;
        format!("{{apiGroups: [\"\"], resources: [{}], verbs: [{verb}]}}", self.whole())
    }

    fn whole(&self) -> String {
        self.subresource.map_or_else(|| self.resource.to_owned(), |part| format!("{}/{part}", self.resource))
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.whole())
    }
}

/// A way to one API server.
#[derive(Clone)]
pub struct ApiServer {
    client: kube::Client,
    config: kube::Config,
    token: Arc<Token>,
    way: Way,
    /// Whether the URI says that nobody need be verified.
    insecure: bool,
    /// Its URL, without what may be a password.
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
    Failed(&'static str, Trouble),
    /// That it has no answer yet and waits on: of what, and why that may be.
    Waits(&'static str, Trouble),
    /// That it is there, and stays: of what.
    Works(&'static str),
}

impl ApiServer {
    /// Gets ready to ask; nothing is asked yet.
    ///
    /// # Errors
    /// When the login cannot be made from what is there.
    pub async fn new(login: &Login, clock: &Clock) -> Result<Self, LoginError> {
        Self::in_pod(login, &Pod::here(), clock).await
    }

    /// The same in another pod than the one that this runs in, for tests.
    ///
    /// # Errors
    /// When the login cannot be made from what is there.
    pub async fn in_pod(login: &Login, pod: &Pod, clock: &Clock) -> Result<Self, LoginError> {
        let mut config = configure(login, pod).await?;
        config.connect_timeout = Some(CONNECT);
        // A watch is repeated with pauses of its own, and whoever asks once wants to hear what the server says.
        config.default_retry = false;
        let token = Arc::new(Token::new(take_token(&mut config).await?, clock.clone()));
        let mut asked = config.clone();
        let is_plain = config.cluster_url.scheme_str() == Some("http");
        let way = Way::new(login, !is_plain, token.is_there());
        if is_plain {
            trust_nothing(&mut asked);
        }
        let failed = |error| LoginError::Client(Box::new(error));
        let client = ClientBuilder::try_from(asked).map_err(failed)?;
        let client = client.with_layer(&BufferLayer::new(QUEUED)).with_layer(&Bearer(token.clone()));
        let client = client.with_layer(&MapResultLayer::new(sound)).build();
        let authority =
            config.cluster_url.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let bare = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let url = format!("{}://{bare}/", config.cluster_url.scheme_str().unwrap_or_default());
        let insecure = match login {
            Login::InCluster { insecure, .. } | Login::Bare { insecure, .. } => *insecure,
            Login::Kubeconfig(_) => false,
        };
        Ok(Self { client, config, token, way, insecure, url })
    }

    /// How kubelets are reached: with the API server's certificates, but for what the options say otherwise.
    ///
    /// # Errors
    /// When the certificates make no TLS client.
    pub fn kubelets(&self, options: &KubeletOptions) -> Result<KubeletAccess, LoginError> {
        let mut config = self.config.clone();
        if let Some(path) = &options.ca {
            // Read here for the client to be made at all, and again by its verifier whenever the file changes.
            let text = std::fs::read(path).map_err(|error| LoginError::File(path.clone(), error))?;
            config.root_cert =
                Some(certificates(&text).ok_or_else(|| LoginError::NoCertificate(path.clone()))?);
            config.root_cert_file = Some(path.clone());
            config.accept_invalid_certs = false;
        }
        if let Some((certificate, key)) = &options.identity {
            let text = |path: &PathBuf| Some(path.to_string_lossy().into_owned());
            config.auth_info = AuthInfo {
                client_certificate: text(certificate),
                client_key: text(key),
                ..AuthInfo::default()
            };
        }
        set_insecure(&mut config, options.insecure);
        let told = options.insecure || (self.insecure && options.ca.is_none());
        // As Heapster: without a CA there is nothing to verify against. A kubeconfig that skips it for the API server
        // does not speak of kubelets' tokens.
        let no_ca = config.root_cert.is_none() && config.root_cert_file.is_none();
        let unverified = no_ca || config.accept_invalid_certs;
        set_insecure(&mut config, unverified);
        let tls = if options.https {
            let mut tls =
                config.rustls_client_config().map_err(|error| LoginError::Client(Box::new(error)))?;
            tls.alpn_protocols.clear();
            let roots = config.root_cert.as_deref().unwrap_or_default();
            let verifier = Verifier::new(roots, config.root_cert_file.clone(), options.by_name);
            if let Some(verifier) = verifier.filter(|_| !config.accept_invalid_certs) {
                tls.dangerous().set_certificate_verifier(Arc::new(verifier));
            }
            // Of an address nothing is sent, nor of what stands for one.
            tls.enable_sni = options.by_name;
            Some(tls.into())
        } else {
            None
        };
        Ok(KubeletAccess {
            port: options.port,
            tls,
            by_name: options.by_name,
            sends_token: options.https && (told || !unverified),
            max_body: options.max_body,
        })
    }

    /// Whether the API server itself is on loopback, so that kubelets may be too.
    pub fn is_loopback(&self) -> bool {
        let host = self.config.cluster_url.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare == "localhost" || bare.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    }

    /// Whether both are at one address, as far as that can be seen without asking.
    pub fn is_same_server(&self, other: &Self) -> bool {
        let address = |server: &Self| {
            let url = &server.config.cluster_url;
            let host = url.host().unwrap_or_default().to_ascii_lowercase();
            let host = if host == "localhost" { "127.0.0.1".to_owned() } else { host };
            let default = if url.scheme_str() == Some("http") { 80 } else { 443 };
            (host, url.port_u16().unwrap_or(default), url.path().trim_end_matches('/').to_owned())
        };
        address(self) == address(other)
    }

    /// The bearer token that kubelets are asked with, which is the API server's.
    pub fn token(&self) -> Arc<Token> {
        self.token.clone()
    }

    fn trouble(&self, question: Question, error: &kube::Error) -> Trouble {
        self.way.trouble(question, error).hidden(&self.token)
    }

    /// What is to be said where it does not answer within a time.
    pub fn silent(&self, within: Duration) -> Trouble {
        self.way.lost(&FollowError::Silent(within))
    }

    /// Whether kubelets are shown neither a token nor a certificate.
    pub fn is_nobody_to_kubelets(&self, options: &KubeletOptions) -> bool {
        let auth = &self.config.auth_info;
        let certificate = auth.client_certificate.is_some() || auth.client_certificate_data.is_some();
        !self.token.is_there() && !certificate && auth.exec.is_none() && options.identity.is_none()
    }

    /// Its version.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn version(&self) -> Result<String, Trouble> {
        let version = self.client.apiserver_version().await;
        let version = version.map_err(|error| self.trouble(Question::Version, &error))?.git_version;
        if version.is_empty() { Err(self.way.no_version()) } else { Ok(version) }
    }

    /// Whether one has a right.
    ///
    /// # Errors
    /// When it does not answer, or not this question.
    pub async fn may(&self, right: &Right) -> Result<bool, Trouble> {
        let attributes = ResourceAttributes {
            verb: Some(right.verb.to_owned()),
            resource: Some(right.resource.to_owned()),
            subresource: right.subresource.map(str::to_owned),
            ..ResourceAttributes::default()
        };
        let spec =
            SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
        let review = SelfSubjectAccessReview { spec, ..Default::default() };
        let reviews = kube::Api::<SelfSubjectAccessReview>::all(self.client.clone());
        let review = reviews.create(&kube::api::PostParams::default(), &review).await;
        let review = review.map_err(|error| self.trouble(Question::Rights, &error))?;
        Ok(review.status.is_some_and(|status| status.allowed))
    }

    /// Everything that the watches of nodes, pods and namespaces tell, for ever: a watch that fails begins anew, with
    /// growing pauses.
    pub fn watch(&self, policy: NodePolicy, node_selector: Option<&str>) -> BoxStream<'static, Told> {
        let node = move |node: &ApiNode| node.facts_by(&policy);
        let nodes = self.watch_kind("nodes", node_selector, node, Told::Node);
        let pods = self.watch_kind("pods", None, ApiPod::facts, Told::Pod);
        let namespaces = self.watch_kind("namespaces", None, ApiNamespace::facts, Told::Namespace);
        select_all([nodes, pods, namespaces]).boxed()
    }

    fn watch_kind<K, R: Send + 'static>(
        &self,
        kind: &'static str,
        labels: Option<&str>,
        facts: impl Fn(&K) -> Option<R> + Send + 'static,
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
        let events = following(kube::Api::<K>::all(self.client.clone()), labels);
        let change = move |event: Event<K>| match event {
            Event::Init => Some(Change::ListBegins),
            Event::InitApply(object) => facts(&object).map(Change::Listed),
            Event::InitDone => Some(Change::ListDone),
            Event::Apply(object) => facts(&object).map(Change::Applied),
            Event::Delete(object) => facts(&object).map(Change::Gone),
        };
        let (way, token) = (self.way, self.token.clone());
        let tell = move |heard: Result<Heard<K>, FollowError>| {
            let lost = |error: &FollowError| way.lost(error).hidden(&token);
            let told = match heard {
                Ok(Heard::Event(event)) => change(event).map(told),
                Ok(Heard::Works) => Some(Told::Works(kind)),
                Ok(Heard::Waits(error)) => Some(Told::Waits(kind, lost(&error))),
                Err(error) => Some(Told::Failed(kind, lost(&error))),
            };
            std::future::ready(told)
        };
        events.filter_map(tell).boxed()
    }
}
