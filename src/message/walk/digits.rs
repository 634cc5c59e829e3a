//! Hexadecimal digits of encodings.

/// The value of a hexadecimal digit (0 for anything else).
pub fn hex_digit(digit: u8) -> u8 {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()).unwrap_or(0)
}
