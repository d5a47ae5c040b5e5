//! THE table of the answers that are not the original's, on purpose: which requests, what it answered, what we do. What is
//! not in it is equal. How each case is told from the others, and what ours must be, is left to `tape_judge`.

use std::fmt;

/// Where the README has the table.
pub const HEADING: &str = "## Where answers differ from the original's";

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
    Page,
    Uncompressed,
}

/// One line of the table.
pub struct Difference {
    pub reason: Reason,
    /// What differs, as the README names it.
    pub what: &'static str,
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

/// Requests for what there is not, or for a time in which nothing was or nothing differs: equal.
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
        what: "lists",
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
        theirs: "in no order, and another one at each request",
        ours: "sorted",
    },
    Difference {
        reason: Reason::MoreMetrics,
        what: "names of metrics, exports",
        of: &[
            "GET /api/v1/model**/metrics",
            "GET /api/v1/model**/metrics/",
            "GET /api/v1/metric-export",
            "GET /api/v1/metric-export/",
            "GET /api/v1/metric-export Accept-Encoding: gzip",
        ],
        unless: &[NOTHING_THERE],
        theirs: "namespaces and the cluster have six metrics; the rest is what kubelets told in 2018",
        ours: "every metric that adds up is summed; pressure, swap, processes, the kubelet's own rates and more file systems are there",
    },
    Difference {
        reason: Reason::History,
        what: "series",
        of: &["GET **/metrics/**"],
        unless: &[
            NOTHING_THERE,
            &["**/memory/usage", "**/cpu/usage_rate", "**/oom-killed/metrics/memory/*page_faults"],
        ],
        theirs: "140 seconds of all but `cpu/usage_rate` and `memory/usage`",
        ours: "15 minutes of everything",
    },
    Difference {
        reason: Reason::Ascending,
        what: "series",
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
        theirs: "in the order in which rounds came in: one that waited for a dead kubelet stands behind the next",
        ours: "from the oldest point to the newest",
    },
    Difference {
        reason: Reason::Fraction,
        what: "rates in bytes or events, shares",
        of: &["GET **/metrics/**_rate", "GET **/metrics/*/node_*"],
        unless: &[NOTHING_THERE],
        theirs: "cut off to a whole number",
        ours: "the same in `value`, and the number itself in `floatValue`",
    },
    Difference {
        reason: Reason::Uptime,
        what: "uptimes",
        of: &[
            "GET **/metrics/uptime",
            "GET /api/v1/metric-export",
            "GET /api/v1/metric-export/",
            "GET /api/v1/metric-export Accept-Encoding: gzip",
        ],
        unless: &[NOTHING_THERE],
        theirs: "up to the moment at which an answer was decoded",
        ours: "up to the moment at which the kubelet was asked",
    },
    Difference {
        reason: Reason::HeldRate,
        what: "rates",
        of: &["GET **/metrics/**_rate*"],
        unless: &[NOTHING_THERE],
        theirs: "none where the kubelet had measured nothing anew since the last round",
        ours: "the last one holds until something new was measured",
    },
    Difference {
        reason: Reason::OwnInstants,
        what: "rates of pods",
        of: &["GET **/pods/*/metrics/**_rate*", "GET **/pod-list/*/metrics/**_rate"],
        unless: &[NOTHING_THERE],
        theirs: "all by the instants of the pod's network figures, and else the sum of such containers as had one",
        ours: "each counter by the instants at which it was measured",
    },
    Difference {
        reason: Reason::LateRound,
        what: "rates",
        of: &["GET **/metrics/**_rate*"],
        unless: &[NOTHING_THERE],
        theirs: "none in a round that waited for a dead kubelet; the next one spans both",
        ours: "one in every window: no node waits for another one",
    },
    Difference {
        reason: Reason::Bridged,
        what: "rates",
        of: &["GET **/metrics/**_rate*"],
        unless: &[NOTHING_THERE],
        theirs: "none for what the round before lacked",
        ours: "over the gap, from the same counters",
    },
    Difference {
        reason: Reason::SummedRates,
        what: "cpu in use of namespaces and the cluster",
        of: &[
            "GET /api/v1/model/metrics/cpu/usage_rate",
            "GET /api/v1/model/namespaces/*/metrics/cpu/usage_rate",
        ],
        unless: &[],
        theirs: "the sum of such rates as there were",
        ours: "the sum of all pods' rates",
    },
    Difference {
        reason: Reason::Carried,
        what: "sums",
        of: &["GET /api/v1/model/metrics/*/*", "GET /api/v1/model/namespaces/*/metrics/*/*"],
        unless: &[NOTHING_THERE],
        theirs: "drop at once where a node does not answer",
        ours: "its last values count for one window more",
    },
    Difference {
        reason: Reason::Restarts,
        what: "restarts",
        of: &["GET **/mem-b/metrics/restart_count", "GET **/oom-killed/metrics/restart_count"],
        unless: &[],
        theirs: "of a container only while it runs",
        ours: "as the API server tells them",
    },
    Difference {
        reason: Reason::ErrorText,
        what: "answers of 400",
        of: &[
            "GET **?start=yesterday",
            "GET **&end=noon",
            "GET **?start=1795287600",
            "GET **?labels=nonsense",
        ],
        unless: &[],
        theirs: "what was wrong, in Go's words",
        ours: "the same beginning, and then what to send instead",
    },
    Difference {
        reason: Reason::Sidecar,
        what: "exports",
        of: &[
            "GET /api/v1/metric-export",
            "GET /api/v1/metric-export/",
            "GET /api/v1/metric-export Accept-Encoding: gzip",
        ],
        unless: &[],
        theirs: "no image and no limits of a container that starts before the others and stays",
        ours: "those of its spec",
    },
    Difference {
        reason: Reason::UnratedPod,
        what: "resource metrics of pods",
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
        what: "resource metrics",
        of: &["GET /apis/metrics.k8s.io/v1alpha1/**nodes**", "GET /apis/metrics.k8s.io/v1alpha1/**pods**"],
        unless: &[NOTHING_THERE],
        theirs: "`window` is `1m0s` whatever the resolution is",
        ours: "it is the resolution",
    },
    Difference {
        reason: Reason::OldPath,
        what: "resource metrics",
        of: &["GET /apis/metrics/v1alpha1**"],
        unless: &[],
        theirs: "404 below `apis/metrics/v1alpha1`, where releases up to 1.5 had them",
        ours: "the same as below `apis/metrics.k8s.io/v1alpha1`",
    },
    Difference {
        reason: Reason::Listing,
        what: "a path that ends above metrics",
        of: &[
            "GET /api/v1/model",
            "GET /api/v1/model/",
            "GET /api/v1/model/nodes/*",
            "GET /api/v1/model/namespaces/*",
        ],
        unless: &[NOTHING_THERE],
        theirs: "404, since 0.20",
        ours: "what lies below, as 0.18 told it",
    },
    Difference {
        reason: Reason::UnknownPod,
        what: "resource metrics of a pod that there is not",
        of: &["GET /apis/metrics.k8s.io/v1alpha1/namespaces/shop/pods/nope"],
        unless: &[],
        theirs: "500",
        ours: "404, in the same words",
    },
    Difference {
        reason: Reason::Wording,
        what: "schema of the export",
        of: &["GET /api/v1/metric-export-schema"],
        unless: &[],
        theirs: "metrics and labels described in its words",
        ours: "described in ours",
    },
    Difference {
        reason: Reason::InodesUnit,
        what: "schema of the export",
        of: &["GET /api/v1/metric-export-schema"],
        unless: &[],
        theirs: "inodes are bytes",
        ours: "inodes have no unit",
    },
    Difference {
        reason: Reason::SelfMetrics,
        what: "`/metrics`",
        of: &["GET /metrics"],
        unless: &[],
        theirs: "its own and those of the API server that it holds",
        ours: "our own",
    },
    Difference {
        reason: Reason::CommandLine,
        what: "Go's profiler",
        of: &["GET /debug/pprof/cmdline"],
        unless: &[],
        theirs: "tells the command line to whoever asks",
        ours: "there is none: 404",
    },
    Difference {
        reason: Reason::Page,
        what: "the path `/`",
        of: &["GET /"],
        unless: &[],
        theirs: "404",
        ours: "a page with every route",
    },
    Difference {
        reason: Reason::Uncompressed,
        what: "short answers",
        of: &["GET /api/v1/model/nodes Accept-Encoding: gzip"],
        unless: &[],
        theirs: "compressed where the client asks for it",
        ours: "compressed from 16 KiB on",
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
