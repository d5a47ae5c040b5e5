//! Which of a node's addresses its kubelet is asked at: preference of types, a rule over IP addresses, networks as
//! `address/bits`. What a node claims is left to [`super::inventory`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Networks that no kubelet is asked in, and what they are. Single addresses are those at which clouds tell secrets to
/// whoever asks from within a machine: EC2 and most others (in link-local), EC2 and EKS by IPv6, Azure, Alibaba, Oracle,
/// Google by IPv6, Scaleway by IPv6.
pub const NEVER: &[(Network, &str)] = &[
    (Network::v4([0, 0, 0, 0], 8), "of \"this network\""),
    (Network::v4([169, 254, 0, 0], 16), "link-local"),
    (Network::v4([224, 0, 0, 0], 4), "multicast"),
    (Network::v4([240, 0, 0, 0], 4), "reserved"),
    (Network::v4([168, 63, 129, 16], 32), METADATA),
    (Network::v4([100, 100, 100, 200], 32), METADATA),
    (Network::v4([192, 0, 0, 192], 32), METADATA),
    (Network::v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "unspecified"),
    (Network::v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (Network::v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
    (Network::v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23], 128), METADATA),
    (Network::v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128), METADATA),
    (Network::v6([0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128), METADATA),
    (Network::v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), METADATA),
    (Network::v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128), METADATA),
];

const METADATA: &str = "the metadata server of a cloud";

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
        match (address.to_canonical(), bits) {
            _ if bits > all => Err(bad()),
            // IPv4 written as IPv6, as far as that is all that it holds.
            (IpAddr::V4(v4), 96..) if address.is_ipv6() => Ok(Self { address: v4.into(), bits: bits - 96 }),
            _ => Ok(Self { address, bits }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Network {
    const fn v4([a, b, c, d]: [u8; 4], bits: u32) -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], bits: u32) -> Self {
        Self { address: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), bits }
    }

    /// What all of it is that no kubelet is asked at. None where some of it may be asked.
    pub fn never(&self) -> Option<&'static str> {
        let around = |(outer, _): &&(Network, _)| outer.bits <= self.bits && outer.has(self.address);
        NEVER.iter().find(around).map(|(_, what)| *what)
    }

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

/// Why an address is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It never is: what it is.
    Never(&'static str),
    /// It is loopback, and the API server is not.
    Loopback,
    /// It is in none of the networks that are allowed.
    NotAllowed,
}

impl Refusal {
    /// Why this address is not asked, and what to do about it.
    pub fn advice(self, address: IpAddr) -> String {
        match self {
            Self::Never(what) => format!(
                "its address {address} is never asked, for it is {what}; give the node another one, or name another type \
                 by kubeletAddressTypes"
            ),
            Self::Loopback => format!(
                "its address {address} is loopback and the API server's is not; if it is to be asked, name its network by \
                 allowedAddresses"
            ),
            Self::NotAllowed => format!(
                "its address {address} is in none of allowedAddresses; if it is to be asked, add its network"
            ),
        }
    }
}

impl AddressRule {
    /// Whether an address may be asked.
    ///
    /// # Errors
    /// Why it must not be.
    pub fn judge(&self, address: IpAddr) -> Result<(), Refusal> {
        let address = address.to_canonical();
        if let Some(what) = never(address) {
            return Err(Refusal::Never(what));
        }
        match self.allowed.as_slice() {
            [] if self.loopback || !address.is_loopback() => Ok(()),
            [] => Err(Refusal::Loopback),
            allowed if allowed.iter().any(|network| network.has(address)) => Ok(()),
            _ => Err(Refusal::NotAllowed),
        }
    }
}

/// What an address is that is never asked. One that leads to an IPv4 address is judged as that as well.
fn never(address: IpAddr) -> Option<&'static str> {
    let listed = NEVER.iter().find(|(network, _)| network.has(address)).map(|(_, what)| *what);
    let IpAddr::V6(v6) = address else { return listed };
    listed.or_else(|| match carried(v6)? {
        v4 if v4.is_loopback() => Some("loopback, written as IPv6"),
        v4 => never(v4.into()),
    })
}

/// The IPv4 address that an IPv6 address leads to: IPv4-compatible (RFC 4291 2.5.5.1), NAT64 (RFC 6052, RFC 8215 with 96
/// bits), 6to4 (RFC 3056), Teredo (RFC 4380). Mapped ones are IPv4 before they come here.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => None,
        [0, 0, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        | [0x2002, high, low, ..] => Some(from(high, low)),
        [0x2001, 0, _, _, _, _, high, low] => Some(from(!high, !low)),
        _ => None,
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
