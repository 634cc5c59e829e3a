//! The relay's id of a message, as shown in `queued as ID` and accepted by every command.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Crockford's base 32 in lower case. It has no letters that look like digits.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 16;

/// A message id: 48 bits of time in milliseconds and 32 random bits, as 16 characters that sort by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id([u8; LENGTH]);

impl Id {
    /// A new id for a message received at `now`. The lower 32 bits of `random` are used.
    pub fn new(now: Timestamp, random: u64) -> Self {
        let millis = u128::try_from(now.0.max(0)).unwrap_or(0) & 0xffff_ffff_ffff;
        let value = (millis << 32) | u128::from(random & 0xffff_ffff);
        let mut text = [0u8; LENGTH];
        for (index, slot) in text.iter_mut().enumerate() {
            let shift = 5 * (LENGTH - 1 - index);
            *slot = ALPHABET[usize::try_from((value >> shift) & 31).unwrap_or(0)];
        }
        Self(text)
    }

    /// The id as text: 16 lower-case characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The text is not a message id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a message id: it has 16 characters of 0-9 and a-z without i, l, o and u")]
pub struct NoId(pub String);

impl FromStr for Id {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        let lower = text.to_ascii_lowercase();
        let bytes: [u8; LENGTH] = lower.as_bytes().try_into().map_err(|_| NoId(text.to_owned()))?;
        if bytes.iter().all(|byte| ALPHABET.contains(byte)) {
            Ok(Self(bytes))
        } else {
            Err(NoId(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Id {
    type Error = NoId;

    fn try_from(text: String) -> Result<Self, NoId> {
        text.parse()
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_round_trip() {
        let early = Id::new(Timestamp(1_700_000_000_000), u64::MAX);
        let late = Id::new(Timestamp(1_700_000_000_001), 0);
        assert!(early < late);
        assert_eq!(early.as_str().parse::<Id>(), Ok(early));
        assert!("not-an-id".parse::<Id>().is_err());
    }
}
