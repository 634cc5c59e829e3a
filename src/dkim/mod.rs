//! DKIM (RFC 6376): keys, canonicalisation, signatures of ours, and the records that publish the keys.
//!
//! Canonicalisation is always relaxed/relaxed: what leaves is signed once, and hops on the way may
//! refold a header.
//!
//! * [`body`] the body hash, while the body streams by
//! * [`header`] header fields as they are signed
//! * [`key`] private keys, made and read
//! * [`ring`] which keys sign for whom
//! * [`record`] the DNS record of a key, and what is wrong with a published one
//! * [`sign`] one header block and one body hash in, DKIM-Signature fields out

pub mod body;
pub mod header;
pub mod key;
pub mod record;
pub mod ring;
pub mod sign;

pub use body::{BodyHash, BodyHasher};
pub use key::{Algorithm, SigningKey};
pub use record::Record;
pub use ring::Keyring;
pub use sign::sign;
