//! Every option of a source with values that are taken and values that are not.

use heapster::client::kubelet::{KubeletOptions, MAX_BODY};
use heapster::client::kubernetes::Login;
use heapster::config::uri::Uri;
use heapster::model::address::{AddressRule, Network, NodePolicy};
use heapster::sources::{self, Source};
use std::path::PathBuf;
use std::time::Duration;

fn network(text: &str) -> Network {
    text.parse().unwrap()
}

fn source(query: &str) -> Result<Source, String> {
    let uri = Uri::parse(&format!("kubernetes.summary_api:''?{query}"), &|_| None)
        .unwrap()
        .standing_at("--source".to_owned());
    Ok(sources::build(&[uri]).map_err(|error| error.to_string())?.remove(0))
}

#[test]
fn every_option_is_taken() {
    let plain = source("").unwrap();
    let (kubelets, nodes) = (plain.kubelets.clone(), plain.nodes.clone());
    assert_eq!(plain.login, Login::InCluster { server: None, insecure: false, token_over_http: false });
    assert_eq!((&*plain.name, &plain.node_selector), ("kubernetes.summary_api", &None));
    let identity = Some((PathBuf::from("/c"), PathBuf::from("/k")));
    let of_kubelets: &[(&str, KubeletOptions)] = &[
        ("kubeletPort=1", KubeletOptions { port: 1, ..kubelets.clone() }),
        ("kubeletPort=65535", KubeletOptions { port: 65_535, ..kubelets.clone() }),
        ("kubeletHttps=T", KubeletOptions { https: true, ..kubelets.clone() }),
        ("kubeletServerName=node", KubeletOptions { by_name: true, ..kubelets.clone() }),
        ("kubeletServerName=ip", kubelets.clone()),
        ("kubeletInsecure=1", KubeletOptions { insecure: true, ..kubelets.clone() }),
        ("kubeletCA=/ca", KubeletOptions { ca: Some("/ca".into()), ..kubelets.clone() }),
        ("kubeletCert=/c&kubeletKey=/k", KubeletOptions { identity, ..kubelets.clone() }),
        (
            "kubeletTimeout=1m500ms",
            KubeletOptions { timeout: Some(Duration::from_millis(60_500)), ..kubelets.clone() },
        ),
        ("kubeletMaxBody=1Ki", KubeletOptions { max_body: 1_024, ..kubelets.clone() }),
        ("kubeletMaxBody=2e6", KubeletOptions { max_body: 2_000_000, ..kubelets.clone() }),
        ("kubeletMaxBody=&kubeletTimeout=&kubeletPort=&apiVersion=v1", kubelets.clone()),
    ];
    for (query, expected) in of_kubelets {
        assert_eq!(source(query).unwrap().kubelets, *expected, "{query}");
    }
    assert_eq!((kubelets.port, kubelets.max_body, kubelets.timeout), (10_255, MAX_BODY, None));
    let types = ["ExternalIP", "Hostname"].map(str::to_owned).to_vec();
    let allowed = vec![network("10.0.0.0/8"), network("fd00::/8")];
    let of_nodes: &[(&str, NodePolicy)] = &[
        ("kubeletPortFromStatus=true", NodePolicy { port_from_status: true, ..nodes.clone() }),
        ("kubeletAddressTypes=ExternalIP,%20Hostname", NodePolicy { address_types: types, ..nodes.clone() }),
        (
            "allowedAddresses=10.0.0.0/8,%20fd00::/8",
            NodePolicy { rule: AddressRule { allowed, loopback: false }, ..nodes.clone() },
        ),
        (
            "host_id_annotation=a/b",
            NodePolicy { host_id_annotation: Some("a/b".to_owned()), ..nodes.clone() },
        ),
    ];
    for (query, expected) in of_nodes {
        assert_eq!(source(query).unwrap().nodes, *expected, "{query}");
    }
    assert_eq!(nodes, NodePolicy { rule: AddressRule::default(), ..NodePolicy::default() });
    assert_eq!(
        source("nodeSelector=zone%20in%20(a,b)").unwrap().node_selector.as_deref(),
        Some("zone in (a,b)")
    );
    assert_eq!(&*source("clusterName=here").unwrap().name, "here");
    assert_eq!(
        source("insecure=true").unwrap().login,
        Login::InCluster { server: None, insecure: true, token_over_http: false }
    );
    assert_eq!(source("inClusterConfig=false&auth=/k").unwrap().login, Login::Kubeconfig("/k".into()));
    let uri = "kubernetes:https://h?inClusterConfig=0&useServiceAccount=1&insecure=1";
    let bare = sources::build(&[Uri::parse(uri, &|_| None).unwrap()]).unwrap().remove(0).login;
    let server = "https://h".parse().unwrap();
    assert_eq!(bare, Login::Bare { server, insecure: true, mounted_token: true });
}

#[test]
fn what_is_no_value_of_an_option_is_refused_with_one_that_is() {
    let truth = "is no truth value: give true or false";
    let flags = [
        "inClusterConfig",
        "kubeletHttps",
        "insecure",
        "useServiceAccount",
        "kubeletPortFromStatus",
        "kubeletInsecure",
    ];
    let networks = "is no list of networks: give one such as 10.0.0.0/8,fd00::/8";
    let (size, duration) =
        ("is no size: give one from 1Ki to 1Gi, such as 16Mi", "is no duration: give one such as 5s");
    let never = "has only addresses that are never asked: leave it out";
    let port = "is no port: give a number from 1 to 65535";
    let bad: &[(&str, &str, &str)] = &[
        ("kubeletPort", "0", port),
        ("kubeletPort", "65536", port),
        ("kubeletPort", "http", port),
        ("apiVersion", "v2", "is not spoken: give v1 or leave it out"),
        ("allowedAddresses", "10.0.0.0/33", networks),
        ("allowedAddresses", "here", networks),
        ("kubeletServerName", "name", "is neither: give ip or node"),
        ("kubeletTimeout", "5", duration),
        ("kubeletTimeout", "0s", duration),
        ("kubeletTimeout", "-1s", duration),
        ("kubeletMaxBody", "1023", size),
        ("kubeletMaxBody", "big", size),
        ("kubeletMaxBody", "-1Mi", size),
        ("kubeletMaxBody", "1073741825", size),
        ("kubeletMaxBody", "999Ti", size),
        ("allowedAddresses", "169.254.0.0/16", never),
        ("allowedAddresses", "fe80::/64", never),
    ];
    let bad = bad.iter().copied().chain(flags.map(|flag| (flag, "maybe", truth)));
    for (option, value, problem) in bad {
        let said = source(&format!("{option}={value}")).err();
        assert_eq!(said, Some(format!("--source: kubernetes.summary_api: {option}={value:?} {problem}")));
    }
    for query in ["kubeletCert=/c", "kubeletKey=/k"] {
        let said = source(query).err().unwrap();
        assert_eq!(
            said,
            "--source: kubernetes.summary_api: kubeletCert and kubeletKey go together; give both or neither"
        );
    }
    let said = source("kubeletInsecure=true&kubeletCA=/ca").err().unwrap();
    assert!(said.contains("kubeletInsecure=true") && said.contains("kubeletCA only"), "{said}");
    assert!(source("kubeletMaxBody=1Gi&insecure=true&kubeletCA=/ca").is_ok());
    let said = source("inClusterConfig=false").err().unwrap();
    assert!(said.contains("auth=KUBECONFIG") && said.contains("quote") && !said.contains('\n'), "{said}");
    let said = source("kubeletAdressTypes=InternalIP").err().unwrap();
    assert!(said.contains("kubeletAddressTypes") && !said.contains('\n'), "{said}");
}
