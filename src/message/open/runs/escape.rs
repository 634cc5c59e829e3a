//! Escapes by which XML, JSON and addresses write letters of base64 and line ends.

/// Longest escape that may stand for a letter or a line end, such as `\u002B`.
pub(super) const ESCAPE: usize = 6;

/// What an escape stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Letter(u8),
    LineEnd,
    /// Padding, or a character that no file has.
    Other,
}

/// What the escape at the beginning of `text` stands for, and its length; `None` if it is none, or longer.
pub(super) fn escape(text: &[u8]) -> Option<(Sign, usize)> {
    const LETTERS: [(&[u8], Sign); 6] = [
        (b"\\/", Sign::Letter(b'/')),
        (b"\\n", Sign::LineEnd),
        (b"\\r", Sign::LineEnd),
        (b"\\t", Sign::LineEnd),
        (b"\\\n", Sign::LineEnd),
        (b"\\\r", Sign::LineEnd),
    ];
    if let Some((escape, sign)) = LETTERS.iter().find(|(escape, _)| text.starts_with(escape)) {
        return Some((*sign, escape.len()));
    }
    let number = |digits: &[u8], radix| u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok();
    let (value, length) = if text.starts_with(b"\\u") {
        (number(text.get(2..6)?, 16)?, 6)
    } else if text.starts_with(b"%") {
        (number(text.get(1..3)?, 16)?, 3)
    } else {
        let digits = text.strip_prefix(b"&#")?;
        let end = digits.iter().position(|&byte| byte == b';')?;
        let value = match digits[..end].strip_prefix(b"x").or_else(|| digits[..end].strip_prefix(b"X")) {
            Some(hex) => number(hex, 16),
            None => number(&digits[..end], 10),
        };
        (value?, end + 3)
    };
    let sign = match u8::try_from(value) {
        Ok(letter @ (b'+' | b'/')) => Sign::Letter(letter),
        Ok(b'\n' | b'\r') => Sign::LineEnd,
        _ => Sign::Other,
    };
    Some((sign, length))
}
