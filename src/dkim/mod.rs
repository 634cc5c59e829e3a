//! DKIM signing (RFC 6376): keys, canonicalisation, signatures, and the DNS records of the keys.
//!
//! Canonicalisation is always relaxed/relaxed, because later hops may refold header fields.
//!
//! * [`body`] the hash of a streamed body
//! * [`header`] canonicalisation of header fields
//! * [`key`] private keys
//! * [`ring`] which keys sign for which domain
//! * [`record`] the DNS record of a key, and checks of a published one
//! * [`sign`] makes the DKIM-Signature fields

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
