//! SCRAM keys as text, in the format of PostgreSQL: `SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER`.

use crate::smtp::sasl::scram::Keys;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Accepted iteration counts.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4_096..=10_000_000;

pub(super) fn write(keys: &Keys) -> String {
    let [salt, stored, server] =
        [keys.salt.as_slice(), &keys.stored, &keys.server].map(|octets| BASE64.encode(octets));
    format!("SCRAM-SHA-256${}:{salt}${stored}:{server}", keys.iterations)
}

pub(super) fn read(text: &str) -> Result<Keys, String> {
    parts(text).ok_or_else(|| "is not of the form SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER".to_owned())
}

fn parts(text: &str) -> Option<Keys> {
    let (how, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
    let (iterations, salt) = how.split_once(':')?;
    let (stored, server) = keys.split_once(':')?;
    let octets = |text: &str| BASE64.decode(text).ok();
    Some(Keys {
        iterations: iterations.parse().ok().filter(|count| ITERATIONS.contains(count))?,
        salt: octets(salt).filter(|salt| (8..=64).contains(&salt.len()))?,
        stored: octets(stored)?.try_into().ok()?,
        server: octets(server)?.try_into().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn there_and_back() {
        let keys = Keys::derive("pencil", vec![7; 16], NonZeroU32::new(4_096).unwrap());
        let text = write(&keys);
        assert_eq!(read(&text), Ok(keys));
        for wrong in [
            "",
            "SCRAM-SHA-1$4096:a$b:c",
            &text.replace("4096", "1"),
            &text.replace(':', "$"),
            &text[..text.len() - 8],
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
