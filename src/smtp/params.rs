//! ESMTP parameters of MAIL and RCPT: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), AUTH
//! (RFC 4954), and RET, ENVID, NOTIFY, ORCPT (RFC 3461).

use crate::message::envelope::{Notify, Ret};

/// The reply that refuses parameters: code with enhanced code, and text.
pub(super) type Refused = (&'static str, &'static str);

const MALFORMED: &str = "501 5.5.4";
const UNKNOWN: Refused = ("555 5.5.4", "a parameter that this relay does not know");
const TWICE: Refused = (MALFORMED, "a parameter given twice");

/// Parameters of MAIL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailParams {
    /// `SIZE=`, in octets.
    pub size: Option<u64>,
    /// `BODY=8BITMIME` (true) or `BODY=7BIT` (false).
    pub eight_bit: Option<bool>,
    /// `SMTPUTF8`.
    pub smtputf8: bool,
    /// `RET=`.
    pub ret: Option<Ret>,
    /// `ENVID=`, still encoded as xtext.
    pub envid: Option<String>,
}

/// Parameters of RCPT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RcptParams {
    /// `NOTIFY=`.
    pub notify: Option<Notify>,
    /// `ORCPT=`, still encoded: `type;xtext`.
    pub orcpt: Option<String>,
}

/// Sets a parameter; refuses it if it was already given.
fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Refused> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(TWICE),
    }
}

/// Name and value of each parameter.
fn each(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split(' ').filter(|word| !word.is_empty()).map(|word| match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    })
}

/// Parses the parameters after the path of MAIL.
pub(super) fn mail(text: &str) -> Result<MailParams, Refused> {
    let mut params = MailParams::default();
    let mut auth = None;
    for (name, value) in each(text) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("SIZE") {
            let digits = value.filter(|value| (1..=20).contains(&value.len()));
            let digits = digits.filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
            let digits = digits.ok_or((MALFORMED, "SIZE= takes a number of octets"))?;
            once(&mut params.size, digits.parse().unwrap_or(u64::MAX))?;
        } else if is("BODY") {
            let eight = match value.unwrap_or_default() {
                value if value.eq_ignore_ascii_case("8BITMIME") => true,
                value if value.eq_ignore_ascii_case("7BIT") => false,
                _ => return Err((MALFORMED, "BODY= is 7BIT or 8BITMIME here")),
            };
            once(&mut params.eight_bit, eight)?;
        } else if is("SMTPUTF8") {
            if value.is_some() {
                return Err((MALFORMED, "SMTPUTF8 takes no value"));
            }
            if std::mem::replace(&mut params.smtputf8, true) {
                return Err(TWICE);
            }
        } else if is("RET") {
            let ret = match value.unwrap_or_default() {
                value if value.eq_ignore_ascii_case("FULL") => Ret::Full,
                value if value.eq_ignore_ascii_case("HDRS") => Ret::Hdrs,
                _ => return Err((MALFORMED, "RET= is FULL or HDRS")),
            };
            once(&mut params.ret, ret)?;
        } else if is("ENVID") {
            let envid =
                value.filter(|value| xtext_length(value, false).is_some_and(|n| (1..=100).contains(&n)));
            let envid = envid.ok_or((MALFORMED, "ENVID= takes xtext of at most 100 characters"))?;
            once(&mut params.envid, envid.to_owned())?;
        } else if is("AUTH") {
            // The client names the authenticated author. We trust no client to do so and treat every
            // value as `<>`, as RFC 4954 §5 requires. Relays such as Postfix send it wherever AUTH is
            // offered, so it must be accepted.
            let named = |value: &&str| xtext_length(value, false).is_some_and(|n| (1..=500).contains(&n));
            let sound = value.filter(|value| *value == "<>" || named(value));
            once(&mut auth, sound.ok_or((MALFORMED, "AUTH= takes <>, or an address as xtext"))?)?;
        } else {
            return Err(UNKNOWN);
        }
    }
    Ok(params)
}

/// Parses the parameters after the path of RCPT. `utf8` says whether MAIL asked for SMTPUTF8.
pub(super) fn rcpt(text: &str, utf8: bool) -> Result<RcptParams, Refused> {
    let mut params = RcptParams::default();
    for (name, value) in each(text) {
        if name.eq_ignore_ascii_case("NOTIFY") {
            let wrong = (MALFORMED, "NOTIFY= is NEVER, or a list of SUCCESS, FAILURE, DELAY");
            once(&mut params.notify, notify(value.unwrap_or_default()).ok_or(wrong)?)?;
        } else if name.eq_ignore_ascii_case("ORCPT") {
            let orcpt = value.filter(|value| is_orcpt(value, utf8));
            let orcpt = orcpt.ok_or((MALFORMED, "ORCPT= takes type;xtext of at most 500 characters"))?;
            once(&mut params.orcpt, orcpt.to_owned())?;
        } else {
            return Err(UNKNOWN);
        }
    }
    Ok(params)
}

fn notify(list: &str) -> Option<Notify> {
    let mut notify = Notify::default();
    for word in list.split(',') {
        let slot = match word {
            _ if word.eq_ignore_ascii_case("NEVER") => &mut notify.never,
            _ if word.eq_ignore_ascii_case("SUCCESS") => &mut notify.success,
            _ if word.eq_ignore_ascii_case("FAILURE") => &mut notify.failure,
            _ if word.eq_ignore_ascii_case("DELAY") => &mut notify.delay,
            _ => return None,
        };
        if std::mem::replace(slot, true) {
            return None;
        }
    }
    let alone = !(notify.success || notify.failure || notify.delay);
    (!notify.never || alone).then_some(notify)
}

fn is_orcpt(value: &str, utf8: bool) -> bool {
    let Some((kind, address)) = value.split_once(';') else { return false };
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let named = !kind.is_empty() && kind.bytes().all(atom);
    // Unencoded UTF-8 is allowed only in the type `utf-8` and only with SMTPUTF8 (RFC 6533 §3).
    let raw = utf8 && kind.eq_ignore_ascii_case("utf-8");
    named && value.len() <= 500 && xtext_length(address, raw).is_some_and(|length| length > 0)
}

/// The number of characters in xtext once decoded, `None` if malformed. Xtext is printable ASCII
/// without `+` and `=`, and `+XX` for other characters (RFC 3461 §4).
fn xtext_length(text: &str, raw_utf8: bool) -> Option<usize> {
    let mut length = 0;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => {
                let hex = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
                let both = bytes.next().is_some_and(hex) && bytes.next().is_some_and(hex);
                both.then_some(())?;
            }
            b'=' => return None,
            33..=126 => {}
            128.. if raw_utf8 => {}
            _ => return None,
        }
        length += 1;
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_parameters() {
        let all = mail(" SIZE=12 body=8bitmime SMTPUTF8 RET=HDRS ENVID=a+2Bb  ").unwrap();
        assert_eq!(
            all,
            MailParams {
                size: Some(12),
                eight_bit: Some(true),
                smtputf8: true,
                ret: Some(Ret::Hdrs),
                envid: Some("a+2Bb".into())
            }
        );
        assert_eq!(mail("").unwrap(), MailParams::default());
        assert_eq!(mail(" AUTH=<>"), mail(" AUTH=e+3Dmc2@example.com"));
        assert!(mail(" AUTH=<>").is_ok());
        assert_eq!(mail(" SIZE=99999999999999999999").unwrap().size, Some(u64::MAX));
        let long = format!(" ENVID={}", "x".repeat(101));
        for (text, code) in [
            (" SIZE", "501 5.5.4"),
            (" SIZE=", "501 5.5.4"),
            (" SIZE=-1", "501 5.5.4"),
            (" SIZE=1x", "501 5.5.4"),
            (" SIZE=123456789012345678901", "501 5.5.4"),
            (" SIZE=1 SIZE=1", "501 5.5.4"),
            (" BODY", "501 5.5.4"),
            (" BODY=BINARYMIME", "501 5.5.4"),
            (" SMTPUTF8=1", "501 5.5.4"),
            (" SMTPUTF8 SMTPUTF8", "501 5.5.4"),
            (" RET=ALL", "501 5.5.4"),
            (" ENVID=", "501 5.5.4"),
            (" ENVID=a+b", "501 5.5.4"),
            (" ENVID=a+2b", "501 5.5.4"),
            (" ENVID=a=b", "501 5.5.4"),
            (&long, "501 5.5.4"),
            (" AUTH=", "501 5.5.4"),
            (" AUTH", "501 5.5.4"),
            (" AUTH=a+b", "501 5.5.4"),
            (" AUTH=<> AUTH=<>", "501 5.5.4"),
            (" XFOO=1", "555 5.5.4"),
            (" <c@d>", "555 5.5.4"),
            (" =", "555 5.5.4"),
        ] {
            assert_eq!(mail(text).map_err(|(code, _)| code), Err(code), "{text}");
        }
    }

    #[test]
    fn rcpt_parameters() {
        let both = rcpt(" NOTIFY=success,DELAY ORCPT=rfc822;a+2Bb@c.jp", false).unwrap();
        assert_eq!(both.notify, Some(Notify { success: true, delay: true, ..Notify::default() }));
        assert_eq!(both.orcpt.as_deref(), Some("rfc822;a+2Bb@c.jp"));
        assert!(rcpt(" NOTIFY=NEVER", false).unwrap().notify.unwrap().never);
        assert!(rcpt(" ORCPT=utf-8;\u{5c71}@x", true).is_ok());
        let long = format!(" ORCPT=rfc822;{}", "x".repeat(500));
        for (text, code) in [
            (" NOTIFY=", "501 5.5.4"),
            (" NOTIFY", "501 5.5.4"),
            (" NOTIFY=NEVER,DELAY", "501 5.5.4"),
            (" NOTIFY=DELAY,DELAY", "501 5.5.4"),
            (" NOTIFY=SOON", "501 5.5.4"),
            (" NOTIFY=DELAY NOTIFY=DELAY", "501 5.5.4"),
            (" ORCPT=a@b", "501 5.5.4"),
            (" ORCPT=;a", "501 5.5.4"),
            (" ORCPT=rfc822;", "501 5.5.4"),
            (" ORCPT=rfc822;a+", "501 5.5.4"),
            (" ORCPT=utf-8;\u{5c71}@x", "501 5.5.4"),
            (" ORCPT=rfc822;a ORCPT=rfc822;a", "501 5.5.4"),
            (&long, "501 5.5.4"),
            (" SIZE=1", "555 5.5.4"),
        ] {
            assert_eq!(rcpt(text, false).map_err(|(code, _)| code), Err(code), "{text}");
        }
    }
}
