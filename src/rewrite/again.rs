//! The header of a mail that is sent again: the same header with a new Message-ID.
//!
//! Hosts such as Exchange and Gmail drop a second mail with the same Message-ID as a duplicate. The Date stays,
//! because it says when the sender completed the mail (RFC 5322 §3.6.1).

use super::dkim::Signature;
use crate::message::Header;
use bytes::Bytes;

/// The header with its Message-ID replaced by this one (without angle brackets), or with this one at the end if it
/// had none. Signatures that cover the Message-ID are left out, because they would be broken (RFC 6376 §3.7). All
/// other fields stay as they are.
pub fn renamed(header: &Header, message_id: &str) -> Bytes {
    let changed = ["message-id".to_owned()];
    let field = format!("Message-ID: <{message_id}>\r\n");
    let mut out = Vec::with_capacity(header.bytes().len() + field.len());
    let mut named = false;
    for one in header.fields() {
        let name = header.name(one);
        if name.eq_ignore_ascii_case(b"message-id") {
            if !named {
                out.extend_from_slice(field.as_bytes());
            }
            named = true;
        } else if !(name.eq_ignore_ascii_case(b"dkim-signature")
            && Signature::read(header.body(one)).covers(&changed))
        {
            out.extend_from_slice(&header.bytes()[one.whole.clone()]);
        }
    }
    if !named {
        // The last line of a message without a body may lack its CRLF.
        if !out.is_empty() && !out.ends_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(field.as_bytes());
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed_text(block: &str) -> String {
        let header = Header::parse(Bytes::from(block.to_owned())).unwrap();
        String::from_utf8(renamed(&header, "new@h").to_vec()).unwrap()
    }

    #[test]
    fn only_the_message_id_changes() {
        for (before, after) in [
            (
                "From: a@x\r\nMessage-ID: <1@x>\r\nDate: d\r\n",
                "From: a@x\r\nMessage-ID: <new@h>\r\nDate: d\r\n",
            ),
            ("MESSAGE-ID :\r\n <1@x>\r\nTo: b@y,\r\n c@z\r\n", "Message-ID: <new@h>\r\nTo: b@y,\r\n c@z\r\n"),
            ("Message-ID: <1@x>\r\nTo: b\r\nMessage-Id: <2@x>\r\n", "Message-ID: <new@h>\r\nTo: b\r\n"),
            ("Subject: \u{4f1a}\u{8b70}\r\n", "Subject: \u{4f1a}\u{8b70}\r\nMessage-ID: <new@h>\r\n"),
            ("Subject: cut off", "Subject: cut off\r\nMessage-ID: <new@h>\r\n"),
            ("", "Message-ID: <new@h>\r\n"),
            ("References: <1@x>\r\nMessage-ID: <1@x>\r\n", "References: <1@x>\r\nMessage-ID: <new@h>\r\n"),
        ] {
            assert_eq!(renamed_text(before), after, "{before:?}");
        }
    }

    #[test]
    fn a_signature_over_the_message_id_goes_and_others_stay() {
        let (over, beside) =
            ("DKIM-Signature: v=1; h=from:Message-ID; b=a\r\n", "DKIM-Signature: v=1; h=from; b=a\r\n");
        let after = renamed_text(&format!("{over}{beside}From: a@x\r\nMessage-ID: <1@x>\r\n"));
        assert_eq!(after, format!("{beside}From: a@x\r\nMessage-ID: <new@h>\r\n"));
    }
}
