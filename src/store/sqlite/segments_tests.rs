//! Segments: what is added comes back, what is removed gives its room back, and what fails harms nothing.

use super::bodies::Bodies;
use super::segments::{Place, is_segment};
use crate::clock::SystemEntropy;
use crate::store::contract::message;
use crate::store::prelude::*;
use crate::store::sqlite::{Options, SqliteStore};
use crate::store::{Body, InitialState, StoreError};
use bytes::Bytes;
use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

fn opened() -> (TempDir, Bodies, Arc<AtomicBool>) {
    let folder = tempfile::tempdir().unwrap();
    let cheap = Arc::new(AtomicBool::new(true));
    let bodies =
        Bodies::open(folder.path().join("bodies"), Arc::new(SystemEntropy), Arc::clone(&cheap)).unwrap();
    (folder, bodies, cheap)
}

fn body(number: usize, size: usize) -> Body {
    let octets: Vec<u8> = (0..size).map(|at| u8::try_from((at + number * 37) % 251).unwrap()).collect();
    Body::Inline(octets.into())
}

fn name(body: &Body) -> String {
    let Body::Stored { name, .. } = body else { panic!("it is in memory") };
    name.clone()
}

fn segments(folder: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path().join("bodies")).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| is_segment(name))
        .collect()
}

/// Many at once, over several segments.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_added_comes_back() {
    let (folder, bodies, _) = opened();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..60_usize {
        let bodies = bodies.clone();
        tasks.spawn(async move {
            let came = body(number, 32_769 + number * 3_331);
            let beside = bodies.beside(&came).await.unwrap().unwrap();
            assert_eq!(beside.size(), came.size());
            (came, beside)
        });
    }
    let all = tasks.join_all().await;
    assert!(segments(&folder).len() > 3, "{:?}", segments(&folder));
    let names: HashSet<String> = all.iter().map(|(_, beside)| name(beside)).collect();
    assert_eq!(names.len(), 60);
    drop(bodies);
    let again = Bodies::open(folder.path().join("bodies"), Arc::new(SystemEntropy), Arc::default()).unwrap();
    for (came, beside) in all {
        assert!(again.gathered(beside).await.unwrap() == came);
    }
}

#[tokio::test]
async fn small_bodies_and_those_whose_flush_would_cost_stay_in_their_rows() {
    let (folder, bodies, cheap) = opened();
    assert!(bodies.beside(&body(0, 32_768)).await.unwrap().is_none());
    cheap.store(false, Ordering::Relaxed);
    assert!(bodies.beside(&body(0, 200_000)).await.unwrap().is_none());
    assert!(segments(&folder).is_empty());
}

#[tokio::test]
async fn what_is_removed_gives_its_room_back_and_leaves_its_neighbours() {
    let (folder, bodies, _) = opened();
    let came: Vec<Body> = (0..5).map(|number| body(number, 40_000 + number * 5_000)).collect();
    let mut beside = Vec::new();
    for body in &came {
        beside.push(bodies.beside(body).await.unwrap().unwrap());
    }
    let file = folder.path().join("bodies").join(&segments(&folder)[0]);
    let blocks = || file.metadata().unwrap().blocks();
    let before = blocks();
    for number in [1, 3] {
        bodies.remove(&name(&beside[number]));
    }
    assert!(blocks() < before, "{before} blocks of 512 octets, then {}", blocks());
    for number in [0, 2, 4] {
        assert!(bodies.gathered(beside[number].clone()).await.unwrap() == came[number], "{number}");
    }
    let Body::Inline(gone) = bodies.gathered(beside[1].clone()).await.unwrap() else { panic!() };
    assert!(gone.iter().all(|octet| *octet == 0));
}

#[tokio::test]
async fn a_segment_is_swept_once_nobody_names_a_body_in_it() {
    let (folder, bodies, _) = opened();
    let beside = [bodies.beside(&body(1, 40_000)).await.unwrap().unwrap()];
    assert_eq!(bodies.sweep(&HashSet::new(), true).unwrap(), 0, "it is still appended to");
    drop(bodies);
    let bodies = Bodies::open(folder.path().join("bodies"), Arc::new(SystemEntropy), Arc::default()).unwrap();
    let named = beside.iter().map(name).collect();
    assert_eq!(bodies.sweep(&named, true).unwrap(), 0);
    assert_eq!(bodies.sweep(&HashSet::new(), false).unwrap(), 0, "its message may be about to be committed");
    assert_eq!(bodies.sweep(&HashSet::new(), true).unwrap(), 1);
    assert!(segments(&folder).is_empty());
    let gone = bodies.gathered(beside[0].clone()).await;
    assert!(matches!(gone, Err(StoreError::Unavailable(_))), "{gone:?}");
    bodies.remove(&name(&beside[0]));
}

/// A sweep goes on over what it cannot remove.
#[tokio::test]
async fn a_sweep_is_not_stopped_by_one_that_stays() {
    let (folder, bodies, _) = opened();
    let place = folder.path().join("bodies");
    for number in 0..4 {
        let name = format!("{number:032x}");
        if number % 2 == 0 {
            std::fs::create_dir(place.join(name)).unwrap();
        } else {
            std::fs::write(place.join(name), "x").unwrap();
        }
    }
    assert_eq!(bodies.sweep(&HashSet::new(), true).unwrap(), 2);
}

/// The folder is gone for a while: the bodies of that time are refused, and the next ones are kept.
#[tokio::test]
async fn after_an_error_a_new_segment_begins() {
    let (folder, bodies, _) = opened();
    let (place, aside) = (folder.path().join("bodies"), folder.path().join("aside"));
    std::fs::rename(&place, &aside).unwrap();
    let refused = bodies.beside(&body(1, 40_000)).await;
    assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("bodies")), "{refused:?}");
    std::fs::rename(&aside, &place).unwrap();
    let beside = bodies.beside(&body(2, 40_000)).await.unwrap().unwrap();
    assert!(bodies.gathered(beside).await.unwrap() == body(2, 40_000));

    std::fs::rename(&place, &aside).unwrap();
    std::fs::create_dir(&place).unwrap();
    let refused = bodies.beside(&body(3, 40_000)).await;
    assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("renamed")), "{refused:?}");
    let beside = bodies.beside(&body(4, 40_000)).await.unwrap().unwrap();
    assert!(bodies.gathered(beside).await.unwrap() == body(4, 40_000));
}

/// Of a segment in which nothing was flushed nothing is left, or a full disk would fill with them.
#[tokio::test]
async fn a_failed_segment_leaves_no_file() {
    let (folder, bodies, _) = opened();
    let kept = bodies.beside(&body(1, 40_000)).await.unwrap().unwrap();
    let place = folder.path().join("bodies");
    let first = place.join(&segments(&folder)[0]);
    let moved = folder.path().join("moved");
    std::fs::rename(&first, &moved).unwrap();
    assert!(bodies.beside(&body(2, 40_000)).await.is_err());
    assert_eq!((segments(&folder).len(), moved.metadata().unwrap().len()), (0, 40_960));
    std::fs::rename(&moved, &first).unwrap();
    assert!(bodies.gathered(kept).await.unwrap() == body(1, 40_000));
}

#[test]
fn only_the_name_of_a_place_is_one() {
    let hex = "0123456789abcdef0123456789abcdef";
    assert!(Place::parse(&format!("{hex}-4096-40000")).is_some());
    for wrong in [
        hex.to_owned(),
        format!("{hex}-4096"),
        format!("{hex}-04096-1"),
        format!("{hex}-+1-1"),
        format!("{hex}--1-1"),
        format!("{hex}-1-1-1"),
        format!("{hex}-1-99999999999999999999"),
        format!("../{hex}-1-1"),
        format!("{}-1-1", hex.to_uppercase()),
        "-1-1".to_owned(),
    ] {
        assert_eq!(Place::parse(&wrong), None, "{wrong}");
    }
    assert_eq!(super::bodies::read_whole(Path::new("."), hex).ok(), None::<Bytes>);
}

/// A body in a segment goes to PostgreSQL and back, into a file of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_takes_bodies_out_of_segments() {
    use crate::store::copy::{self, Side};
    use crate::store::postgres::tests::Database;
    let folder = tempfile::tempdir().unwrap();
    let (source, place) = (folder.path().join("sekisho.db"), folder.path().join("sekisho.db.bodies"));
    let bodies = Bodies::open(place, Arc::new(SystemEntropy), Arc::new(AtomicBool::new(true))).unwrap();
    let store = SqliteStore::open(&source, Options::default()).unwrap();
    let mut new = message(1, &[&["a@x.example"]], InitialState::Ready);
    let came = body(1, 100_000);
    new.body = bodies.beside(&came).await.unwrap().unwrap();
    store.accept(new.clone()).await.unwrap();
    assert!(store.message(new.id).await.unwrap().body.size() == 100_000);
    drop(store);
    let (between, target) = (Database::new(), folder.path().join("back.db"));
    let sides =
        [Side::Sqlite(source), Side::Postgres(between.options("").place), Side::Sqlite(target.clone())];
    let copied = std::thread::spawn(move || {
        copy::copy(&sides[0], &sides[1])?;
        copy::copy(&sides[1], &sides[2])
    });
    assert_eq!(copied.join().unwrap().unwrap().bodies, 1);
    std::fs::copy(folder.path().join("sekisho.db.journal-key"), folder.path().join("back.db.journal-key"))
        .unwrap();
    let store = SqliteStore::open(&target, Options::default()).unwrap();
    let Body::Inline(octets) = came else { panic!() };
    let mut read = Vec::new();
    let kept = store.message(new.id).await.unwrap();
    store.open_body(&kept.body).await.unwrap().stream.read_to_end(&mut read).await.unwrap();
    assert!(read == octets);
}
