//! TLS towards the next hop: the system's certificate authorities, those of `ca_file`, and host names.

use super::config::Security;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Secures connections to one host.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    verifier: Option<Arc<Verifier>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tls {
    /// For this host. The error is a sentence for the admin.
    pub(super) fn new(host: &str, ca_file: Option<&Path>, security: Security) -> Result<Self, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("`{host}` is no host name that a certificate could name"))?;
        let extra = ca_file.map(read_authorities).transpose()?.unwrap_or_default();
        let opportunistic = security == Security::Opportunistic;
        let verifier = match Verifier::new_with_extra_roots(extra, Arc::clone(&provider)) {
            Ok(verifier) => Some(Arc::new(verifier)),
            // without any authority nothing verifies, which opportunistic TLS can live with
            Err(_) if opportunistic => None,
            Err(error) => {
                return Err(format!(
                    "no certificate authority to verify {host} with ({error}): install the system's \
                     (ca-certificates) or name a ca_file"
                ));
            }
        };
        let judge: Arc<dyn ServerCertVerifier> = match &verifier {
            Some(verifier) if !opportunistic => Arc::clone(verifier) as Arc<dyn ServerCertVerifier>,
            _ => Arc::new(AnyCertificate(Arc::clone(&provider))),
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(judge)
            .with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name, verifier })
    }

    /// Shakes hands; also says whether the certificate is one we trust for this host.
    pub(super) async fn secure(&self, stream: TcpStream) -> std::io::Result<(TlsStream<TcpStream>, bool)> {
        let stream = self.connector.connect(self.name.clone(), stream).await?;
        let verified = self.verifies(stream.get_ref().1.peer_certificates().unwrap_or_default());
        Ok((stream, verified))
    }

    /// Looks at the chain again after the handshake: the same check for every mode, so that
    /// credentials depend on nothing else.
    fn verifies(&self, chain: &[CertificateDer<'_>]) -> bool {
        let (Some(verifier), Some((leaf, rest))) = (&self.verifier, chain.split_first()) else {
            return false;
        };
        verifier.verify_server_cert(leaf, rest, &self.name, &[], UnixTime::now()).is_ok()
    }
}

/// The authorities in a PEM file.
fn read_authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |why: String| format!("ca_file {}: {why}", file.display());
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(error.to_string()))?;
    if certificates.is_empty() { Err(wrong("no certificate in it".to_owned())) } else { Ok(certificates) }
}

/// Takes any certificate, but still makes the other side prove that it holds its key: what
/// opportunistic TLS is (RFC 7435). Whether it would have verified is looked at afterwards.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _rest: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_ca_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        for content in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"]
        {
            std::fs::write(&file, content).unwrap();
            let error = Tls::new("mail.example", Some(&file), Security::Required).unwrap_err();
            assert!(error.contains("ca.pem"), "{error}");
        }
        let error = Tls::new("no host name", None, Security::Required).unwrap_err();
        assert!(error.contains("no host name"), "{error}");
    }
}
