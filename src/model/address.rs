//! Which of a node's addresses its kubelet is asked at: preference of types, a rule over IP addresses, networks as
//! `address/bits`. What a node claims is left to [`super::inventory`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Addresses at which clouds tell secrets to whoever asks from within a machine.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// A network: all addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network")]
pub struct BadNetwork(pub String);

impl FromStr for Network {
    type Err = BadNetwork;

    /// `10.0.0.0/8`, `fd00::/8`, or one address alone.
    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.to_owned());
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let all = if address.is_ipv4() { Ipv4Addr::BITS } else { Ipv6Addr::BITS };
        let bits = bits.map_or(Ok(all), |bits| bits.parse().map_err(|_| bad()))?;
        if bits <= all { Ok(Self { address, bits }) } else { Err(bad()) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Network {
    /// Whether an address belongs to it.
    pub fn has(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => (net.to_bits() ^ ip.to_bits()).leading_zeros() >= self.bits,
            (IpAddr::V6(net), IpAddr::V6(ip)) => (net.to_bits() ^ ip.to_bits()).leading_zeros() >= self.bits,
            _ => false,
        }
    }
}

/// Which addresses of nodes are asked. Whoever may write Node objects could otherwise have us send tokens anywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressRule {
    /// Only these, where any is given; they may be loopback.
    pub allowed: Vec<Network>,
    /// Whether loopback is allowed where nothing is given: the API server itself is there.
    pub loopback: bool,
}

impl AddressRule {
    /// Whether an address may be asked. Link-local, multicast, unspecified and metadata addresses never may.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let link_local = match address {
            IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        if link_local || address.is_multicast() || address.is_unspecified() || METADATA.contains(&address) {
            return false;
        }
        match self.allowed.as_slice() {
            [] => self.loopback || !address.is_loopback(),
            allowed => allowed.iter().any(|network| network.has(address)),
        }
    }
}

/// How a kubelet's address is taken from its Node object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePolicy {
    /// Types of addresses, the preferred first. Only addresses that are IPs count.
    pub address_types: Vec<String>,
    /// Which addresses may be asked.
    pub rule: AddressRule,
    /// Whether the kubelet's port is that of the node's status.
    pub port_from_status: bool,
    /// The annotation that stands for a missing host id.
    pub host_id_annotation: Option<String>,
}

impl Default for NodePolicy {
    /// Heapster's own (`metrics/sources/kubelet/kubelet.go`), and that of Kubernetes 1.0 to 1.6 behind it.
    fn default() -> Self {
        Self {
            address_types: ["InternalIP", "ExternalIP", "LegacyHostIP"].map(str::to_owned).to_vec(),
            rule: AddressRule { loopback: true, ..AddressRule::default() },
            port_from_status: false,
            host_id_annotation: None,
        }
    }
}
