//! One copy, rendered and looked at once more: the second lock before anything leaves.

use super::Courier;
use super::message::Loaded;
use super::seal::{self, SealError};
use crate::message::envelope::Ret;
use crate::rewrite::Hit;
use crate::store::{Body, Claim, StoreError};
use crate::upstream::{Content, Transaction};
use bytes::Bytes;

/// Why a copy does not leave.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A hidden address stands in it, or (without hits) it does not belong to its message.
    Unsafe(Vec<Hit>),
    /// Its body cannot be had now.
    Store(StoreError),
    /// It cannot be signed now.
    Unsealed(SealError),
}

/// Renders a copy, audits its header, and seals it. What the seals add is keyed hashes, signatures and
/// names of fields: nothing that a search for addresses could find.
pub(super) async fn prepare(
    courier: &Courier,
    loaded: &Loaded,
    claim: &Claim,
) -> Result<Transaction, Refusal> {
    let store = courier.store.as_ref();
    let header = render(loaded, claim).map_err(Refusal::Unsafe)?;
    let copy = seal::Copy { loaded, claim };
    let sealed = courier.sealer.seal(&copy, header, &courier.shelf, store);
    let (header, reseal) = sealed.await.map_err(Refusal::Unsealed)?;
    let stored = &loaded.stored;
    let body = match &stored.body {
        Body::Inline(bytes) => Content::Inline(bytes.clone()),
        body @ Body::Stored { size, .. } => {
            Content::Stream(store.open_body(body).await.map_err(Refusal::Store)?, *size)
        }
    };
    let rewritten = claim.delivery.is_rewritten();
    // a copy of our own making has a name of its own, and its report needs no content (RFC 3461 §4.3);
    // letters, digits, and dots are xtext
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

/// The copy's header block, with no hidden address in it but those this copy may show.
fn render(loaded: &Loaded, claim: &Claim) -> Result<Bytes, Vec<Hit>> {
    let header = claim.delivery.edits().render(&loaded.stored.header).map_err(|_| Vec::new())?;
    if loaded.stored.needles.is_empty() {
        return Ok(header);
    }
    let hits: Vec<Hit> = loaded
        .needles()
        .search_header(&header)
        .into_iter()
        .filter(|hit| !claim.delivery.may_show(&hit.address))
        .collect();
    if hits.is_empty() { Ok(header) } else { Err(hits) }
}
