//! A name server for tests, on loopback, with or without DNSSEC.

use super::{Resolver, Settings};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hickory_resolver::proto::dnssec::crypto::EcdsaSigningKey;
use hickory_resolver::proto::dnssec::rdata::DNSKEY;
use hickory_resolver::proto::dnssec::{Algorithm, DnssecSigner, PublicKey, SigningKey};
use hickory_resolver::proto::rr::Name;
use hickory_resolver::proto::serialize::txt::Parser;
use hickory_server::Server;
use hickory_server::dnssec::NxProofKind;
use hickory_server::net::runtime::TokioRuntimeProvider;
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneHandler, ZoneType};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket};

/// A name server that runs until it is dropped.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    /// The trust anchor, if its answers are signed.
    pub(crate) anchor: Option<tempfile::NamedTempFile>,
    _server: Server<Catalog>,
}

const START: &str =
    "@ 3600 IN SOA ns. admin. 1 3600 600 86400 60\n@ 3600 IN NS ns.\nns. 3600 IN A 127.0.0.1\n";

impl NameServer {
    /// Serves these lines of a zone file, whose names are absolute.
    pub(crate) async fn start(zone: &str, signed: bool) -> Self {
        Self::serving(".", zone, signed).await
    }

    /// As [`Self::start`], but authoritative for one domain only; it refuses queries for others.
    pub(crate) async fn serving(origin: &str, zone: &str, signed: bool) -> Self {
        let origin = Name::from_ascii(origin).unwrap();
        let text = format!("{START}{zone}\n");
        let (origin, records) = Parser::new(text, None, Some(origin)).parse().unwrap();
        let proof = signed.then_some(NxProofKind::Nsec);
        let mut handler = InMemoryZoneHandler::<TokioRuntimeProvider>::new(
            origin.clone(),
            records,
            ZoneType::Primary,
            AxfrPolicy::Deny,
            proof,
        )
        .unwrap();
        let anchor = signed.then(|| sign(&mut handler));
        let mut catalog = Catalog::new();
        catalog.upsert(origin.into(), vec![Arc::new(handler) as Arc<dyn ZoneHandler>]);
        let mut server = Server::new(catalog);
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().unwrap();
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(5), 64);
        Self { address, anchor, _server: server }
    }

    /// Resolver settings that use it.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            servers: vec![self.address],
            dnssec: self.anchor.is_some(),
            trust_anchor_file: self.anchor.as_ref().map(|file| file.path().to_owned()),
        }
    }

    pub(crate) fn resolver(&self) -> Resolver {
        Resolver::new(&self.settings()).unwrap()
    }
}

/// Binds the same port for UDP and TCP.
async fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..50 {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free over UDP and TCP");
}

fn sign(handler: &mut InMemoryZoneHandler<TokioRuntimeProvider>) -> tempfile::NamedTempFile {
    let der = EcdsaSigningKey::generate_pkcs8(Algorithm::ECDSAP256SHA256).unwrap();
    let key = EcdsaSigningKey::from_pkcs8(&der, Algorithm::ECDSAP256SHA256).unwrap();
    let public = key.to_public_key().unwrap();
    let mut anchor = tempfile::NamedTempFile::new().unwrap();
    writeln!(anchor, ". 3600 IN DNSKEY 257 3 13 {}", BASE64.encode(public.public_bytes())).unwrap();
    let dnskey = DNSKEY::from_key(&public);
    let month = Duration::from_hours(720);
    handler.add_zone_signing_key_mut(DnssecSigner::new(dnskey, Box::new(key), Name::root(), month)).unwrap();
    handler.secure_zone_mut().unwrap();
    anchor
}
