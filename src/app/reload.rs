//! Applies a new configuration while the relay is running.

use super::{Running, StartError, budget, parts, people, seals, upstream};
use crate::clock::hours::Term;
use crate::config::Config;
use crate::desk::explain::PreviewSeals;
use crate::examine::Examiner;
use crate::hook;
use crate::notice::asking::Asking;
use crate::tls::Identities;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{Mutex, watch};

/// The parts that a reload replaces.
pub(super) struct Changing {
    pub(super) examiner: watch::Sender<Examiner>,
    pub(super) preview_seals: watch::Sender<Arc<PreviewSeals>>,
    pub(super) hold_for: watch::Sender<Term>,
    pub(super) asking: watch::Sender<Arc<Asking>>,
    pub(super) acme: watch::Sender<Option<crate::tls::acme::Settings>>,
    /// The current upstreams; locked for the duration of a reload.
    pub(super) upstreams: Mutex<Vec<upstream::BuiltUpstream>>,
    /// The sign-in settings.
    pub(super) signing_in: crate::people::Settings,
    pub(super) hooks: hook::Caller,
    /// Our client certificates for upstreams.
    pub(super) identities: Identities,
}

impl Running {
    /// Applies a new configuration: organisation, policy and approvers, rewriting and signing, who may relay,
    /// the desk's accounts, notices, hooks, upstreams and certificates. Work in progress ends with the old
    /// settings; the usage of rates is kept. Settings that need a restart are named in the log.
    ///
    /// # Errors
    /// Says what is wrong; nothing has changed then.
    pub async fn reload(&self, config: &Config) -> Result<(), StartError> {
        let mut former = self.changing.upstreams.lock().await;
        let examiner = parts::examiner(Some(config), &[])?;
        let former_budgets = Some(Arc::clone(&self.intake.examiner().budgets));
        let (store, clock) = (self.desk.store.as_ref(), &*self.desk.clock);
        let budgets = budget::budgets(config, former_budgets, store, clock).await?;
        let examiner = Examiner { budgets, ..examiner };
        let seals = seals::read(config)?;
        let upstreams = upstream::Builder::new(config, Arc::clone(&self.desk.clock), self.tally.clone())?;
        let upstreams = upstreams.looked_after(&self.changing.identities);
        let upstreams = upstreams.after(&former).remember(&self.desk.store).await?.all()?;
        let hooks = parts::hooks(config)?;
        let access = self.gatekeeper.admit(config)?;
        let signing_in = people::settings(config, &examiner.approvers, &self.desk.clock)?;
        self.changing.hooks.replace(&hooks).await.map_err(StartError::Configuration)?;
        self.secured.reload(config, self.desk.clock.wall())?;
        for what in self.beyond_a_reload(config) {
            tracing::warn!("{what} changed too, which takes effect only after a restart");
        }
        for (settings, (address, reload)) in
            parts::listeners(config, &self.secured, access).into_iter().zip(&self.listeners)
        {
            if settings.address.port() == 0 || settings.address == *address {
                reload.settings(settings);
            }
        }
        self.people.replace(signing_in);
        self.postman.replace_letterhead(parts::letterhead(config));
        self.intake.replace_examiner(examiner.clone());
        self.intake.replace_hold_for(config.term());
        self.changing.hold_for.send_replace(config.term());
        self.changing.asking.send_replace(Arc::new(config.notices.asking.clone()));
        let courier = parts::courier(config);
        self.courier.replace_stopping(courier.hold_for, courier.approvers);
        self.intake.replace_marks(Arc::clone(&seals.marks));
        self.courier.replace_seals(seals);
        self.courier.replace_upstream(Arc::clone(&upstreams.upstream));
        self.changing.examiner.send_replace(examiner);
        self.changing.preview_seals.send_replace(seals::preview_seals(config));
        self.changing.acme.send_if_modified(|acme| {
            let differs = *acme != config.tls.acme;
            acme.clone_from(&config.tls.acme);
            differs
        });
        upstreams.replace(std::mem::take(&mut *former)).await;
        *former = upstreams.kept;
        Ok(())
    }

    /// The changed settings that take effect only after a restart.
    fn beyond_a_reload(&self, config: &Config) -> Vec<&'static str> {
        let began = &self.config;
        let addresses = |config: &Config| -> Vec<SocketAddr> {
            config.listeners.iter().map(|listener| listener.address).collect()
        };
        let changes = [
            (addresses(config) != addresses(began), "the addresses of [[listener]]"),
            (config.database != began.database || config.postgres != began.postgres, "[store] url"),
            (config.keep != began.keep, "[store] keep or [knowledge] keep"),
            (config.journal_key != began.journal_key, "[store] journal_key_file"),
            (config.journal_head_to != began.journal_head_to, "[store] journal_head_to"),
            (config.desk.address != began.desk.address, "[desk] address"),
            (config.desk.url != began.desk.url, "[desk] url"),
            (config.desk.proxies != began.desk.proxies, "[desk] proxies"),
            (config.desk.monitoring != began.desk.monitoring, "[desk] monitoring"),
            (
                (config.desk.connections, config.desk.connections_per_client)
                    != (began.desk.connections, began.desk.connections_per_client),
                "[desk] connections",
            ),
            (config.hostname != began.hostname, "hostname"),
            (
                upstream::places(config) != upstream::places(began),
                "the sum of `connections` of all upstreams",
            ),
        ];
        changes.into_iter().filter(|(changed, _)| *changed).map(|(_, what)| what).collect()
    }
}
