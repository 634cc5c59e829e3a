//! What a message is made of: envelope, header, addresses, MIME parts. Knows nothing of the relay.
//!
//! * [`address`] mailboxes, and the key two spellings of one mailbox share
//! * [`charset`] character sets, one table for everything
//! * [`encoded_word`] encoded-words, parameters, raw 8-bit: bytes to text
//! * [`envelope`] who the transaction is from and for
//! * [`fork`] one mail that comes in several transactions
//! * [`header`] the header block, indexed by byte ranges
//! * [`copied`] the header of the mail that a copy from a journal or an archive is of
//! * [`edit`] byte-exact header edits: ranges kept, bytes put in
//! * [`walk`] the streaming, bounded MIME walk
//! * [`seven_bit`] a message re-encoded for a next hop without 8BITMIME
//! * [`named`] addresses that a header names anywhere
//! * [`inspect`] what the walk finds that a policy asks about
//! * [`invisible`] characters that show nothing
//! * [`open`] opens what can be opened, and hands on the text

pub mod address;
pub mod charset;
pub mod copied;
pub mod edit;
pub mod encoded_word;
pub mod envelope;
pub mod fork;
pub mod header;
pub mod inspect;
pub mod invisible;
pub mod named;
pub mod open;
pub mod seven_bit;
pub mod spell_out;
pub mod walk;

pub use address::{Address, AddressList, Mailbox};
pub use edit::HeaderEdits;
pub use envelope::{Envelope, Recipient};
pub use fork::Fork;
pub use header::{Field, Header};
pub use inspect::BodyFacts;
