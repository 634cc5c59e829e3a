//! Absent approvers and their deputies, as configured or as approvers entered themselves; and whether a
//! person currently decides on a message.

use super::principal::{Parties, Principal};
use super::{Desk, DeskError};
use crate::message::Address;
use crate::notice::asking::in_time;
use crate::policy::Approvers;
use crate::policy::approvers::NamedApprover;
use crate::store::absences::Absence;
use crate::store::{AskWhy, HeldQuery, HeldState, Order, Scope, StoredMessage};
use jiff::civil::Date;

/// Held mails that a deputy is asked about in one transaction.
const HAND_OVER: usize = 100;
/// Longest absence, in days.
pub const LONGEST: i32 = 366;

/// A person's current role in the decision on a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecisionRole {
    /// They decide.
    Decides,
    /// They are away, and these deputies decide instead.
    Away(Vec<Address>),
    /// They do not decide on it, or no longer.
    Not,
}

/// Why an absence was refused.
#[derive(Debug, thiserror::Error)]
pub enum NotAway {
    /// This address is not an approver's, or not the person's own.
    #[error("you cannot set an absence for {0}")]
    NotTheirs(Address),
    /// The named deputy may not stand in.
    #[error("{deputy} cannot stand in for {approver}: a deputy must be an approver of the same mail")]
    Deputy {
        /// The absent approver.
        approver: Address,
        /// The named deputy.
        deputy: Address,
    },
    /// The last day is in the past, or too far in the future.
    #[error("the last day must be today or later, and at most {LONGEST} days from now")]
    Day,
    /// Another error of the desk.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl Desk {
    /// Today in the time zone of working hours.
    pub fn today(&self) -> Date {
        self.asking.borrow().hours.day(self.now())
    }

    /// The current absences that approvers entered themselves, each with the deputies who are still allowed.
    ///
    /// # Errors
    /// The store failed.
    pub async fn absences(&self) -> Result<Vec<Absence>, DeskError> {
        let today = self.today().to_string();
        let mut all = self.store.absences(&today).await?;
        all.retain(|one| self.deputies_of(&one.approver).iter().any(|may| may.key() == one.deputy.key()));
        Ok(all)
    }

    /// Who may stand in for an approver: those who are asked about all the same mail, the configured
    /// deputies, and the fallback approvers. Empty if the address is not an approver's.
    pub fn deputies_of(&self, approver: &Address) -> Vec<Address> {
        let approvers = std::sync::Arc::clone(&self.examiner.borrow().approvers);
        let own = self.asking.borrow().approvers.get(approver.key()).map(|own| own.deputies.clone());
        candidates(&approvers, approver, &own.unwrap_or_default())
    }

    /// The addresses of a person that are asked to decide.
    pub fn decides_as(&self, who: &Principal) -> Vec<Address> {
        let approvers = std::sync::Arc::clone(&self.examiner.borrow().approvers);
        let is_asked = |one: &&Address| approvers.all().any(|asked| asked.key() == one.key());
        who.addresses.iter().filter(is_asked).cloned().collect()
    }

    /// Stores that an approver is away until a day (inclusive), and who decides meanwhile. Approvers do this
    /// for themselves, administrators for anybody.
    ///
    /// # Errors
    /// The approver, the deputy or the day is refused, or the store failed.
    pub async fn go_away(
        &self,
        who: &Principal,
        approver: &Address,
        deputy: &Address,
        until: Date,
    ) -> Result<(), NotAway> {
        self.may_set(who, approver)?;
        let today = self.today();
        let days = until.since(today).map_or(-1, |span| span.get_days());
        if !(0..=LONGEST).contains(&days) {
            return Err(NotAway::Day);
        }
        let deputy = self
            .deputies_of(approver)
            .into_iter()
            .find(|one| one.key() == deputy.key())
            .ok_or_else(|| NotAway::Deputy { approver: approver.clone(), deputy: deputy.clone() })?;
        let absence = Absence {
            approver: approver.clone(),
            deputy,
            until: until.to_string(),
            made_by: who.name.clone(),
            made_at: self.now(),
        };
        self.store.set_absence(absence).await.map_err(DeskError::from)?;
        tracing::info!(by = who.name, "an approver is away: a deputy decides meanwhile");
        self.hand_over(approver).await?;
        Ok(())
    }

    /// Asks the deputies of an absent approver about held mail that the approver was asked about.
    async fn hand_over(&self, approver: &Address) -> Result<(), DeskError> {
        let absences = self.absences().await?;
        let asking = self.asking.borrow().with(&absences, self.now());
        let scope = Scope::Of { senders: Vec::new(), approvers: vec![approver.key().to_owned()] };
        let mut waiting = HeldQuery {
            state: Some(HeldState::Held),
            order: Order::Deadline,
            limit: HAND_OVER,
            ..HeldQuery::new(scope)
        };
        let mut asked = 0;
        loop {
            let page = self.store.held_page(&waiting).await?;
            let now = self.now();
            let mut asks = Vec::new();
            for line in &page.lines {
                let senders = Parties::of(&self.store.message(line.id).await?).senders;
                let plan = asking.plan(std::slice::from_ref(approver), &senders, false, now);
                let deputies = plan.into_iter().filter(|ask| ask.why == AskWhy::Deputy).collect();
                asks.extend(in_time(deputies, line.expires, now).into_iter().map(|ask| (line.id, ask)));
            }
            asked += self.store.ask_deputies(approver, asks).await?;
            let Some(next) = page.next else { break };
            waiting.after = Some(next);
        }
        if asked > 0 {
            tracing::info!(mails = asked, "a deputy is asked about mail that waits already");
            self.wake();
        }
        Ok(())
    }

    /// Ends an approver's absence; returns whether they were away.
    ///
    /// # Errors
    /// The address is not the person's own, or the store failed.
    pub async fn come_back(&self, who: &Principal, approver: &Address) -> Result<bool, NotAway> {
        self.may_set(who, approver)?;
        let ended = self.store.end_absence(approver, &who.name, self.now()).await.map_err(DeskError::from)?;
        if ended {
            tracing::info!(by = who.name, "an approver is back");
        }
        Ok(ended)
    }

    fn may_set(&self, who: &Principal, approver: &Address) -> Result<(), NotAway> {
        let theirs = who.addresses.iter().any(|own| own.key() == approver.key());
        let approvers = std::sync::Arc::clone(&self.examiner.borrow().approvers);
        let asked = approvers.all().any(|one| one.key() == approver.key());
        if asked && (theirs || who.roles.admin) { Ok(()) } else { Err(NotAway::NotTheirs(approver.clone())) }
    }

    /// A person's role in the decision on a message, by the configuration and the current absences.
    ///
    /// # Errors
    /// The store failed.
    pub async fn decides_now(
        &self,
        person: &Address,
        message: &StoredMessage,
    ) -> Result<DecisionRole, DeskError> {
        let senders = Parties::of(message).senders;
        let is = |one: &Address| one.key() == person.key();
        if senders.iter().any(is) {
            return Ok(DecisionRole::Not);
        }
        let approvers = std::sync::Arc::clone(&self.examiner.borrow().approvers);
        let borrowed: Vec<&Address> = senders.iter().collect();
        let asked = match &message.verdict {
            Some(verdict) => approvers.of(verdict, &borrowed),
            None => approvers.otherwise(&borrowed),
        };
        let now = self.now();
        let absences = self.absences().await?;
        let asking = self.asking.borrow().with(&absences, now);
        let told: Vec<Address> =
            asking.plan(&asked, &senders, true, now).into_iter().map(|ask| ask.approver).collect();
        if told.iter().any(is) || approvers.behind.iter().any(is) {
            return Ok(DecisionRole::Decides);
        }
        if asked.iter().any(is) {
            let own = asking.plan(std::slice::from_ref(person), &senders, true, now);
            return Ok(DecisionRole::Away(own.into_iter().map(|ask| ask.approver).collect()));
        }
        Ok(DecisionRole::Not)
    }
}

/// Who may stand in for an approver.
fn candidates(approvers: &Approvers, approver: &Address, configured: &[Address]) -> Vec<Address> {
    let mut found: Vec<Address> = Vec::new();
    let mut add = |one: &Address| {
        if one.key() != approver.key() && found.iter().all(|known| known.key() != one.key()) {
            found.push(one.clone());
        }
    };
    if !approvers.all().any(|one| one.key() == approver.key()) {
        return found;
    }
    let lists = std::iter::once(&approvers.everything).chain(approvers.by_rule.values());
    let lists = lists.chain(approvers.groups.iter().map(|group| &group.approvers));
    let addresses =
        |list: &[NamedApprover]| list.iter().filter_map(NamedApprover::address).cloned().collect::<Vec<_>>();
    let holds = |list: &[Address], one: &Address| list.iter().any(|known| known.key() == one.key());
    let mine: Vec<Vec<Address>> =
        lists.map(|list| addresses(list)).filter(|list| holds(list, approver)).collect();
    let same = match mine.split_first() {
        Some((first, rest)) => {
            first.iter().filter(|one| rest.iter().all(|list| holds(list, one))).cloned().collect()
        }
        // a manager is not in any list; the approvers for everything may stand in
        None => addresses(&approvers.everything),
    };
    same.iter().chain(configured).chain(&approvers.behind).for_each(&mut add);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::approvers::SenderGroup;
    use std::collections::HashMap;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn asked(texts: &[&str]) -> Vec<NamedApprover> {
        texts.iter().map(|text| NamedApprover::try_from((*text).to_owned()).unwrap()).collect()
    }

    #[test]
    fn deputies_decide_on_the_same_mail() {
        let group =
            |name: &str, who: &[&str]| SenderGroup::new(name, &["x@example.jp".into()], asked(who)).unwrap();
        let approvers = Approvers {
            everything: asked(&["a@x.jp", "b@x.jp", "c@x.jp"]),
            by_rule: HashMap::from([("r".to_owned(), asked(&["a@x.jp", "b@x.jp", "manager"]))]),
            groups: vec![group("g", &["d@x.jp", "e@x.jp"])],
            behind: vec![address("admin@x.jp")],
            ..Approvers::default()
        };
        for (who, configured, expected) in [
            ("a@x.jp", &[][..], &["b@x.jp", "admin@x.jp"][..]),
            ("A@X.jp", &["z@x.jp"], &["b@x.jp", "z@x.jp", "admin@x.jp"]),
            ("c@x.jp", &[], &["a@x.jp", "b@x.jp", "admin@x.jp"]),
            ("d@x.jp", &[], &["e@x.jp", "admin@x.jp"]),
            ("nobody@x.jp", &["z@x.jp"], &[]),
        ] {
            let configured: Vec<Address> = configured.iter().map(|one| address(one)).collect();
            let found = candidates(&approvers, &address(who), &configured);
            assert_eq!(found.iter().map(Address::as_str).collect::<Vec<_>>(), expected, "{who}");
        }
    }
}
