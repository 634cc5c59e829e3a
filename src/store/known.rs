//! Whom each sender's mail reached before: kept up as copies are delivered, asked by the desk.

use super::StoreError;
use crate::clock::Timestamp;
use crate::message::Address;
use async_trait::async_trait;
use std::collections::HashMap;

/// What is known of a sender's correspondents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Correspondents {
    /// Of the recipients asked about, those written to before, by comparison key: when last, to the day.
    pub last: HashMap<String, Timestamp>,
    /// Domains of this sender's correspondents, in comparison form.
    pub domains: Vec<String>,
}

/// What an engine knows of correspondents.
#[async_trait]
pub trait KnownStore {
    /// Which of these recipients mail of this sender reached before, and up to `most` domains that it
    /// reached, the latest written to first.
    async fn correspondents(
        &self,
        sender: &Address,
        recipients: &[Address],
        most: usize,
    ) -> Result<Correspondents, StoreError>;
}
