//! Random histories over the real store, intake, desk, schedule and notices, in simulated time: mail arrives at two
//! nodes, people decide and change their minds, upstreams fail, nodes stop, die and lose their leases. A model beside
//! it knows what was promised to whom. One number replays a history:
//!
//! ```text
//! SIMULATION_SEED=17 SIMULATION_HISTORIES=1 cargo test -p sekisho --test simulation
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod dice;
mod model;
mod node;
mod oracle;
mod sending;
mod steps;
mod world;

use oracle::Seen;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use world::World;

/// Most steps of a history, before it settles.
const STEPS: usize = 60;

fn play(seed: u64) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut world, mut states) = (World::new(seed), Seen::new());
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

/// Plays these histories, several side by side: each has a world of its own, and mostly waits for its store.
fn play_all(seeds: std::ops::Range<u64>) -> usize {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let mut steps = 0;
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return steps;
            }
            steps += play(seed);
        }
    };
    let beside = number("SIMULATION_BESIDE").unwrap_or(16).min(seeds.end - seeds.start);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..beside).map(|_| scope.spawn(work)).collect();
        all.into_iter().map(|one| one.join().expect("a history broke a promise: it stands above")).sum()
    })
}

#[test]
fn every_promise_holds_in_every_history() {
    let first = number("SIMULATION_SEED").unwrap_or(1);
    let histories = number("SIMULATION_HISTORIES").unwrap_or(100);
    let began = Instant::now();
    let steps = play_all(first..first + histories);
    println!("{histories} histories from {first}, {steps} steps, {:.1} s", began.elapsed().as_secs_f64());
}
