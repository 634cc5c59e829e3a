//! The parts of a message: envelope, header, addresses, MIME parts. Nothing here depends on the relay.
//!
//! * [`address`] mailboxes, and the key by which they are compared
//! * [`charset`] character sets: their names and decoders
//! * [`encoded_word`] encoded-words, parameters and unencoded 8-bit text
//! * [`envelope`] sender and recipients of a transaction
//! * [`fork`] recognises one mail that arrives in several transactions
//! * [`gathering`] where the header ends
//! * [`header`] the header block as byte ranges
//! * [`copied`] the header of the original mail in a copy from a journal or an archive
//! * [`edit`] header edits: byte ranges kept, bytes inserted
//! * [`walk`] the streaming MIME walk
//! * [`seven_bit`] re-encodes a message for a next hop without 8BITMIME
//! * [`spell_out`] writes a UTF-8 header in ASCII for a next hop without SMTPUTF8
//! * [`named`] addresses anywhere in a header
//! * [`inspect`] facts about the body for the policy
//! * [`invisible`] invisible characters
//! * [`open`] opens archives and documents, and passes on their text

pub mod address;
pub mod charset;
pub mod copied;
pub mod edit;
pub mod encoded_word;
pub mod envelope;
pub mod fork;
pub mod gathering;
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
