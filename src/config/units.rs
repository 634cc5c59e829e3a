//! Values with units, as people write them in the configuration: `"5m"`, `"150MB"`, `"192.0.2.0/24"`.

use ipnet::IpNet;
use serde::Deserialize;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

/// A duration: `"30s"`, `"5m"`, `"1h30m"`, `"3d"`, `"2w"`, `"1y"` (365 days).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is not a span of time: write a number and s, m, h, d, w or y, such as \"5m\"")
        };
        let mut rest = text.trim();
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = rest[digits..].trim_start();
            let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let seconds = match &rest[..letters] {
                "s" | "sec" => 1,
                "m" | "min" => 60,
                "h" => 3_600,
                "d" => 86_400,
                "w" => 604_800,
                "y" => 365 * 86_400,
                _ => return Err(wrong()),
            };
            rest = rest[letters..].trim_start();
            total = number.checked_mul(seconds).and_then(|n| n.checked_add(total)).ok_or_else(wrong)?;
        }
        // A hundred years: beyond any use, and safe to add to any date.
        if total > 100 * 366 * 86_400 {
            return Err(format!("`{text}` is longer than a hundred years"));
        }
        Ok(Self(Duration::from_secs(total)))
    }
}

/// A number of octets: `"25MB"`, `"1MiB"`, `"65536"`. 1 KB is 1,024 octets, as mail hosts count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a size: write a number and KB, MB or GB, such as \"150MB\"");
        let text_trimmed = text.trim();
        let digits = text_trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(text_trimmed.len());
        let number: u64 = text_trimmed[..digits].parse().map_err(|_| wrong())?;
        let unit: u64 = match text_trimmed[digits..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" | "kib" => 1 << 10,
            "m" | "mb" | "mib" => 1 << 20,
            "g" | "gb" | "gib" => 1 << 30,
            _ => return Err(wrong()),
        };
        number.checked_mul(unit).map(Self).ok_or_else(wrong)
    }
}

/// A network in CIDR form, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network(pub IpNet);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(IpNet::from(address)));
        }
        text.parse().map(Self).map_err(|_| {
            format!(
                "`{text}` is not a network: write an address and a prefix length, such as \"192.0.2.0/24\""
            )
        })
    }
}

macro_rules! from_text {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
    )*};
}
from_text!(Span, Size, Network);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
        let fits = units.iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
        let (unit, name) = fits.unwrap_or(&(1, "s"));
        write!(f, "{}{name}", seconds / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let table = [
            ("30s", 30),
            ("5m", 300),
            ("1h30m", 5_400),
            ("3d", 259_200),
            ("2w", 1_209_600),
            ("1y", 31_536_000),
            ("0s", 0),
        ];
        for (text, seconds) in table {
            assert_eq!(text.parse(), Ok(Span(Duration::from_secs(seconds))), "{text}");
        }
        for text in ["", "5", "m", "5 fortnights", "-1s", "1.5h", "99999999999999999999s", "900000d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        assert_eq!(Span(Duration::from_hours(72)).to_string(), "3d");
        assert_eq!(Span(Duration::from_mins(90)).to_string(), "90m");
    }

    #[test]
    fn sizes() {
        let table = [("1", 1), ("64KiB", 65_536), ("150MB", 157_286_400), ("2 GB", 2_147_483_648)];
        for (text, octets) in table {
            assert_eq!(text.parse(), Ok(Size(octets)), "{text}");
        }
        for text in ["", "MB", "1TB", "1.5MB", "99999999999999999GB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn networks() {
        assert_eq!("192.0.2.1".parse::<Network>().map(|n| n.0.to_string()), Ok("192.0.2.1/32".to_owned()));
        assert!("192.0.2.0/33".parse::<Network>().is_err());
    }
}
