//! Message identifiers in header fields (RFC 5322 §3.6.4).

/// Most identifiers kept per message, more than real threads have.
const MOST_IDS: usize = 1_000;
/// An identifier cannot be longer than a line (RFC 5322 §2.1.1).
const LONGEST_ID: usize = 998;

/// Adds the identifiers between angle brackets, without brackets and folding, each once.
pub(super) fn add(body: &[u8], ids: &mut Vec<String>, seen: &mut std::collections::HashSet<String>) {
    let mut rest = body;
    while let Some(open) = memchr::memchr(b'<', rest) {
        rest = &rest[open + 1..];
        let Some(close) = memchr::memchr(b'>', rest) else { return };
        let id = squeezed(&rest[..close]);
        rest = &rest[close + 1..];
        if ids.len() < MOST_IDS && !id.is_empty() && id.len() <= LONGEST_ID && seen.insert(id.clone()) {
            ids.push(id);
        }
    }
}

/// The identifier of a Message-ID field; without angle brackets, the whole text.
pub(super) fn single(body: &[u8]) -> Option<String> {
    let inside = memchr::memchr(b'<', body)
        .map(|open| &body[open + 1..])
        .and_then(|rest| memchr::memchr(b'>', rest).map(|close| &rest[..close]));
    let id = squeezed(inside.unwrap_or(body));
    (!id.is_empty() && id.len() <= LONGEST_ID).then_some(id)
}

fn squeezed(bytes: &[u8]) -> String {
    let kept: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    String::from_utf8_lossy(&kept).into_owned()
}
