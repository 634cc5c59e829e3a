//! `[dns]`

use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The table `[dns]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Dns {
    #[serde(default)]
    pub(in crate::config) servers: Vec<Server>,
    pub(in crate::config) dnssec: Option<bool>,
    pub(in crate::config) trust_anchor_file: Option<PathBuf>,
}

/// A name server: an address, with a port unless it is 53.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::config) struct Server(pub(in crate::config) SocketAddr);

impl TryFrom<String> for Server {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let whole = text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
        let bare = || text.parse().ok().map(|address| SocketAddr::new(address, 53));
        whole.or_else(bare).map(Self).ok_or_else(|| {
            format!("`{text}` is not a name server: write an IP address, or one with a port, such as \"127.0.0.1:5353\"")
        })
    }
}
