//! Which addresses kubelets are asked at, and which never. The options that say so are left to `source_options`.

use heapster::model::address::{AddressRule, BadNetwork, NEVER, Network, NodePolicy, Refusal};
use heapster::model::inventory::{NodeFacts, Unusable};
use heapster::wire::kubernetes_objects::ApiNode;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
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
        prop_assert_eq!(rule.judge(v4.to_ipv6_mapped().into()), rule.judge(v4.into()));
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
        "0.1.2.3",
        "192.0.0.192",
        "240.0.0.1",
        "fd20:ce::254",
        "fd00:ec2::23",
        "fd00:c1::a9fe:a9fe",
        // IPv4 written as IPv6: NAT64 twice, 6to4, Teredo, and the form of old.
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "64:ff9b::7f00:1",
        "2002:a9fe:a9fe::1",
        "2001:0:4136:e378:8000:63bf:5601:5601",
        "::a9fe:a9fe",
        "::7f09:1",
    ];
    let rules = [
        AddressRule::default(),
        AddressRule { loopback: true, ..AddressRule::default() },
        AddressRule { allowed: vec![network("0.0.0.0/0"), network("::/0")], loopback: true },
        AddressRule { allowed: never.map(network).to_vec(), loopback: false },
    ];
    for address in never {
        let never = |rule: &AddressRule| matches!(rule.judge(ip(address)), Err(Refusal::Never(_)));
        assert!(rules.iter().all(never), "{address}");
    }
    // Their neighbours are.
    for address in [
        "169.253.255.255",
        "169.255.0.0",
        "168.63.129.17",
        "100.100.100.201",
        "fd00:ec2::253",
        "fec0::1",
        "192.0.0.193",
        "1.0.0.0",
        "223.255.255.255",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
        "fd20:ce::253",
    ] {
        assert!(rules[..3].iter().all(|rule| rule.judge(ip(address)).is_ok()), "{address}");
    }
}

#[test]
fn networks_of_what_is_never_asked_are_told_from_those_that_reach_further() {
    for (never, what) in NEVER {
        assert_eq!(never.never(), Some(*what));
        crate::documents::says(
            "### Options of sources",
            &format!("`{}`", never.to_string().replace("/128", "").replace("/32", "")),
        );
    }
    for (text, within) in [
        ("169.254.169.254", true),
        ("::ffff:169.254.0.0/112", true),
        ("fe80::1", true),
        ("169.254.0.0/15", false),
        ("0.0.0.0/0", false),
        ("::/0", false),
        ("::1", false),
        ("127.0.0.0/8", false),
    ] {
        assert_eq!(network(text).never().is_some(), within, "{text}");
    }
}

#[test]
fn loopback_is_asked_only_where_that_is_said() {
    for address in ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"] {
        assert!(AddressRule::default().judge(ip(address)).is_err(), "{address}");
        assert!(
            AddressRule { loopback: true, ..AddressRule::default() }.judge(ip(address)).is_ok(),
            "{address}"
        );
        let allowed = vec![network("127.0.0.0/8"), network("::1")];
        assert!(AddressRule { allowed, loopback: false }.judge(ip(address)).is_ok(), "{address}");
        // What is given narrows the flag as well.
        let rule = AddressRule { allowed: vec![network("10.0.0.0/8")], loopback: true };
        assert!(rule.judge(ip(address)).is_err(), "{address}");
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
        assert_eq!(rule.judge(ip(address)).is_ok(), allowed, "{address}");
        assert!(AddressRule::default().judge(ip(address)).is_ok(), "{address}");
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
    let refusal = Unusable::RefusedAddress(ip("169.254.169.254"), Refusal::Never("link-local"));
    assert_eq!(address(&refused, &NodePolicy::default()), Err(refusal));
    let here = [("InternalIP", "127.0.0.1")];
    assert_eq!(address(&here, &NodePolicy::default()), Ok(ip("127.0.0.1")));
    let elsewhere = NodePolicy { rule: AddressRule::default(), ..NodePolicy::default() };
    let refusal = Unusable::RefusedAddress(ip("127.0.0.1"), Refusal::Loopback);
    assert_eq!(address(&here, &elsewhere), Err(refusal));
    let allowed = vec![network("10.0.0.0/8")];
    let narrow = NodePolicy { rule: AddressRule { allowed, loopback: true }, ..NodePolicy::default() };
    let refusal = Unusable::RefusedAddress(ip("127.0.0.1"), Refusal::NotAllowed);
    assert_eq!(address(&here, &narrow), Err(refusal));
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
