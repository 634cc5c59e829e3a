//! What is stored about a message, as types: states are enums, and every state has a reason. These types know
//! nothing of the database and decide nothing; [`crate::lifecycle`] does.
//!
//! * `message` messages, their origin and bodies
//! * `hold` held messages and decisions
//! * `delivery` copies: leases, attempts, the queue
//! * `notice` notices to people; `hook` calls to programs
//! * `circle` people who may see each other
//! * `ids` what identifies these in the store
//! * `upkeep` statistics and retention

mod circle;
mod delivery;
mod hold;
mod hook;
mod ids;
mod message;
mod notice;
mod upkeep;

pub use circle::*;
pub use delivery::*;
pub use hold::*;
pub use hook::*;
pub use ids::*;
pub use message::*;
pub use notice::*;
pub use upkeep::*;
