//! Makes the links in notices.

use super::DeskError;
use super::links::Links;
use crate::message::Address;
use crate::notice::links::LinkMaker;
use crate::store::absences::Absence;
use crate::store::{LinkAction, StoreError, StoredMessage};
use async_trait::async_trait;

#[async_trait]
impl LinkMaker for Links {
    async fn links(
        &self,
        person: &Address,
        message: &StoredMessage,
        wanted: &[LinkAction],
    ) -> Result<Vec<String>, StoreError> {
        self.new_links(person, message, wanted).await.map_err(of_store)
    }

    fn page(&self, path: &str) -> Option<String> {
        Self::page(self, path)
    }

    async fn away(&self) -> Result<Vec<Absence>, StoreError> {
        Self::away(self).await.map_err(of_store)
    }
}

/// The error as the postman handles it.
fn of_store(error: DeskError) -> StoreError {
    match error {
        DeskError::Store(error) => error,
        other => StoreError::Unavailable(other.to_string()),
    }
}
