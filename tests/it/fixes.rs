//! What is advised where a kubelet gives no answer: nothing that is so already, nothing that cannot help.

use heapster::client::kubelet::{Asked, Bound, Deadline, FetchError, KubeletOptions};
use heapster::config::uri::Uri;
use heapster::model::time::Resolution;
use heapster::rollup::schedule::Schedule;
use heapster::sources;
use std::time::Duration;

fn options(query: &str) -> KubeletOptions {
    let uri = Uri::parse(&format!("kubernetes.summary_api:''?{query}"), &|_| None).unwrap();
    sources::build(&[uri]).unwrap().remove(0).kubelets
}

fn deadline(query: &str, resolution: &str) -> Deadline {
    let resolution = Resolution::new(humantime::parse_duration(resolution).unwrap()).unwrap();
    Deadline::new(&options(query), Schedule::new(resolution))
}

/// What is advised with these options, at a port of the status where that is taken.
fn fix(error: &FetchError, query: &str, port: Option<u16>) -> String {
    let (options, deadline) = (&options(query), deadline(query, "30s"));
    error.fix(&Asked { options, port, deadline }).unwrap_or_default().into_owned()
}

#[test]
fn where_nothing_listens_nothing_is_advised_that_is_so_already() {
    let refused = FetchError::Unreachable("Connection refused (os error 111)".to_owned());
    let tls = "kubeletHttps=true&kubeletPort=10250";
    for query in ["", "kubeletPort=1", "kubeletHttps=false"] {
        assert!(fix(&refused, query, None).contains(tls), "{query}");
    }
    for (query, port, word) in [
        (tls, None, "kubelet runs"),
        ("kubeletPort=10250", None, "kubelet runs"),
        ("kubeletHttps=true&kubeletPort=1", None, "kubeletPort"),
        ("kubeletPortFromStatus=true", Some(1), "kubeletPortFromStatus"),
        ("kubeletPortFromStatus=true&kubeletHttps=true", Some(10_250), "kubeletPortFromStatus"),
    ] {
        let fix = fix(&refused, query, port);
        assert!(fix.contains(word) && !fix.contains("give"), "{query}: {fix}");
    }
    // What no test can bring about on loopback alone.
    for why in ["No route to host (os error 113)", "Network is unreachable (os error 101)"] {
        let fix = fix(&FetchError::Unreachable(why.to_owned()), tls, None);
        assert!(fix.contains("firewall") && fix.contains("kubeletAddressTypes"), "{fix}");
    }
}

#[test]
fn what_bounds_an_answer_is_what_may_be_raised() {
    let ten = Duration::from_secs(10);
    for (query, resolution, time, bound) in [
        ("", "30s", ten, Bound::Longest),
        ("", "10m", ten, Bound::Longest),
        ("kubeletTimeout=30s", "10m", ten, Bound::Longest),
        ("kubeletTimeout=10s", "10m", ten, Bound::Longest),
        ("kubeletTimeout=9s", "10m", Duration::from_secs(9), Bound::Option),
        ("", "10s", Duration::from_secs(4), Bound::Resolution),
        ("kubeletTimeout=5s", "10s", Duration::from_secs(4), Bound::Resolution),
        ("kubeletTimeout=1s", "10s", Duration::from_secs(1), Bound::Option),
    ] {
        assert_eq!(deadline(query, resolution), Deadline { time, bound }, "{query}, {resolution}");
        let (options, deadline) = (&options(query), deadline(query, resolution));
        let said = FetchError::Timeout(time).advice(&Asked { options, port: None, deadline });
        assert!(said.contains("firewall"), "{said}");
        assert_eq!(said.contains("kubeletTimeout"), bound == Bound::Option, "{said}");
        assert_eq!(said.contains("model_resolution"), bound == Bound::Resolution, "{said}");
    }
}

#[test]
fn what_is_given_already_is_not_advised() {
    let status = |status, text: &str| FetchError::Status { status, text: text.to_owned() };
    let broken = |why: &str| FetchError::Unreachable(format!("invalid peer certificate: {why}"));
    let cases: [(FetchError, &str, &str); 11] = [
        (broken("UnknownIssuer"), "", "by kubeletCA"),
        (broken("UnknownIssuer"), "kubeletCA=/ca", "than that of kubeletCA"),
        (broken("certificate not valid for name \"a\""), "", "give kubeletServerName=node"),
        (
            broken("certificate not valid for name \"a\""),
            "kubeletServerName=node",
            "leave kubeletServerName=node out",
        ),
        (FetchError::CutOff("received fatal alert: CertificateRequired".to_owned()), "", "give kubeletCert"),
        (
            FetchError::CutOff("received fatal alert: CertificateRequired".to_owned()),
            "kubeletCert=/c&kubeletKey=/k",
            "another CA than kubeletCert",
        ),
        (status(401, "Unauthorized"), "", "give kubeletHttps=true"),
        (status(401, "Unauthorized"), "kubeletHttps=true", "does not know the token"),
        (
            status(403, "Forbidden (user=system:anonymous, verb=get, resource=nodes)"),
            "",
            "no token reached it",
        ),
        (status(403, "Forbidden (user=x, verb=create, resource=nodes)"), "", "verbs: [create]"),
        (status(302, ""), "", "redirects are not followed"),
    ];
    for (error, query, word) in cases {
        let fix = fix(&error, query, None);
        assert!(fix.contains(word), "{error}, {query}: {fix}");
    }
}
