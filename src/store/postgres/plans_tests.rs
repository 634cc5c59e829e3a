//! No statement of a writer reads a whole table, whatever the statistics say: its plan is made once and kept, perhaps
//! while the table is small, and the writer holds the lock of all writers meanwhile.
//!
//! Every statement that a test of the writer prepares is explained, once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use tokio_postgres::types::Type;

/// Statements that were looked at.
static LOOKED: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// Tables that stay small.
const SMALL: &[&str] = &[
    "last_purged",
    "touched",
    "hooks",
    "circles",
    "chain_cut",
    "clocks",
    "learning",
    "sessions",
    "hook_calls",
];
/// Tables that are kept in parts, with their keys. The parts that a statement does not need are left out by the key alone.
const IN_PARTS: &[(&str, &str)] = &[("contents", "message"), ("journal", "row")];
/// Parts of statements that may read more, each with its reason.
const MAY: &[(&str, &str)] = &[
    ("ORDER BY seq DESC LIMIT 1", "only the last entry of the chain"),
    ("ORDER BY row DESC LIMIT 1", "only the last message"),
    ("SELECT 1 + max(row)", "only the last message"),
    ("(1 + (SELECT max(row)", "only the last message"),
    ("DESC LIMIT $4", "a page of the list"),
    ("DELETE FROM hook_calls WHERE url NOT IN", "when the configuration changes"),
    ("AND d.node = $2", "all that a node was sending, when it starts"),
    ("DELETE FROM bodies", "all large bodies, now and then"),
    (
        "UPDATE notices SET due = p.p2 FROM unnest",
        "a join with the group's messages, from either side while one page has all notices; once there are more, the \
         server's statistics end that plan",
    ),
    (
        "LEFT JOIN contents c ON c.message = m.row WHERE m.row > $1 AND m.id < $2",
        "all that is held, in a purge",
    ),
];

/// Looks at the plan of a statement with parameters of these types, unless that was done. `answers` are the first
/// columns of the answer to a statement.
pub(super) fn look(text: &str, types: &[Type], answers: impl Fn(&str) -> Vec<String>) {
    let reads_or_writes =
        ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].iter().any(|word| text.starts_with(word));
    if !reads_or_writes || answers("SELECT current_setting('sekisho.writes', true)") != ["on"] {
        return;
    }
    let mut looked = LOOKED.lock().unwrap_or_else(PoisonError::into_inner);
    if !looked.get_or_insert_with(HashSet::new).insert(text.to_owned()) {
        return;
    }
    drop(looked);
    let names: Vec<&str> = types.iter().map(Type::name).collect();
    let (names, nulls) = (names.join(", "), vec!["NULL"; types.len()].join(", "));
    let in_brackets = |list: &str| if list.is_empty() { String::new() } else { format!("({list})") };
    answers(&format!("PREPARE looked_at {} AS {text}", in_brackets(&names)));
    let plan = answers(&format!("EXPLAIN (COSTS OFF) EXECUTE looked_at {}", in_brackets(&nulls)));
    answers("DEALLOCATE looked_at");
    let whole = plan.iter().enumerate().any(|(number, line)| {
        let next = plan.get(number + 1);
        reads_whole(line, next) || reads_all_parts(line, next)
    });
    assert!(!whole || MAY.iter().any(|(part, _)| text.contains(part)), "{text}\n{}", plan.join("\n"));
}

/// Whether a line of a plan, before this one, reads a whole table or a whole index.
fn reads_whole(line: &str, next: Option<&String>) -> bool {
    let Some((how, table)) = line.split_once(" on ") else { return false };
    let table = table.split(' ').next().unwrap_or_default();
    let whole = how.contains("Seq Scan")
        || (how.contains("Index")
            && how.contains("Scan")
            && !next.is_some_and(|next| next.contains("Index Cond")));
    whole && !SMALL.contains(&table)
}

/// Whether a line of a plan, before this one, looks into a part for something else than keys.
fn reads_all_parts(line: &str, next: Option<&String>) -> bool {
    let Some((how, part)) = line.split_once(" on ").filter(|(how, _)| how.contains("Scan")) else {
        return false;
    };
    IN_PARTS.iter().any(|(table, key)| {
        let is_part = part.strip_prefix(table).is_some_and(|rest| rest.starts_with('_'));
        let sought = next.and_then(|next| next.split_once("Index Cond: ")).map_or("", |(_, sought)| sought);
        is_part && !sought.trim_start_matches(['(', '"']).starts_with(key) && !how.contains("Bitmap")
    })
}

#[test]
fn plans_that_look_into_all_parts_are_recognised() {
    for (line, next, all) in [
        ("->  Index Scan using a on contents_old c_1", "      Index Cond: (message = m.\"row\")", false),
        (
            "->  Index Scan using a on contents_old c_1",
            "      Index Cond: ((message > $1) AND (message < $2))",
            false,
        ),
        (
            "->  Index Scan using a on contents_old c_1",
            "      Index Cond: ((file)::text = (b.name)::text)",
            true,
        ),
        (
            "->  Index Only Scan using b on journal_2026_11",
            "      Index Cond: ((\"row\" >= $1) AND (\"row\" <= $2))",
            false,
        ),
        ("->  Index Scan using b on journal_2026_11", "      Filter: (at > $1)", true),
        ("->  Index Scan using b on messages m", "      Index Cond: ((id)::text = $1)", false),
    ] {
        assert_eq!(reads_all_parts(line, Some(&next.to_owned())), all, "{line} {next}");
    }
}
