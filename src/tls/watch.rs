//! Reloads certificates when their files change. The files are checked every second, which works on every
//! file system and however they are replaced.

use super::{ClientCas, PairFiles, Server, Source, Trouble};
use crate::clock::{Clock, Timestamp};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Interval between checks.
pub const EVERY: Duration = Duration::from_secs(1);

/// Identifies a version of a file: inode, modification time and size. `None` if there is no file.
type Stamp = Option<(u64, i64, i64, u64)>;

/// The versions of a set of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamps(Vec<(PathBuf, Stamp)>);

impl Stamps {
    /// The current versions of the files of a source.
    pub(super) fn of(source: &Source) -> Self {
        let ca = match &source.clients {
            ClientCas::File(file) => Some(file),
            ClientCas::NotAsked | ClientCas::System => None,
        };
        let files = source.pairs.iter().flat_map(|pair| [&pair.chain, &pair.key]).chain(ca);
        Self::of_files(files)
    }

    /// The current versions of one chain and its key.
    pub(super) fn of_pair(files: &PairFiles) -> Self {
        Self::of_files([&files.chain, &files.key].into_iter())
    }

    fn of_files<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Self {
        Self(files.map(|file| (file.clone(), stamp(file))).collect())
    }
}

/// Something that is loaded from files and can be reloaded.
pub(super) trait Watched {
    /// The versions of its files when they were loaded.
    fn read_from(&self) -> Stamps;
    /// Their current versions.
    fn now(&self) -> Stamps;
    /// Reloads the files. After an error, what was loaded before stays in use.
    fn reload(&self, now: Timestamp) -> Result<(), Trouble>;
}

impl Watched for Server {
    fn read_from(&self) -> Stamps {
        self.stamps()
    }

    fn now(&self) -> Stamps {
        Stamps::of(&self.source())
    }

    fn reload(&self, now: Timestamp) -> Result<(), Trouble> {
        self.replace(self.source(), now)
    }
}

fn stamp(file: &PathBuf) -> Stamp {
    let meta = std::fs::metadata(file).ok()?;
    Some((meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.size()))
}

/// Checks for changes until the task is stopped. Files that cannot be used are logged once, and what was
/// loaded before stays in use until they change again.
pub async fn watch(server: Server, clock: Arc<dyn Clock>) {
    let mut watch = Watch::default();
    loop {
        tokio::time::sleep(EVERY).await;
        let (server, clock) = (server.clone(), Arc::clone(&clock));
        let look = tokio::task::spawn_blocking(move || {
            watch.look(&server, &*clock);
            watch
        });
        watch = match look.await {
            Ok(watch) => watch,
            Err(error) => {
                tracing::error!(%error, "checking the certificates for changes failed");
                Watch::default()
            }
        };
    }
}

/// The state of watching one set of files.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// A change seen at the last check only. It may be incomplete, for example the chain without the key.
    fresh: Option<Stamps>,
    /// A change that could not be loaded.
    refused: Option<Stamps>,
}

impl Watch {
    /// Checks once. A change is loaded when two checks in a row see the same versions.
    pub(super) fn look(&mut self, watched: &impl Watched, clock: &dyn Clock) {
        let now = watched.now();
        if now == watched.read_from() {
            *self = Self::default();
        } else if self.refused.as_ref() == Some(&now) {
            self.fresh = None;
        } else if self.fresh.as_ref() != Some(&now) {
            self.fresh = Some(now);
        } else {
            self.refused = None;
            match watched.reload(clock.now()) {
                Ok(()) => tracing::info!("certificates reloaded"),
                Err(trouble) => {
                    tracing::error!(%trouble, "certificates not reloaded, the old ones stay in use");
                    self.refused = Some(now);
                }
            }
            self.fresh = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{SystemClock, Timestamp};
    use crate::tls::{PairFiles, selfsigned};

    #[test]
    fn a_changed_file_is_loaded_and_a_bad_one_keeps_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let files = PairFiles { chain: folder.path().join("c.pem"), key: folder.path().join("c.key") };
        let put = |name: &str, now: Timestamp| {
            selfsigned::write(&selfsigned::make(&[name.to_owned()], 30, now).unwrap(), &files).unwrap();
        };
        let now = SystemClock.now();
        put("one.example", now);
        let source = Source { pairs: vec![files.clone()], clients: ClientCas::NotAsked };
        let server = Server::load(source).unwrap();
        let names = || server.pairs()[0].facts.names[0].clone();

        let mut watch = Watch::default();
        let mut look = || {
            watch.look(&server, &SystemClock);
            watch.look(&server, &SystemClock);
            watch.refused.clone()
        };
        assert_eq!(look(), None, "nothing changed");
        put("two.example", now);
        assert_eq!(look(), None);
        assert_eq!(names(), "two.example");

        std::fs::write(&files.chain, "half a file").unwrap();
        let refused = look();
        assert!(refused.is_some());
        assert_eq!(look(), refused, "told once");
        assert_eq!(names(), "two.example");

        put("old.example", Timestamp(0));
        assert!(look().is_some_and(|state| Some(state) != refused), "an expired one replaces no valid one");
        assert_eq!(names(), "two.example");

        std::fs::remove_file(&files.key).unwrap();
        assert!(look().is_some());
        put("three.example", now);
        assert_eq!(look(), None);
        assert_eq!(names(), "three.example");
    }

    #[test]
    fn a_change_is_loaded_once_it_stands_still() {
        let folder = tempfile::tempdir().unwrap();
        let files = PairFiles { chain: folder.path().join("c.pem"), key: folder.path().join("c.key") };
        let now = SystemClock.now();
        let make = |name: &str| selfsigned::make(&[name.to_owned()], 30, now).unwrap();
        selfsigned::write(&make("one.example"), &files).unwrap();
        let server =
            Server::load(Source { pairs: vec![files.clone()], clients: ClientCas::NotAsked }).unwrap();
        let mut watch = Watch::default();
        let two = make("two.example");
        std::fs::write(&files.chain, &two.chain).unwrap();
        watch.look(&server, &SystemClock);
        std::fs::write(&files.key, &two.key).unwrap();
        watch.look(&server, &SystemClock);
        assert!(watch.refused.is_none(), "the half of it was not tried");
        watch.look(&server, &SystemClock);
        assert_eq!(server.pairs()[0].facts.names, ["two.example"]);
    }
}
