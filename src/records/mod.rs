//! What is kept about a message, as types: states are enums, and every state has its reason. No engine of
//! the store is known here, and nothing here decides; [`crate::lifecycle`] does.
//!
//! * `message` messages, their origin and bodies
//! * `hold` what waits for a decision, and what decisions do
//! * `delivery` copies: claimed under a lease, tried, shown in the queue
//! * `notice` what people are told; `hook` what programs are told
//! * `circle` people who may see each other
//! * `upkeep` numbers, and how long all of it is kept

mod circle;
mod delivery;
mod hold;
mod hook;
mod message;
mod notice;
mod upkeep;

pub use circle::*;
pub use delivery::*;
pub use hold::*;
pub use hook::*;
pub use message::*;
pub use notice::*;
pub use upkeep::*;
