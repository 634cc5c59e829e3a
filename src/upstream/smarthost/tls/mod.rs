//! TLS towards the next hop: who is believed to be the host that was meant.
//!
//! * [`Trust`] certificate authorities, pinned keys, or what DANE says
//! * `dane` matching TLSA records

mod dane;
#[cfg(test)]
mod tests;

use super::config::Security;
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

/// The SHA-256 of a public key (`SubjectPublicKeyInfo`, DER), written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin([u8; 32]);

/// The text is no pin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no pin: write \"sha256:\" and the 64 hexadecimal digits of the SHA-256 of the public key \
     (openssl x509 -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum)"
)]
pub struct NoPin(pub String);

impl FromStr for Pin {
    type Err = NoPin;

    fn from_str(text: &str) -> Result<Self, NoPin> {
        let wrong = || NoPin(text.to_owned());
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

/// The certificate authorities that are trusted: the system's, and those of a file. Clones are the same.
#[derive(Clone, Debug)]
pub struct Authorities(Arc<Verifier>);

impl Authorities {
    /// Reads the system's, and a PEM file beside them. The error is a sentence for the admin.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, String> {
        let extra = ca_file.map(read_authorities).transpose()?.unwrap_or_default();
        let provider = Arc::new(aws_lc_rs::default_provider());
        Verifier::new_with_extra_roots(extra, provider).map(|verifier| Self(Arc::new(verifier))).map_err(
            |error| {
                format!(
                    "no certificate authority to verify others with ({error}): install the system's \
                     (ca-certificates) or name a ca_file"
                )
            },
        )
    }

    /// A TLS client that takes certificates of these authorities only.
    pub fn client(&self) -> Result<ClientConfig, String> {
        client(Arc::clone(&self.0) as Arc<dyn ServerCertVerifier>, None)
    }
}

/// What makes a certificate a good one.
#[derive(Clone, Debug)]
pub enum Trust {
    /// It names the host, and an authority signed it.
    Authorities(Authorities),
    /// Its public key is one of these, whoever signed it, whatever it names.
    Pins(Vec<Pin>),
    /// It is what DANE says (RFC 7672 §3); for usage DANE-TA it names the host or one of `names`.
    Dane {
        /// The TLSA records, secure.
        records: Arc<[Tlsa]>,
        /// Names it may be for beside the host's: the domain that mail is for.
        names: Arc<[String]>,
    },
    /// None is: nothing to compare with.
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
                if known { Ok(()) } else { Err(refused("its public key is not one that is pinned")) }
            }
            Self::Dane { records, names } => dane::verify(records, leaf, rest, name, names, now),
            Self::Nothing => Err(refused("there is nothing to verify it with")),
        }
    }
}

/// A refusal in words of our own.
fn refused(why: &'static str) -> Error {
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Why(&'static str);
    let other = rustls::OtherError(Arc::new(Why(why)));
    Error::InvalidCertificate(CertificateError::Other(other))
}

/// Secures connections to one host.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    /// Who we are, where we are asked.
    identity: Option<Identity>,
    /// Looked at after the handshake where any certificate was taken in it.
    afterwards: Option<Trust>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tls {
    /// For this host. The error is a sentence for the admin.
    pub(super) fn new(
        host: &str,
        trust: Trust,
        security: Security,
        identity: Option<Identity>,
    ) -> Result<Self, String> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("`{host}` is no host name that a certificate could name"))?;
        let strict = !matches!(security, Security::Opportunistic | Security::Unverified);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let judge = Judge { trust: strict.then(|| trust.clone()), provider };
        let config = client(Arc::new(judge), identity.clone())?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self { connector, name, identity, afterwards: (!strict).then_some(trust) })
    }

    /// Our certificate, where there is one.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Shakes hands; also says whether the certificate is one we trust for this host.
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

fn client(judge: Arc<dyn ServerCertVerifier>, identity: Option<Identity>) -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(judge);
    let Some(identity) = identity else { return Ok(builder.with_no_client_auth()) };
    let mut config = builder.with_client_cert_resolver(Arc::new(identity));
    // A session that is resumed goes on as whoever began it, whatever certificate is in use by then.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Whether the other side broke off for the sake of our certificate, or for the lack of one. TLS 1.3 says so
/// only once the handshake is over for us (RFC 8446 §4.4.2.4).
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

/// The authorities in a PEM file.
fn read_authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |why: String| format!("ca_file {}: {why}", file.display());
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(error.to_string()))?;
    if certificates.is_empty() { Err(wrong("no certificate in it".to_owned())) } else { Ok(certificates) }
}

/// Judges certificates in the handshake. Without trust it takes any, which is what opportunistic TLS
/// is (RFC 7435), but still makes the other side prove that it holds the key.
#[derive(Debug)]
struct Judge {
    trust: Option<Trust>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Judge {
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
