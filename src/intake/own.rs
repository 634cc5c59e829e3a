//! Mail of our own making on its way in: notices, reports, mail with a code.

use super::commit::born;
use super::{Enclosed, Intake, OwnMail};
use crate::id::Id;
use crate::message::gathering::header_length;
use crate::message::{Envelope, Header, Recipient};
use crate::rewrite::Delivery;
use crate::rewrite::plan;
use crate::store::{AskId, BodyWriter, InitialState, Message, NewMessage, Origin, StoreError};
use bytes::BytesMut;
use std::sync::Arc;
use tokio::io::AsyncReadExt;

/// Octets of an enclosed mail copied at a time.
const CHUNK: usize = 64 * 1024;

impl Intake {
    /// Accepts mail of our own: no rules apply, and no notice is sent about it.
    ///
    /// # Errors
    /// The store cannot accept the mail, or its header cannot be parsed.
    pub async fn own(&self, mail: OwnMail) -> Result<Id, StoreError> {
        self.tell(mail, Vec::new()).await
    }

    /// Accepts mail of our own that answers these asks; they are removed from the list in the same
    /// transaction.
    ///
    /// # Errors
    /// The store cannot accept the mail, or its header cannot be parsed.
    pub async fn tell(&self, mail: OwnMail, asks: Vec<AskId>) -> Result<Id, StoreError> {
        let received = self.clock().now();
        let id = self.new_id(received);
        let origin = Origin::Own { about: mail.about };
        let stamp = self.stamp(id, received, &origin);
        let at = header_length(&mail.message);
        let header = mail.message.slice(..at);
        let index = Header::parse(header.clone())
            .map_err(|error| StoreError::Unavailable(format!("our own notice cannot be read: {error}")))?;
        let mut body = self.store().new_body().await?;
        body.write(mail.message.slice(at..)).await?;
        if let Some(enclosed) = &mail.enclosed {
            self.enclose(enclosed, body.as_mut()).await?;
        }
        let eight_bit = !mail.message.is_ascii() || mail.enclosed.is_some_and(|enclosed| enclosed.eight_bit);
        let deliveries = plan::own(&index, &mail.to, &stamp);
        let message = Message {
            id,
            received,
            origin,
            envelope: Envelope {
                sender: None,
                recipients: mail.to.into_iter().map(Recipient::plain).collect(),
                smtputf8: deliveries.iter().any(Delivery::needs_utf8),
                eight_bit,
                ret: None,
                envid: None,
            },
            body: body.finish().await?,
            subject: index.text("subject").unwrap_or_default(),
            message_id: index
                .text("message-id")
                .map(|text| text.trim_matches(['<', '>']).to_owned())
                .unwrap_or_default(),
            header,
            verdict: None,
            needles: Arc::default(),
        };
        let new = NewMessage {
            deliveries: born(deliveries, InitialState::Ready),
            answers: mail.answers,
            ..NewMessage::of(message)
        };
        self.commit(new, asks).await?;
        Ok(id)
    }

    /// Appends an enclosed mail.
    async fn enclose(&self, enclosed: &Enclosed, into: &mut dyn BodyWriter) -> Result<(), StoreError> {
        let unreadable = |error| StoreError::Unavailable(format!("an enclosed mail cannot be read: {error}"));
        into.write(enclosed.header.clone()).await?;
        let mut body = self.store().open_body(&enclosed.body).await?.stream;
        loop {
            let mut chunk = BytesMut::with_capacity(CHUNK);
            if body.read_buf(&mut chunk).await.map_err(unreadable)? == 0 {
                break;
            }
            into.write(chunk.freeze()).await?;
        }
        into.write(enclosed.closing.clone()).await
    }
}
