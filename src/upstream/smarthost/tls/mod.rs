//! TLS towards the next hop, and verification of its certificate.
//!
//! * [`Trust`] by what a certificate is verified: certificate authorities, pinned keys, or DANE
//! * `dane` matches certificates with TLSA records

mod dane;
#[cfg(test)]
mod tests;

use crate::dns::Tlsa;
use crate::tls::Identity;
pub(in crate::upstream) use dane::is_usable as is_usable_tlsa;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
};
use rustls_platform_verifier::Verifier;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// TLS towards the next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Security {
    /// Require STARTTLS with a verified certificate (the default).
    #[default]
    Required,
    /// Use STARTTLS if offered, with any certificate; otherwise send in plain text.
    Opportunistic,
    /// Require STARTTLS, with any certificate. Used with DANE if no TLSA record is usable (RFC 7672 §2.2).
    Unverified,
    /// Send in plain text.
    Off,
    /// Implicit TLS (RFC 8314 §3.3) with a verified certificate.
    Implicit,
}

/// The SHA-256 of a public key (`SubjectPublicKeyInfo`, DER), written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin([u8; 32]);

/// The text is not a valid pin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a pin: write \"sha256:\" and the 64 hexadecimal digits of the SHA-256 of the public key \
     (openssl x509 -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum)"
)]
pub struct InvalidPin(pub String);

impl FromStr for Pin {
    type Err = InvalidPin;

    fn from_str(text: &str) -> Result<Self, InvalidPin> {
        let wrong = || InvalidPin(text.to_owned());
        let digits = text.strip_prefix("sha256:").ok_or_else(wrong)?;
        let digits: Vec<u8> = digits.bytes().filter(|byte| *byte != b':').collect();
        let mut pin = [0; 32];
        if digits.len() != 64 {
            return Err(wrong());
        }
        for (octet, pair) in pin.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *octet = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(pin))
    }
}

/// The trusted certificate authorities: the system's and those of a file. Clones share them.
#[derive(Clone, Debug)]
pub struct Authorities(Arc<Verifier>);

impl Authorities {
    /// Loads the system's authorities and, if given, those of a PEM file.
    ///
    /// # Errors
    /// The file cannot be read or has no certificate, or there is no authority at all. The error is a text
    /// for the administrator.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, String> {
        let extra = ca_file.map(read_authorities).transpose()?.unwrap_or_default();
        let provider = Arc::new(aws_lc_rs::default_provider());
        Verifier::new_with_extra_roots(extra, provider).map(|verifier| Self(Arc::new(verifier))).map_err(
            |error| {
                format!(
                    "no certificate authorities to verify certificates with ({error}): install the system's \
                     (ca-certificates) or name a ca_file"
                )
            },
        )
    }

    /// A TLS client that accepts only certificates signed by these authorities.
    ///
    /// # Errors
    /// TLS cannot be set up. The error is a text for the administrator.
    pub fn client(&self) -> Result<ClientConfig, String> {
        client(Arc::clone(&self.0) as Arc<dyn ServerCertVerifier>, None)
    }
}

/// How a server certificate is verified.
#[derive(Clone, Debug)]
pub enum Trust {
    /// It must name the host and be signed by an authority.
    Authorities(Authorities),
    /// Its public key must be one of these; names and issuer are ignored.
    Pins(Vec<Pin>),
    /// It must match a TLSA record (DANE, RFC 7672 §3). With usage DANE-TA it must also name the host or
    /// one of `names`.
    Dane {
        /// The TLSA records, secured by DNSSEC.
        records: Arc<[Tlsa]>,
        /// Accepted names in addition to the host's: the recipient domain.
        names: Arc<[String]>,
    },
    /// No certificate verifies, because there is nothing to verify it with.
    Nothing,
}

impl Trust {
    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        match self {
            Self::Authorities(known) => known.0.verify_server_cert(leaf, rest, name, &[], now).map(|_| ()),
            Self::Pins(pins) => {
                let known = dane::public_key(leaf)
                    .is_some_and(|key| pins.iter().any(|pin| pin.0 == dane::sha256(key)));
                if known { Ok(()) } else { Err(refused("the public key is not among the pinned ones")) }
            }
            Self::Dane { records, names } => dane::verify(records, leaf, rest, name, names, now),
            Self::Nothing => Err(refused("there is nothing to verify the certificate with")),
        }
    }
}

/// A certificate error with this text.
fn refused(why: &'static str) -> Error {
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Why(&'static str);
    let other = rustls::OtherError(Arc::new(Why(why)));
    Error::InvalidCertificate(CertificateError::Other(other))
}

/// Does TLS handshakes with one host.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    /// Our client certificate.
    identity: Option<Identity>,
    /// Verification after the handshake, if the handshake accepts any certificate.
    afterwards: Option<Trust>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tls {
    /// TLS with this host. The error is a text for the administrator.
    pub(super) fn new(
        host: &str,
        trust: Trust,
        security: Security,
        identity: Option<Identity>,
    ) -> Result<Self, String> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("`{host}` is not a host name that a certificate can contain"))?;
        let strict = !matches!(security, Security::Opportunistic | Security::Unverified);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verification = Verification { trust: strict.then(|| trust.clone()), provider };
        let config = client(Arc::new(verification), identity.clone())?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self { connector, name, identity, afterwards: (!strict).then_some(trust) })
    }

    /// Our client certificate.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Does the handshake; also returns whether the certificate verified.
    pub(super) async fn secure(&self, stream: TcpStream) -> std::io::Result<(TlsStream<TcpStream>, bool)> {
        let stream = self.connector.connect(self.name.clone(), stream).await?;
        let verified = match &self.afterwards {
            None => true,
            Some(trust) => stream
                .get_ref()
                .1
                .peer_certificates()
                .and_then(<[_]>::split_first)
                .is_some_and(|(leaf, rest)| trust.verify(leaf, rest, &self.name, UnixTime::now()).is_ok()),
        };
        Ok((stream, verified))
    }
}

fn client(
    verification: Arc<dyn ServerCertVerifier>,
    identity: Option<Identity>,
) -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(verification);
    let Some(identity) = identity else { return Ok(builder.with_no_client_auth()) };
    let mut config = builder.with_client_cert_resolver(Arc::new(identity));
    // A resumed session keeps the client certificate it began with, even if ours was replaced since.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The alert, if the server closed the connection because of our client certificate or its absence. With
/// TLS 1.3 the alert arrives only after the handshake has finished for us (RFC 8446 §4.4.2.4).
pub(super) fn refused_certificate(error: &std::io::Error) -> Option<AlertDescription> {
    let inner = error.get_ref()?.downcast_ref::<Error>()?;
    let Error::AlertReceived(alert) = inner else { return None };
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
    )
    .then_some(*alert)
}

/// Reads the certificate authorities in a PEM file.
fn read_authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |why: String| format!("ca_file {}: {why}", file.display());
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(error.to_string()))?;
    if certificates.is_empty() {
        Err(wrong("it contains no certificate".to_owned()))
    } else {
        Ok(certificates)
    }
}

/// Verifies certificates in the handshake. Without `trust` it accepts any, as opportunistic TLS does (RFC
/// 7435), but the server must still prove that it holds the key.
#[derive(Debug)]
struct Verification {
    trust: Option<Trust>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verification {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(trust) = &self.trust {
            trust.verify(leaf, rest, name, now)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
