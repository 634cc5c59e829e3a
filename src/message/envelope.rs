//! The envelope: sender and recipients of a transaction (RFC 5321 §2.3.1), with their ESMTP parameters.

use super::Address;
use serde::{Deserialize, Serialize};

/// Sender, recipients and parameters of one SMTP transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// MAIL FROM; `None` is the null sender `<>`.
    pub sender: Option<Address>,
    /// RCPT TO, in order, each address once.
    pub recipients: Vec<Recipient>,
    /// SMTPUTF8 was asked for (RFC 6531).
    pub smtputf8: bool,
    /// BODY=8BITMIME was declared (RFC 6152).
    pub eight_bit: bool,
    /// RET= (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// ENVID= as sent, xtext (RFC 3461 §4.4).
    pub envid: Option<String>,
}

/// How much of the message a failure report returns (RFC 3461 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ret {
    /// The whole message.
    Full,
    /// Its header only.
    Hdrs,
}

/// One RCPT TO.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// The address that the mail is delivered to.
    pub address: Address,
    /// NOTIFY= (RFC 3461 §4.1); `None` when not given.
    #[serde(default)]
    pub notify: Option<Notify>,
    /// ORCPT= as sent, `addr-type;xtext` (RFC 3461 §4.2).
    #[serde(default)]
    pub orcpt: Option<String>,
}

impl Recipient {
    /// A recipient without DSN parameters.
    pub fn plain(address: Address) -> Self {
        Self { address, notify: None, orcpt: None }
    }
}

/// When the delivery of a recipient is to be reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the four keywords of RFC 3461 §4.1, each on or off")]
pub struct Notify {
    /// `NEVER`; excludes the others.
    pub never: bool,
    /// `SUCCESS`.
    pub success: bool,
    /// `FAILURE`.
    pub failure: bool,
    /// `DELAY`.
    pub delay: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The storage format has no field names, so every field must be written.
    #[test]
    fn recipients_survive_the_store() {
        let notify = Notify { failure: true, ..Notify::default() };
        let mut recipient = Recipient::plain(Address::parse("a@example.com").unwrap());
        for (notify, orcpt) in [(None, None), (Some(notify), Some("rfc822;b@example.com".to_owned()))] {
            recipient.notify = notify;
            recipient.orcpt = orcpt;
            let bytes = postcard::to_stdvec(&recipient).unwrap();
            assert_eq!(postcard::from_bytes::<Recipient>(&bytes).unwrap(), recipient);
        }
    }
}
