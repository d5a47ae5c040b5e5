//! Which addresses kubelets are asked at, and every option of a source with values that are taken and values that are
//! not.

use heapster::client::kubelet::{KubeletOptions, MAX_BODY};
use heapster::client::kubernetes::Login;
use heapster::config::uri::Uri;
use heapster::model::address::{AddressRule, BadNetwork, Network, NodePolicy};
use heapster::model::inventory::{NodeFacts, Unusable};
use heapster::sources::{self, Source};
use heapster::wire::kubernetes_objects::ApiNode;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn network(text: &str) -> Network {
    text.parse().unwrap()
}

#[test]
fn networks_are_read_and_shown() {
    for (text, shown) in [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("10.1.2.3/32", "10.1.2.3/32"),
        ("fd00::/8", "fd00::/8"),
        ("::/0", "::/0"),
        ("fd00::1", "fd00::1/128"),
    ] {
        assert_eq!(network(text).to_string(), shown);
        assert_eq!(network(shown), network(text));
    }
    for text in [
        "",
        "/",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "fd00::/129",
        "10.0.0/8",
        "10.0.0.0/-1",
        "10.0.0.0/a",
        "here",
        "10.0.0.0/8/8",
        " 10.0.0.0/8",
    ] {
        let bad = text.parse::<Network>().unwrap_err();
        assert_eq!(
            (&bad, bad.to_string()),
            (&BadNetwork(text.to_owned()), format!("{text:?} is no network"))
        );
    }
}

/// The bits of an address, the first first.
fn bits(address: IpAddr) -> Vec<bool> {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    octets.iter().flat_map(|octet| (0..8).rev().map(move |bit| octet >> bit & 1 == 1)).collect()
}

fn addresses() -> impl Strategy<Value = (IpAddr, usize, IpAddr)> {
    // Half of the seconds differ from the first in one bit alone, so that they often fall on a network's edge.
    let v4 = (any::<u32>(), 0..=32_usize, prop_oneof![any::<u32>().prop_map(Err), (0..32_u32).prop_map(Ok)])
        .prop_map(|(net, bits, other)| {
            let other = other.map_or_else(|other| other, |bit| net ^ (1 << bit));
            (Ipv4Addr::from(net).into(), bits, Ipv4Addr::from(other).into())
        });
    let v6 =
        (any::<u128>(), 0..=128_usize, prop_oneof![any::<u128>().prop_map(Err), (0..128_u32).prop_map(Ok)])
            .prop_map(|(net, bits, other)| {
                let other = other.map_or_else(|other| other, |bit| net ^ (1 << bit));
                (Ipv6Addr::from(net).into(), bits, Ipv6Addr::from(other).into())
            });
    prop_oneof![v4, v6]
}

proptest! {
    #![proptest_config(crate::handmade::cases(2_000))]

    #[test]
    fn a_network_has_what_begins_with_its_bits((net, length, other) in addresses()) {
        let parsed = network(&format!("{net}/{length}"));
        prop_assert!(parsed.has(net));
        prop_assert_eq!(parsed.has(other), bits(net)[..length] == bits(other)[..length]);
    }

    #[test]
    fn a_network_has_nothing_of_the_other_family(v4: u32, v6: u128) {
        let (v4, v6) = (IpAddr::V4(v4.into()), IpAddr::V6(v6.into()));
        prop_assert!(!network("0.0.0.0/0").has(v6) && !network("::/0").has(v4));
    }

    /// An IPv4 address written as IPv6 is judged as what it is.
    #[test]
    fn mapped_addresses_are_judged_as_what_they_are(v4: u32, loopback: bool, narrow: bool) {
        let allowed = if narrow { vec![network("64.0.0.0/2")] } else { Vec::new() };
        let rule = AddressRule { allowed, loopback };
        let v4 = Ipv4Addr::from(v4);
        prop_assert_eq!(rule.allows(v4.to_ipv6_mapped().into()), rule.allows(v4.into()));
    }
}

#[test]
fn some_addresses_are_never_asked() {
    let never = [
        "169.254.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "100.100.100.200",
        "fd00:ec2::254",
        "fe80::1",
        "febf::1",
        "224.0.0.1",
        "239.255.255.255",
        "ff02::1",
        "0.0.0.0",
        "::",
        "255.255.255.255",
        "::ffff:169.254.169.254",
        "::ffff:0.0.0.0",
    ];
    let rules = [
        AddressRule::default(),
        AddressRule { loopback: true, ..AddressRule::default() },
        AddressRule { allowed: vec![network("0.0.0.0/0"), network("::/0")], loopback: true },
        AddressRule { allowed: never.map(network).to_vec(), loopback: false },
    ];
    for address in never {
        assert!(rules.iter().all(|rule| !rule.allows(ip(address))), "{address}");
    }
    // Their neighbours are.
    for address in [
        "169.253.255.255",
        "169.255.0.0",
        "168.63.129.17",
        "100.100.100.201",
        "fd00:ec2::253",
        "fec0::1",
        "240.0.0.1",
    ] {
        assert!(rules[..3].iter().all(|rule| rule.allows(ip(address))), "{address}");
    }
}

#[test]
fn loopback_is_asked_only_where_that_is_said() {
    for address in ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"] {
        assert!(!AddressRule::default().allows(ip(address)), "{address}");
        assert!(AddressRule { loopback: true, ..AddressRule::default() }.allows(ip(address)), "{address}");
        let allowed = vec![network("127.0.0.0/8"), network("::1")];
        assert!(AddressRule { allowed, loopback: false }.allows(ip(address)), "{address}");
        // What is given narrows the flag as well.
        let rule = AddressRule { allowed: vec![network("10.0.0.0/8")], loopback: true };
        assert!(!rule.allows(ip(address)), "{address}");
    }
}

#[test]
fn networks_that_are_given_narrow() {
    let rule = AddressRule { allowed: vec![network("10.0.0.0/8"), network("fd00::/8")], loopback: false };
    for (address, allowed) in [
        ("10.255.0.1", true),
        ("11.0.0.1", false),
        ("fdff::1", true),
        ("fc00::1", false),
        ("::ffff:10.0.0.1", true),
        ("192.168.0.1", false),
    ] {
        assert_eq!(rule.allows(ip(address)), allowed, "{address}");
        assert!(AddressRule::default().allows(ip(address)), "{address}");
    }
}

fn facts(status: &Value, more: &Value, policy: &NodePolicy) -> NodeFacts {
    let mut node =
        json!({"metadata": {"name": "n", "annotations": {"id": "of-annotation"}}, "status": status});
    if let (Some(node), Some(more)) = (node.as_object_mut(), more.as_object()) {
        node.extend(more.clone());
    }
    serde_json::from_value::<ApiNode>(node).unwrap().facts_by(policy).unwrap()
}

fn address(addresses: &[(&str, &str)], policy: &NodePolicy) -> Result<IpAddr, Unusable> {
    let list: Vec<Value> =
        addresses.iter().map(|(kind, text)| json!({"type": kind, "address": text})).collect();
    facts(&json!({ "addresses": list }), &Value::Null, policy).address
}

#[test]
fn the_preferred_type_of_address_is_taken() {
    let all: &[(&str, &str)] = &[
        ("Hostname", "10.0.0.9"),
        ("ExternalIP", "1.1.1.1"),
        ("InternalIP", "10.0.0.1"),
        ("LegacyHostIP", "10.0.0.7"),
        ("InternalIP", "10.0.0.2"),
        ("InternalIP", "no-ip"),
        ("InternalDNS", "n.example"),
    ];
    let policy = |types: &[&str]| NodePolicy {
        address_types: types.iter().map(|kind| (*kind).to_owned()).collect(),
        ..NodePolicy::default()
    };
    for (types, expected) in [
        (&["InternalIP", "ExternalIP", "LegacyHostIP"][..], Ok(ip("10.0.0.2"))),
        (&["ExternalIP", "InternalIP"], Ok(ip("1.1.1.1"))),
        (&["Hostname"], Ok(ip("10.0.0.9"))),
        (&["InternalDNS", "LegacyHostIP"], Ok(ip("10.0.0.7"))),
        (&["InternalDNS"], Err(Unusable::NoAddress)),
        (&["internalip"], Err(Unusable::NoAddress)),
        (&[], Err(Unusable::NoAddress)),
    ] {
        assert_eq!(address(all, &policy(types)), expected, "{types:?}");
    }
    assert_eq!(address(all, &NodePolicy::default()), Ok(ip("10.0.0.2")));
    assert_eq!(address(&[("LegacyHostIP", "fd00::1")], &NodePolicy::default()), Ok(ip("fd00::1")));
    assert_eq!(address(&[], &NodePolicy::default()), Err(Unusable::NoAddress));
    // An address that is refused is not made good by one of a type less preferred.
    let refused = [("InternalIP", "169.254.169.254"), ("ExternalIP", "1.1.1.1")];
    assert_eq!(address(&refused, &NodePolicy::default()), Err(Unusable::RefusedAddress));
    let here = [("InternalIP", "127.0.0.1")];
    assert_eq!(address(&here, &NodePolicy::default()), Ok(ip("127.0.0.1")));
    let elsewhere = NodePolicy { rule: AddressRule::default(), ..NodePolicy::default() };
    assert_eq!(address(&here, &elsewhere), Err(Unusable::RefusedAddress));
}

#[test]
fn the_port_is_the_statuss_where_that_is_asked_for() {
    let from_status = NodePolicy { port_from_status: true, ..NodePolicy::default() };
    for (port, expected) in [
        (json!(10_250), Some(10_250)),
        (json!(0), None),
        (json!(65_536), None),
        (json!(-1), None),
        (json!("x"), None),
        (Value::Null, None),
    ] {
        let status = json!({"daemonEndpoints": {"kubeletEndpoint": {"Port": port}}});
        assert_eq!(facts(&status, &Value::Null, &from_status).port, expected, "{port}");
        assert_eq!(facts(&status, &Value::Null, &NodePolicy::default()).port, None, "{port}");
    }
    assert_eq!(facts(&json!({}), &Value::Null, &from_status).port, None);
}

#[test]
fn an_annotation_stands_for_a_missing_host_id() {
    let by = |name: &str| NodePolicy { host_id_annotation: Some(name.to_owned()), ..NodePolicy::default() };
    let spec = |id: &str| json!({"spec": {"externalID": id}});
    for (policy, more, expected) in [
        (by("id"), Value::Null, "of-annotation"),
        (by("id"), spec(""), "of-annotation"),
        (by("id"), spec("of-spec"), "of-spec"),
        (by("other"), Value::Null, ""),
        (NodePolicy::default(), Value::Null, ""),
    ] {
        assert_eq!(&*facts(&json!({}), &more, &policy).host_id, expected, "{policy:?} {more}");
    }
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
        ("is no size: give one from 1Ki on, such as 16Mi", "is no duration: give one such as 5s");
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
    let said = source("inClusterConfig=false").err().unwrap();
    assert!(said.contains("auth=KUBECONFIG") && said.contains("quote") && !said.contains('\n'), "{said}");
    let said = source("kubeletAdressTypes=InternalIP").err().unwrap();
    assert!(said.contains("kubeletAddressTypes") && !said.contains('\n'), "{said}");
}
