//! THE table of the answers that are not the original's, on purpose: which requests, what it answered, what we do. What is
//! not in it is equal. How each case is told from the others, and what ours must be, is left to `tape_judge`.

use std::fmt;

/// Why an answer of ours is not the original's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    Sorted,
    MoreMetrics,
    History,
    Ascending,
    Fraction,
    Uptime,
    HeldRate,
    OwnInstants,
    LateRound,
    Bridged,
    SummedRates,
    Carried,
    Restarts,
    ErrorText,
    Sidecar,
    UnratedPod,
    WindowLength,
    OldPath,
    Listing,
    UnknownPod,
    Wording,
    InodesUnit,
    SelfMetrics,
    CommandLine,
}

/// One line of the table.
pub struct Difference {
    pub reason: Reason,
    /// Requests that differ for this reason: a method and what was asked, `*` for any text without a slash, `**` for any
    /// text. Each pattern matches at least one that does.
    pub of: &'static [&'static str],
    /// Those of them that do not differ at all.
    pub unless: &'static [&'static [&'static str]],
    /// What the original did.
    pub theirs: &'static str,
    /// What is done here.
    pub ours: &'static str,
}

/// Requests for what there is not, or for a time in which there was nothing: empty there, empty here.
const NOTHING_THERE: &[&str] = &[
    "**/nope/**",
    "**/nope",
    "**/no/such",
    "**/pod-id-list/**",
    "**/historical/**",
    "**/once-*/metrics",
    "**/unschedulable/metrics",
    "**/default/**",
    "**/pods/once-*",
    "**?labelSelector=%3D%3D%3D",
    "**?labelSelector=a%20b%20c",
    "**?labels=device*",
    "**?start=2026-11-21T20*",
    "**&end=2026-11-21T19%3A19*",
    "**cpu/request?start=2026-11-21T19%3A20%3A*",
    "**cpu/request?start=2026-11-21T21*",
    "**/filesystem/usage",
    "**/filesystem/limit",
    "**/filesystem/available",
    "**/filesystem/inodes",
    "**/filesystem/inodes_free",
    "**/metrics/filesystem/*=resource_id:logs",
    "**/metrics/filesystem/*=resource_id:rootfs",
    "**/disk-writer/metrics/filesystem/*=resource_id:/",
    "**/node-a/metrics/filesystem/*=resource_id:Volume*",
];
/// Clients that do not take JSON are refused, there and here.
const REFUSED: &[&str] = &["** Accept: application/xml", "** Accept: text/plain"];

/// Every difference.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        reason: Reason::Sorted,
        of: &[
            "GET /api/v1/model**/metrics",
            "GET /api/v1/model**/metrics/",
            "GET /api/v1/metric-export",
            "GET /api/v1/metric-export/",
            "GET /api/v1/metric-export Accept-Encoding: gzip",
            "GET /apis/metrics.k8s.io/v1alpha1/pods",
            "GET /apis/metrics.k8s.io/v1alpha1/nodes/",
            "GET **/nodes/",
            "GET **/nodes Accept: **",
            "GET **/nodes Origin: **",
            "GET **/namespaces",
            "GET **/namespaces/",
            "GET **/pods",
            "GET **/pods/",
            "GET **/mem-holder/containers",
            "GET **/web-56c6849994-xrwtg/containers",
            "GET **/cpu-burner/containers",
            "GET **/sidecar-style/containers",
            "GET **/node-a/freecontainers",
            "GET **/allkeys",
            "GET **/allkeys/",
        ],
        unless: &[NOTHING_THERE, REFUSED],
        theirs: "lists are in no order, another one at each request",
        ours: "lists are sorted",
    },
    Difference {
        reason: Reason::MoreMetrics,
        of: &[
            "GET /api/v1/model**/metrics",
            "GET /api/v1/model**/metrics/",
            "GET /api/v1/metric-export",
            "GET /api/v1/metric-export/",
            "GET /api/v1/metric-export Accept-Encoding: gzip",
        ],
        unless: &[NOTHING_THERE],
        theirs: "namespaces and the cluster have six metrics, everything else what kubelets told in 2018",
        ours: "every metric that adds up has its sums; pressure, swap, processes and the kubelet's own rates are there too",
    },
    Difference {
        reason: Reason::History,
        of: &["GET **/metrics/**"],
        unless: &[
            NOTHING_THERE,
            &["**/memory/usage", "**/cpu/usage_rate", "**/oom-killed/metrics/memory/*page_faults"],
        ],
        theirs: "140 seconds of every metric but `cpu/usage_rate` and `memory/usage`",
        ours: "15 minutes of every metric",
    },
    Difference {
        reason: Reason::Ascending,
        of: &[
            "GET **/nodes/node-a/**/metrics/**",
            "GET **/nodes/node-a/metrics/**",
            "GET /api/v1/model/metrics/**",
            "GET **/namespaces/*/metrics/**",
            "GET **/pods/cpu-burner/**metrics/**",
            "GET **/pods/mem-holder/**metrics/**",
            "GET **/pods/web-56c6849994-xrwtg/**metrics/**",
            "GET **/pods/sidecar-style/**metrics/**",
            "GET **/pods/agent-d6dks/**metrics/**",
            "GET **/pod-list/**",
        ],
        unless: &[NOTHING_THERE],
        theirs: "points stand in the order in which rounds came in, one that waited for a dead kubelet behind the next one",
        ours: "points stand from the oldest to the newest",
    },
    Difference {
        reason: Reason::Fraction,
        of: &["GET **/metrics/**_rate", "GET **/metrics/*/node_*"],
        unless: &[NOTHING_THERE],
        theirs: "fractions are cut off",
        ours: "the whole part is in `value`, as there, and the number itself in `floatValue`",
    },
    Difference {
        reason: Reason::Uptime,
        of: &[
            "GET **/metrics/uptime",
            "GET /api/v1/metric-export",
            "GET /api/v1/metric-export/",
            "GET /api/v1/metric-export Accept-Encoding: gzip",
        ],
        unless: &[NOTHING_THERE],
        theirs: "`uptime` is told up to the moment at which an answer was decoded",
        ours: "it is told up to the moment at which the kubelet was asked",
    },
    Difference {
        reason: Reason::HeldRate,
        of: &["GET **/metrics/**_rate*"],
        unless: &[NOTHING_THERE],
        theirs: "there is no rate where the kubelet had measured nothing anew since the last round",
        ours: "the last rate holds until something new was measured",
    },
    Difference {
        reason: Reason::OwnInstants,
        of: &["GET **/pods/*/metrics/**_rate*", "GET **/pod-list/*/metrics/**_rate"],
        unless: &[NOTHING_THERE],
        theirs: "whatever a pod's counter counts, it is rated by the instants of the pod's network figures",
        ours: "each counter is rated by the instants at which it was measured",
    },
    Difference {
        reason: Reason::LateRound,
        of: &["GET **/metrics/**_rate*"],
        unless: &[NOTHING_THERE],
        theirs: "a round that waited for a dead kubelet has no rates, and the one after it is rated over both",
        ours: "no node waits for another one: every window has its rates",
    },
    Difference {
        reason: Reason::Bridged,
        of: &["GET **/metrics/**_rate*"],
        unless: &[NOTHING_THERE],
        theirs: "there are no rates of a node, pod or container that the round before lacked",
        ours: "a node's first answer after a gap is rated over the gap",
    },
    Difference {
        reason: Reason::SummedRates,
        of: &[
            "GET /api/v1/model/metrics/cpu/usage_rate",
            "GET /api/v1/model/namespaces/*/metrics/cpu/usage_rate",
        ],
        unless: &[],
        theirs: "sums are of such rates as there are",
        ours: "sums are of the rates of all pods",
    },
    Difference {
        reason: Reason::Carried,
        of: &["GET /api/v1/model/metrics/*/*", "GET /api/v1/model/namespaces/*/metrics/*/*"],
        unless: &[NOTHING_THERE],
        theirs: "sums drop at once where a node does not answer",
        ours: "its last values count for one window more",
    },
    Difference {
        reason: Reason::Restarts,
        of: &["GET **/mem-b/metrics/restart_count", "GET **/oom-killed/metrics/restart_count"],
        unless: &[],
        theirs: "restarts of a container count only while it runs",
        ours: "they count as the API server tells them",
    },
    Difference {
        reason: Reason::ErrorText,
        of: &[
            "GET **?start=yesterday",
            "GET **&end=noon",
            "GET **?start=1795287600",
            "GET **?labels=nonsense",
        ],
        unless: &[],
        theirs: "an error says what was wrong, in Go's words",
        ours: "it begins alike and then says what to send instead",
    },
    Difference {
        reason: Reason::Sidecar,
        of: &[
            "GET /api/v1/metric-export",
            "GET /api/v1/metric-export/",
            "GET /api/v1/metric-export Accept-Encoding: gzip",
        ],
        unless: &[],
        theirs: "a container that starts before the others and stays has neither image nor limits",
        ours: "it has those of its spec",
    },
    Difference {
        reason: Reason::UnratedPod,
        of: &[
            "GET /apis/metrics.k8s.io/v1alpha1/pods**",
            "GET /apis/metrics.k8s.io/v1alpha1/namespaces/*/pods**",
            "GET /apis/metrics.k8s.io/v1alpha1/namespaces/shop/pods/cpu-burner",
        ],
        unless: &[NOTHING_THERE],
        theirs: "a pod is left out, or 404, while one of its containers has no rate",
        ours: "it is there, since a rate holds",
    },
    Difference {
        reason: Reason::WindowLength,
        of: &["GET /apis/metrics.k8s.io/v1alpha1/**nodes**", "GET /apis/metrics.k8s.io/v1alpha1/**pods**"],
        unless: &[NOTHING_THERE],
        theirs: "the `window` is `1m0s` whatever the resolution is",
        ours: "it is the resolution",
    },
    Difference {
        reason: Reason::OldPath,
        of: &["GET /apis/metrics/v1alpha1**"],
        unless: &[],
        theirs: "the path up to 1.5, `/apis/metrics/v1alpha1`, is 404",
        ours: "it answers as `/apis/metrics.k8s.io/v1alpha1` does",
    },
    Difference {
        reason: Reason::Listing,
        of: &[
            "GET /api/v1/model",
            "GET /api/v1/model/",
            "GET /api/v1/model/nodes/*",
            "GET /api/v1/model/namespaces/*",
        ],
        unless: &[NOTHING_THERE],
        theirs: "what 0.18 told of the paths below a path is 404",
        ours: "it is told",
    },
    Difference {
        reason: Reason::UnknownPod,
        of: &["GET /apis/metrics.k8s.io/v1alpha1/namespaces/shop/pods/nope"],
        unless: &[],
        theirs: "a pod that there is not is a server error, 500",
        ours: "it is 404, in the same words",
    },
    Difference {
        reason: Reason::Wording,
        of: &["GET /api/v1/metric-export-schema"],
        unless: &[],
        theirs: "metrics and labels are described in its words",
        ours: "they are described in ours",
    },
    Difference {
        reason: Reason::InodesUnit,
        of: &["GET /api/v1/metric-export-schema"],
        unless: &[],
        theirs: "inodes are counted in bytes",
        ours: "they are counted",
    },
    Difference {
        reason: Reason::SelfMetrics,
        of: &["GET /metrics"],
        unless: &[],
        theirs: "the self metrics are those of the original and of the API server built into it",
        ours: "they are our own",
    },
    Difference {
        reason: Reason::CommandLine,
        of: &["GET /debug/pprof/cmdline"],
        unless: &[],
        theirs: "the profiler is open, the command line too",
        ours: "there is none: 404",
    },
];

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Difference {
    /// Whether a request is one of these.
    pub fn has(&self, request: &str) -> bool {
        let any = |patterns: &[&str]| patterns.iter().any(|pattern| matches(pattern, request));
        any(self.of) && !self.unless.iter().any(|patterns| any(patterns))
    }
}

/// Whether a text is of a pattern: `*` stands for any text without a slash, `**` for any text.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(left) = text.strip_prefix(start) else { return false };
    let (rest, reach) = match rest.strip_prefix('*') {
        Some(rest) => (rest, left.len()),
        None => (rest, left.find('/').unwrap_or(left.len())),
    };
    (0..=reach).filter(|at| left.is_char_boundary(*at)).any(|at| matches(rest, &left[at..]))
}
