//! Policy: rules turn the facts of one message into a verdict. Pure functions: no clock, no database, no
//! network.
//!
//! * [`organisation`] which domains are ours, what counts as one outside organisation
//! * [`approvers`] who is asked about a held message
//! * [`budget`] how many recipients an upstream accepts in a period
//! * [`facts`] the facts of one message, counted as `docs/MAIL.md` §5 says
//! * [`learned`] who openly wrote with whom
//! * [`risks`] what is dangerous about a held mail
//! * [`rules`] the rules from policy files, and the built-in holds
//! * [`verdict`] demands, their join, and the verdict with its reasons

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
