//! Who may send here, and as whom: what the listener is told, and what it makes of a client.

use crate::accounts::{Authenticator, Counts, Senders, Tenant};
use crate::smtp::Offer;
use crate::spf::{Ranges, Standing};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

/// Beside the networks that may relay: accounts, shared ranges, and who may write which address.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// AUTH; `None` is off.
    pub auth: Option<Auth>,
    /// As whom clients of the networks may send; `None` is anybody.
    pub senders: Option<Senders>,
    /// Networks that SPF records name. They belong to many, so they vouch for nobody.
    pub ranges: Option<Arc<Ranges>>,
    /// What mail from shared hosts must have.
    pub tenant: Option<Arc<Tenant>>,
    /// Header fields that carry secrets: they leave with no message, whichever listener it came by.
    pub stripped: Arc<[String]>,
    /// Counts for the metrics.
    pub counts: Counts,
}

/// AUTH on one listener.
#[derive(Clone, Debug)]
pub struct Auth {
    /// Who judges.
    pub authenticator: Arc<Authenticator>,
    /// Nobody sends without it, whatever network they come from.
    pub required: bool,
}

/// Why a client may relay, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Its network is allowed.
    Network,
    /// It is a host that many share.
    Shared,
    /// It showed a certificate; many may share that as well.
    Certificate,
    /// Whether it is, is not known yet.
    Unknown,
    /// It is nobody we know.
    Stranger,
}

impl Admission {
    pub(super) fn may_relay(self) -> bool {
        matches!(self, Self::Network | Self::Shared | Self::Certificate)
    }
}

impl Access {
    /// What the session is to offer.
    pub(super) fn offer(&self) -> Offer {
        self.auth.as_ref().map_or_else(Offer::default, |auth| Offer {
            mechanisms: auth.authenticator.mechanisms(),
            required: auth.required,
        })
    }

    /// How a client at this address stands.
    pub(super) fn admission(&self, allow: &[IpNet], address: IpAddr) -> Admission {
        if allow.iter().any(|net| net.contains(&address)) {
            return Admission::Network;
        }
        match self.ranges.as_ref().map(|ranges| ranges.standing(address)) {
            Some(Standing::Within) => Admission::Shared,
            Some(Standing::NotYet) => Admission::Unknown,
            Some(Standing::Outside) | None => Admission::Stranger,
        }
    }
}
