//! Why a node is not scraped, in words with what would mend it. Which addresses are refused is left to
//! [`super::address`].

use super::address::Refusal;
use std::net::IpAddr;

/// Why a node is not scraped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unusable {
    /// Its condition Ready is there and not True.
    NotReady,
    /// No address of it can be used.
    NoAddress,
    /// Its address is one that must not be asked.
    RefusedAddress(IpAddr, Refusal),
}

impl Unusable {
    /// Every reason as a label of `/metrics`.
    pub const LABELS: [&str; 3] = ["not_ready", "no_address", "refused_address"];

    /// The reason in words, and what to do about it.
    pub fn advice(self) -> String {
        let what = match self {
            Self::NotReady => "its condition Ready is not True; look at kubectl describe node",
            Self::NoAddress => {
                "none of its addresses is an IP of a type in kubeletAddressTypes; name one that it has"
            }
            Self::RefusedAddress(address, refusal) => return refusal.advice(address),
        };
        what.to_owned()
    }

    /// The reason as a label of `/metrics`.
    pub const fn as_label(self) -> &'static str {
        let [not_ready, no_address, refused_address] = Self::LABELS;
        match self {
            Self::NotReady => not_ready,
            Self::NoAddress => no_address,
            Self::RefusedAddress(..) => refused_address,
        }
    }
}
