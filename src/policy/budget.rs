//! Budgets: how many recipients whoever runs an upstream lets one sender, or all together, write to in a
//! sliding span of time. What would pass one is held with a forecast, for the upstream would refuse it, and
//! everything after it.
//!
//! What was spent is kept in memory, by slots of ten minutes, and read back from the record of deliveries
//! when the relay starts. A copy is spent when it is planned; one that waits, when it is due.

mod ledger;
mod limit;
#[cfg(test)]
mod tests;

use super::organisation::{Organisation, Standing};
use super::risks::{Kind, Risk};
use super::rules::builtin_title;
use super::verdict::{Bilingual, RuleOutcome};
use super::{Demand, Timing};
use crate::clock::{Clock, Timestamp, zone};
use crate::message::Address;
pub use ledger::Reserved;
use ledger::{Account, Ledger};
pub use limit::{Limit, NoLimit, Whose};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The rule under which a message is held because a budget would be passed.
pub const BUDGET_RULE: &str = "builtin:budget";

/// Which mail goes which way, and what each way allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// Of the usual way out.
    pub usual: Vec<Limit>,
    /// Of those that routes name.
    pub named: BTreeMap<String, Vec<Limit>>,
    /// The first that fits counts.
    pub routes: Vec<Route>,
}

/// Which mail goes another way: all that is said must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Domains of MAIL FROM; `*.` for all below one; none for any.
    pub sender_domains: Vec<String>,
    /// Domains of the recipient, likewise.
    pub recipient_domains: Vec<String>,
    /// The way.
    pub way: String,
}

impl Ways {
    /// The way of one recipient: its name, empty for the usual one, and its limits.
    fn of(&self, sender: Option<&Address>, recipient: &Address) -> (&str, &[Limit]) {
        let fits = |domains: &[String], address: Option<&Address>| {
            domains.is_empty()
                || address.is_some_and(|address| domains.iter().any(|domain| address.is_at(domain)))
        };
        let route = self.routes.iter().find(|route| {
            fits(&route.sender_domains, sender) && fits(&route.recipient_domains, Some(recipient))
        });
        match route {
            Some(route) => (&route.way, self.named.get(&route.way).map_or(&[], Vec::as_slice)),
            None => ("", &self.usual),
        }
    }

    fn limits(&self) -> impl Iterator<Item = (&str, &Limit)> {
        let named = self.named.iter().flat_map(|(way, limits)| limits.iter().map(|one| (way.as_str(), one)));
        self.usual.iter().map(|one| ("", one)).chain(named)
    }

    /// The longest span of any budget; `None` where there is none.
    pub fn longest(&self) -> Option<Duration> {
        self.limits().map(|(_, limit)| limit.per).max()
    }
}

/// What may be spent, and what was.
#[derive(Debug, Default)]
pub struct Budgets {
    ways: Ways,
    ledger: Arc<Mutex<Ledger>>,
}

/// Recipients that leave together.
#[derive(Clone, Copy, Debug)]
pub struct Sending<'a> {
    /// MAIL FROM.
    pub sender: Option<&'a Address>,
    /// Everybody a copy goes to.
    pub recipients: &'a [&'a Address],
    /// Who is ours.
    pub organisation: &'a Organisation,
}

/// What leaves over one way.
struct Asked<'a> {
    limits: &'a [Limit],
    all: u64,
    outside: u64,
}

/// What is asked of one limit.
struct Cost<'a> {
    way: &'a str,
    limit: &'a Limit,
    account: Account,
    wanted: u64,
}

/// One limit that does not hold what is asked of it.
struct Over<'a> {
    way: &'a str,
    limit: &'a Limit,
    used: u64,
    wanted: u64,
    room: Option<Timestamp>,
}

impl Budgets {
    /// With nothing spent.
    pub fn new(ways: Ways) -> Self {
        Self { ways, ledger: Arc::default() }
    }

    /// What they stand on.
    pub fn ways(&self) -> &Ways {
        &self.ways
    }

    /// There is none: nothing is counted.
    pub fn is_idle(&self) -> bool {
        self.ways.limits().next().is_none()
    }

    /// Takes what these recipients cost, due at that moment, if all budgets allow it; else the rule that
    /// holds them, with the forecast. What is taken comes back unless it is kept.
    pub fn reserve(
        &self,
        sending: Sending<'_>,
        at: Timestamp,
        clock: &dyn Clock,
    ) -> Result<Reserved, RuleOutcome> {
        let costs = self.costs(sending);
        let mut ledger = self.lock();
        ledger.sweep(clock.now(), self.ways.longest().unwrap_or_default());
        match over(&ledger, &costs, at) {
            Some(over) => Err(over.outcome(clock)),
            None => Ok(self.taken(&mut ledger, &costs, at)),
        }
    }

    /// The rule that would hold them, if any.
    pub fn forecast(&self, sending: Sending<'_>, clock: &dyn Clock) -> Option<RuleOutcome> {
        let costs = self.costs(sending);
        over(&self.lock(), &costs, clock.now()).map(|over| over.outcome(clock))
    }

    /// Takes it whatever the budgets allow: somebody said so, or it has left already.
    pub fn spend(&self, sending: Sending<'_>, at: Timestamp) {
        let costs = self.costs(sending);
        let taken = self.taken(&mut self.lock(), &costs, at);
        taken.keep();
    }

    /// How far each budget is used up: its way, the budget, and how much of it; of those of each sender, the
    /// most that any has used.
    pub fn used(&self, now: Timestamp) -> Vec<(String, Limit, u64)> {
        let ledger = self.lock();
        let used = |way: &str, limit: &Limit| ledger.most_used(way, limit, now);
        self.ways.limits().map(|(way, limit)| (way.to_owned(), *limit, used(way, limit))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // nothing can panic while it is held
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is asked of each limit.
    fn costs(&self, sending: Sending<'_>) -> Vec<Cost<'_>> {
        let mut ways: BTreeMap<&str, Asked<'_>> = BTreeMap::new();
        for recipient in sending.recipients {
            let (way, limits) = self.ways.of(sending.sender, recipient);
            let outside = sending.organisation.standing(recipient) != Standing::Internal;
            let asked = ways.entry(way).or_insert(Asked { limits, all: 0, outside: 0 });
            asked.all += 1;
            asked.outside += u64::from(outside);
        }
        let mut costs = Vec::new();
        for (way, asked) in ways {
            for limit in asked.limits {
                // reports and the like have no sender whose mailbox could be full
                let Some(account) = Account::of(way, limit, sending.sender) else { continue };
                let wanted = if limit.outside { asked.outside } else { asked.all };
                if wanted > 0 {
                    costs.push(Cost { way, limit, account, wanted });
                }
            }
        }
        costs
    }

    /// Two limits of one account (an hour's and a day's) share what is counted.
    fn taken(&self, ledger: &mut Ledger, costs: &[Cost<'_>], at: Timestamp) -> Reserved {
        let sums = costs.iter().map(|cost| (cost.account.clone(), cost.wanted)).collect();
        ledger.take(&self.ledger, sums, at)
    }
}

/// The limit that has room for this last, if one has not.
fn over<'a>(ledger: &Ledger, costs: &[Cost<'a>], at: Timestamp) -> Option<Over<'a>> {
    let over = costs.iter().filter_map(|cost| {
        let Cost { way, limit, account, wanted } = cost;
        let used = ledger.used(account, limit.per, at);
        let fits = used + wanted <= u64::from(limit.count);
        let room = || ledger.room(account, limit, *wanted, at);
        (!fits).then(|| Over { way, limit, used, wanted: *wanted, room: room() })
    });
    over.max_by_key(|over| over.room.unwrap_or(Timestamp(i64::MAX)))
}

impl Over<'_> {
    fn outcome(&self, clock: &dyn Clock) -> RuleOutcome {
        let Self { way, limit, used, wanted, .. } = self;
        let (count, used, wanted) = (grouped(u64::from(limit.count)), grouped(*used), grouped(*wanted));
        let (span, span_ja) = if limit.per > limit::HOUR { ("day", "24時間") } else { ("hour", "1時間") };
        let (last, last_ja) = if limit.per > limit::HOUR {
            ("the last 24 hours", "直近24時間")
        } else {
            ("the last hour", "直近1時間")
        };
        let (outside, outside_ja) = if limit.outside { ("outside ", "社外") } else { ("", "") };
        let (whose, whose_ja) = match limit.whose {
            Whose::Sender => ("for each sender", "差出人ごと"),
            Whose::All => ("in all", "全体"),
        };
        let (at, at_ja) = if way.is_empty() {
            (String::new(), String::new())
        } else {
            (format!(" at the upstream {way}"), format!("、送信先 {way}"))
        };
        let (zone, now) = (zone(), clock.shown(clock.now()));
        let (room, room_ja) = match self.room.map(|room| clock.shown(room)) {
            Some(room) => (
                format!("room again on {}", room.english(&zone, now)),
                format!("{}以降に空きます", room.japanese(&zone, now)),
            ),
            None => (
                format!("it will not fit at any time, for it is more than one {span} allows"),
                "1回分の上限を超えているため、待っても空きません".to_owned(),
            ),
        };
        let said = Bilingual::new(
            format!(
                "over the budget of {count} {outside}recipients a {span} {whose}{at}: this mail goes to {wanted}; \
                 {used} of {count} used in {last}; {room}"
            ),
            format!(
                "送信数の上限（{span_ja}に{outside_ja}宛先{count}名、{whose_ja}{at_ja}）を超えます：\
                 このメールの宛先は{wanted}名、{last_ja}に{count}名中{used}名分を使用済みです。{room_ja}"
            ),
        );
        RuleOutcome {
            name: BUDGET_RULE.to_owned(),
            matched: true,
            demand: Demand { timing: Timing::Hold, ..Demand::default() },
            why: said.en.clone(),
            why_ja: said.ja.clone(),
            title: builtin_title(BUDGET_RULE),
            risks: vec![Risk { text: Some(said), ..Risk::new(Kind::Rule) }],
        }
    }
}

/// `22,059`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
