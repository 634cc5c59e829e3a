//! Renders a copy and searches it once more for hidden addresses: the final check before it is sent.

use super::Courier;
use super::message::Loaded;
use super::seal::{self, SealError};
use crate::message::envelope::Ret;
use crate::rewrite::Hit;
use crate::store::{Body, Claim, OpenBody, StoreError};
use crate::upstream::{Content, Transaction};
use bytes::Bytes;

/// Why a copy is not sent.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It contains a hidden address, or, if there are no hits, its edits do not match the message.
    Unsafe(Vec<Hit>),
    /// Its body cannot be read now.
    Store(StoreError),
    /// It cannot be signed now.
    Unsealed(SealError),
}

/// Renders a copy, audits its header, adds our marks and signs it. Marks and signatures come after the
/// audit because they contain only keyed hashes, signatures and field names, never addresses.
pub(super) async fn prepare(
    courier: &Courier,
    loaded: &Loaded,
    claim: &Claim,
) -> Result<Transaction, Refusal> {
    let store = courier.store.as_ref();
    let header = render(loaded, claim).map_err(Refusal::Unsafe)?;
    let copy = seal::Copy { loaded, claim };
    let sealed = courier.sealer.seal(&copy, header, &courier.cache, store);
    let (header, reseal) = sealed.await.map_err(Refusal::Unsealed)?;
    let stored = &loaded.stored;
    let body = match &stored.body {
        Body::Inline(bytes) => Content::Inline(bytes.clone()),
        body @ Body::Stored { size, .. } => {
            let OpenBody { stream, file } = store.open_body(body).await.map_err(Refusal::Store)?;
            Content::Stream { stream, size: *size, file }
        }
    };
    let rewritten = claim.delivery.is_rewritten();
    // a rewritten copy gets an ENVID of its own, and a report about it need not return the content
    // (RFC 3461 §4.3); letters, digits and dots need no xtext encoding
    let (ret, envid) = if rewritten {
        (Some(Ret::Hdrs), Some(format!("{}.{}", claim.message, claim.lease.delivery)))
    } else {
        (stored.envelope.ret, stored.envelope.envid.clone())
    };
    Ok(Transaction {
        sender: stored.envelope.sender.clone(),
        recipients: claim.delivery.recipients().to_vec(),
        eight_bit: loaded.eight_bit,
        smtputf8: claim.delivery.needs_utf8(),
        header,
        body,
        ret,
        envid,
        reseal,
    })
}

/// Renders the copy's header block. The error is the hits if it contains a hidden address that this copy
/// may not show.
fn render(loaded: &Loaded, claim: &Claim) -> Result<Bytes, Vec<Hit>> {
    let header = claim.delivery.edits().render(&loaded.stored.header).map_err(|_| Vec::new())?;
    if loaded.stored.needles.is_empty() {
        return Ok(header);
    }
    let hits: Vec<Hit> = loaded
        .needles()
        .search_header(&header)
        .into_iter()
        .chain(loaded.needles().search_sender(loaded.stored.envelope.sender.as_ref()))
        .filter(|hit| !claim.delivery.may_show(&hit.address))
        .collect();
    if hits.is_empty() { Ok(header) } else { Err(hits) }
}
