//! Describes where in a mail something was found, without part numbers or MIME types.

use super::words::{pick, short};
use crate::policy::verdict::Language;

/// Longest name shown, in characters.
const LONGEST: usize = 80;

/// Turns a place as the audit writes it (`part 2 (list.zip) › a.csv`, `header X-Field`) into words.
pub fn in_words(place: &str, language: Language) -> String {
    let pieces: Vec<String> = place.split(" › ").filter_map(|piece| one(piece, language)).collect();
    if pieces.is_empty() {
        pick(language, "the mail", "メールの中身").to_owned()
    } else {
        pieces.join(" › ")
    }
}

fn one(piece: &str, language: Language) -> Option<String> {
    let (name, rest) = match piece.strip_prefix("part ").and_then(|piece| piece.split_once(" (")) {
        Some((number, rest)) if number.bytes().all(|c| c.is_ascii_digit() || c == b'.') => {
            let (name, rest) = rest.rsplit_once(')')?;
            (Some(called(name, language)), rest.trim())
        }
        _ => (None, piece.trim()),
    };
    let said = match (rest, rest.strip_prefix("header ")) {
        ("", _) => None,
        ("file name", _) => Some(pick(language, "file name", "ファイル名").to_owned()),
        (_, Some(field)) => Some(match language {
            Language::En => format!("header {}", short(field, LONGEST)),
            Language::Ja => format!("ヘッダー {}", short(field, LONGEST)),
        }),
        // a file inside another one
        (rest, None) => Some(called(rest, language)),
    };
    match (name, said) {
        (Some(name), Some(said)) => Some(match language {
            Language::En => format!("{name}, {said}"),
            Language::Ja => format!("{name}の{said}"),
        }),
        (name, said) => name.or(said),
    }
}

/// A part by its file name, or by its kind if it has none.
pub(super) fn called(name: &str, language: Language) -> String {
    let kind = name.split('/').next().unwrap_or_default();
    let is_type = name.matches('/').count() == 1
        && ["text", "image", "audio", "video", "application", "message", "multipart", "font"].contains(&kind);
    let (en, ja) = match name {
        "text/calendar" | "application/ics" => ("the invitation", "招待状（予定表）"),
        "text/plain" | "text/html" | "text/enriched" => ("the text", "本文"),
        "application/ms-tnef" => ("winmail.dat", "winmail.dat"),
        _ if is_type && kind == "message" => ("an enclosed mail", "添付されたメール"),
        _ if is_type && kind == "image" => ("a picture", "画像"),
        _ if is_type => ("an attachment", "添付ファイル"),
        _ => return short(name, LONGEST),
    };
    pick(language, en, ja).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_in_words() {
        for (place, en, ja) in [
            ("part 2 (報告.zip) › list.csv", "報告.zip › list.csv", "報告.zip › list.csv"),
            ("part 1 (text/plain)", "the text", "本文"),
            ("part 2.1 (text/calendar)", "the invitation", "招待状（予定表）"),
            ("part 3 (a (1).pdf) file name", "a (1).pdf, file name", "a (1).pdfのファイル名"),
            (
                "part 3 (image/png) header Content-Id",
                "a picture, header Content-Id",
                "画像のヘッダー Content-Id",
            ),
            ("header X-Field", "header X-Field", "ヘッダー X-Field"),
            (
                "part 4 (message/rfc822) › part 1 (text/html)",
                "an enclosed mail › the text",
                "添付されたメール › 本文",
            ),
            ("part 1 (text/plain)\r\nX-Evil: 1", "the text, X-Evil: 1", "本文のX-Evil: 1"),
            ("", "the mail", "メールの中身"),
            ("part of it (x", "part of it (x", "part of it (x"),
        ] {
            assert_eq!(in_words(place, Language::En), en);
            assert_eq!(in_words(place, Language::Ja), ja);
        }
    }
}
