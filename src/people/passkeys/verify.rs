//! What browsers say when a passkey is made or used (`WebAuthn` Level 3), verified: the client data (§5.8.1), the
//! authenticator data (§6.1) and the signature over both (§7.2). Nothing else of the protocol is spoken here:
//! no attestation is asked for, and the public key comes from the browser as `SubjectPublicKeyInfo` (§5.2.1.1),
//! so that nothing has to be decoded from CBOR.

use crate::token::{Token, same};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;

/// Algorithms that a passkey may sign with (RFC 9053, RFC 8812): ES256, `EdDSA`, RS256.
pub const ALGORITHMS: [i64; 3] = [-7, -8, -257];
/// Longest credential id (§4, credential ID).
const LONGEST_ID: usize = 1_023;
/// Longest key: RSA of 8,192 bits.
const LONGEST_KEY: usize = 1_200;
/// What stands before a point of P-256, uncompressed, in its `SubjectPublicKeyInfo` (RFC 5480).
const P256: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
/// The same of Ed25519 (RFC 8410).
const EDWARDS: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// Whom passkeys are for: the desk, as browsers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The host, which keys are bound to.
    pub id: String,
    /// The origin that the desk's pages have.
    pub origin: String,
}

impl Party {
    /// Of what the desk is reached by. Browsers make passkeys for hosts with a name through https alone, and
    /// for `localhost`.
    pub fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?.to_ascii_lowercase();
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port.parse::<u16>().ok()?)),
            None => (authority, None),
        };
        let named = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
            && host.rsplit('.').next().is_some_and(|last| last.bytes().any(|b| b.is_ascii_alphabetic()));
        let usual = match scheme {
            "https" if named => 443,
            "http" if host == "localhost" => 80,
            _ => return None,
        };
        let port = port.filter(|port| *port != usual).map(|port| format!(":{port}")).unwrap_or_default();
        Some(Self { origin: format!("{scheme}://{host}{port}"), id: host })
    }
}

/// Why something a browser said counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    /// It cannot be read.
    #[error("it cannot be read")]
    Form,
    /// It answers another question than ours, or was said to another site.
    #[error("it answers another question")]
    Question,
    /// Nobody proved to be there.
    #[error("nobody was verified to be present")]
    Absent,
    /// The key is of no kind that is taken.
    #[error("the key is of no kind that is taken")]
    Key,
    /// The signature is not this key's.
    #[error("the signature is wrong")]
    Signature,
    /// The counter went back: the key was copied.
    #[error("the counter went back")]
    Copied,
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// One of [`ALGORITHMS`].
    pub algorithm: i64,
    /// `SubjectPublicKeyInfo`.
    pub info: Vec<u8>,
}

impl Key {
    /// How its signatures are verified, and the key in the form that this takes.
    fn parts(&self) -> Result<(&'static dyn VerificationAlgorithm, &[u8]), Unsound> {
        let after = |start: &[u8], octets: usize| {
            self.info.strip_prefix(start).filter(|rest| rest.len() == octets).ok_or(Unsound::Key)
        };
        match self.algorithm {
            -7 => after(P256, 65).map(|point| (&ECDSA_P256_SHA256_ASN1 as _, point)),
            -8 => after(EDWARDS, 32).map(|point| (&ED25519 as _, point)),
            -257 if self.info.len() <= LONGEST_KEY => Ok((&RSA_PKCS1_2048_8192_SHA256, &self.info)),
            _ => Err(Unsound::Key),
        }
    }
}

/// What the browser says it was asked (§5.8.1). Members that are added later are no concern of ours.
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    what: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
}

/// The authenticator data (§6.1), as far as it is looked at.
struct Presence<'a> {
    count: u32,
    /// The id of a credential that was made.
    credential: Option<&'a [u8]>,
}

fn asked(client_data: &[u8], what: &str, challenge: &Token, party: &Party) -> Result<(), Unsound> {
    let said: ClientData = serde_json::from_slice(client_data).map_err(|_| Unsound::Form)?;
    let ours = said.what == what
        && same(&said.challenge, challenge.text())
        && said.origin == party.origin
        && !said.cross_origin;
    if ours { Ok(()) } else { Err(Unsound::Question) }
}

fn presence<'a>(data: &'a [u8], party: &Party) -> Result<Presence<'a>, Unsound> {
    const PRESENT: u8 = 1;
    const VERIFIED: u8 = 4;
    const MADE: u8 = 0x40;
    let (host, rest) = data.split_at_checked(32).ok_or(Unsound::Form)?;
    let (&flags, rest) = rest.split_first().ok_or(Unsound::Form)?;
    let (count, rest) = rest.split_first_chunk::<4>().ok_or(Unsound::Form)?;
    if host != digest(&SHA256, party.id.as_bytes()).as_ref() {
        return Err(Unsound::Question);
    }
    if flags & PRESENT == 0 || flags & VERIFIED == 0 {
        return Err(Unsound::Absent);
    }
    let mut credential = None;
    if flags & MADE != 0 {
        // The authenticator's model, then the length of the id.
        let (_, rest) = rest.split_at_checked(16).ok_or(Unsound::Form)?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(Unsound::Form)?;
        let id = rest.get(..usize::from(u16::from_be_bytes(*length))).ok_or(Unsound::Form)?;
        credential = Some(id);
    }
    Ok(Presence { count: u32::from_be_bytes(*count), credential })
}

/// A credential that was made (§7.1); its id and its counter.
pub fn made(
    client_data: &[u8],
    data: &[u8],
    key: &Key,
    challenge: &Token,
    party: &Party,
) -> Result<(Vec<u8>, u32), Unsound> {
    asked(client_data, "webauthn.create", challenge, party)?;
    let presence = presence(data, party)?;
    let id = presence.credential.filter(|id| (1..=LONGEST_ID).contains(&id.len())).ok_or(Unsound::Form)?;
    let _ = key.parts()?;
    Ok((id.to_vec(), presence.count))
}

/// A credential that was used (§7.2); its counter now. `before` is what it was.
pub fn used(
    client_data: &[u8],
    data: &[u8],
    signature: &[u8],
    key: &Key,
    before: u32,
    challenge: &Token,
    party: &Party,
) -> Result<u32, Unsound> {
    asked(client_data, "webauthn.get", challenge, party)?;
    let presence = presence(data, party)?;
    let (algorithm, public) = key.parts()?;
    let signed = [data, digest(&SHA256, client_data).as_ref()].concat();
    UnparsedPublicKey::new(algorithm, public).verify(&signed, signature).map_err(|_| Unsound::Signature)?;
    // §6.1.1: passkeys that are kept on several devices do not count, and say 0.
    if (presence.count != 0 || before != 0) && presence.count <= before {
        return Err(Unsound::Copied);
    }
    Ok(presence.count)
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
