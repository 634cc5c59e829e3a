//! Builds upstreams from the configuration: each smarthost with its rates and, if there are several, a
//! circuit breaker; groups of alternatives; routes. A reload rebuilds only those that changed; the others
//! keep their connections, breakers and rates.

use super::shared::Shared;
use super::{StartError, memory};
use crate::clock::{Clock, SystemClock, SystemEntropy};
use crate::config::{Config, Oauth, SecretFile, Upstream as Wanted, UpstreamRoute, UpstreamTls};
use crate::dns::Resolver;
use crate::store::Store;
use crate::tls::{Identities, Identity, Trouble, stale};
use crate::upstream::Upstream;
use crate::upstream::capture::Capture;
use crate::upstream::group::{Member, UpstreamGroup};
use crate::upstream::guard::Guarded;
use crate::upstream::mx::{self, KnownPolicy, MxDelivery, PolicyMemory};
use crate::upstream::oauth::{self, Grant, TokenStore, Tokens};
use crate::upstream::pace::across::Across;
use crate::upstream::pace::{Pace, Paced, Sent};
use crate::upstream::rate::{Rate, Unit};
use crate::upstream::router::{Route, Router};
use crate::upstream::smarthost::{
    Addresses, Authorities, Credentials, Secret, Security, Smarthost, SmarthostConfig, Trust, read_secret,
};
use crate::upstream::tally::Tally;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type SharedUpstream = Arc<dyn Upstream>;

/// The port for MTA-STS policies.
const HTTPS: u16 = 443;

/// What upstreams are built with.
pub(super) struct Builder<'a> {
    config: &'a Config,
    clock: Arc<dyn Clock>,
    tally: Tally,
    /// Recent deliveries, for the rates.
    sent: Vec<Sent>,
    resolver: Option<Resolver>,
    /// Connection limits that were found for upstreams.
    limits: BTreeMap<String, usize>,
    /// Known MTA-STS policies, and where new ones are stored.
    policies: (Vec<KnownPolicy>, Option<Arc<dyn PolicyMemory>>),
    /// What is decided together with other relays, if there are any.
    shared: Option<Arc<Shared>>,
    /// Our client certificates, which are watched for renewal.
    identities: Identities,
    /// Upstreams of the previous configuration.
    before: Mutex<Vec<BuiltUpstream>>,
    /// Upstreams of this configuration.
    built: Mutex<Vec<BuiltUpstream>>,
}

/// An upstream in use, and what it was built from.
#[derive(Clone)]
pub(super) struct BuiltUpstream {
    print: String,
    upstream: SharedUpstream,
    pace: Option<Used>,
}

/// The route to an upstream, its rates, and their usage.
type Used = (UpstreamRoute, Vec<Rate>, Arc<Mutex<Pace>>);

/// What the courier sends through, and its upstreams.
pub(super) struct Upstreams {
    pub(super) upstream: SharedUpstream,
    pub(super) kept: Vec<BuiltUpstream>,
}

impl Upstreams {
    /// Closes the previous upstreams that are not reused.
    pub(super) async fn replace(&self, former: Vec<BuiltUpstream>) {
        for old in former {
            if !self.kept.iter().any(|kept| Arc::ptr_eq(&kept.upstream, &old.upstream)) {
                old.upstream.close().await;
            }
        }
    }
}

impl<'a> Builder<'a> {
    /// Creates a builder; sets up a resolver if name servers are configured.
    pub(super) fn new(config: &'a Config, clock: Arc<dyn Clock>, tally: Tally) -> Result<Self, StartError> {
        let wanted = !config.dns.servers.is_empty();
        let resolver = if wanted { Some(Resolver::new(&config.dns)) } else { None };
        let resolver = resolver.transpose().map_err(StartError::Configuration)?;
        let (before, built) = (Mutex::default(), Mutex::default());
        let (sent, limits) = (Vec::new(), BTreeMap::new());
        let (policies, identities) = ((Vec::new(), None), Identities::default());
        let shared = None;
        Ok(Self { config, clock, tally, sent, resolver, limits, policies, shared, identities, before, built })
    }

    /// Uses these client certificates.
    pub(super) fn looked_after(self, identities: &Identities) -> Self {
        Self { identities: identities.clone(), ..self }
    }

    /// Reuses unchanged upstreams of the previous configuration.
    pub(super) fn after(self, before: &[BuiltUpstream]) -> Self {
        Self { before: Mutex::new(before.to_vec()), ..self }
    }

    /// Loads recent deliveries for the rates (they count for every upstream, because the route taken is not
    /// stored), known MTA-STS policies, and connection limits.
    pub(super) async fn remember(mut self, store: &Arc<dyn Store>) -> Result<Self, StartError> {
        let upstreams = std::iter::once(&self.config.upstream).chain(self.config.upstreams.values());
        let rates: Vec<Rate> =
            upstreams.flat_map(Wanted::all).flat_map(|upstream| upstream.rates.clone()).collect();
        for rate in rates {
            let (messages, recipients) = store.sent_since(self.clock.now().minus(rate.per)).await?;
            let count = if rate.unit == Unit::Recipients { recipients } else { messages };
            if !self.sent.iter().any(|sent| sent.rate == rate) {
                self.sent.push(Sent { rate, count });
            }
        }
        let known = memory::policies(store.as_ref(), self.clock.now()).await?;
        self.limits = memory::limits(store.as_ref(), self.clock.now()).await?;
        let keeper = memory::Keeper::new(Arc::clone(store), Arc::clone(&self.clock));
        self.policies = (known, Some(Arc::new(keeper)));
        self.shared = Shared::of(store, &self.clock);
        Ok(self)
    }

    /// Builds everything that the courier sends through.
    pub(super) fn all(self) -> Result<Upstreams, StartError> {
        let upstream = self.whole()?;
        Ok(Upstreams { upstream, kept: self.built.into_inner().unwrap_or_else(PoisonError::into_inner) })
    }

    fn whole(&self) -> Result<SharedUpstream, StartError> {
        let config = self.config;
        let alone = config.routes.is_empty();
        let usual = self.upstream(&config.upstream, alone)?;
        if alone {
            return Ok(usual);
        }
        let mut named = BTreeMap::new();
        for (name, wanted) in &config.upstreams {
            named.insert(name.as_str(), self.upstream(wanted, false)?);
        }
        let mut routes = Vec::new();
        for rule in &config.routes {
            // the configuration was checked, so every route names an existing upstream
            if let Some(upstream) = named.get(rule.upstream.as_str()) {
                routes.push(Route {
                    sender_domains: rule.sender_domains.clone(),
                    recipient_domains: rule.recipient_domains.clone(),
                    upstream: Arc::clone(upstream),
                });
            }
        }
        Ok(Arc::new(Router::new(usual, routes)))
    }

    /// An upstream with its alternatives. If it is the only one, the courier's circuit breaker suffices.
    fn upstream(&self, wanted: &Wanted, alone: bool) -> Result<SharedUpstream, StartError> {
        if wanted.also.is_empty() {
            let upstream = self.one(wanted)?;
            return Ok(if alone { upstream } else { Arc::new(self.guarded(upstream, wanted)) });
        }
        let mut members = Vec::new();
        for wanted in wanted.all() {
            let upstream = self.guarded(self.one(wanted)?, wanted);
            members.push(Member { priority: wanted.priority, weight: wanted.weight, upstream });
        }
        Ok(Arc::new(UpstreamGroup::new(members, Arc::new(SystemEntropy))))
    }

    fn guarded(&self, upstream: SharedUpstream, wanted: &Wanted) -> Guarded {
        Guarded::new(upstream, wanted.connections, Arc::clone(&self.clock), self.tally.clone())
    }

    /// One upstream with its rates.
    pub(super) fn one(&self, wanted: &Wanted) -> Result<SharedUpstream, StartError> {
        let print = self.print(wanted);
        if let Some(kept) = self.stood(|kept| kept.print == print) {
            let upstream = Arc::clone(&kept.upstream);
            lock(&self.built).push(kept);
            return Ok(upstream);
        }
        let identity = self.identity(wanted).map_err(StartError::Configuration)?;
        let upstream: SharedUpstream = match &wanted.route {
            UpstreamRoute::Capture(folder) => {
                Arc::new(Capture::new(folder.clone(), Arc::clone(&self.clock), Arc::new(SystemEntropy)))
            }
            UpstreamRoute::Smarthost { host, port } => {
                Arc::new(self.smarthost(host, *port, wanted, identity).map_err(StartError::Configuration)?)
            }
            UpstreamRoute::Mx { port } => {
                Arc::new(self.mx(*port, wanted).map_err(StartError::Configuration)?)
            }
        };
        let (upstream, pace) = self.paced(upstream, wanted);
        lock(&self.built).push(BuiltUpstream { print, upstream: Arc::clone(&upstream), pace });
        Ok(upstream)
    }

    /// Applies the rates to an upstream. If host and rates are the same as before, their usage is kept.
    fn paced(&self, upstream: SharedUpstream, wanted: &Wanted) -> (SharedUpstream, Option<Used>) {
        if wanted.rates.is_empty() {
            return (upstream, None);
        }
        let same = |kept: &BuiltUpstream| {
            kept.pace
                .as_ref()
                .is_some_and(|(route, rates, _)| *route == wanted.route && *rates == wanted.rates)
        };
        let known = self.stood(same).and_then(|kept| kept.pace).map(|(.., pace)| pace);
        let fresh = || Arc::new(Mutex::new(Pace::new(&wanted.rates, &self.sent, self.clock.now())));
        let pace = known.unwrap_or_else(fresh);
        let clock = Arc::clone(&self.clock);
        let paced = Paced::new(upstream, &wanted.rates, Arc::clone(&pace), clock, self.tally.clone());
        let across = self.shared.clone().map(|shared| {
            let name = match &wanted.route {
                UpstreamRoute::Smarthost { host, port } => format!("{host}:{port}"),
                UpstreamRoute::Mx { port } => format!("mx:{port}"),
                UpstreamRoute::Capture(folder) => folder.display().to_string(),
            };
            Arc::new(Across::new(shared, name, &wanted.rates, &self.sent))
        });
        let paced = paced.shared(across);
        (Arc::new(paced), Some((wanted.route.clone(), wanted.rates.clone(), pace)))
    }

    /// The client certificate for this upstream. One that is not valid now is reported and used, unless an
    /// earlier one is still valid: a failed renewal should not leave us without a certificate.
    fn identity(&self, wanted: &Wanted) -> Result<Option<Identity>, String> {
        let Some(certificate) = &wanted.certificate else { return Ok(None) };
        let identity =
            Identity::load(certificate.files.clone()).map_err(|trouble| certificate.told(&trouble))?;
        let now = self.clock.wall();
        if let Some(why) = stale(&identity.pair(), now) {
            let file = certificate.files.chain.clone();
            let told = certificate.told(&Trouble { file, why });
            let former = self.identities.all();
            let mut same = former.iter().filter(|former| former.files() == &certificate.files);
            if same.any(|former| stale(&former.pair(), now).is_none()) {
                return Err(told);
            }
            tracing::warn!("{told}: an upstream that verifies it will refuse mail");
        }
        self.identities.add(&identity);
        Ok(Some(identity))
    }

    /// Takes a previous upstream out of the list, so that it is reused only once.
    fn stood(&self, wanted: impl Fn(&BuiltUpstream) -> bool) -> Option<BuiltUpstream> {
        let mut before = lock(&self.before);
        let at = before.iter().position(wanted)?;
        Some(before.swap_remove(at))
    }

    /// A fingerprint of everything an upstream is built from: its settings and the files that they name.
    fn print(&self, wanted: &Wanted) -> String {
        let alone =
            Wanted { also: Vec::new(), priority: 0, weight: 0, budgets: Vec::new(), ..wanted.clone() };
        let certificate = wanted.certificate.iter().flat_map(|pair| [&pair.files.chain, &pair.files.key]);
        let files = wanted.secret_files().into_iter().chain(wanted.ca_file.as_deref());
        let files = files.chain(certificate.map(PathBuf::as_path));
        let mut hasher = DefaultHasher::new();
        for file in files.chain(self.config.dns.trust_anchor_file.as_deref()) {
            // an unreadable file is reported when the upstream is built
            std::fs::read(file).unwrap_or_default().hash(&mut hasher);
        }
        format!("{alone:?} {:?} {:x}", self.config.dns, hasher.finish())
    }

    fn mx(&self, port: u16, wanted: &Wanted) -> Result<MxDelivery, String> {
        let resolver = match &self.resolver {
            Some(resolver) => resolver.clone(),
            None => Resolver::new(&self.config.dns)?,
        };
        MxDelivery::new(mx::Settings {
            hello: wanted.hello.clone(),
            port,
            policy_port: HTTPS,
            resolver,
            authorities: Authorities::new(wanted.ca_file.as_deref())?,
            tally: self.tally.clone(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::new(SystemEntropy),
            model: mx::model(),
            known: self.policies.0.clone(),
            memory: self.policies.1.clone(),
        })
    }

    fn smarthost(
        &self,
        host: &str,
        port: u16,
        wanted: &Wanted,
        identity: Option<Identity>,
    ) -> Result<Smarthost, String> {
        let mut smarthost = SmarthostConfig::new(host, port, wanted.hello.clone());
        smarthost.security = match wanted.tls {
            UpstreamTls::Required => Security::Required,
            UpstreamTls::Opportunistic => Security::Opportunistic,
            UpstreamTls::Implicit => Security::Implicit,
            UpstreamTls::Off => Security::Off,
        };
        smarthost.ca_file.clone_from(&wanted.ca_file);
        smarthost.trust = (!wanted.pins.is_empty()).then(|| Trust::Pins(wanted.pins.clone()));
        smarthost.identity = identity;
        smarthost.mechanism = wanted.auth;
        smarthost.tally = self.tally.clone();
        smarthost.sessions_limit = self.limits.get(&format!("{host}:{port}")).copied();
        if let Some(resolver) = &self.resolver {
            smarthost.addresses = Addresses::Dns(Box::new(resolver.clone()));
        }
        if let Some(credentials) = &wanted.credentials {
            let secret = match &credentials.secret {
                SecretFile::Password(file) => Secret::Password(read_secret(file, "password")?),
                SecretFile::Oauth(oauth) => {
                    let shared = self.shared.clone().map(|shared| shared as Arc<dyn TokenStore>);
                    Secret::Tokens(tokens(oauth, wanted.ca_file.as_deref())?.shared(shared))
                }
            };
            smarthost.credentials = Some(Credentials { username: credentials.username.clone(), secret });
            // `tls = "off"` beside a user name means that passwords may be sent in plain text
            smarthost.plain_auth = wanted.tls == UpstreamTls::Off;
        }
        Smarthost::new(smarthost)
    }
}

/// The default upstream, if it is a smarthost, for verifying users' credentials. The relay does not log in
/// there itself.
///
/// # Errors
/// Says what is wrong, for the administrator.
pub(super) fn smarthost(config: &Config, identities: &Identities) -> Result<Option<Smarthost>, String> {
    let UpstreamRoute::Smarthost { host, port } = &config.upstream.route else { return Ok(None) };
    let builder = Builder::new(config, Arc::new(SystemClock), Tally::default());
    let builder = builder.map_err(|error| error.to_string())?.looked_after(identities);
    let wanted = Wanted { credentials: None, ..config.upstream.clone() };
    let identity = builder.identity(&wanted)?;
    builder.smarthost(host, *port, &wanted, identity).map(Some)
}

fn lock(kept: &Mutex<Vec<BuiltUpstream>>) -> MutexGuard<'_, Vec<BuiltUpstream>> {
    // no code can panic while the lock is held, so the data is consistent
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tokens(wanted: &Oauth, ca_file: Option<&Path>) -> Result<Tokens, String> {
    let secret = wanted.client_secret_file.as_deref().map(|file| read_secret(file, "client secret"));
    let grant = match &wanted.refresh_token_file {
        None => Grant::ClientCredentials,
        Some(file) => Grant::RefreshToken { token: read_secret(file, "refresh token")?, file: file.clone() },
    };
    let settings = oauth::Settings {
        token_url: wanted.token_url.clone(),
        client_id: wanted.client_id.clone(),
        client_secret: secret.transpose()?,
        grant,
        scope: wanted.scope.clone(),
    };
    Tokens::new(settings, &Authorities::new(ca_file)?)
}

/// Most concurrent deliveries: the sum over all upstreams.
pub(super) fn places(config: &Config) -> usize {
    let upstreams = std::iter::once(&config.upstream).chain(config.upstreams.values());
    upstreams.flat_map(Wanted::all).map(|upstream| upstream.connections).sum::<usize>().min(2_000)
}
