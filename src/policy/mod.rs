//! Policy: facts of one message × rules → verdict. Pure: no clock, no database, no network.
//!
//! * [`organisation`] which domains are ours, what counts as one outside organisation
//! * [`approvers`] who is asked about a held message
//! * [`budget`] how much an upstream lets through in a span of time
//! * [`facts`] what one message is, counted as `docs/MAIL.md` §5 says
//! * [`known`] how recipients stand to a sender; domains that are taken for others
//! * [`learned`] who openly wrote with whom
//! * [`risks`] what is dangerous about a held mail, in one list
//! * [`rules`] TOML sets of conditions, and the holds that are built in
//! * [`verdict`] demands, their join, the verdict with its reasons

#[cfg(test)]
mod accidents;
pub mod approvers;
pub mod budget;
pub mod facts;
pub mod known;
pub mod learned;
pub mod organisation;
pub mod risks;
pub mod rules;
pub mod verdict;

pub use approvers::Approvers;
pub use budget::Budgets;
pub use facts::{Facts, Knowledge};
pub use organisation::Organisation;
pub use rules::Policy;
pub use verdict::{Action, Demand, Disclosure, Mode, Timing, Verdict};
