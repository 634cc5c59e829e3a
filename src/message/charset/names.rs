//! Names of character sets. Those of the Encoding Standard come first, because browsers and most mail
//! programs follow it; then those of Python, ICU and vendors.

use super::decoder::{Order, Wide};
use super::shifted::Family;
use super::{Kind, LONGEST_NAME, tables};
use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, SHIFT_JIS, UTF_8};

/// Looks a name up.
pub(super) fn find(label: &[u8]) -> Option<Kind> {
    if label.len() > LONGEST_NAME {
        return None;
    }
    let label = label.split(|byte| *byte == b'*').next().unwrap_or_default();
    let blank = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'');
    let start = label.iter().position(|byte| !blank(byte))?;
    let end = label.iter().rposition(|byte| !blank(byte))? + 1;
    let label = &label[start..end];
    // The two most frequent sets in mail, before anything is allocated.
    if label.eq_ignore_ascii_case(b"utf-8") {
        return Some(Kind::Standard(UTF_8));
    }
    if label.eq_ignore_ascii_case(b"iso-2022-jp") {
        return Some(Kind::Shifted(Family::Japanese));
    }
    let lower = label.to_ascii_lowercase();
    let plain = plain(&lower);
    own(&plain)
        .or_else(|| Encoding::for_label_no_replacement(&lower).map(Kind::Standard))
        .or_else(|| standard(&plain).map(Kind::Standard))
        .or_else(|| tables::find(&plain).map(Kind::Table))
}

/// Only letters and digits, without `x-`. A code page becomes its number, whatever the vendor calls it:
/// `IBM-037`, `x-ms-cp932` and `windows-932` become `cp37`, `cp932`, `cp932`.
fn plain(lower: &[u8]) -> String {
    let mut rest = lower;
    while let [b'x', b'-' | b'_', shorter @ ..] = rest {
        rest = shorter;
    }
    let plain: String =
        rest.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(|byte| char::from(*byte)).collect();
    let mut number = plain.strip_prefix("cs").unwrap_or(&plain);
    let mut vendor = number.len() < plain.len();
    for prefix in ["ms", "windows", "ibm", "ccsid", "cp", "dos", "oem"] {
        if let Some(shorter) = number.strip_prefix(prefix) {
            (number, vendor) = (shorter, true);
        }
    }
    let digits = number.trim_start_matches('0');
    if vendor && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("cp{digits}");
    }
    plain
}

/// Sets that the Encoding Standard does not have, has in another byte order, or decodes too strictly.
fn own(plain: &str) -> Option<Kind> {
    Some(match plain {
        // Includes the names for "unknown" (RFC 1428 §3): such text is read as if no set were declared.
        "ascii" | "usascii" | "csascii" | "646" | "iso646us" | "iso646irv1991" | "isoir6" | "us"
        | "cp367" | "ansix341968" | "ansix341986" | "unknown8bit" | "unknown" | "8bit" | "7bit"
        | "binary" | "none" | "default" | "auto" => Kind::Ascii,
        "jis" | "jis7" | "jis8" | "cp50220" | "cp50221" | "cp50222" | "windowsiso2022jp" | "cp5052"
        | "cp5053" | "csjisencoding" => Kind::Shifted(Family::Japanese),
        name if name.starts_with("iso2022jp") || name.starts_with("csiso2022jp") => {
            Kind::Shifted(Family::Japanese)
        }
        "iso2022kr" | "csiso2022kr" | "iso2022korean" | "cp50225" => Kind::Shifted(Family::Korean),
        name if name.starts_with("iso2022cn") || name == "csiso2022cn" || name == "cp50227" => {
            Kind::Shifted(Family::Chinese)
        }
        "hz" | "hzgb" | "hzgb2312" | "cshz" | "cp52936" => Kind::Shifted(Family::Hz),
        "johab" | "cp1361" | "ksc5601johab" | "ksc56011992" | "koreanjohab" => Kind::Johab,
        "utf7" | "u7" | "unicode11utf7" | "unicode20utf7" | "csutf7" | "csunicode11utf7" | "cp65000" => {
            Kind::Utf7
        }
        "utf16" | "u16" | "ucs2" | "iso10646ucs2" | "csunicode" | "unicode" | "utf16plain" | "csutf16"
        | "isoir193" => Kind::Wide(Wide::new(2, Order::Unknown)),
        "utf16le"
        | "utf16littleendian"
        | "unicodelittleunmarked"
        | "unicodelittle"
        | "unicodefeff"
        | "cp1200"
        | "csutf16le"
        | "ucs2le" => Kind::Wide(Wide::new(2, Order::Little)),
        "utf16be" | "utf16bigendian" | "unicodebigunmarked" | "unicodebig" | "unicodefffe" | "cp1201"
        | "csutf16be" | "ucs2be" => Kind::Wide(Wide::new(2, Order::Big)),
        "utf32" | "u32" | "ucs4" | "iso10646ucs4" | "csucs4" | "csutf32" => {
            Kind::Wide(Wide::new(4, Order::Unknown))
        }
        "utf32le" | "ucs4le" | "csutf32le" | "cp12000" => Kind::Wide(Wide::new(4, Order::Little)),
        "utf32be" | "ucs4be" | "csutf32be" | "cp12001" => Kind::Wide(Wide::new(4, Order::Big)),
        _ => return None,
    })
}

/// Additional names of character sets that the Encoding Standard has.
fn standard(plain: &str) -> Option<&'static Encoding> {
    Some(match plain {
        "cp932" | "cp943" | "cp942" | "cp31" | "windows31j" | "cswindows31j" | "sjis" | "sjiswin"
        | "sjisopen" | "sjismac" | "sjisdocomo" | "sjiskddi" | "sjissoftbank" | "shiftjis"
        | "shiftjis2004" | "shiftjisx0213" | "shiftjisx" | "sjis2004" | "sjisx0213" | "ssjis" | "mskanji"
        | "csshiftjis" | "macjapanese" | "maccjk" | "pck" | "cp10001" | "932" => SHIFT_JIS,
        "eucjp"
        | "eucjpms"
        | "eucjpwin"
        | "eucjpopen"
        | "eucjis2004"
        | "eucjisx0213"
        | "eucjp2004"
        | "eucjis"
        | "jisx0213"
        | "ujis"
        | "cp51932"
        | "cp20932"
        | "cp954"
        | "cp33722"
        | "cseucjp"
        | "cseucpkdfmtjapanese" => EUC_JP,
        "cp936" | "936" | "gbk" | "euccn" | "eucgb2312cn" | "cngb" | "gb2312" | "gb23121980" | "gb231280"
        | "chinese" | "csiso58gb231280" | "isoir58" | "cp1386" | "cp1383" | "cp20936" | "cp51936"
        | "macsimpchinese" | "cp10008" => GBK,
        "gb18030" | "gb180302000" | "gb180302005" | "gb180302022" | "cp54936" | "cp1392" => GB18030,
        "cp950" | "950" | "cp951" | "cp1370" | "cp1375" | "big5" | "big5tw" | "big5hkscs"
        | "big5hkscs2001" | "big5hkscs2004" | "big5hkscs2008" | "hkscs" | "csbig5" | "csbig5hkscs"
        | "bigfive" | "cnbig5" | "big5eten" | "big5uao" | "mactradchinese" | "cp10002" => BIG5,
        "cp949" | "949" | "uhc" | "euckr" | "cseuckr" | "ksc5601" | "ksc56011987" | "ksc56011989"
        | "ksx1001" | "ksc" | "korean" | "isoir149" | "csksc56011987" | "cp970" | "cp1363" | "cp51949"
        | "cp20949" | "mackorean" | "cp10003" => EUC_KR,
        "u8" | "utf" | "utf8" | "utf8sig" | "utf8ucs2" | "utf8ucs4" | "utf8mb3" | "utf8mb4" | "utf8mac"
        | "cesu8" | "csutf8" | "cp65001" | "cp1208" | "unicode11utf8" | "unicode20utf8" => UTF_8,
        _ => return None,
    })
}
