//! Rewriting: makes audited deliveries from a message and its verdict.
//!
//! * [`plan`] decides which copies there are and what each of them contains
//! * `draft` the input of a plan; `fields` the allow-list; `template` what copies share and where they differ;
//!   [`compose`] the fields that we write; `dkim` which signatures survive
//! * [`delivery`] the only thing that can be sent, and only this module can make one
//! * [`again`] the header of a mail that is sent again
//! * [`audit`] the search for the addresses of hidden recipients, in any encoding

pub mod again;
pub mod audit;
pub mod compose;
pub mod delivery;
mod dkim;
mod draft;
mod fields;
pub mod plan;
mod template;

pub use audit::{Hit, Needles};
pub use delivery::Delivery;
