//! Sending budgets. An upstream's operator limits how many recipients one sender, or all senders together,
//! may write to in a sliding period. A message that would exceed a budget is held, with a forecast of when it
//! would fit, because the upstream would refuse it and all mail after it.
//!
//! Usage is kept in memory in ten-minute slots, and restored from the stored deliveries at start. A copy
//! counts from the moment it is planned, or, if it is delayed, from the moment it is due.

mod ledger;
mod limit;
mod sharing;
#[cfg(test)]
mod tests;

use super::organisation::{Affiliation, Organisation};
use super::risks::{Kind, Risk};
use super::rules::builtin_title;
use super::verdict::{Bilingual, RuleOutcome};
use super::{Demand, Timing};
use crate::clock::{Clock, Timestamp, zone};
use crate::message::Address;
pub use ledger::Reserved;
use ledger::{Account, Ledger};
pub use limit::{Limit, NoLimit, Whose};
pub use sharing::{Ask, Given};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The rule that holds a message because it would exceed a budget.
pub const BUDGET_RULE: &str = "builtin:budget";

/// Which mail takes which route, and the budgets of each route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteBudgets {
    /// Budgets of the default upstream.
    pub usual: Vec<Limit>,
    /// Budgets of the upstreams that routes name.
    pub named: BTreeMap<String, Vec<Limit>>,
    /// The routes in order; the first that matches is taken.
    pub routes: Vec<Route>,
}

/// Selects an upstream; every condition given must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Domains of MAIL FROM; `*.example.jp` includes all subdomains; empty matches every sender.
    pub sender_domains: Vec<String>,
    /// Domains of the recipient, in the same form.
    pub recipient_domains: Vec<String>,
    /// Name of the upstream.
    pub upstream: String,
}

impl RouteBudgets {
    /// The upstream of one recipient: its name (empty for the default) and its budgets.
    fn of(&self, sender: Option<&Address>, recipient: &Address) -> (&str, &[Limit]) {
        let fits = |domains: &[String], address: Option<&Address>| {
            domains.is_empty()
                || address.is_some_and(|address| domains.iter().any(|domain| address.is_at(domain)))
        };
        let route = self.routes.iter().find(|route| {
            fits(&route.sender_domains, sender) && fits(&route.recipient_domains, Some(recipient))
        });
        match route {
            Some(route) => (&route.upstream, self.named.get(&route.upstream).map_or(&[], Vec::as_slice)),
            None => ("", &self.usual),
        }
    }

    fn limits(&self) -> impl Iterator<Item = (&str, &Limit)> {
        let named = self
            .named
            .iter()
            .flat_map(|(upstream, limits)| limits.iter().map(|one| (upstream.as_str(), one)));
        self.usual.iter().map(|one| ("", one)).chain(named)
    }

    /// The longest period of any budget; `None` if there is no budget.
    pub fn longest(&self) -> Option<Duration> {
        self.limits().map(|(_, limit)| limit.per).max()
    }
}

/// The budgets and their current usage.
#[derive(Debug, Default)]
pub struct Budgets {
    by_route: RouteBudgets,
    ledger: Arc<Mutex<Ledger>>,
}

/// Recipients of copies that are sent together.
#[derive(Clone, Copy, Debug)]
pub struct Sending<'a> {
    /// MAIL FROM.
    pub sender: Option<&'a Address>,
    /// The recipients of all copies.
    pub recipients: &'a [&'a Address],
    /// Decides which recipients are outside.
    pub organisation: &'a Organisation,
}

/// The recipients of one upstream.
struct RouteRecipients<'a> {
    limits: &'a [Limit],
    all: u64,
    outside: u64,
}

/// What a mail costs of one budget.
struct Cost<'a> {
    upstream: &'a str,
    limit: &'a Limit,
    account: Account,
    wanted: u64,
}

/// A budget that would be exceeded.
struct Over<'a> {
    upstream: &'a str,
    limit: &'a Limit,
    used: u64,
    wanted: u64,
    room: Option<Timestamp>,
}

impl Budgets {
    /// Creates budgets with nothing used.
    pub fn new(by_route: RouteBudgets) -> Self {
        Self { by_route, ledger: Arc::default() }
    }

    /// The routes and budgets.
    pub fn by_route(&self) -> &RouteBudgets {
        &self.by_route
    }

    /// Whether no budget is configured, so that nothing is counted.
    pub fn is_idle(&self) -> bool {
        self.by_route.limits().next().is_none()
    }

    /// Reserves what these recipients cost at the given time if every budget allows it; otherwise returns the
    /// rule that holds the message, with a forecast. The reservation is given back when dropped unless it is
    /// kept.
    pub fn reserve(
        &self,
        sending: Sending<'_>,
        at: Timestamp,
        clock: &dyn Clock,
    ) -> Result<Reserved, RuleOutcome> {
        let costs = self.costs(sending);
        let mut ledger = self.lock();
        ledger.sweep(clock.now(), self.by_route.longest().unwrap_or_default());
        match over(&ledger, &costs, at) {
            Some(over) => Err(over.outcome(clock)),
            None => Ok(self.taken(&mut ledger, &costs, at)),
        }
    }

    /// The rule that would hold a message to these recipients, if any.
    pub fn forecast(&self, sending: Sending<'_>, clock: &dyn Clock) -> Option<RuleOutcome> {
        let costs = self.costs(sending);
        over(&self.lock(), &costs, clock.now()).map(|over| over.outcome(clock))
    }

    /// Counts these recipients even if a budget is exceeded, because a person released them or they were sent
    /// already.
    pub fn spend(&self, sending: Sending<'_>, at: Timestamp) {
        let costs = self.costs(sending);
        let taken = self.taken(&mut self.lock(), &costs, at);
        taken.keep();
    }

    /// Usage of every budget: upstream, budget and recipients used. For a budget per sender, the highest
    /// usage of any sender.
    pub fn used(&self, now: Timestamp) -> Vec<(String, Limit, u64)> {
        let ledger = self.lock();
        let used = |upstream: &str, limit: &Limit| ledger.most_used(upstream, limit, now);
        self.by_route
            .limits()
            .map(|(upstream, limit)| (upstream.to_owned(), *limit, used(upstream, limit)))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // no code can panic while the lock is held, so the data is consistent
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cost for each budget.
    fn costs(&self, sending: Sending<'_>) -> Vec<Cost<'_>> {
        let mut by_route: BTreeMap<&str, RouteRecipients<'_>> = BTreeMap::new();
        for recipient in sending.recipients {
            let (upstream, limits) = self.by_route.of(sending.sender, recipient);
            let outside = sending.organisation.affiliation(recipient) != Affiliation::Internal;
            let asked = by_route.entry(upstream).or_insert(RouteRecipients { limits, all: 0, outside: 0 });
            asked.all += 1;
            asked.outside += u64::from(outside);
        }
        let mut costs = Vec::new();
        for (upstream, asked) in by_route {
            for limit in asked.limits {
                // a report has the null sender, and so no account that a budget per sender could limit
                let Some(account) = Account::of(upstream, limit, sending.sender) else { continue };
                let wanted = if limit.outside { asked.outside } else { asked.all };
                if wanted > 0 {
                    costs.push(Cost { upstream, limit, account, wanted });
                }
            }
        }
        costs
    }

    /// Budgets of the same account (hourly and daily) share one count.
    fn taken(&self, ledger: &mut Ledger, costs: &[Cost<'_>], at: Timestamp) -> Reserved {
        let sums = costs.iter().map(|cost| (cost.account.clone(), cost.wanted)).collect();
        ledger.take(&self.ledger, sums, at)
    }
}

/// Of the budgets that would be exceeded, the one that has room again last.
fn over<'a>(ledger: &Ledger, costs: &[Cost<'a>], at: Timestamp) -> Option<Over<'a>> {
    let over = costs.iter().filter_map(|cost| {
        let Cost { upstream, limit, account, wanted } = cost;
        let used = ledger.used(account, limit.per, at);
        let fits = used + wanted <= u64::from(limit.count);
        let room = || ledger.room(account, limit, *wanted, at);
        (!fits).then(|| Over { upstream, limit, used, wanted: *wanted, room: room() })
    });
    over.max_by_key(|over| over.room.unwrap_or(Timestamp(i64::MAX)))
}

impl Over<'_> {
    fn outcome(&self, clock: &dyn Clock) -> RuleOutcome {
        let Self { upstream, limit, used, wanted, .. } = self;
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
        let (at, at_ja) = if upstream.is_empty() {
            (String::new(), String::new())
        } else {
            (format!(" at the upstream {upstream}"), format!("、送信先 {upstream}"))
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

/// A number with thousands separators: `22,059`.
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
