//! Our client certificate for upstreams that ask for one. It is read from files and can be replaced while in
//! use.

use super::watch::{Stamps, Watch, Watched};
use super::{Pair, PairFiles, Trouble, stale};
use crate::clock::{Clock, Timestamp};
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

/// A client certificate of ours. Cheap to clone; a replacement applies to all clones.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    files: PairFiles,
    loaded: RwLock<Arc<Loaded>>,
    watch: Mutex<Watch>,
    asked: AtomicU64,
}

struct Loaded {
    pair: Pair,
    stamps: Stamps,
    generation: u64,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("files", &self.0.files).finish_non_exhaustive()
    }
}

impl Loaded {
    fn read(files: &PairFiles, generation: u64) -> Result<Self, Trouble> {
        // Taken before reading, so that a change during reading is noticed later.
        let stamps = Stamps::of_pair(files);
        let pair = Pair::read(files, &aws_lc_rs::default_provider())?;
        Ok(Self { pair, stamps, generation })
    }
}

impl Identity {
    /// Reads both files. An expired certificate is accepted; the caller decides what to do about it.
    ///
    /// # Errors
    /// A file cannot be read, or key and certificate cannot be used together.
    pub fn load(files: PairFiles) -> Result<Self, Trouble> {
        let loaded = RwLock::new(Arc::new(Loaded::read(&files, 0)?));
        Ok(Self(Arc::new(Inner { files, loaded, watch: Mutex::default(), asked: AtomicU64::new(0) })))
    }

    /// The files it is read from.
    pub fn files(&self) -> &PairFiles {
        &self.0.files
    }

    /// The certificate in use.
    pub fn pair(&self) -> Pair {
        self.current().pair.clone()
    }

    /// A number that changes with each replacement. A connection with another generation was opened with
    /// an earlier certificate.
    pub fn generation(&self) -> u64 {
        self.current().generation
    }

    /// How often a server has asked for it.
    pub fn asked(&self) -> u64 {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// Reads both files again and replaces the certificate.
    ///
    /// # Errors
    /// The files cannot be used, or the new certificate is not valid now while the current one is. The
    /// current certificate then stays in use.
    pub fn replace(&self, now: Timestamp) -> Result<(), Trouble> {
        let former = self.current();
        let new = Loaded::read(&self.0.files, former.generation + 1)?;
        if stale(&former.pair, now).is_none()
            && let Some(why) = stale(&new.pair, now)
        {
            return Err(Trouble::new(&self.0.files.chain, why));
        }
        *self.0.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        Ok(())
    }

    fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.0.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesClientCert for Identity {
    /// Presents the certificate whatever authorities the server names, because these lists are often
    /// incomplete.
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        Some(Arc::clone(&self.current().pair.key))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl Watched for Identity {
    fn read_from(&self) -> Stamps {
        self.current().stamps.clone()
    }

    fn now(&self) -> Stamps {
        Stamps::of_pair(&self.0.files)
    }

    fn reload(&self, now: Timestamp) -> Result<(), Trouble> {
        self.replace(now)
    }
}

/// All identities in use, to watch their files. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Identities(Arc<Mutex<Vec<Weak<Inner>>>>);

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Identities {
    /// Watches this one for as long as it is in use.
    pub fn add(&self, identity: &Identity) {
        self.lock().push(Arc::downgrade(&identity.0));
    }

    /// The identities in use.
    pub fn all(&self) -> Vec<Identity> {
        let mut known = self.lock();
        known.retain(|one| one.strong_count() > 0);
        known.iter().filter_map(Weak::upgrade).map(Identity).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Inner>>> {
        // no code that can panic runs while it is held
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks the files of all identities once.
    fn look(&self, clock: &dyn Clock) {
        for identity in self.all() {
            identity.0.watch.lock().unwrap_or_else(PoisonError::into_inner).look(&identity, clock);
        }
    }

    /// Checks for changed files until the task is stopped.
    pub async fn watch(self, clock: Arc<dyn Clock>) {
        loop {
            tokio::time::sleep(super::watch::EVERY).await;
            let (known, clock) = (self.clone(), Arc::clone(&clock));
            if let Err(error) = tokio::task::spawn_blocking(move || known.look(&*clock)).await {
                tracing::error!(%error, "checking the client certificates for changes failed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::tls::selfsigned;

    #[test]
    fn a_changed_file_is_shown_from_then_on_and_a_bad_one_keeps_the_old() {
        let folder = tempfile::tempdir().unwrap();
        let files = PairFiles { chain: folder.path().join("c.pem"), key: folder.path().join("c.key") };
        let now = SystemClock.now();
        let put = |name: &str, now: Timestamp| {
            selfsigned::write(&selfsigned::make(&[name.to_owned()], 30, now).unwrap(), &files).unwrap();
        };
        put("one.example", now);
        let identity = Identity::load(files.clone()).unwrap();
        let known = Identities::default();
        known.add(&identity);
        let shown = || {
            known.look(&SystemClock);
            known.look(&SystemClock);
            (identity.pair().facts.names[0].clone(), identity.generation())
        };
        assert_eq!(shown(), ("one.example".to_owned(), 0));
        put("two.example", now);
        assert_eq!(shown(), ("two.example".to_owned(), 1));
        std::fs::write(&files.chain, "half a file").unwrap();
        assert_eq!(shown(), ("two.example".to_owned(), 1));
        put("old.example", Timestamp(0));
        assert_eq!(shown(), ("two.example".to_owned(), 1), "an expired one replaces no valid one");
        put("three.example", now);
        assert_eq!(shown(), ("three.example".to_owned(), 2));
        let given = identity.resolve(&[], &[]).unwrap();
        assert_eq!(crate::tls::Facts::of(&given.cert[0]).unwrap().names, ["three.example"]);
        assert_eq!(identity.asked(), 1);
        drop(identity);
        assert!(known.all().is_empty(), "what nobody uses is not looked after");
    }
}
