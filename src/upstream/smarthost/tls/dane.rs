//! DANE for SMTP (RFC 7672): which TLSA records are usable, and whether a certificate chain matches one.

use super::refused;
use crate::dns::Tlsa;
use aws_lc_rs::digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{Error, RootCertStore};
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

const DANE_TA: u8 = 2;
const DANE_EE: u8 = 3;

/// Whether a record is usable: usage DANE-TA or DANE-EE (RFC 7672 §3.1.3), selector 0 or 1, matching type
/// 0 to 2 with data of the right length.
pub(in crate::upstream) fn is_usable(record: &Tlsa) -> bool {
    let length = match record.matching {
        0 => !record.data.is_empty(),
        1 => record.data.len() == 32,
        2 => record.data.len() == 64,
        _ => false,
    };
    matches!(record.usage, DANE_TA | DANE_EE) && record.selector <= 1 && length
}

/// Verifies a certificate chain by the TLSA records. `name` is the host; `names` are further accepted
/// names.
pub(super) fn verify(
    records: &[Tlsa],
    leaf: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    name: &ServerName<'_>,
    names: &[String],
    now: UnixTime,
) -> Result<(), Error> {
    let mut last = refused("the certificate does not match the TLSA records");
    for record in records.iter().filter(|record| is_usable(record)) {
        if record.usage == DANE_EE {
            // names and validity dates are ignored: the record binds the key to the host (§3.1.1)
            if matches(record, leaf) {
                return Ok(());
            }
            continue;
        }
        for anchor in rest.iter().filter(|certificate| matches(record, certificate)) {
            match signed_by(anchor, leaf, rest, name, names, now) {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

/// Verifies a chain up to a trust anchor that a record matches (§3.1.2).
fn signed_by(
    anchor: &CertificateDer<'_>,
    leaf: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    name: &ServerName<'_>,
    names: &[String],
    now: UnixTime,
) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    roots.add(anchor.clone().into_owned())?;
    let provider = Arc::new(provider::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|_| refused("the trust anchor cannot be used"))?;
    let others = names.iter().filter_map(|name| ServerName::try_from(name.clone()).ok());
    let mut last = refused("the certificate is for another host");
    for name in std::iter::once(name.to_owned()).chain(others) {
        match verifier.verify_server_cert(leaf, rest, &name, &[], now) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn matches(record: &Tlsa, certificate: &CertificateDer<'_>) -> bool {
    let chosen = match record.selector {
        0 => Some(certificate.as_ref()),
        _ => public_key(certificate),
    };
    chosen.is_some_and(|chosen| match record.matching {
        0 => record.data == chosen,
        1 => record.data == sha256(chosen),
        _ => record.data == digest::digest(&digest::SHA512, chosen).as_ref(),
    })
}

/// A certificate's `SubjectPublicKeyInfo` in DER.
pub(super) fn public_key<'a>(certificate: &'a CertificateDer<'_>) -> Option<&'a [u8]> {
    let (_, parsed) = X509Certificate::from_der(certificate.as_ref()).ok()?;
    Some(parsed.tbs_certificate.subject_pki.raw)
}

pub(super) fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest::digest(&digest::SHA256, octets).as_ref());
    sum
}
