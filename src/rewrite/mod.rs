//! Rewriting: verdict and message in, deliveries out, each copy audited.
//!
//! * [`delivery`] the only thing that can leave, and only this module makes one
//! * [`plan`] which copies there are, and what each looks like
//! * [`audit`] the search for hidden recipients' addresses, in any encoding

pub mod audit;
pub mod delivery;
pub mod plan;

pub use audit::{Hit, Needles};
pub use delivery::Delivery;
