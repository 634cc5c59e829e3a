//! Who may relay through a listener, and with which sender addresses.

use crate::accounts::{Authenticator, Counts, Senders, Tenant};
use crate::smtp::Offer;
use crate::spf::{Membership, Ranges};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

/// Access rules of a listener beyond its allowed networks: accounts, shared ranges, sender addresses.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// AUTH settings; `None` turns AUTH off.
    pub auth: Option<Auth>,
    /// Addresses that unauthenticated clients in the allowed networks may send from; `None` allows all.
    pub senders: Option<Senders>,
    /// Networks named by SPF records. Many organisations share them, so a client in one of them has to
    /// prove further whose mail it sends.
    pub ranges: Option<Arc<Ranges>>,
    /// What mail from shared networks must carry to be accepted.
    pub tenant: Option<Arc<Tenant>>,
    /// Header fields that carry secrets. They are removed from every message, on every listener.
    pub stripped: Arc<[String]>,
    /// Counts for the metrics.
    pub counts: Counts,
}

/// AUTH on one listener.
#[derive(Clone, Debug)]
pub struct Auth {
    /// Verifies credentials.
    pub authenticator: Arc<Authenticator>,
    /// Whether every client must authenticate, whatever network it is in.
    pub required: bool,
}

/// Whether a client may relay, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is in an allowed network.
    Network,
    /// It is in a network that an SPF record names and that many organisations share.
    Shared,
    /// It presented an accepted certificate. Many organisations may share that as well.
    Certificate,
    /// Not known yet: the SPF records have not been looked up.
    Unknown,
    /// None of these: it may not relay without AUTH.
    Stranger,
}

impl Admission {
    pub(super) fn may_relay(self) -> bool {
        matches!(self, Self::Network | Self::Shared | Self::Certificate)
    }
}

impl Access {
    /// The AUTH settings of a session.
    pub(super) fn offer(&self) -> Offer {
        self.auth.as_ref().map_or_else(Offer::default, |auth| Offer {
            mechanisms: auth.authenticator.mechanisms(),
            required: auth.required,
        })
    }

    /// Whether a client at this address may relay.
    pub(super) fn admission(&self, allow: &[IpNet], address: IpAddr) -> Admission {
        if allow.iter().any(|net| net.contains(&address)) {
            return Admission::Network;
        }
        match self.ranges.as_ref().map(|ranges| ranges.membership(address)) {
            Some(Membership::Inside) => Admission::Shared,
            Some(Membership::Unknown) => Admission::Unknown,
            Some(Membership::Outside) | None => Admission::Stranger,
        }
    }
}
