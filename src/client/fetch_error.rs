//! Why a kubelet gave no answer, and what would mend it, given what it was asked. Asking is left to [`super::kubelet`].

use super::kubelet::KubeletOptions;
use crate::messages::Missed;
use crate::rollup::schedule::Schedule;
use std::borrow::Cow;
use std::time::Duration;

/// The port of kubelets of today, which speaks TLS.
const TLS_PORT: u16 = 10_250;

/// Why a kubelet gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No connection, or none that the other side speaks HTTP on.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// No whole answer in time.
    #[error("no whole answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// Another status than 200.
    #[error("status {status}: {text}")]
    Status {
        /// The status.
        status: u16,
        /// The beginning of the body.
        text: String,
    },
    /// The connection broke in the middle of the answer.
    #[error("the answer was cut off: {0}")]
    CutOff(String),
    /// The answer is larger than the limit.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// What sets the time that one answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The option `kubeletTimeout`.
    Option,
    /// The resolution.
    Resolution,
    /// Nothing that is set: no answer may take longer.
    Longest,
}

/// How long one answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// So long.
    pub time: Duration,
    /// And why.
    pub bound: Bound,
}

impl Deadline {
    /// What the timetable leaves, or less where the options say so.
    pub fn new(options: &KubeletOptions, schedule: Schedule) -> Self {
        let most = schedule.deadline();
        match options.timeout {
            Some(time) if time < most => Self { time, bound: Bound::Option },
            _ if most < Schedule::LONGEST_SCRAPE => Self { time: most, bound: Bound::Resolution },
            _ => Self { time: most, bound: Bound::Longest },
        }
    }
}

/// What advice depends on: what cannot help, or is so already, is not said.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// How kubelets are reached.
    pub options: &'a KubeletOptions,
    /// The port of the node's status, where that is taken.
    pub port: Option<u16>,
    /// How long it was waited.
    pub deadline: Deadline,
}

impl Asked<'_> {
    const fn refused(&self) -> &'static str {
        match (self.port, self.options.port) {
            (Some(_), _) => {
                "nothing listens there: look whether the kubelet runs; the port is that of the node's status, as \
                 kubeletPortFromStatus=true has it"
            }
            (None, TLS_PORT) => "nothing listens there: look whether the kubelet runs on that node",
            (None, _) if self.options.https => {
                "nothing listens there: look whether the kubelet runs, and at kubeletPort: most listen on 10250"
            }
            (None, _) => {
                "nothing listens there: kubelets of today listen on 10250 with TLS, so give \
                 kubeletHttps=true&kubeletPort=10250"
            }
        }
    }

    const fn unknown_issuer(&self) -> &'static str {
        if self.options.ca.is_some() {
            "another CA than that of kubeletCA signed it: name the one that did"
        } else {
            "name the kubelets' CA by kubeletCA, or give kubeletInsecure=true"
        }
    }

    const fn other_name(&self) -> &'static str {
        if self.options.by_name {
            "leave kubeletServerName=node out if the certificate is for the node's address, have kubelets' serving \
             certificates signed with their names, or give kubeletInsecure=true"
        } else {
            "give kubeletServerName=node if the certificate is for the node's name, have kubelets' serving certificates \
             signed with their addresses, or give kubeletInsecure=true"
        }
    }

    const fn no_identity(&self) -> &'static str {
        if self.options.identity.is_some() {
            "the kubelet asks for a client certificate of another CA than kubeletCert is of"
        } else {
            "the kubelet asks for a client certificate: give kubeletCert and kubeletKey"
        }
    }

    const fn timeout(&self) -> &'static str {
        match self.deadline.bound {
            Bound::Option => "look for a firewall or an overloaded node, or raise kubeletTimeout",
            Bound::Resolution => "look for a firewall or an overloaded node, or raise model_resolution",
            Bound::Longest => "look for a firewall or an overloaded node: no answer is waited for longer",
        }
    }

    const fn unauthorized(&self) -> &'static str {
        if self.options.https {
            "the kubelet does not know the token: run it with --authentication-token-webhook=true, or see that the token \
             is of this cluster and not expired"
        } else {
            "no token is sent over plain HTTP: give kubeletHttps=true, and the kubelet's TLS port by kubeletPort"
        }
    }
}

impl FetchError {
    /// What to do about it. None where nothing is known that would help.
    pub fn fix(&self, asked: &Asked<'_>) -> Option<Cow<'static, str>> {
        if let Self::Status { status: 403, text } = self {
            return Some(missing_right(text));
        }
        self.known_fix(asked).map(Cow::Borrowed)
    }

    fn known_fix(&self, asked: &Asked<'_>) -> Option<&'static str> {
        let said = self.to_string().to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if let Self::Unreachable(_) | Self::CutOff(_) = self {
            if says(&["unknownissuer", "unknown issuer", "badsignature"]) {
                return Some(asked.unknown_issuer());
            } else if says(&["not valid for name", "notvalidforname"]) {
                return Some(asked.other_name());
            } else if says(&["expired", "notvalidyet"]) {
                return Some("renew the kubelet's serving certificate, or set this machine's clock");
            } else if says(&["certificaterequired", "certificate required"]) {
                return Some(asked.no_identity());
            } else if says(&["corruptmessage", "corrupt message", "invalidcontenttype"]) {
                return Some(
                    "the port does not speak TLS: give kubeletHttps=false, or the kubelet's TLS port by kubeletPort",
                );
            }
        }
        match self {
            Self::Unreachable(_) if says(&["refused"]) => Some(asked.refused()),
            Self::Unreachable(_) => {
                Some("look for a firewall, a network policy, or another kubeletAddressTypes")
            }
            Self::Timeout(_) => Some(asked.timeout()),
            Self::Status { status: 400, .. } if says(&["https"]) => {
                Some("the port speaks TLS: give kubeletHttps=true")
            }
            Self::Status { status: 401, .. } => Some(asked.unauthorized()),
            Self::Status { status: 404, .. } => {
                Some("no kubelet, or one without this API: look at kubeletPort")
            }
            Self::TooLarge(_) => Some("raise kubeletMaxBody"),
            Self::CutOff(_) => {
                Some("look at the kubelet's log, or for a proxy in between that cuts connections")
            }
            Self::Status { status: 300..=399, .. } => Some(
                "redirects are not followed, for the token would go along: give the kubelet's own port and scheme",
            ),
            Self::Status { status: 500.., .. } => Some("look at the kubelet's log on that node"),
            Self::Status { .. } => None,
        }
    }

    /// Whether the kubelet does not know the question.
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Status { status: 404, .. })
    }

    /// The error with what to do about it.
    pub fn advice(&self, asked: &Asked<'_>) -> String {
        self.fix(asked).map_or_else(|| self.to_string(), |fix| format!("{self}; {fix}"))
    }

    /// What is counted.
    pub const fn missed(&self) -> Missed {
        match self {
            Self::Unreachable(_) => Missed::Unreachable,
            Self::Timeout(_) => Missed::Timeout,
            Self::Status { status: 401 | 403, .. } => Missed::Unauthorized,
            Self::Status { .. } => Missed::Status,
            Self::CutOff(_) => Missed::CutOff,
            Self::TooLarge(_) => Missed::TooLarge,
        }
    }
}

/// What a kubelet's 403 asks for: it names the user and the verb (`Forbidden (user=…, verb=get, …)`).
fn missing_right(said: &str) -> Cow<'static, str> {
    if said.contains("user=system:anonymous,") {
        return "no token reached it, or it takes none: one is sent over TLS to kubelets that are verified; run them with \
                --authentication-token-webhook=true"
            .into();
    }
    let verbs = ["get", "create"].into_iter().find(|verb| said.contains(&format!("verb={verb},")));
    format!(
        "the service account may not read it: add to its ClusterRole {{apiGroups: [\"\"], resources: [nodes/stats], verbs: \
         [{}]}}",
        verbs.unwrap_or("get, create")
    )
    .into()
}
