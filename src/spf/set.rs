//! Resolves an SPF record: follows includes and looks up host names, within the limits of RFC 7208.

use super::record::{Mechanism, Prefixes, Qualifier, Record};
use crate::dns::{DnsError, Resolver};
use ipnet::IpNet;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

/// Most terms that need a DNS look-up, in total (RFC 7208 §4.6.4).
const MOST_LOOKUPS: u32 = 10;
/// Most mail exchangers of one `mx` term (§4.6.4).
const MOST_HOSTS: usize = 10;
/// Most networks in total.
const MOST_NETS: usize = 20_000;
/// Shortest prefix lengths accepted, for IPv4 and IPv6. A wider network cannot belong to a mail host.
const WIDEST: (u8, u8) = (8, 16);

/// DNS look-ups: the resolver, or a table in tests. Each also returns the TTL.
#[async_trait::async_trait]
pub trait Ask: Send + Sync {
    /// The TXT records of a name.
    async fn texts(&self, name: &str) -> Result<(Vec<String>, Duration), DnsError>;
    /// The addresses of a host.
    async fn addresses(&self, host: &str) -> Result<(Vec<IpAddr>, Duration), DnsError>;
    /// The mail exchangers of a domain.
    async fn exchangers(&self, domain: &str) -> Result<(Vec<String>, Duration), DnsError>;
}

#[async_trait::async_trait]
impl Ask for Resolver {
    async fn texts(&self, name: &str) -> Result<(Vec<String>, Duration), DnsError> {
        self.txt(name).await.map(|found| (found.value, found.ttl))
    }
    async fn addresses(&self, host: &str) -> Result<(Vec<IpAddr>, Duration), DnsError> {
        Resolver::addresses(self, host).await.map(|found| (found.value, found.ttl))
    }
    async fn exchangers(&self, domain: &str) -> Result<(Vec<String>, Duration), DnsError> {
        let found = self.mx(domain).await?;
        Ok((found.value.into_iter().map(|mx| mx.host).collect(), found.ttl))
    }
}

/// A resolved record: networks and nested records in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set(Vec<(Qualifier, What)>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Nets(Vec<IpNet>),
    Include(Set),
    All,
}

impl Set {
    /// Whether the address passes the record. The first matching term decides.
    pub fn passes(&self, address: IpAddr) -> bool {
        let matched = self.0.iter().find(|(_, what)| match what {
            What::Nets(nets) => nets.iter().any(|net| net.contains(&address)),
            What::Include(set) => set.passes(address),
            What::All => true,
        });
        matched.is_some_and(|(qualifier, _)| *qualifier == Qualifier::Pass)
    }

    /// The number of networks.
    pub fn len(&self) -> usize {
        let count = |(_, what): &(Qualifier, What)| match what {
            What::Nets(nets) => nets.len(),
            What::Include(set) => set.len(),
            What::All => 0,
        };
        self.0.iter().map(count).sum()
    }

    /// Whether there are no networks.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Resolves the record of a name; also returns the shortest TTL.
///
/// # Errors
/// A record is missing or malformed, a look-up failed, or a limit is exceeded. The error is a text for the
/// log.
pub async fn follow(ask: &dyn Ask, name: &str) -> Result<(Set, Duration), String> {
    let mut walk = Walk { ask, lookups: 0, nets: 0, ttl: Duration::MAX };
    let set = walk.record(name).await?;
    Ok((set, walk.ttl))
}

struct Walk<'a> {
    ask: &'a dyn Ask,
    lookups: u32,
    nets: usize,
    ttl: Duration,
}

impl Walk<'_> {
    fn record<'s>(
        &'s mut self,
        name: &'s str,
    ) -> Pin<Box<dyn Future<Output = Result<Set, String>> + Send + 's>> {
        Box::pin(async move {
            let (texts, ttl) = self.ask.texts(name).await.map_err(|error| error.to_string())?;
            self.ttl = self.ttl.min(ttl);
            let record =
                Record::of(texts.iter().map(String::as_str)).map_err(|why| format!("{name}: {why}"))?;
            let mut set = Set::default();
            for (qualifier, mechanism) in record.terms {
                let what = match mechanism {
                    Mechanism::All if qualifier == Qualifier::Pass => {
                        return Err(format!("{name}: `+all` would allow every address"));
                    }
                    Mechanism::All => What::All,
                    Mechanism::Net(net) => What::Nets(self.nets(name, vec![net])?),
                    Mechanism::Include(other) => {
                        self.lookup(name)?;
                        What::Include(self.record(&other).await?)
                    }
                    Mechanism::A(host, prefixes) => {
                        self.lookup(name)?;
                        let host = host.as_deref().unwrap_or(name);
                        let nets = self.hosts(&[host.to_owned()], prefixes).await?;
                        What::Nets(self.nets(name, nets)?)
                    }
                    Mechanism::Mx(domain, prefixes) => {
                        self.lookup(name)?;
                        let nets = self.exchangers(domain.as_deref().unwrap_or(name), prefixes).await?;
                        What::Nets(self.nets(name, nets)?)
                    }
                    // The term depends on the message and cannot be resolved. If it would let addresses in,
                    // it is skipped. If it would exclude some, everything from here on is excluded.
                    Mechanism::Unusable(term) => {
                        tracing::debug!(name, term, "an SPF term that cannot be resolved to networks");
                        if qualifier == Qualifier::Pass {
                            continue;
                        }
                        What::All
                    }
                };
                set.0.push((qualifier, what));
            }
            if let Some(other) = record.redirect {
                self.lookup(name)?;
                set.0.push((Qualifier::Pass, What::Include(self.record(&other).await?)));
            }
            Ok(set)
        })
    }

    fn lookup(&mut self, name: &str) -> Result<(), String> {
        self.lookups += 1;
        if self.lookups > MOST_LOOKUPS {
            return Err(format!("{name}: more than {MOST_LOOKUPS} lookups (RFC 7208 §4.6.4)"));
        }
        Ok(())
    }

    fn nets(&mut self, name: &str, nets: Vec<IpNet>) -> Result<Vec<IpNet>, String> {
        let wide = |net: &&IpNet| net.prefix_len() < if net.addr().is_ipv4() { WIDEST.0 } else { WIDEST.1 };
        if let Some(net) = nets.iter().find(wide) {
            return Err(format!("{name}: {net} is too wide for a mail host"));
        }
        self.nets += nets.len();
        if self.nets > MOST_NETS {
            return Err(format!("{name}: more than {MOST_NETS} networks"));
        }
        Ok(nets)
    }

    async fn exchangers(&mut self, domain: &str, prefixes: Prefixes) -> Result<Vec<IpNet>, String> {
        let Some((hosts, ttl)) = found(self.ask.exchangers(domain).await)? else { return Ok(Vec::new()) };
        self.ttl = self.ttl.min(ttl);
        if hosts.len() > MOST_HOSTS {
            return Err(format!("{domain}: more than {MOST_HOSTS} mail exchangers (RFC 7208 §4.6.4)"));
        }
        self.hosts(&hosts, prefixes).await
    }

    async fn hosts(&mut self, hosts: &[String], prefixes: Prefixes) -> Result<Vec<IpNet>, String> {
        let mut nets = Vec::new();
        for host in hosts.iter().filter(|host| !host.is_empty()) {
            let Some((addresses, ttl)) = found(self.ask.addresses(host).await)? else { continue };
            self.ttl = self.ttl.min(ttl);
            for address in addresses {
                let length = if address.is_ipv4() { prefixes.0 } else { prefixes.1 };
                nets.extend(IpNet::new(address, length).map(|net| net.trunc()));
            }
        }
        Ok(nets)
    }
}

/// `None` if the name has no such record; an error if the look-up failed.
fn found<T>(answer: Result<T, DnsError>) -> Result<Option<T>, String> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::collections::HashMap;

    /// TXT records by name. `host.test` has two addresses; `host.test` is the exchanger of `mail.test`.
    pub(in crate::spf) struct Table(pub(in crate::spf) HashMap<&'static str, String>);

    #[async_trait::async_trait]
    impl Ask for Table {
        async fn texts(&self, name: &str) -> Result<(Vec<String>, Duration), DnsError> {
            let name = name.to_owned();
            match self.0.get(name.as_str()).map(String::as_str) {
                Some("servfail") => Err(DnsError::Temporary { name, why: "SERVFAIL".into() }),
                Some(text) => Ok((vec!["other".into(), text.to_owned()], Duration::from_mins(5))),
                None => Err(DnsError::NotFound { name, exists: false }),
            }
        }
        async fn addresses(&self, host: &str) -> Result<(Vec<IpAddr>, Duration), DnsError> {
            let all = vec!["192.0.2.80".parse().unwrap(), "2001:db8::80".parse().unwrap()];
            match host {
                "host.test" => Ok((all, Duration::from_mins(1))),
                _ => Err(DnsError::NotFound { name: host.into(), exists: false }),
            }
        }
        async fn exchangers(&self, domain: &str) -> Result<(Vec<String>, Duration), DnsError> {
            match domain {
                "mail.test" => Ok((vec!["host.test".into()], Duration::from_mins(2))),
                "many.test" => Ok((vec!["host.test".into(); 11], Duration::from_mins(2))),
                _ => Err(DnsError::NotFound { name: domain.into(), exists: false }),
            }
        }
    }

    async fn followed(records: &[(&'static str, &str)]) -> Result<(Set, Duration), String> {
        let table = Table(records.iter().map(|(name, text)| (*name, format!("v=spf1 {text}"))).collect());
        follow(&table, "a.test").await
    }

    #[tokio::test]
    async fn the_first_term_that_matches_decides() {
        type Case<'a> = (&'a [(&'static str, &'a str)], &'a [&'a str], &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            (
                &[("a.test", "ip4:192.0.2.0/24 ip6:2001:db8::/32 -all")],
                &["192.0.2.9", "2001:db8::1"],
                &["192.0.3.1"],
            ),
            (&[("a.test", "-ip4:192.0.2.9 ip4:192.0.2.0/24 ~all")], &["192.0.2.8"], &["192.0.2.9"]),
            (&[("a.test", "-all ip4:192.0.2.0/24")], &[], &["192.0.2.1"]),
            (
                &[
                    ("a.test", "include:b.test ip4:198.51.100.1 ~all"),
                    ("b.test", "-ip4:192.0.2.9 ip4:192.0.2.0/24 -all"),
                ],
                &["192.0.2.1", "198.51.100.1"],
                &["192.0.2.9", "203.0.113.1"],
            ),
            (
                &[("a.test", "-include:b.test ip4:192.0.0.0/16"), ("b.test", "ip4:192.0.2.0/24")],
                &["192.0.3.1"],
                &["192.0.2.1"],
            ),
            (
                &[("a.test", "redirect=b.test"), ("b.test", "ip4:192.0.2.1 -all")],
                &["192.0.2.1"],
                &["192.0.2.2"],
            ),
            (&[("a.test", "a:host.test/24 -all")], &["192.0.2.1", "2001:db8::80"], &["2001:db8::81"]),
            (
                &[("a.test", "mx:mail.test//64 a:none.test -all")],
                &["192.0.2.80", "2001:db8::1"],
                &["192.0.2.81"],
            ),
            (&[("a.test", "exists:%{i}.b.test ip4:192.0.2.1")], &["192.0.2.1"], &["192.0.2.2"]),
            (&[("a.test", "-exists:%{i}.b.test ip4:192.0.2.1")], &[], &["192.0.2.1"]),
            (&[("a.test", "")], &[], &["192.0.2.1"]),
        ];
        for (records, pass, fail) in cases {
            let (set, _) = followed(records).await.unwrap();
            for (addresses, expected) in [(pass, true), (fail, false)] {
                for address in *addresses {
                    assert_eq!(set.passes(address.parse().unwrap()), expected, "{records:?} {address}");
                }
            }
        }
    }

    #[tokio::test]
    async fn bounds_hold_and_mistakes_are_told() {
        let chain = "include:b.test ".repeat(11);
        let cases: &[(&[(&'static str, &str)], &str)] = &[
            (&[], "a.test does not exist"),
            (&[("a.test", "+all")], "every address"),
            (&[("a.test", "ip4:0.0.0.0/0")], "too wide"),
            (&[("a.test", "ip6:2000::/3")], "too wide"),
            (&[("a.test", "a:host.test/0")], "too wide"),
            (&[("a.test", "include:b.test")], "b.test does not exist"),
            (&[("a.test", "include:a.test")], "more than 10 lookups"),
            (&[("a.test", &chain), ("b.test", "ip4:192.0.2.1")], "more than 10 lookups"),
            (&[("a.test", "mx:many.test")], "more than 10 mail exchangers"),
            (&[("a.test", "nonsense")], "not a valid SPF term"),
        ];
        for (records, part) in cases {
            let said = followed(records).await.unwrap_err();
            assert!(said.contains(part), "wanted {part}, said {said}");
        }
    }

    #[tokio::test]
    async fn the_shortest_time_to_live_counts() {
        let (set, ttl) = followed(&[("a.test", "mx:mail.test ip4:198.51.100.0/24 -all")]).await.unwrap();
        assert_eq!((ttl, set.len()), (Duration::from_mins(1), 3));
    }
}
