//! Rates and sending budgets that several relays share.

use super::codes;
use super::encode::{from_json, to_json};
use super::error::Failure;
use crate::clock::Timestamp;
use crate::lifecycle::pacing::{Bucket, PROMISED_FOR, Refill};
use crate::store::shared::{Drawn, PaceDraw, PaceRate, SpendAsk, SpentNow};
use crate::store::sql::db::{Connection, OptionalExtension, params};

/// Takes tokens from all rates of an upstream, or promises a later time.
pub(in crate::store) fn draw(tx: &Connection, draw: &PaceDraw) -> Result<Drawn, Failure> {
    let apart = tx.apart()?;
    let now = Timestamp(draw.now.0 + apart);
    let mut buckets =
        draw.rates.iter().map(|rate| bucket(tx, &draw.upstream, rate, now)).collect::<Result<Vec<_>, _>>()?;
    let prices: Vec<u64> = draw.rates.iter().map(|rate| rate.price).collect();
    tx.prepare_cached("DELETE FROM promises WHERE upstream = ?1 AND at < ?2")?
        .execute(params![draw.upstream, now.minus(PROMISED_FOR).0])?;
    let first: Option<(i64, i64, String)> = tx
        .prepare_cached("SELECT row, at, prices FROM promises WHERE upstream = ?1 ORDER BY at, row LIMIT 1")?
        .query_row(params![draw.upstream], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let drawn = if let Some((row, at, paid)) = &first
        && *at <= now.0
    {
        // The transaction may differ from the one that the time was promised for, and so may its price.
        let paid: Vec<u64> = from_json(paid)?;
        tx.prepare_cached("DELETE FROM promises WHERE row = ?1")?.execute([*row])?;
        for (bucket, paid) in buckets.iter_mut().zip(paid) {
            bucket.put_back(paid);
        }
        take(&mut buckets, &prices);
        Drawn::Once
    } else {
        let blocks: Vec<u64> = draw.rates.iter().map(|rate| rate.block).collect();
        if first.is_none() && when(&buckets, &blocks, now) <= now {
            take(&mut buckets, &blocks);
            Drawn::Block
        } else {
            let at = when(&buckets, &prices, now);
            take(&mut buckets, &prices);
            if at <= now { Drawn::Once } else { promise(tx, draw, at, &prices, apart)? }
        }
    };
    let mut put = tx.prepare_cached(
        "INSERT INTO buckets (upstream, rate, level, at) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (upstream, rate) DO UPDATE SET level = excluded.level, at = excluded.at",
    )?;
    for (rate, bucket) in draw.rates.iter().zip(&buckets) {
        put.put(params![draw.upstream, rate.rate, bucket.level, bucket.at.0])?;
    }
    Ok(drawn)
}

fn bucket(tx: &Connection, upstream: &str, rate: &PaceRate, now: Timestamp) -> Result<Bucket, Failure> {
    let refill = Refill { count: rate.count, per: rate.per };
    let kept: Option<(i64, i64)> = tx
        .prepare_cached("SELECT level, at FROM buckets WHERE upstream = ?1 AND rate = ?2")?
        .query_row(params![upstream, rate.rate], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let mut bucket = match kept {
        Some((level, at)) => Bucket { refill, level, at: Timestamp(at) },
        None => Bucket::new(refill, rate.sent, now),
    };
    bucket.fill(now);
    Ok(bucket)
}

fn when(buckets: &[Bucket], tokens: &[u64], now: Timestamp) -> Timestamp {
    buckets.iter().zip(tokens).map(|(bucket, tokens)| bucket.when(*tokens, now)).max().unwrap_or(now)
}

fn take(buckets: &mut [Bucket], tokens: &[u64]) {
    for (bucket, tokens) in buckets.iter_mut().zip(tokens) {
        bucket.take(*tokens);
    }
}

fn promise(
    tx: &Connection,
    draw: &PaceDraw,
    at: Timestamp,
    prices: &[u64],
    apart: i64,
) -> Result<Drawn, Failure> {
    tx.prepare_cached("INSERT INTO promises (upstream, at, prices) VALUES (?1, ?2, ?3)")?
        .execute(params![draw.upstream, at.0, to_json(&prices)?])?;
    let (waiting, last): (i64, i64) = tx
        .prepare_cached("SELECT count(*), max(at) FROM promises WHERE upstream = ?1")?
        .query_row(params![draw.upstream], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
    Ok(Drawn::Later { at: Timestamp(at.0 - apart), waiting, last: Timestamp(last - apart) })
}

/// Takes room in all these accounts, or in none.
pub(in crate::store) fn spend(
    tx: &Connection,
    asks: &[SpendAsk],
    oldest: i64,
) -> Result<Vec<SpentNow>, Failure> {
    tx.prepare_cached("DELETE FROM spent WHERE slot < ?1")?.execute([oldest])?;
    let mut all = asks.iter().map(|ask| slots(tx, ask, oldest)).collect::<Result<Vec<_>, Failure>>()?;
    let fits = |ask: &SpendAsk, slots: &[(i64, u64)], more: u64| {
        ask.limits.iter().all(|(most, first)| {
            let used: u64 = slots.iter().filter(|(slot, _)| slot >= first).map(|(_, used)| used).sum();
            used.saturating_add(more) <= *most
        })
    };
    let room = asks.iter().zip(&all).all(|(ask, now)| ask.forced || fits(ask, &now.slots, ask.wanted));
    if !room {
        return Ok(all);
    }
    for (ask, now) in asks.iter().zip(&mut all) {
        let block = ask.block.max(ask.wanted);
        now.given = if !ask.forced && fits(ask, &now.slots, block) { block } else { ask.wanted };
        add(tx, &ask.account, ask.slot, now.given)?;
        match now.slots.iter_mut().find(|(slot, _)| *slot == ask.slot) {
            Some((_, used)) => *used += now.given,
            None => now.slots.push((ask.slot, now.given)),
        }
    }
    Ok(all)
}

fn slots(tx: &Connection, ask: &SpendAsk, oldest: i64) -> Result<SpentNow, Failure> {
    let read = || -> Result<Vec<(i64, u64)>, Failure> {
        let mut select =
            tx.prepare_cached("SELECT slot, used FROM spent WHERE account = ?1 ORDER BY slot")?;
        let rows = select.query_map(params![ask.account], |row| {
            Ok((row.get::<_, i64>(0)?, codes::count(row.get::<_, i64>(1)?)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    let mut slots = read()?;
    if slots.is_empty() && !ask.known.is_empty() {
        for (slot, used) in ask.known.iter().filter(|(slot, _)| *slot >= oldest) {
            add(tx, &ask.account, *slot, *used)?;
        }
        slots = read()?;
    }
    Ok(SpentNow { given: 0, slots })
}

fn add(tx: &Connection, account: &str, slot: i64, used: u64) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO spent AS s (account, slot, used) VALUES (?1, ?2, ?3) \
         ON CONFLICT (account, slot) DO UPDATE SET used = s.used + excluded.used",
    )?
    .execute(params![account, slot, codes::from_count(used)])?;
    Ok(())
}
