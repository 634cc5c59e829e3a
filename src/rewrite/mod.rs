//! Rewriting: verdict and message in, deliveries out, each copy audited.
//!
//! * [`plan`] which copies there are, and what each looks like
//! * `draft` what a plan is made from; `fields` the allow-list; `template` what copies share and where they differ; `compose` the
//!   fields we write; `dkim` which signatures survive
//! * [`delivery`] the only thing that can leave, and only this module makes one
//! * [`again`] the header of a mail that is sent a second time
//! * [`audit`] the search for hidden recipients' addresses, in any encoding

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
