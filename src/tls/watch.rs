//! Files that change are loaded anew: looked at every second, which works on every file system and
//! whoever replaces them in whatever way.

use super::{ClientCas, PairFiles, Server, Source, Trouble};
use crate::clock::{Clock, Timestamp};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often files are looked at.
pub const EVERY: Duration = Duration::from_secs(1);

/// What tells one state of a file from another.
type Stamp = Option<(u64, i64, i64, u64)>;

/// The state of all files of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamps(Vec<(PathBuf, Stamp)>);

impl Stamps {
    /// Looks at each file. One that is not there has a state too.
    pub(super) fn of(source: &Source) -> Self {
        let ca = match &source.clients {
            ClientCas::File(file) => Some(file),
            ClientCas::NotAsked | ClientCas::System => None,
        };
        let files = source.pairs.iter().flat_map(|pair| [&pair.chain, &pair.key]).chain(ca);
        Self::of_files(files)
    }

    /// The same of one chain and its key.
    pub(super) fn of_pair(files: &PairFiles) -> Self {
        Self::of_files([&files.chain, &files.key].into_iter())
    }

    fn of_files<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Self {
        Self(files.map(|file| (file.clone(), stamp(file))).collect())
    }
}

/// What is read from files, and can be read anew.
pub(super) trait Watched {
    /// The state of its files when they were read.
    fn read_from(&self) -> Stamps;
    /// Their state now.
    fn now(&self) -> Stamps;
    /// Reads them. An error changes nothing.
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

/// Looks for changes until the task is stopped. A state of the files that is of no use is told once; what
/// was in use stays, and the next change is tried again.
pub async fn watch(server: Server, clock: Arc<dyn Clock>) {
    let mut eye = Eye::default();
    loop {
        tokio::time::sleep(EVERY).await;
        let (server, clock) = (server.clone(), Arc::clone(&clock));
        let look = tokio::task::spawn_blocking(move || {
            eye.look(&server, &*clock);
            eye
        });
        eye = match look.await {
            Ok(eye) => eye,
            Err(error) => {
                tracing::error!(%error, "the certificates could not be looked at");
                Eye::default()
            }
        };
    }
}

/// What was seen and is not in use.
#[derive(Debug, Default)]
pub(super) struct Eye {
    /// A change seen once: it may be half done, the chain there and the key not yet.
    fresh: Option<Stamps>,
    /// A change that was of no use.
    refused: Option<Stamps>,
}

impl Eye {
    /// One look. Files that stand still between two looks are loaded.
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
                Ok(()) => tracing::info!("certificates loaded anew"),
                Err(trouble) => {
                    tracing::error!(%trouble, "certificates not loaded anew, the old ones stay");
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

        let mut eye = Eye::default();
        let mut look = || {
            eye.look(&server, &SystemClock);
            eye.look(&server, &SystemClock);
            eye.refused.clone()
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
        let mut eye = Eye::default();
        let two = make("two.example");
        std::fs::write(&files.chain, &two.chain).unwrap();
        eye.look(&server, &SystemClock);
        std::fs::write(&files.key, &two.key).unwrap();
        eye.look(&server, &SystemClock);
        assert!(eye.refused.is_none(), "the half of it was not tried");
        eye.look(&server, &SystemClock);
        assert_eq!(server.pairs()[0].facts.names, ["two.example"]);
    }
}
