//! Who visits: what [`guard`](super::guard) finds out about a request, and puts into its extensions.

use super::Site;
use crate::token::Token;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// The address that a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client(pub IpAddr);

/// The token that every form must contain, so that no other site can send one.
#[derive(Clone, Debug, Default)]
pub struct FormToken(pub String);

/// The browser of a visitor who signs in or follows a link.
#[derive(Clone, Debug)]
pub struct Browser(pub Token);

impl FromRequestParts<Arc<Site>> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Site>) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}
