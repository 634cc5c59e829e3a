//! Client certificates: requested but not required, and verified after the handshake.
//!
//! The handshake accepts any certificate whose key the client proves to hold. Many hosts present one
//! routinely, and their mail should not fail because the certificate is from a private authority. The
//! certificate is verified after the handshake, in every session including resumed ones. Its names are
//! used only if it verifies.

use super::facts::Facts;
use super::{Trouble, pem};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Signed = Result<rustls::client::danger::HandshakeSignatureValid, Error>;

/// Files in which Linux distributions store the system's certificate authorities.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A name that a client certificate must have: `relay.example.com`, or `*.example.com` for every name below
/// `example.com` at any depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern(String);

impl NamePattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// It is not a host name, or covers a whole top-level domain. The error is a text for the administrator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lower = text.trim_end_matches('.').to_ascii_lowercase();
        let (below, name) = match lower.strip_prefix("*.") {
            Some(suffix) => (true, suffix),
            None => (false, lower.as_str()),
        };
        let sound = !name.is_empty()
            && name.len() <= 253
            && name.split('.').all(|label| !label.is_empty())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        if !sound {
            return Err(format!(
                "`{text}` is not a name for a certificate: write a host's name, or \"*.example.com\" for all names below one"
            ));
        }
        if below && !name.contains('.') {
            return Err(format!(
                "`{text}` would let a whole top-level domain relay: name a domain below `{name}`"
            ));
        }
        Ok(Self(lower))
    }

    /// Whether a name in a certificate matches. The wildcard name `*.mail.example.com` matches the pattern
    /// `*.example.com`, but not the pattern `a.mail.example.com`.
    pub fn matches(&self, name: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(dot_suffix) => name.len() > dot_suffix.len() && name.ends_with(dot_suffix),
            None => name == self.0,
        }
    }
}

impl std::fmt::Display for NamePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The authorities to verify client certificates with.
#[derive(Clone, Debug)]
pub(super) struct Authorities {
    roots: Arc<RootCertStore>,
    verifier: Arc<dyn ClientCertVerifier>,
    provider: Arc<CryptoProvider>,
}

impl Authorities {
    /// The authorities in a PEM file.
    pub(super) fn of_file(file: &Path, provider: &Arc<CryptoProvider>) -> Result<Self, Trouble> {
        let mut roots = RootCertStore::empty();
        for certificate in pem::certificates(file)? {
            roots.add(certificate).map_err(|error| {
                Trouble::new(file, format!("a certificate in it cannot be used as an authority: {error}"))
            })?;
        }
        Self::new(roots, file, provider)
    }

    /// The system's authorities. Those that cannot be parsed are skipped.
    pub(super) fn of_system(provider: &Arc<CryptoProvider>) -> Result<Self, Trouble> {
        let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let mut places = named.into_iter().chain(SYSTEM.iter().map(PathBuf::from));
        let file = places.find(|path| path.exists()).ok_or_else(|| {
            Trouble::new(
                Path::new(SYSTEM[0]),
                "the system's certificate authorities are missing: install ca-certificates, or set `client_ca_file`",
            )
        })?;
        let text = super::read(&file)?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&text).filter_map(Result::ok));
        Self::new(roots, &file, provider)
    }

    fn new(roots: RootCertStore, file: &Path, provider: &Arc<CryptoProvider>) -> Result<Self, Trouble> {
        let roots = Arc::new(roots);
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider))
            .build()
            .map_err(|error| Trouble::new(file, error.to_string()))?;
        Ok(Self { roots, verifier, provider: Arc::clone(provider) })
    }

    /// Verifies a chain; returns the names of the certificate. The error is a text for the log.
    pub(super) fn names(&self, chain: &[CertificateDer<'_>]) -> Result<Vec<String>, String> {
        let (leaf, rest) = chain.split_first().ok_or("there is no certificate")?;
        self.verify(leaf, rest).map_err(|error| reason(&error))?;
        Facts::of(leaf).map(|facts| facts.names)
    }

    /// Verifies a chain for client use, or else for server use: public authorities no longer issue client
    /// certificates, so mail hosts present their server certificate.
    fn verify(&self, leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Result<(), Error> {
        let now = UnixTime::now();
        match self.verifier.verify_client_cert(leaf, rest, now) {
            Ok(_) => Ok(()),
            Err(Error::InvalidCertificate(
                CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. },
            )) => verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(leaf)?,
                &self.roots,
                rest,
                now,
                self.provider.signature_verification_algorithms.all,
            ),
            Err(error) => Err(error),
        }
    }
}

/// The reason in a few words, for the log and the reply.
fn reason(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => "its issuer is unknown".to_owned(),
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "it has expired".to_owned()
        }
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "it is not valid yet".to_owned(),
        other => other.to_string(),
    }
}

/// Requests a client certificate in the handshake. Accepts none, or any whose key the client proves to
/// hold.
#[derive(Debug)]
pub(super) struct Asking(pub(super) Arc<CryptoProvider>);

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _rest: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Signed {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Signed {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

    #[test]
    fn patterns_match_whole_names() {
        let cases = [
            ("relay.example.com", "relay.example.com", true),
            ("Relay.Example.COM.", "relay.example.com", true),
            ("relay.example.com", "a.relay.example.com", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "*.b.example.com", true),
            ("*.example.com", "*.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "aexample.com", false),
            ("*.example.com", "a.example.com.evil.test", false),
            ("a.example.com", "*.example.com", false),
            ("scanner-7", "scanner-7", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(NamePattern::parse(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
        for wrong in ["", "*", "*.", "*.com", "a*.example.com", "a..b", "a b", "*.*.example.com", "あ.jp"] {
            assert!(NamePattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        (Issuer::new(params, key), pem)
    }

    #[test]
    fn only_a_chain_to_a_known_authority_has_names() {
        let (known, pem) = authority("known");
        let (other, _) = authority("other");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, pem).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let authorities = Authorities::of_file(&file, &provider).unwrap();
        let issue = |issuer: &Issuer<'static, KeyPair>, usage: Option<ExtendedKeyUsagePurpose>, year: i32| {
            let mut params = CertificateParams::new(vec!["mail.example.com".to_owned()]).unwrap();
            params.extended_key_usages = usage.into_iter().collect();
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().clone()
        };
        let client = Some(ExtendedKeyUsagePurpose::ClientAuth);
        let server = Some(ExtendedKeyUsagePurpose::ServerAuth);
        for usage in [client.clone(), server, None] {
            let names = authorities.names(&[issue(&known, usage.clone(), 2900)]);
            assert_eq!(names, Ok(vec!["mail.example.com".to_owned()]), "{usage:?}");
        }
        let refused = [
            (issue(&other, client.clone(), 2900), "its issuer is unknown"),
            (issue(&known, client, 1990), "it has expired"),
            (issue(&known, Some(ExtendedKeyUsagePurpose::CodeSigning), 2900), "invalid"),
        ];
        for (leaf, why) in refused {
            let said = authorities.names(&[leaf]).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        assert!(authorities.names(&[]).is_err());
        assert!(Authorities::of_file(&folder.path().join("none"), &provider).is_err());
    }
}
