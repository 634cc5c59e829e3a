//! The extensions that the next hop offers in its reply to EHLO (RFC 5321 §4.1.1.1).

use crate::smtp::Reply;

/// The extensions we use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "keywords, each offered or not")]
pub(super) struct Capabilities {
    /// PIPELINING (RFC 2920).
    pub(super) pipelining: bool,
    /// SIZE (RFC 1870): the largest message in octets; `Some(0)` if offered without a limit.
    pub(super) size: Option<u64>,
    /// 8BITMIME (RFC 6152).
    pub(super) eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub(super) smtputf8: bool,
    /// DSN (RFC 3461).
    pub(super) dsn: bool,
    /// STARTTLS (RFC 3207).
    pub(super) starttls: bool,
    /// AUTH PLAIN (RFC 4954).
    pub(super) auth_plain: bool,
    /// AUTH LOGIN.
    pub(super) auth_login: bool,
    /// AUTH SCRAM-SHA-256.
    pub(super) auth_scram: bool,
    /// AUTH XOAUTH2.
    pub(super) auth_xoauth2: bool,
}

impl Capabilities {
    /// Parses a reply to EHLO. The first line is the host's name and is skipped.
    pub(super) fn read(reply: &Reply) -> Self {
        let mut found = Self::default();
        for line in reply.lines().iter().skip(1) {
            // old servers wrote `AUTH=LOGIN`
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            match keyword.as_str() {
                "PIPELINING" => found.pipelining = true,
                "SIZE" => found.size = Some(words.next().and_then(|size| size.parse().ok()).unwrap_or(0)),
                "8BITMIME" => found.eight_bit = true,
                "SMTPUTF8" => found.smtputf8 = true,
                "DSN" => found.dsn = true,
                "STARTTLS" => found.starttls = true,
                "AUTH" => {
                    for mechanism in words {
                        found.auth_plain |= mechanism.eq_ignore_ascii_case("PLAIN");
                        found.auth_login |= mechanism.eq_ignore_ascii_case("LOGIN");
                        found.auth_scram |= mechanism.eq_ignore_ascii_case("SCRAM-SHA-256");
                        found.auth_xoauth2 |= mechanism.eq_ignore_ascii_case("XOAUTH2");
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// The largest message in octets, if the next hop names a limit.
    pub(super) fn size_limit(&self) -> Option<u64> {
        self.size.filter(|&limit| limit > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::ReplyReader;

    fn read(text: &str) -> Capabilities {
        Capabilities::read(&ReplyReader::new().read(text.as_bytes()).unwrap().1.unwrap())
    }

    #[test]
    fn keywords_in_any_case_and_the_first_line_is_no_keyword() {
        let all = read(
            "250-DSN greets you\r\n250-pipelining\r\n250-SIZE 1000\r\n250-8bitmime\r\n250-SMTPUTF8\r\n\
             250-STARTTLS\r\n250-AUTH LOGIN CRAM-MD5 plain scram-sha-256\r\n250 HELP\r\n",
        );
        let expected = Capabilities {
            pipelining: true,
            size: Some(1000),
            eight_bit: true,
            smtputf8: true,
            dsn: false,
            starttls: true,
            auth_plain: true,
            auth_login: true,
            auth_scram: true,
            auth_xoauth2: false,
        };
        assert_eq!(all, expected);
        assert_eq!(read("250 x\r\n"), Capabilities::default());
        assert_eq!(read("250-x\r\n250 SIZE\r\n").size_limit(), None);
        assert_eq!(read("250-x\r\n250 SIZE 99999999999999999999999\r\n").size_limit(), None);
        assert!(read("250-x\r\n250 AUTH=LOGIN\r\n").auth_login);
    }
}
