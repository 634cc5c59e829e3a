//! Single-octet sets that the Encoding Standard does not have. `generate.py` writes `tables.txt` from
//! Python's codecs and iconv; its first lines describe the format.

use std::collections::HashMap;
use std::sync::LazyLock;

const TEXT: &str = include_str!("tables.txt");

/// The character of each octet.
pub(super) type Table = [char; 256];

struct All {
    tables: Vec<Table>,
    /// Names reduced to letters and digits.
    names: HashMap<&'static str, usize>,
}

static ALL: LazyLock<All> = LazyLock::new(|| {
    let mut all = All { tables: Vec::new(), names: HashMap::new() };
    for line in TEXT.lines() {
        let Some((names, digits)) = line.split_once('\t') else { continue };
        all.names.extend(names.split(' ').map(|name| (name, all.tables.len())));
        all.tables.push(table(digits));
    }
    all
});

/// The index of the set of this name.
pub(super) fn find(name: &str) -> Option<usize> {
    ALL.names.get(name).copied()
}

/// The set with this index.
pub(super) fn get(number: usize) -> &'static Table {
    &ALL.tables[number]
}

/// Parses the digits of a line: for all octets, or for those from 0x80 on.
fn table(digits: &str) -> Table {
    let first = 256 - digits.len() / 4;
    std::array::from_fn(|octet| {
        if octet < first {
            return char::from(u8::try_from(octet).unwrap_or(0));
        }
        let at = 4 * (octet - first);
        let code = digits.get(at..at + 4).and_then(|code| u32::from_str_radix(code, 16).ok());
        code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
    })
}
