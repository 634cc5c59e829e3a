//! Relaxed canonicalisation of header fields (RFC 6376 §3.4.2).

/// Appends the canonical form of a field to `out`, without a line end: name in lower case, unfolded, runs
/// of whitespace reduced to one space, none around the colon or at the end.
pub fn relaxed(name: &[u8], body: &[u8], out: &mut Vec<u8>) {
    out.extend(name.iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let mut words = body.split(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).filter(|w| !w.is_empty());
    if let Some(first) = words.next() {
        out.extend_from_slice(first);
    }
    for word in words {
        out.push(b' ');
        out.extend_from_slice(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_canonical() {
        for (name, body, canonical) in [
            // RFC 6376 §3.4.5
            ("A", " X", "a:X"),
            ("B", " Y\t\r\n\tZ  ", "b:Y Z"),
            ("SubjecT", "", "subject:"),
            ("Subject", " \r\n ", "subject:"),
            ("Subject", " =?utf-8?q?a?=\r\n =?utf-8?q?b?=", "subject:=?utf-8?q?a?= =?utf-8?q?b?="),
        ] {
            let mut out = Vec::new();
            relaxed(name.as_bytes(), body.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), canonical);
        }
    }
}
