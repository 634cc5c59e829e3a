//! Reads the first rows of a table in text form.

use super::{LONGEST, ROWS};

/// Most rows that are counted.
pub(super) const COUNTED: usize = 5_000;
/// Most columns shown.
const COLUMNS: usize = 30;

/// The first rows of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The first rows.
    pub first: Vec<Vec<String>>,
    /// The number of rows, as far as they were counted.
    pub rows: usize,
    /// The number of columns, as far as they were counted.
    pub columns: usize,
    /// Whether there are more rows.
    pub more: bool,
    /// The number of cells with a mail address.
    pub addresses: usize,
}

pub(super) fn table(mut all: Vec<Vec<String>>) -> Rows {
    let more = all.len() > COUNTED;
    all.truncate(COUNTED);
    let address = |cell: &&String| cell.split_once('@').is_some_and(|(_, domain)| domain.contains('.'));
    let rows = Rows {
        rows: all.len(),
        columns: all.iter().map(Vec::len).max().unwrap_or_default(),
        more,
        addresses: all.iter().flatten().filter(address).count(),
        first: Vec::new(),
    };
    all.truncate(ROWS);
    for row in &mut all {
        row.truncate(COLUMNS);
    }
    Rows { first: all, ..rows }
}

/// Parses separated values, with quotes around cells that contain a separator (RFC 4180).
pub(super) fn separated(text: &str, tabs: bool) -> Vec<Vec<String>> {
    let head = text.lines().next().unwrap_or_default();
    let usual = [',', '\t', ';'].into_iter().rev().max_by_key(|mark| head.matches(*mark).count());
    let mark = if tabs { '\t' } else { usual.unwrap_or(',') };
    let (mut all, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' if quoted || cell.is_empty() => quoted = !quoted,
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                end_row(&mut all, &mut row);
                if all.len() > COUNTED {
                    return all;
                }
            }
            letter if letter == mark && !quoted => row.push(std::mem::take(&mut cell)),
            // a character has at most four octets
            letter if cell.len() < LONGEST * 4 => cell.push(letter),
            _ => {}
        }
    }
    row.push(cell);
    end_row(&mut all, &mut row);
    all
}

fn end_row(all: &mut Vec<Vec<String>>, row: &mut Vec<String>) {
    let row = std::mem::take(row);
    if row.iter().any(|cell| !cell.trim().is_empty()) {
        all.push(row.into_iter().map(|cell| cell.chars().take(LONGEST).collect()).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Preview, Sort, of};
    use super::*;

    fn rows(name: &str, octets: &[u8]) -> Rows {
        match of(Sort::of(name, ""), name, None, octets) {
            Some(Preview::Rows(rows)) => rows,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn tables_are_rows() {
        let found =
            rows("a.csv", b"name,mail\r\n\"Sato, H\",\"h@x.jp\"\r\n\r\n\"a \"\"b\"\"\nc\",k@y.jp\r\n");
        assert_eq!(
            found.first,
            [vec!["name", "mail"], vec!["Sato, H", "h@x.jp"], vec!["a \"b\"\nc", "k@y.jp"]]
        );
        assert_eq!((found.rows, found.columns, found.addresses, found.more), (3, 2, 2, false));
        assert_eq!(rows("a.tsv", b"a,b\tc").first, [vec!["a,b", "c"]]);
        assert_eq!(rows("a.csv", b"a;b;c\n1;2,5;3").first[1], ["1", "2,5", "3"]);
        let shift = encoded("氏名,メール\r\n山田,y@x.jp\r\n");
        assert_eq!(rows("名簿.csv", &shift).first[0], ["氏名", "メール"]);
        let euc = b"\xbb\xe1\xcc\xbe,\xa5\xe1\xa1\xbc\xa5\xeb\r\n";
        assert_eq!(rows("名簿.csv", euc).first[0], ["氏名", "メール"]);
        assert_eq!(rows("名簿.csv", b"\x1b$B;aL>\x1b(B,x").first[0], ["氏名", "x"]);
        let marked = [b"\xef\xbb\xbf", "氏名".as_bytes()].concat();
        assert_eq!(rows("名簿.csv", &marked).first[0], ["氏名"]);
    }

    /// In Shift JIS, as Japanese versions of Excel write it.
    fn encoded(text: &str) -> Vec<u8> {
        let table = [
            ('氏', &b"\x8e\x81"[..]),
            ('名', b"\x96\xbc"),
            ('メ', b"\x83\x81"),
            ('ー', b"\x81\x5b"),
            ('ル', b"\x83\x8b"),
            ('山', b"\x8e\x52"),
            ('田', b"\x93\x63"),
        ];
        let octets = |letter: char| match table.iter().find(|(known, _)| *known == letter) {
            Some((_, octets)) => octets.to_vec(),
            None => letter.to_string().into_bytes(),
        };
        text.chars().flat_map(octets).collect()
    }

    #[test]
    fn large_files_are_read_to_a_bound() {
        let long = "a@b.jp,c\n".repeat(200_000);
        let found = rows("a.csv", long.as_bytes());
        assert_eq!((found.first.len(), found.rows, found.more), (ROWS, COUNTED, true));
        let wide = rows("a.csv", ",x".repeat(100_000).as_bytes());
        assert_eq!(wide.first[0].len(), COLUMNS);
        let endless = format!("\"{}", "x".repeat(1_000_000));
        assert!(rows("a.csv", endless.as_bytes()).first[0][0].len() <= LONGEST);
    }
}
