//! Ids that the store gives to what it keeps beside messages. What is in them is the affair of the engine that made
//! them: everybody else compares them and hands them back.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// Defines id types. Only an engine may call `from_engine` and `for_engine`; `tests/layers.rs` holds that.
macro_rules! ids {
    ($($(#[$about:meta])* $name:ident;)*) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// An id, as an engine of the store makes it.
            pub const fn from_engine(content: i64) -> Self {
                Self(content)
            }

            /// The content, for the engine that made it.
            pub const fn for_engine(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// Identifies a delivery in the store. (`MESSAGE.N`, by which people name it, counts within a message.)
    DeliveryId;
    /// Identifies a notice.
    NoticeId;
    /// Identifies a person who is to be told of a held message.
    AskId;
    /// Identifies a call of a hook; it is the same for every attempt.
    HookCallId;
    /// Identifies a circle. People and programs see it as a number.
    CircleId;
    /// Identifies a mail from which the relay may learn; a later one is greater.
    SentId;
}

impl FromStr for CircleId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}
