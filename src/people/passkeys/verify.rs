//! Verifies what browsers send when a passkey is created or used (`WebAuthn` Level 3): the client data
//! (§5.8.1), the authenticator data (§6.1) and the signature over both (§7.2). Attestation is not requested,
//! and the public key is taken as the `SubjectPublicKeyInfo` that browsers provide (§5.2.1.1), so that no
//! CBOR has to be decoded.

use crate::token::{Token, same};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;

/// COSE algorithms that are accepted (RFC 9053, RFC 8812): ES256, `EdDSA`, RS256.
pub const ALGORITHMS: [i64; 3] = [-7, -8, -257];
/// Longest credential id (§4, credential ID).
const LONGEST_ID: usize = 1_023;
/// Longest public key: RSA with 8,192 bits.
const LONGEST_KEY: usize = 1_200;
/// The `SubjectPublicKeyInfo` of a P-256 key up to the uncompressed point (RFC 5480).
const P256: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
/// The same for Ed25519 (RFC 8410).
const EDWARDS: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// The relying party: the desk as browsers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The relying party id: the host name.
    pub id: String,
    /// The origin of the desk's pages.
    pub origin: String,
}

impl Party {
    /// By the URL of the desk. Browsers create passkeys only for host names over https, and for `localhost`.
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

/// Why a response is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    /// It cannot be parsed.
    #[error("it cannot be read")]
    Form,
    /// It answers another challenge, or was made for another site.
    #[error("it answers another question")]
    Question,
    /// The user was not verified.
    #[error("nobody was verified to be present")]
    Absent,
    /// The key is of an unsupported type.
    #[error("the key is of an unsupported type")]
    Key,
    /// The signature is not valid for this key.
    #[error("the signature is wrong")]
    Signature,
    /// The counter went back: the passkey may have been cloned.
    #[error("the counter went back")]
    Copied,
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// One of [`ALGORITHMS`].
    pub algorithm: i64,
    /// The key as `SubjectPublicKeyInfo` (DER).
    pub info: Vec<u8>,
}

impl Key {
    /// The algorithm of its signatures, and the key in the form that it needs.
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

/// The client data (§5.8.1). Unknown members are ignored.
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    what: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
}

/// The parts of the authenticator data (§6.1) that are used.
struct Presence<'a> {
    count: u32,
    /// The id of a new credential.
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
        // The AAGUID of the authenticator, then the length of the id.
        let (_, rest) = rest.split_at_checked(16).ok_or(Unsound::Form)?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(Unsound::Form)?;
        let id = rest.get(..usize::from(u16::from_be_bytes(*length))).ok_or(Unsound::Form)?;
        credential = Some(id);
    }
    Ok(Presence { count: u32::from_be_bytes(*count), credential })
}

/// Verifies a new credential (§7.1); returns its id and its counter.
///
/// # Errors
/// The response cannot be parsed, answers another challenge, or has no supported key.
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

/// Verifies the use of a credential (§7.2); returns its new counter. `before` is the previous one.
///
/// # Errors
/// The response cannot be parsed, answers another challenge, has a wrong signature, or its counter went back.
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
    // §6.1.1: passkeys that are synchronised between devices have no counter and say 0.
    if (presence.count != 0 || before != 0) && presence.count <= before {
        return Err(Unsound::Copied);
    }
    Ok(presence.count)
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
