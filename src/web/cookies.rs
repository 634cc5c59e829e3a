//! Cookies: one for the session, one that identifies the browser before signing in, one for the time at an
//! identity provider.
//!
//! If the desk uses https, their names begin with `__Host-`: other hosts of the domain cannot set them, and
//! they are sent only over TLS (RFC 6265bis §4.1.3). They are `SameSite=Lax`, because with `Strict` a person
//! who follows a link from a mail would appear signed out.

use crate::token::Token;
use axum::http::{HeaderMap, HeaderValue, header};

/// The session cookie.
pub const SESSION: &str = "sekisho";
/// The browser cookie.
pub const BROWSER: &str = "sekisho-browser";
/// The cookie for the time at an identity provider.
pub const AWAY: &str = "sekisho-away";

/// Most octets of a Cookie field that are read.
const LONGEST: usize = 16 * 1024;

fn name(plain: &str, secure: bool) -> String {
    if secure { format!("__Host-{plain}") } else { plain.to_owned() }
}

/// A cookie's value.
pub fn value<'a>(headers: &'a HeaderMap, plain: &str, secure: bool) -> Option<&'a str> {
    let wanted = name(plain, secure);
    let fields = headers.get_all(header::COOKIE).iter().filter_map(|field| field.to_str().ok());
    fields.filter(|field| field.len() <= LONGEST).flat_map(|field| field.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == wanted).then_some(value)
    })
}

/// A cookie's value as a token.
pub fn token(headers: &HeaderMap, plain: &str, secure: bool) -> Option<Token> {
    Token::read(value(headers, plain, secure)?)
}

/// Sets a cookie until the browser closes.
pub fn set(plain: &str, value: &str, secure: bool) -> Option<HeaderValue> {
    let also = if secure { "; Secure" } else { "" };
    HeaderValue::from_str(&format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{also}", name(plain, secure)))
        .ok()
}

/// Removes a cookie.
pub fn clear(plain: &str, secure: bool) -> Option<HeaderValue> {
    let also = if secure { "; Secure" } else { "" };
    let text = format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{also}", name(plain, secure));
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_of_another_name_is_not_ours() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=1; sekisho=two; __Host-sekisho=three; xsekisho=4".parse().unwrap());
        assert_eq!(value(&headers, SESSION, false), Some("two"));
        assert_eq!(value(&headers, SESSION, true), Some("three"));
        assert_eq!(value(&headers, BROWSER, true), None);
    }

    #[test]
    fn what_is_set_says_how_it_may_be_used() {
        let set = set(SESSION, "x", true).unwrap();
        assert_eq!(set, "__Host-sekisho=x; Path=/; HttpOnly; SameSite=Lax; Secure");
        assert!(clear(SESSION, false).unwrap().to_str().unwrap().contains("Max-Age=0"));
    }
}
