//! Who is asked to decide on a held message.

use super::Verdict;
use crate::message::Address;

/// The approvers that are configured, and who of them is asked about which mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approvers {
    /// Asked about everything that names nobody else.
    pub everything: Vec<Address>,
}

impl Approvers {
    /// Who is asked about a message of this sender that was held by this verdict; each once.
    pub fn of(&self, _verdict: &Verdict, _sender: Option<&Address>) -> Vec<Address> {
        self.everything.clone()
    }
}
