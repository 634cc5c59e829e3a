//! The sets that a person is in: a list of ascending numbers, stored in pieces.

use crate::store::sql::db::{Connection, OptionalExtension, params};
use crate::store::sql::error::Failure;

/// A piece longer than this many octets takes no more numbers. So it stays below a quarter of a page, from
/// which on SQLite would store it in pages of its own.
const LONGEST: usize = 700;

/// Appends a number to a piece, as its distance from the previous one.
fn pack(into: &mut Vec<u8>, mut distance: u64) {
    while distance > 0x7f {
        into.push(u8::try_from(distance & 0x7f).unwrap_or_default() | 0x80);
        distance >>= 7;
    }
    into.push(u8::try_from(distance).unwrap_or_default());
}

/// All numbers of a piece.
pub(super) fn unpack(first: i64, numbers: &[u8]) -> Vec<i64> {
    let mut all = vec![first];
    let (mut last, mut distance, mut shift) = (first, 0_i64, 0_u32);
    for octet in numbers {
        distance |= i64::from(octet & 0x7f).checked_shl(shift).unwrap_or(0);
        if octet & 0x80 == 0 {
            last = last.saturating_add(distance);
            all.push(last);
            (distance, shift) = (0, 0);
        } else {
            shift += 7;
        }
    }
    all
}

fn packed(numbers: &[i64]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(numbers.len() * 2);
    for pair in numbers.windows(2) {
        pack(&mut blob, (pair[1] - pair[0]).unsigned_abs());
    }
    blob
}

/// Adds a number that is greater than all in the list.
pub(super) fn add(tx: &Connection, person: i64, number: i64) -> Result<(), Failure> {
    let last: Option<(i64, Vec<u8>)> = tx
        .prepare_cached(
            "SELECT first, numbers FROM known_lists WHERE person = ?1 ORDER BY first DESC LIMIT 1",
        )?
        .query_row([person], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((first, mut numbers)) = last
        && numbers.len() < LONGEST
    {
        let highest = unpack(first, &numbers).last().copied().unwrap_or(first);
        let Some(distance) = number.checked_sub(highest).filter(|distance| *distance > 0) else {
            // The list would be read back with another number. A person who is missing from it is only treated
            // as a stranger.
            return Ok(());
        };
        pack(&mut numbers, distance.unsigned_abs());
        tx.prepare_cached("UPDATE known_lists SET numbers = ?3 WHERE person = ?1 AND first = ?2")?
            .execute(params![person, first, numbers])?;
    } else {
        tx.prepare_cached("INSERT INTO known_lists (person, first, numbers) VALUES (?1, ?2, ?3)")?
            .execute(params![person, number, Vec::new()])?;
    }
    Ok(())
}

/// Removes a number from a person's list.
pub(super) fn remove(tx: &Connection, person: i64, number: i64) -> Result<(), Failure> {
    let piece: Option<(i64, Vec<u8>)> = tx
        .prepare_cached(
            "SELECT first, numbers FROM known_lists WHERE person = ?1 AND first <= ?2 \
             ORDER BY first DESC LIMIT 1",
        )?
        .query_row([person, number], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((first, numbers)) = piece else { return Ok(()) };
    let mut all = unpack(first, &numbers);
    all.retain(|one| *one != number);
    put_back(tx, person, first, &all)
}

/// Writes what is left of the piece that began with `was`.
fn put_back(tx: &Connection, person: i64, was: i64, left: &[i64]) -> Result<(), Failure> {
    match left.first() {
        Some(first) => {
            tx.prepare_cached(
                "UPDATE known_lists SET first = ?3, numbers = ?4 WHERE person = ?1 AND first = ?2",
            )?
            .execute(params![person, was, first, packed(left)])?;
        }
        None => {
            tx.prepare_cached("DELETE FROM known_lists WHERE person = ?1 AND first = ?2")?
                .execute([person, was])?;
        }
    }
    Ok(())
}

/// Removes a person from at most `most` sets, which keep their other members. Returns how many.
pub(super) fn take_out(tx: &Connection, person: i64, most: usize) -> Result<usize, Failure> {
    let mut done = 0;
    while done < most {
        let piece: Option<(i64, Vec<u8>)> = tx
            .prepare_cached(
                "SELECT first, numbers FROM known_lists WHERE person = ?1 ORDER BY first LIMIT 1",
            )?
            .query_row([person], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((first, numbers)) = piece else { break };
        let all = unpack(first, &numbers);
        let some = &all[..all.len().min(most - done)];
        for number in some {
            leave(tx, *number, person)?;
        }
        put_back(tx, person, first, &all[some.len()..])?;
        done += some.len();
    }
    Ok(done)
}

/// Removes this person from a set. No future mail shows exactly that set, so it loses its digest.
fn leave(tx: &Connection, number: i64, person: i64) -> Result<(), Failure> {
    let people: Option<Vec<u8>> = tx
        .prepare_cached("SELECT people FROM known_sets WHERE number = ?1")?
        .query_row([number], |row| row.get(0))
        .optional()?;
    let Some(people) = people else { return Ok(()) };
    let digest = person.to_le_bytes();
    let left: Vec<u8> = people.chunks_exact(8).filter(|one| *one != digest).flatten().copied().collect();
    tx.prepare_cached("UPDATE known_sets SET people = ?2, digest = NULL WHERE number = ?1")?
        .execute(params![number, left])?;
    Ok(())
}
