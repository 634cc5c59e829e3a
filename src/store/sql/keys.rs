//! Keys that keep the rows of a message together: the key of a delivery or journal entry is the message's row
//! number, shifted left by 24 bits, plus a number within the message. So the deliveries of a message are one
//! range of the table, and need no index.

/// The number of low bits in the key of a delivery or journal entry that number it within its message.
pub(in crate::store) const NUMBER_BITS: u32 = 24;

/// The key just below a message's range: its rows are numbered from 1.
pub(in crate::store) fn base(message: i64) -> i64 {
    message << NUMBER_BITS
}

/// The last key of a message's range.
pub(in crate::store) fn last(message: i64) -> i64 {
    base(message) | ((1 << NUMBER_BITS) - 1)
}

/// The message that a delivery or journal entry belongs to.
pub(in crate::store) fn message_of(key: i64) -> i64 {
    key >> NUMBER_BITS
}

/// The number of a delivery or journal entry within its message.
pub(in crate::store) fn number_of(key: i64) -> i64 {
    key & ((1 << NUMBER_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_within_their_message() {
        for message in [1, 2, 1 << 38] {
            for number in [1, 77, (1 << 24) - 1] {
                let key = base(message) + number;
                assert_eq!((message_of(key), number_of(key)), (message, number));
                assert!(key <= last(message) && last(message) < base(message + 1));
            }
        }
    }
}
