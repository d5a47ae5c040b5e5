//! Why the API server gave no answer: what happened in plain words, and what mends it for whoever logged in so. Asking is
//! left to [`super::kubernetes`].

use super::credentials::Token;
use super::following::FollowError;
use super::foreign::{Foreign, shown};
use super::kubernetes::Login;
use crate::model::time::Timestamp;
use crate::telemetry::{chain, printable};
use crate::wire::rfc3339;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError};
use std::error::Error;
use std::io::{self, ErrorKind};

/// The most causes of an error that are looked at.
const DEEP: usize = 16;
/// How long a connection may take to be made.
pub(super) const CONNECT: std::time::Duration = std::time::Duration::from_secs(10);

/// What kept the API server from answering, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{said}; {fix}")]
pub struct Trouble {
    /// What happened.
    pub said: String,
    /// What to do about it.
    pub fix: String,
    code: Option<u16>,
}

impl Trouble {
    /// The same without the token, where somebody says what he was sent.
    pub(super) fn hidden(self, token: &Token) -> Self {
        Self { said: printable(&token.hide_in(&self.said)), ..self }
    }

    /// Something that happened, and what mends it.
    pub fn new(said: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { said: said.into(), fix: fix.into(), code: None }
    }

    /// Whether it is the same as another but for its words: these hold times and versions.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.code, &self.fix) == (other.code, &other.fix)
    }
}

/// What was asked, where that changes what mends a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Nodes, pods and namespaces.
    Objects,
    /// The version.
    Version,
    /// What one may do.
    Rights,
}

/// Whose URL and credentials are used, which says where they are mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Pod,
    PodElsewhere,
    Kubeconfig,
    Url,
}

/// The way to one API server, as far as advice depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    by: By,
    tls: bool,
    sends_token: bool,
}

impl Way {
    /// The way of a login to a server that speaks TLS or not, with a token or not.
    pub(super) fn new(login: &Login, tls: bool, sends_token: bool) -> Self {
        let by = match login {
            Login::InCluster { server: None, .. } => By::Pod,
            Login::InCluster { server: Some(_), .. } => By::PodElsewhere,
            Login::Kubeconfig(_) => By::Kubeconfig,
            Login::Bare { .. } => By::Url,
        };
        Self { by, tls, sends_token }
    }

    /// Where the URL is from.
    const fn place(&self) -> &'static str {
        match self.by {
            By::Pod => "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT",
            By::PodElsewhere | By::Url => "the URL of --source",
            By::Kubeconfig => "the kubeconfig's server",
        }
    }

    /// What an error of the Kubernetes client comes to.
    pub(super) fn trouble(&self, question: Question, error: &kube::Error) -> Trouble {
        if let kube::Error::Api(status) = error {
            return self.refusal(question, status.code, &status.message);
        }
        let causes = causes(error);
        let found = causes.iter().find_map(|cause| {
            if let Some(foreign) = cause.downcast_ref() {
                Some(self.foreign(foreign))
            } else if let Some(json) = cause.downcast_ref::<serde_json::Error>() {
                let said = format!("the answer is none of an API server: {json}");
                Some(Trouble::new(said, self.somebody_else()))
            } else {
                cause.downcast_ref().map(|error| self.tls(error))
            }
        });
        found.unwrap_or_else(|| self.connection(&causes))
    }

    /// What ended the following of a kind of objects, or delays it.
    pub(super) fn lost(&self, error: &FollowError) -> Trouble {
        let fix = match error {
            FollowError::Asked(error) => return self.trouble(Question::Objects, error),
            FollowError::Silent(_) => SILENT.to_owned(),
            FollowError::EndedAtOnce => {
                "look for a proxy in between that does not pass watches on".to_owned()
            }
            FollowError::NoVersion => self.somebody_else(),
        };
        Trouble::new(error.to_string(), fix)
    }

    /// What an answer without a version comes to.
    pub(super) fn no_version(&self) -> Trouble {
        Trouble::new("the answer is none of an API server: it names no version", self.somebody_else())
    }

    fn somebody_else(&self) -> String {
        format!(
            "something else than an API server answers, such as a login page or a proxy: look at {}",
            self.place()
        )
    }

    fn foreign(&self, foreign: &Foreign) -> Trouble {
        let fix = match foreign {
            Foreign::Redirect(..) => format!(
                "redirects are not followed, for the credentials would go along: {} must lead to the API server itself",
                self.place()
            ),
            Foreign::NotJson(..) => self.somebody_else(),
        };
        Trouble::new(foreign.to_string(), fix)
    }

    fn refusal(&self, question: Question, code: u16, message: &str) -> Trouble {
        let message = if message.trim_start().starts_with('<') { "an HTML page" } else { message };
        let anonymous = message.contains("system:anonymous");
        let fix = match (code, question) {
            (400, _) if message.contains("HTTPS") => format!("the port speaks TLS: give https:// in {}", self.place()),
            (401, _) => self.unknown(),
            (403, _) if anonymous => self.unknown(),
            (403, Question::Rights) => {
                "everyone who is logged in has this right by the ClusterRole system:basic-user: bind it to the account, \
                 or ask kubectl auth can-i"
                    .to_owned()
            }
            (403, Question::Version) => {
                "the account may not read /version: bind it to the ClusterRole system:public-info-viewer".to_owned()
            }
            (403, Question::Objects) => {
                "the account may not do this: bind it to the ClusterRole of manifests/rbac.yaml".to_owned()
            }
            (404, _) => format!("no API server, or one without this API: look at {}", self.place()),
            (410, _) => "it has forgotten what happened since; everything is listed anew".to_owned(),
            (429, _) => "it is asked too much: look at its API Priority and Fairness".to_owned(),
            (502 | 504, _) => "look at the proxy or load balancer before the API server".to_owned(),
            (503, _) => "it cannot serve now: look at its log, at etcd, and at the load balancer before it".to_owned(),
            (500.., _) => "look at the API server's log".to_owned(),
            _ => "look at the API server's log, and for a proxy in between".to_owned(),
        };
        let said = match shown(message) {
            text if text.is_empty() => format!("status {code}"),
            text => format!("status {code}: {text}"),
        };
        Trouble { said, fix, code: Some(code) }
    }

    /// What mends credentials that nobody knows.
    fn unknown(&self) -> String {
        let fix = match self.by {
            By::Pod | By::PodElsewhere if !self.sends_token => {
                "the pod's token is not sent over plain HTTP: give https://, or useServiceAccount=true"
            }
            By::Pod | By::PodElsewhere => {
                "the API server does not know the pod's token: see that its service account is there, and of this cluster"
            }
            By::Kubeconfig => {
                "the API server does not know the credentials: renew the token or the client certificate in the kubeconfig"
            }
            By::Url if self.sends_token => {
                "the API server does not know the mounted token: see that the pod is of this cluster, or give auth=KUBECONFIG"
            }
            By::Url => "no credentials are sent: give auth=KUBECONFIG, or in a pod leave inClusterConfig out",
        };
        fix.to_owned()
    }

    fn tls(&self, error: &rustls::Error) -> Trouble {
        use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage, PeerIncompatible};
        let fix = match error {
            InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
                self.unknown_issuer()
            }
            InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => self.other_name(),
            InvalidCertificate(
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            ) => "renew the API server's certificate, or set this machine's clock".to_owned(),
            AlertReceived(AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure) => {
                self.wants_certificate()
            }
            AlertReceived(
                AlertDescription::BadCertificate
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied,
            ) => "it does not take the client certificate: renew it in the kubeconfig".to_owned(),
            InvalidMessage(_) => format!(
                "the port does not speak TLS: give the port that does, or http:// where that is meant; look at {}",
                self.place()
            ),
            PeerIncompatible(_) | AlertReceived(AlertDescription::ProtocolVersion) => {
                "it does not speak TLS 1.2 or 1.3 as this client does: raise its --tls-min-version".to_owned()
            }
            _ => format!("see what listens there, and look at {}", self.place()),
        };
        Trouble::new(format!("no connection: {}", tls_words(error)), fix)
    }

    fn unknown_issuer(&self) -> String {
        match self.by {
            By::Pod | By::PodElsewhere => format!(
                "the CA mounted in the pod did not sign its certificate: see that {} is its own cluster's, or give \
                 insecure=true",
                if self.by == By::Pod { "KUBERNETES_SERVICE_HOST" } else { self.place() }
            ),
            By::Kubeconfig => "name its CA in the kubeconfig by certificate-authority, or give \
                               insecure-skip-tls-verify: true there"
                .to_owned(),
            By::Url => {
                "the system's CAs did not sign its certificate: give auth=KUBECONFIG with the CA in it, or \
                        insecure=true"
                    .to_owned()
            }
        }
    }

    fn other_name(&self) -> String {
        match self.by {
            By::Pod => "give a URL with one of these names in --source, have it signed for KUBERNETES_SERVICE_HOST too, \
                        or give insecure=true"
                .to_owned(),
            By::PodElsewhere | By::Url => {
                "give one of these names in the URL of --source, or insecure=true".to_owned()
            }
            By::Kubeconfig => {
                "give one of these names in the kubeconfig as server or as tls-server-name".to_owned()
            }
        }
    }

    fn wants_certificate(&self) -> String {
        let how = match self.by {
            By::Kubeconfig => "give client-certificate and client-key in the kubeconfig's user",
            By::Pod | By::PodElsewhere => {
                "a pod has none: give inClusterConfig=false&auth=KUBECONFIG with client-certificate and client-key in it"
            }
            By::Url => "give auth=KUBECONFIG with client-certificate and client-key in it",
        };
        format!("the API server asks for a client certificate: {how}")
    }

    /// No connection, or one that broke.
    fn connection(&self, causes: &[&(dyn Error + 'static)]) -> Trouble {
        let says = |words: &str| causes.iter().any(|cause| cause.to_string().contains(words));
        if causes.iter().any(|cause| cause.is::<tokio::time::error::Elapsed>()) {
            let within = humantime::format_duration(CONNECT);
            let fix = format!("look for a firewall, and at {}", self.place());
            return Trouble::new(format!("no connection within {within}"), fix);
        }
        let place = self.place();
        let io = causes.iter().rev().find_map(|cause| cause.downcast_ref::<io::Error>());
        let kind = io.map(io::Error::kind);
        let broken = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::ConnectionAborted];
        let broken = kind.is_some_and(|kind| broken.contains(&kind));
        let unheard = says("connection closed before message completed") || says("invalid HTTP");
        if unheard || broken && !self.tls && says("client error (SendRequest)") {
            let fix = match self.tls {
                true => format!("look at the API server's log, for a proxy in between, and at {place}"),
                false => format!("if the port speaks TLS, give https:// in {place}"),
            };
            return Trouble::new("no answer in HTTP, and the connection was closed", fix);
        }
        let Some((io, kind)) = io.zip(kind) else {
            // The first is the client's own wrapping.
            let first = causes.get(1).or(causes.first()).copied();
            let said = first.map_or_else(String::new, chain);
            return Trouble::new(shown(&said), "look at the API server's log, and for a proxy in between");
        };
        let fix = match kind {
            ErrorKind::ConnectionRefused => format!("nothing listens there: look at {place}"),
            _ if says("dns error") => {
                format!("there is no such host: look at {place}, and at this machine's DNS")
            }
            ErrorKind::UnexpectedEof => CUT.to_owned(),
            _ if broken => CUT.to_owned(),
            _ => format!("look for a firewall, and at {place}"),
        };
        let made = !says("client error (Connect)");
        let said = match kind {
            ErrorKind::UnexpectedEof if made => "the connection was cut off".to_owned(),
            ErrorKind::UnexpectedEof => HANDSHAKE.to_owned(),
            _ if broken && !made && self.tls => HANDSHAKE.to_owned(),
            _ if made => format!("the connection broke: {io}"),
            _ => format!("no connection: {io}"),
        };
        Trouble::new(shown(&said), fix)
    }
}

/// What mends connections that are cut.
const CUT: &str = "look at the API server's log, or for a proxy in between that cuts connections";
/// What is said of one that is cut before it is there.
const HANDSHAKE: &str = "no connection: it was cut off within the TLS handshake";
/// What mends a server that says nothing.
const SILENT: &str =
    "it hangs or is overloaded, or a firewall drops what it says: look at the API server's log";

/// What TLS found wrong, with times that can be read.
pub(super) fn tls_words(error: &rustls::Error) -> String {
    let instant = |time: &UnixTime| {
        rfc3339::format(Timestamp::from_seconds(i64::try_from(time.as_secs()).unwrap_or(i64::MAX)))
    };
    match error {
        rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => format!(
            "invalid peer certificate: certificate expired: it was valid until {}, and here it is {}",
            instant(not_after),
            instant(time)
        ),
        rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before }) => {
            format!(
                "invalid peer certificate: certificate not valid yet: it is valid from {} on, and here it is {}",
                instant(not_before),
                instant(time)
            )
        }
        other => other.to_string(),
    }
}

/// An error and what caused it, down to the last: `std::io::Error` passes over the error that it holds.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> Vec<&'e (dyn Error + 'static)> {
    let mut all = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next.filter(|_| all.len() < DEEP) {
        all.push(error);
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(held) => {
                let held: &(dyn Error + 'static) = held;
                Some(held)
            }
            None => error.source(),
        };
    }
    all
}
