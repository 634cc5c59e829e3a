//! Executes requests.

use super::{Answer, Met, Request, TokenView, Trace};
use crate::clock::Timestamp;
use crate::desk::Desk;
use crate::desk::DeskError;
use crate::desk::deputies::NotAway;
use crate::desk::principal::Principal;
use crate::id::Id;
use crate::message::Address;
use crate::people::{self, scope::Scopes};
use crate::policy::budget::Sending;
use crate::policy::learned::{Learned, Source};
use crate::policy::verdict::RuleOutcome;
use crate::store::learned::Taught;
use crate::store::{ApiTokenRow, HeldFilter, MessageRow, StoreError};

/// Most deliveries in one answer.
const MOST_DELIVERIES: usize = 20_000;

/// Most messages whose journals are in one answer.
const MOST_JOURNALS: usize = 500;

/// Executes a request on behalf of a user of the operating system. A failure is an answer as well.
pub async fn execute(desk: &Desk, request: Request, user: &str) -> Answer {
    match attempt(desk, request, user).await {
        Ok(answer) => answer,
        Err(error) => Answer::Refused(error.to_string()),
    }
}

/// Why an absence was refused.
fn not_away(why: NotAway) -> Result<Answer, DeskError> {
    match why {
        NotAway::Desk(error) => Err(error),
        why => Ok(Answer::Refused(why.to_string())),
    }
}

async fn attempt(desk: &Desk, request: Request, user: &str) -> Result<Answer, DeskError> {
    let admin = Principal::console(user);
    Ok(match request {
        Request::Held { state, limit } => Answer::Held(desk.list(state, limit).await?),
        Request::ShowHeld { id } => Answer::HeldDetail(Box::new(desk.show(&admin, id).await?)),
        Request::Release { id, how, drop } => Answer::Released(desk.release(&admin, id, how, &drop).await?),
        Request::Return { id, reason } => {
            desk.give_back(&admin, id, &reason).await?;
            Answer::Returned(id)
        }
        Request::Queue { mut filter } => {
            filter.limit = Some(filter.limit.unwrap_or(MOST_DELIVERIES).min(MOST_DELIVERIES));
            Answer::Queue(desk.store.queue(&filter).await?)
        }
        Request::Change { filter, change } => {
            let changed = desk.store.change_queue(&filter, change, user, desk.clock.now()).await?;
            tracing::info!(?change, changed, user, "the queue was changed");
            desk.wake();
            Answer::Changed(changed)
        }
        Request::Trace { text, limit } => {
            let mut traces = Vec::new();
            for message in desk.store.find(&text, limit).await? {
                traces.push(trace(desk, message).await?);
            }
            Answer::Traces(traces)
        }
        Request::Circles => Answer::Circles(desk.circles(&admin).await?),
        Request::MakeCircle { wish } => Answer::Made(desk.make_circle(&admin, wish).await?),
        Request::Absences => Answer::Absences(desk.absences().await?),
        Request::Away { approver, deputy, until } => {
            let done = match until.parse() {
                Ok(until) => desk.go_away(&admin, &approver, &deputy, until).await,
                Err(_) => Err(NotAway::Day),
            };
            match done {
                Ok(()) => Answer::Absent(true),
                Err(why) => not_away(why)?,
            }
        }
        Request::Back { approver } => match desk.come_back(&admin, &approver).await {
            Ok(ended) => Answer::Absent(ended),
            Err(why) => not_away(why)?,
        },
        Request::EndCircle { id } => {
            desk.end_circle(&admin, id).await?;
            Answer::Ended(id)
        }
        Request::Knowledge { references, concerned } => Answer::Knowledge {
            threads: desk.store.disclosed(&references).await?,
            circles: desk.store.circles_in_force(desk.clock.now()).await?.to_vec(),
            shared: desk.store.shared(&references, &concerned).await?,
        },
        Request::MayLearn => Answer::LearnBefore(desk.may_learn(&admin).await?.0),
        Request::Learn { mails } => learn(desk, &admin, mails).await?,
        Request::ArchiveRead { read } => {
            desk.archive_read(&admin, read).await?;
            Answer::Noted
        }
        Request::Forget { address } => Answer::Forgotten(desk.forget(&admin, &address).await?),
        Request::Room { sender, recipients } => Answer::Room(room(desk, sender.as_ref(), &recipients)),
        Request::Verify { head } => Answer::Verified(desk.store.verify_chain_from(head).await?),
        Request::Journal { since, after, limit } => journal(desk, since, after, limit).await?,
        Request::Report { since, offset } => {
            Answer::Report(Box::new(desk.numbers(&admin, since, offset).await?))
        }
        Request::AddToken { name, scopes, expires } => {
            add_token(desk, user, &name, Scopes::of(&scopes), expires).await
        }
        Request::Tokens => {
            Answer::Tokens(desk.store.api_tokens().await?.into_iter().map(token_view).collect())
        }
        Request::RemoveToken { name } => {
            let removed = desk.store.remove_api_token(&name).await?;
            tracing::info!(name, removed, user, "an API token was removed");
            Answer::TokenRemoved(removed)
        }
        Request::Ping => Answer::Pong(env!("CARGO_PKG_VERSION").to_owned()),
    })
}

/// Records for each mail that its people have seen each other's addresses.
async fn learn(desk: &Desk, admin: &Principal, mails: Vec<Met>) -> Result<Answer, DeskError> {
    let together = |met: Met| Learned::together(met.message_id, met.date, met.people, Source::Archive);
    let mails = mails.into_iter().filter_map(|met| together(met).ok()).collect();
    let Taught { learned, known } = desk.learn(admin, mails).await?;
    Ok(Answer::Taught { learned, known })
}

/// The journal entries of the next messages.
async fn journal(
    desk: &Desk,
    since: Timestamp,
    after: Option<Id>,
    limit: usize,
) -> Result<Answer, DeskError> {
    let ids = desk.store.messages_since(since, after, limit.min(MOST_JOURNALS)).await?;
    let mut entries = Vec::new();
    for id in &ids {
        match desk.store.journal(*id).await {
            Ok(more) => entries.extend(more),
            // The message was purged meanwhile.
            Err(StoreError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Answer::Journal { entries, last: ids.last().copied() })
}

async fn add_token(
    desk: &Desk,
    user: &str,
    name: &str,
    scopes: Scopes,
    expires: Option<Timestamp>,
) -> Answer {
    match people::add_token(&*desk.store, name, scopes, expires, user, desk.clock.now()).await {
        Ok(token) => {
            tracing::info!(name, user, "an API token was created");
            Answer::Token(token)
        }
        Err(why) => Answer::Refused(why),
    }
}

fn room(desk: &Desk, sender: Option<&Address>, recipients: &[Address]) -> Option<RuleOutcome> {
    let examiner = desk.examiner.borrow();
    let recipients: Vec<&Address> = recipients.iter().collect();
    let own = examiner.organisation.depends_on_sender().then(|| examiner.organisation.for_sender(sender));
    let organisation = own.as_ref().unwrap_or(&*examiner.organisation);
    examiner.budgets.forecast(Sending { sender, recipients: &recipients, organisation }, &*desk.clock)
}

fn token_view(row: ApiTokenRow) -> TokenView {
    TokenView {
        name: row.name,
        scopes: row.scopes,
        made_by: row.made_by,
        made: row.made,
        used: row.used,
        expires: row.expires,
    }
}

async fn trace(desk: &Desk, message: MessageRow) -> Result<Trace, DeskError> {
    let one = HeldFilter { id: Some(message.id), ..HeldFilter::default() };
    Ok(Trace {
        held: desk.store.held(&one).await?.into_iter().next(),
        deliveries: desk.store.deliveries(message.id).await?,
        events: desk.store.journal(message.id).await?,
        would: message.would.clone(),
        message,
    })
}
