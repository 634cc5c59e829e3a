//! Binds every socket of a relay before anything else starts.

use super::{StartError, accounts, parts, tls};
use crate::config::Config;
use crate::control::server::ControlSocket;
use crate::control::socket_path;
use crate::listener::Listener;
use crate::listener::access::Access;
use crate::upstream::tally::Tally;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// The sockets of a relay.
pub(super) struct Sockets {
    pub(super) listeners: Vec<Listener>,
    pub(super) secured: tls::Secured,
    pub(super) gatekeeper: accounts::Gatekeeper,
    pub(super) tally: Tally,
    pub(super) web: Option<(SocketAddr, TcpListener)>,
    pub(super) control: ControlSocket,
}

impl Sockets {
    pub(super) async fn bind(
        config: &Config,
        secured: tls::Secured,
        gatekeeper: accounts::Gatekeeper,
        access: Vec<Access>,
        tally: Tally,
    ) -> Result<Self, StartError> {
        let mut listeners = Vec::new();
        for settings in parts::listeners(config, &secured, access) {
            let address = settings.address;
            listeners.push(Listener::bind(settings).map_err(|error| StartError::listen(&address, &error))?);
        }
        let web = match config.desk.address {
            Some(address) => {
                let bound = async {
                    let socket = TcpListener::bind(address).await?;
                    Ok((socket.local_addr()?, socket))
                };
                Some(bound.await.map_err(|error| StartError::listen(&address, &error))?)
            }
            None => None,
        };
        let path = socket_path(&config.database);
        let control =
            ControlSocket::bind(&path).map_err(|error| StartError::listen(&path.display(), &error))?;
        Ok(Self { listeners, secured, gatekeeper, tally, web, control })
    }
}
