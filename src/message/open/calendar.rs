//! Calendars (RFC 5545): the people named in them.

use crate::message::Address;
use crate::message::inspect::Calendar;
use std::collections::HashSet;

/// Maximum number of octets read of one calendar.
pub(super) const LONGEST: usize = 1_024 * 1_024;
/// Maximum number of addresses kept.
const MOST: usize = 10_000;

/// Reads the method and the addresses of a calendar, folded or not.
pub(super) fn read(text: &str) -> Calendar {
    let text = text.replace("\r\n", "\n").replace("\n ", "").replace("\n\t", "");
    let mut calendar = Calendar::default();
    let mut known = HashSet::new();
    for line in text.lines() {
        let name_end = line.find([':', ';']).unwrap_or(line.len());
        let name = line[..name_end].to_ascii_uppercase();
        match name.as_str() {
            "METHOD" => {
                calendar.method = line[name_end..].trim_start_matches(':').trim().to_ascii_uppercase();
            }
            "ATTENDEE" | "ORGANIZER" | "CONTACT" | "X-MS-OLK-SENDER" => {
                for address in addresses(&line[name_end..]) {
                    if calendar.addresses.len() < MOST && known.insert(address.clone()) {
                        calendar.addresses.push(address);
                    }
                }
            }
            _ => {}
        }
    }
    calendar
}

/// Every address on a line: `mailto:` values, the parameters EMAIL, SENT-BY, MEMBER and DIR, and bare ones.
fn addresses(line: &str) -> Vec<Address> {
    let mut scan = super::written::WrittenScan::default();
    let plain = crate::message::walk::params::percent_decode(line.as_bytes());
    scan.feed(&plain);
    scan.finish(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation() {
        let calendar = read(
            "BEGIN:VCALENDAR\r\nMETHOD:request\r\nBEGIN:VEVENT\r\nORGANIZER;CN=\"Org: x\":mailto:o@x.jp\r\n\
             ATTENDEE;RSVP=TRUE;EMAIL=b@y.jp;CN=b:MAILTO:a@\r\n y.jp\r\nCONTACT:Taro c@z.jp\r\nSUMMARY:d@w.jp\r\n",
        );
        assert_eq!(calendar.method, "REQUEST");
        let found: Vec<&str> = calendar.addresses.iter().map(Address::as_str).collect();
        assert_eq!(found, ["o@x.jp", "b@y.jp", "a@y.jp", "c@z.jp"]);
    }
}
