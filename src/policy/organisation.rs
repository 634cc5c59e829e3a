//! Which addresses are ours, and which outside addresses are one organisation.

use crate::message::Address;

/// The organisation's view of the world (`[organisation]` in the configuration).
#[derive(Clone, Debug, Default)]
pub struct Organisation {
    /// Our domains as lower-case A-labels, each with whether its subdomains are ours too.
    domains: Vec<(String, bool)>,
    /// Subdomains that are not ours (students, members).
    not_ours: Vec<String>,
    /// Outside domains that are not counted.
    partners: Vec<String>,
    /// With nothing configured (`try`, `explain`, `replay`): the sender's own domain is ours; for a
    /// free-mail sender only the sender itself is.
    of_sender: bool,
}

/// How an address stands to the organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// One of ours.
    Internal,
    /// Outside, counted.
    External,
    /// Outside, hidden and audited like any other, but not counted.
    Partner,
}

impl Organisation {
    /// An organisation with these domains; names are turned into A-labels.
    pub fn new(domains: &[(String, bool)], partners: &[String], not_ours: &[String]) -> Result<Self, String> {
        let _ = (domains, partners, not_ours);
        todo!()
    }

    /// The organisation of whoever sends: for commands that run with no configuration.
    pub fn of_sender() -> Self {
        Self { of_sender: true, ..Self::default() }
    }

    /// Whether who is ours depends on who sends: see [`Self::of_sender`].
    pub fn depends_on_sender(&self) -> bool {
        self.of_sender
    }

    /// The same, fixed for one message: `of_sender` turns into that sender's domain.
    #[must_use]
    pub fn for_sender(&self, sender: Option<&Address>) -> Self {
        let _ = sender;
        todo!()
    }

    /// How an address stands to us. `not_ours` wins over `domains`.
    pub fn standing(&self, address: &Address) -> Standing {
        let _ = address;
        todo!()
    }

    /// Whether the address is ours.
    pub fn is_internal(&self, address: &Address) -> bool {
        self.standing(address) == Standing::Internal
    }
}

/// The outside organisation an address belongs to: the registrable domain (public suffix list, ICANN
/// and private), or the whole mailbox for free-mail and provider domains (`MAIL_RULES` §4).
pub fn organisation_of(address: &Address) -> String {
    let _ = address;
    todo!()
}
