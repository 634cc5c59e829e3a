//! Random histories over the real store, intake, desk, schedule and notices, in simulated time: mail arrives at two
//! nodes, people decide and change their minds, upstreams fail, nodes stop, die and lose their leases. A model beside
//! it knows what was promised to whom. One number replays a history; on PostgreSQL it is
//! `SIMULATION_POSTGRESQL=1 … postgresql`:
//!
//! ```text
//! SIMULATION_SEED=17 SIMULATION_HISTORIES=1 cargo test -p sekisho --test simulation sqlite
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the tests of the engine use all of it")]
#[path = "../../src/store/postgres/cluster.rs"]
mod cluster;
mod dice;
mod engine;
mod model;
mod node;
mod oracle;
mod person;
mod sending;
mod steps;
mod world;

use engine::{Engine, Ground};
use oracle::Seen;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use world::World;

/// Most steps of a history, before it settles.
const STEPS: usize = 60;

fn play(seed: u64, ground: &Ground) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut world, mut states) = (World::new(seed, Engine::new(ground, seed)), Seen::new());
        let steps = 5 + world.dice.below(STEPS);
        for _ in 0..steps {
            world.step().await;
            world.look(&mut states).await;
        }
        world.settle(&mut states).await;
        world.check().await;
        steps
    })
}

#[expect(clippy::disallowed_methods, reason = "sizes of tests come from the environment")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// After how many histories a long run says how far it is.
const SAY_EVERY: u64 = 1_000;

/// Plays these histories, several side by side: each has a world of its own, and mostly waits for its store. Returns
/// the number of steps, and the seeds of the histories that broke a promise.
fn play_all(seeds: std::ops::Range<u64>, ground: &Ground) -> (usize, Vec<u64>) {
    let (next, began) = (AtomicU64::new(seeds.start), Instant::now());
    let work = || {
        let (mut steps, mut broken) = (0, Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return (steps, broken);
            }
            match std::panic::catch_unwind(AssertUnwindSafe(|| play(seed, ground))) {
                Ok(played) => steps += played,
                Err(_) => broken.push(seed),
            }
            let number_played = seed + 1 - seeds.start;
            if number_played.is_multiple_of(SAY_EVERY) {
                println!("{number_played} histories, {:.0} s", began.elapsed().as_secs_f64());
            }
        }
    };
    let beside = number("SIMULATION_BESIDE").unwrap_or(8).min(seeds.end - seeds.start);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..beside).map(|_| scope.spawn(work)).collect();
        let mut whole = (0, Vec::new());
        for (steps, broken) in all.into_iter().map(|one| one.join().unwrap()) {
            whole.0 += steps;
            whole.1.extend(broken);
        }
        whole
    })
}

/// Histories that broke a promise once: what was received before a start was forgotten if its ids were in another order
/// than its rows (2791, 3788); a copy dropped on its way arrived, and the next one was not marked (2627, 2645, 3326); a
/// claim had renewed the lease of a copy that was dropped then (9116: the model did not know); a released copy was not
/// marked although its mail came before (15750); whoever was taken off by the second release could get the mail again if
/// an operator had dropped their copy of the first (32504); the end of a dropped copy was recorded between the mail's next
/// coming and its release (54578, 81560: the model did not know that it is told then); it was returned in between, and
/// the next copy was not marked (83613).
const BROKE_ONCE: [u64; 11] = [2627, 2645, 2791, 3326, 3788, 9116, 15750, 32504, 54578, 81_560, 83_613];

#[test]
fn every_promise_holds_in_histories_that_broke_one_once() {
    let ground = Ground::sqlite();
    for seed in BROKE_ONCE {
        play(seed, &ground);
    }
}

#[test]
fn every_promise_holds_in_every_history_on_sqlite() {
    play_some(number("SIMULATION_HISTORIES").unwrap_or(100), &Ground::sqlite());
}

#[test]
fn every_promise_holds_in_every_history_on_postgresql() {
    play_some(number("SIMULATION_POSTGRESQL").unwrap_or(20), &Ground::postgresql());
}

fn play_some(histories: u64, ground: &Ground) {
    let first = number("SIMULATION_SEED").unwrap_or(1);
    let began = Instant::now();
    let (steps, broken) = play_all(first..first + histories, ground);
    println!("{histories} histories from {first}, {steps} steps, {:.1} s", began.elapsed().as_secs_f64());
    assert!(broken.is_empty(), "these histories broke a promise: they stand above");
}
