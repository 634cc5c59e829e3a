//! Builds the envelope from MAIL and RCPT.

use crate::message::{Address, Envelope, Recipient};
use crate::smtp::params::RcptParams;
use crate::smtp::{Mail, Rcpt};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// Up to this many recipients, duplicates are found by searching the list.
const FEW: usize = 16;

/// The reply that refuses MAIL or RCPT: code with enhanced code, and text.
pub(super) type Refusal = (&'static str, String);

/// One open transaction.
#[derive(Debug)]
pub(super) struct Transaction {
    envelope: Envelope,
    /// Hashes of the recipients' addresses once there are more than [`FEW`]. A recipient whose hash is
    /// missing is new. Storing hashes avoids a second copy of each address.
    known: HashSet<u64>,
    hasher: RandomState,
}

impl Transaction {
    /// Begins a transaction with MAIL.
    pub(super) fn open(mail: Mail) -> Result<Self, Refusal> {
        let sender = mail.sender.as_deref().map(Address::parse).transpose();
        let sender = sender.map_err(|error| ("501 5.1.7", error.to_string()))?;
        let params = mail.params;
        let envelope = Envelope {
            sender,
            recipients: Vec::new(),
            smtputf8: params.smtputf8,
            eight_bit: params.eight_bit == Some(true),
            ret: params.ret,
            envid: params.envid,
        };
        Ok(Self { envelope, known: HashSet::new(), hasher: RandomState::new() })
    }

    /// Adds a recipient. A recipient that was already added is accepted and counted once.
    pub(super) fn add(&mut self, rcpt: Rcpt, postmaster_domain: &str, most: usize) -> Result<(), Refusal> {
        let address = match &rcpt.recipient {
            Some(text) => Address::parse(text),
            None => Address::parse(&format!("postmaster@{postmaster_domain}")),
        };
        let address = address.map_err(|error| ("501 5.1.3", error.to_string()))?;
        let recipients = &mut self.envelope.recipients;
        let hash = self.hasher.hash_one(&address);
        let perhaps_known = recipients.len() <= FEW || self.known.contains(&hash);
        let repeated = perhaps_known && recipients.iter().any(|known| known.address == address);
        if repeated {
            return Ok(());
        }
        if recipients.len() >= most {
            let text = format!("more than {most} recipients; send to the others in another transaction");
            return Err(("452 4.5.3", text));
        }
        if recipients.len() > FEW {
            self.known.insert(hash);
        } else if recipients.len() == FEW {
            self.known.extend(recipients.iter().map(|known| self.hasher.hash_one(&known.address)));
            self.known.insert(hash);
        }
        let RcptParams { notify, orcpt } = rcpt.params;
        recipients.push(Recipient { address, notify, orcpt });
        Ok(())
    }

    /// The sender address; `None` is the null sender.
    pub(super) fn sender(&self) -> Option<&Address> {
        self.envelope.sender.as_ref()
    }

    /// Returns the complete envelope, at DATA.
    pub(super) fn close(self) -> Envelope {
        self.envelope
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::params::MailParams;

    fn rcpt(text: &str) -> Rcpt {
        Rcpt { recipient: Some(text.to_owned()), params: RcptParams::default() }
    }

    #[test]
    fn a_repeated_recipient_counts_once_and_the_limit_holds() {
        let mut open = Transaction::open(Mail { sender: None, params: MailParams::default() }).unwrap();
        for round in 0..2 {
            for number in 0..100 {
                let added = open.add(rcpt(&format!("u{number}@d.test")), "h.test", 100);
                assert_eq!(added, Ok(()), "{number} in round {round}");
            }
        }
        assert_eq!(open.add(rcpt("U7@D.test"), "h.test", 100), Ok(()), "the same by key");
        assert_eq!(open.add(rcpt("v@d.test"), "h.test", 100).unwrap_err().0, "452 4.5.3");
        assert_eq!(open.close().recipients.len(), 100);
    }

    #[test]
    fn postmaster_gets_a_domain() {
        let mut open = Transaction::open(Mail { sender: None, params: MailParams::default() }).unwrap();
        open.add(Rcpt { recipient: None, params: RcptParams::default() }, "example.jp", 1).unwrap();
        assert_eq!(open.close().recipients[0].address.as_str(), "postmaster@example.jp");
    }
}
