//! Certificates in PEM files.

use super::{Trouble, read};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;

/// Most certificates in a file of authorities; systems ship a few hundred.
const MOST_CERTIFICATES: usize = 2_000;

/// The certificates in a PEM file, at least one.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Trouble> {
    certificates_in(file, &read(file)?, MOST_CERTIFICATES)
}

/// The certificates in the text of such a file: at least one, and at most this many.
pub(super) fn certificates_in(
    file: &Path,
    text: &[u8],
    most: usize,
) -> Result<Vec<CertificateDer<'static>>, Trouble> {
    let found = bounded_certificates(text, most).map_err(|why| Trouble::new(file, why))?;
    if found.is_empty() {
        return Err(Trouble::new(
            file,
            "there is no certificate in it: it must be PEM, with -----BEGIN CERTIFICATE-----",
        ));
    }
    Ok(found)
}

fn bounded_certificates(text: &[u8], most: usize) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(text) {
        found.push(certificate.map_err(|error| format!("it is not valid PEM: {error}"))?);
        if found.len() > most {
            return Err(format!("there are more than {most} certificates in it"));
        }
    }
    Ok(found)
}
