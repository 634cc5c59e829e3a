//! Values are remembered until they expire.

use super::{Harness, NOW, at};
use crate::store::memory::{Memory, MemoryKind};

fn memory(name: &str, value: &str, minutes: u64) -> Memory {
    Memory { name: name.to_owned(), value: value.to_owned(), until: at(minutes) }
}

pub(in crate::store) async fn knowledge_outlives_a_restart_until_its_time(harness: &dyn Harness) {
    let store = harness.open();
    let known = vec![memory("b", "1", 10), memory("a", "2", 20)];
    store.remember(MemoryKind::StsPolicy, known, NOW).await.unwrap();
    store.remember(MemoryKind::KnownSource, vec![memory("a", "other", 10)], NOW).await.unwrap();
    store.remember(MemoryKind::StsPolicy, vec![memory("b", "3", 30)], NOW).await.unwrap();
    drop(store);
    let store = harness.open();
    let sts = |now| store.remembered(MemoryKind::StsPolicy, now);
    assert_eq!(sts(NOW).await.unwrap(), [memory("a", "2", 20), memory("b", "3", 30)]);
    assert_eq!(sts(at(20)).await.unwrap(), [memory("b", "3", 30)]);
    store.remember(MemoryKind::StsPolicy, Vec::new(), at(20)).await.unwrap();
    assert_eq!(sts(NOW).await.unwrap(), [memory("b", "3", 30)], "forgotten for good");
    let sources = store.remembered(MemoryKind::KnownSource, NOW).await.unwrap();
    assert_eq!(sources, [memory("a", "other", 10)]);
}
