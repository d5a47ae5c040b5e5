//! What may ail a kubelet, and what is said of it by the doctor, the log and the status.

/// What is said of the nodes 2 to 9 and 13, and of one that nobody listens for: outcome, reason and cure.
pub const AILMENTS: &[(u8, &str, &str)] = &[
    (
        2,
        "unauthorized",
        "status 401: Unauthorized; no token is sent over plain HTTP: give kubeletHttps=true, and the kubelet's TLS port \
         by kubeletPort",
    ),
    (
        3,
        "unauthorized",
        "status 403: Forbidden (user=x, verb=get, resource=nodes, subresource=stats); the service account may not read \
         it: add to its ClusterRole {apiGroups: [\"\"], resources: [nodes/stats], verbs: [get]}",
    ),
    (4, "status", "status 404: 404 page not found; no kubelet, or one without this API: look at kubeletPort"),
    (
        5,
        "undecodable",
        "the body is no JSON object, or was cut off: expected value at line 1 column 1; it is HTML: another server than \
         a kubelet listens there, look at kubeletPort",
    ),
    (
        6,
        "timeout",
        "no whole answer within 200ms; look for a firewall or an overloaded node, or raise kubeletTimeout",
    ),
    (7, "too_large", "the answer is larger than 1024 bytes; raise kubeletMaxBody"),
    (
        8,
        "status",
        "status 400: Client sent an HTTP request to an HTTPS server.; the port speaks TLS: give kubeletHttps=true",
    ),
    (
        9,
        "status",
        "status 500: internal error: failed to get imageFs stats; look at the kubelet's log on that node",
    ),
    (
        13,
        "cut_off",
        "the body is no JSON object, or was cut off: EOF while parsing an object at line 1 column 20; look at the \
         kubelet's log, or for a proxy in between that cuts connections",
    ),
    (
        99,
        "unreachable",
        "no connection: Connection refused (os error 111); nothing listens there: kubelets of today listen on 10250 \
         with TLS, so give kubeletHttps=true&kubeletPort=10250",
    ),
];
