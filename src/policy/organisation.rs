//! Which addresses are ours, and which outside addresses are one organisation.

use crate::message::Address;
use std::collections::HashSet;
use std::sync::LazyLock;

/// The addresses and domains of `[organisation]` in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Organisation {
    /// Our domains as lower-case A-labels, each with whether its subdomains are ours too.
    domains: Vec<(String, bool)>,
    /// Domains that are not ours although a parent is (students, members), with their subdomains.
    not_ours: Vec<String>,
    /// Domains, with their subdomains, in which every mailbox is an outsider of its own (students, members).
    /// They take precedence over `domains` and `not_ours`.
    individuals: Vec<String>,
    /// Outside domains that are not counted, with their subdomains.
    partners: Vec<String>,
    /// Outside mailboxes that are not counted (key form).
    partner_mailboxes: Vec<String>,
    /// Without configuration (`try`, `explain`, `replay`): the sender's own domain is ours; for a free-mail
    /// sender, only that mailbox.
    of_sender: bool,
    /// The only mailbox that is ours, if its domain is shared with strangers (key form).
    mailbox: Option<String>,
}

/// The relation of an address to the organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affiliation {
    /// One of ours.
    Internal,
    /// Outside, and counted.
    External,
    /// Outside: hidden and audited like any other, but not counted.
    Partner,
}

impl Organisation {
    /// Creates an organisation with these domains (each with whether its subdomains are ours too); names are
    /// converted to A-labels. Partners are domains or single mailboxes.
    ///
    /// # Errors
    /// Names the first entry that is invalid.
    pub fn new(domains: &[(String, bool)], partners: &[String], not_ours: &[String]) -> Result<Self, String> {
        let names = |list: &[String]| list.iter().map(|name| domain_key(name)).collect::<Result<_, _>>();
        let (mailboxes, partners): (Vec<String>, Vec<String>) =
            partners.iter().cloned().partition(|name| name.contains('@'));
        Ok(Self {
            domains: domains
                .iter()
                .map(|(name, subdomains)| Ok((domain_key(name)?, *subdomains)))
                .collect::<Result<_, String>>()?,
            not_ours: names(not_ours)?,
            individuals: Vec::new(),
            partners: names(&partners)?,
            partner_mailboxes: mailboxes.iter().map(|name| mailbox_key(name)).collect::<Result<_, _>>()?,
            of_sender: false,
            mailbox: None,
        })
    }

    /// Adds domains in which each mailbox is an organisation of its own.
    ///
    /// # Errors
    /// Names the first entry that is not a domain.
    pub fn with_individuals(mut self, domains: &[String]) -> Result<Self, String> {
        self.individuals = domains.iter().map(|name| domain_key(name)).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// The organisation of each message's sender, for commands that run without configuration.
    pub fn of_sender() -> Self {
        Self { of_sender: true, ..Self::default() }
    }

    /// Whether it depends on the sender which addresses are ours; see [`Self::of_sender`].
    pub fn depends_on_sender(&self) -> bool {
        self.of_sender
    }

    /// This organisation for one message: resolves `of_sender` to the organisation of that sender. Without a
    /// sender, no address is ours.
    #[must_use]
    pub fn for_sender(&self, sender: Option<&Address>) -> Self {
        if !self.of_sender {
            return self.clone();
        }
        let Some(sender) = sender else { return Self::of_sender() };
        let whole = organisation_of(sender);
        if whole == counting_key(sender) {
            return Self { mailbox: Some(sender.key().to_owned()), ..Self::default() };
        }
        Self { domains: vec![(whole, true)], ..Self::default() }
    }

    /// Our domains as lower-case A-labels, each with whether its subdomains are ours too.
    pub fn domains(&self) -> &[(String, bool)] {
        &self.domains
    }

    /// Classifies an address. `individuals` takes precedence over `not_ours`, that over `domains`, and
    /// `domains` over `partners`.
    pub fn affiliation(&self, address: &Address) -> Affiliation {
        let domain = address.domain_key();
        if self.is_individual(domain) {
            return Affiliation::External;
        }
        let ours = || {
            self.domains
                .iter()
                .any(|(name, subdomains)| domain == name || (*subdomains && below(domain, name)))
        };
        if self.mailbox.as_deref() == Some(address.key()) {
            return Affiliation::Internal;
        }
        if !self.not_ours.iter().any(|name| within(domain, name)) && ours() {
            return Affiliation::Internal;
        }
        if self.partners.iter().any(|name| within(domain, name))
            || self.partner_mailboxes.iter().any(|mailbox| mailbox == address.key())
        {
            return Affiliation::Partner;
        }
        Affiliation::External
    }

    fn is_individual(&self, domain: &str) -> bool {
        self.individuals.iter().any(|name| within(domain, name))
    }

    /// The outside organisation of an address: [`organisation_of`], or the mailbox itself in the domains of
    /// individuals.
    pub fn of(&self, address: &Address) -> String {
        if self.is_individual(address.domain_key()) {
            counting_key(address)
        } else {
            organisation_of(address)
        }
    }

    /// Whether each mailbox of the domain is an organisation of its own: at a provider, or because it is
    /// configured so.
    pub fn shares(&self, domain: &str) -> bool {
        self.is_individual(domain) || is_shared(domain)
    }

    /// Whether the address is ours.
    pub fn is_internal(&self, address: &Address) -> bool {
        self.affiliation(address) == Affiliation::Internal
    }
}

/// The outside organisation of an address: its registrable domain (public suffix list, ICANN and private
/// section), or the whole mailbox at free-mail and internet providers (`docs/MAIL.md` §5). A tenant of
/// onmicrosoft.com is an organisation too, although that domain is not in the suffix list.
pub fn organisation_of(address: &Address) -> String {
    let domain = address.domain_key();
    if let Some(tenant) = domain.strip_suffix(".onmicrosoft.com") {
        let tenant = tenant.strip_suffix(".mail").unwrap_or(tenant);
        let name = tenant.rsplit('.').next().unwrap_or(tenant);
        return format!("{name}.onmicrosoft.com");
    }
    if is_shared(domain) {
        return counting_key(address);
    }
    if domain.starts_with('[') {
        return domain.to_owned();
    }
    if let Some(government) = government(domain) {
        return government.to_owned();
    }
    match psl::domain(domain.as_bytes()) {
        Some(registrable) => String::from_utf8_lossy(registrable.as_bytes()).into_owned(),
        // a mailbox directly at a private suffix belongs to a provider's customer; at an ICANN suffix, to the
        // registry
        None if psl::suffix(domain.as_bytes())
            .is_some_and(|suffix| suffix.typ() == Some(psl::Type::Private)) =>
        {
            counting_key(address)
        }
        None => domain.to_owned(),
    }
}

/// The part of a domain that names one local government of Japan. In `pref.osaka.lg.jp`, `city.osaka.lg.jp` and
/// `town.misato.miyagi.lg.jp` the first label says what it is; without it, a prefecture and the cities in it would be
/// one organisation.
fn government(domain: &str) -> Option<&str> {
    const KINDS: [&str; 6] = ["pref", "metro", "city", "town", "vill", "union"];
    let name = domain.strip_suffix(".lg.jp")?;
    let mut start = name.len();
    name.rsplit('.')
        .find_map(|label| {
            start -= label.len();
            let found = KINDS.contains(&label).then_some(start);
            start = start.saturating_sub(1);
            found
        })
        .map(|start| &domain[start..])
}

/// The form in which two addresses count as one mailbox: the comparison key, without the variants that the
/// provider ignores (`docs/MAIL.md` §5). Only for counting.
pub fn counting_key(address: &Address) -> String {
    let (local, domain) = (address.local_key(), address.domain_key());
    let gmail = matches!(domain, "gmail.com" | "googlemail.com");
    let outlook = ["outlook.", "hotmail.", "live.", "msn."].iter().any(|name| domain.starts_with(name))
        && is_shared(domain);
    if !gmail && !outlook {
        return address.key().to_owned();
    }
    let bare = local.split('+').next().filter(|bare| !bare.is_empty()).unwrap_or(local);
    if gmail { format!("{}@gmail.com", bare.replace('.', "")) } else { format!("{bare}@{domain}") }
}

/// A configured domain name, in the form in which addresses are compared.
///
/// # Errors
/// The text is not a domain name.
pub fn domain_key(name: &str) -> Result<String, String> {
    let trimmed = name.trim().trim_end_matches('.');
    if trimmed.is_empty() || trimmed.contains(['@', '*', '/', ' ']) || trimmed.starts_with('.') {
        return Err(format!("`{name}` is not a domain name: write it as `example.co.jp`"));
    }
    idna::domain_to_ascii(trimmed)
        .ok()
        .filter(|ascii| !ascii.is_empty())
        .ok_or_else(|| format!("`{name}` is not a domain name: write it as `example.co.jp`"))
}

fn mailbox_key(name: &str) -> Result<String, String> {
    let address = Address::parse(name.trim()).ok().filter(|_| !name.contains('*'));
    address.map(|address| address.key().to_owned()).ok_or_else(|| {
        format!("`{name}` is not a partner: write a domain, such as `example.com`, or a mailbox, as `a@example.com`")
    })
}

fn within(domain: &str, name: &str) -> bool {
    domain == name || below(domain, name)
}

fn below(domain: &str, name: &str) -> bool {
    domain.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
}

/// Providers whose mailboxes belong to unrelated people, as listed in `freemail.txt`.
#[derive(Default)]
struct Shared {
    /// Domains, with their subdomains.
    domains: HashSet<&'static str>,
    /// Names under any public suffix: `yahoo` for `yahoo.*`.
    names: HashSet<&'static str>,
    /// Public suffixes under which every name is a provider's: `ne.jp` for `*.ne.jp`.
    suffixes: HashSet<&'static str>,
}

static SHARED: LazyLock<Shared> = LazyLock::new(|| {
    let mut shared = Shared::default();
    let lines = include_str!("freemail.txt").lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_suffix(".*") {
            shared.names.insert(name);
        } else if let Some(suffix) = line.strip_prefix("*.") {
            shared.suffixes.insert(suffix);
        } else {
            shared.domains.insert(line);
        }
    }
    shared
});

/// Whether the domain is a free-mail or internet provider's.
pub fn is_shared(domain: &str) -> bool {
    if SHARED.domains.contains(domain) {
        return true;
    }
    let Some(suffix) = psl::suffix(domain.as_bytes()) else { return false };
    // under a private suffix, the subdomain is a customer's own
    if suffix.typ() == Some(psl::Type::Private) {
        return false;
    }
    let suffix = std::str::from_utf8(suffix.as_bytes()).unwrap_or_default();
    let Some(below) = domain.strip_suffix(suffix).and_then(|rest| rest.strip_suffix('.')) else {
        return false;
    };
    let name = below.rsplit('.').next().unwrap_or(below);
    SHARED.suffixes.contains(suffix)
        || SHARED.names.contains(name)
        || domain.match_indices('.').any(|(at, _)| SHARED.domains.contains(&domain[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn outside_addresses_are_counted_by_organisation() {
        // (addresses, how many organisations), as `docs/MAIL.md` §5 counts.
        let cases: &[(&[&str], usize)] = &[
            (&["info@a.co.jp", "x@b.a.co.jp"], 1),
            (&["a@ocn.ne.jp", "b@ocn.ne.jp"], 2),
            (&["a@blue.ocn.ne.jp", "b@blue.ocn.ne.jp"], 2),
            (&["a@p.sakura.ne.jp", "a@q.sakura.ne.jp"], 2),
            (&["a@p.sakura.ne.jp", "b@p.sakura.ne.jp"], 1),
            (&["a@sakura.ne.jp", "b@sakura.ne.jp"], 2),
            (&["a@日本語.jp", "b@xn--wgv71a119e.jp"], 1),
            (&["a@docomo.ne.jp", "b@docomo.ne.jp", "c@i.softbank.jp", "d@ezweb.ne.jp"], 4),
            (&["a.b@gmail.com", "ab+x@googlemail.com"], 1),
            (&["a@gmail.com", "b@gmail.com"], 2),
            (&["a@contoso.onmicrosoft.com", "b@fabrikam.onmicrosoft.com"], 2),
            (&["a@contoso.onmicrosoft.com", "b@contoso.mail.onmicrosoft.com"], 1),
            (&["a@city.kawasaki.jp", "b@dept.city.kawasaki.jp"], 1),
            (&["a@pref.osaka.lg.jp", "b@dept.pref.osaka.lg.jp"], 1),
            (
                &[
                    "a@pref.osaka.lg.jp",
                    "b@city.osaka.lg.jp",
                    "c@town.misato.miyagi.lg.jp",
                    "d@pref.miyagi.lg.jp",
                ],
                4,
            ),
            (&["a@osaka.lg.jp", "b@lg.jp"], 2),
            (&["a@one.github.io", "b@two.github.io"], 2),
            (&["a@[192.0.2.1]", "b@[192.0.2.1]"], 1),
            (&["a@localhost", "b@localhost"], 1),
            (&["A@EXAMPLE.com", "b@mail.Example.COM"], 1),
        ];
        for (addresses, wanted) in cases {
            let found: HashSet<_> = addresses.iter().map(|text| organisation_of(&address(text))).collect();
            assert_eq!(found.len(), *wanted, "{addresses:?}: {found:?}");
        }
    }

    /// Domains that probably belong to many strangers, each with whether the list may miss it. At most one in
    /// twenty may be taken for a company.
    #[test]
    fn mailboxes_of_providers_are_strangers() {
        let likely: Vec<&str> = include_str!("providers_tests.txt").split_whitespace().collect();
        assert!(likely.len() >= 270, "{}", likely.len());
        let companies: Vec<&&str> = likely.iter().filter(|domain| !is_shared(domain)).collect();
        assert!(
            companies.len() * 20 < likely.len(),
            "{} of {}: {companies:?}",
            companies.len(),
            likely.len()
        );
        for listed in
            ["hotmail.se", "yahoo.co.nz", "live.se", "outlook.dk", "gmx.fr", "msa.hinet.net", "me.com"]
        {
            assert!(is_shared(listed), "{listed}");
        }
    }

    #[test]
    fn companies_and_customers_of_hosting_are_no_providers() {
        for domain in [
            "example.co.jp",
            "live.example.com",
            "mail.yahoo-fans.example",
            "p.sakura.ne.jp",
            "yahoo.example.com",
            "ne.jp",
            "hotmail",
            "outlook.office.example.com",
            "contoso.onmicrosoft.com",
            "bt.com",
            "toyota.jp",
            "city.kawasaki.jp",
            "[192.0.2.1]",
        ] {
            assert!(!is_shared(domain), "{domain}");
        }
    }

    #[test]
    fn each_mailbox_of_individuals_is_an_outsider_of_its_own() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let university = Organisation::new(
            &[("example.ac.jp".into(), true)],
            &list(&["alumni.example"]),
            &list(&["st.example.ac.jp"]),
        )
        .unwrap()
        .with_individuals(&list(&["ST.example.ac.jp", "alumni.example"]))
        .unwrap();
        for (text, affiliation) in [
            ("a@example.ac.jp", Affiliation::Internal),
            ("a@st.example.ac.jp", Affiliation::External),
            ("a@m.st.example.ac.jp", Affiliation::External),
            ("a@alumni.example", Affiliation::External),
            ("a@best.example.ac.jp", Affiliation::Internal),
        ] {
            assert_eq!(university.affiliation(&address(text)), affiliation, "{text}");
        }
        let of = |text: &str| university.of(&address(text));
        assert_ne!(of("a@st.example.ac.jp"), of("b@st.example.ac.jp"));
        assert_eq!(of("a@other.example"), of("b@other.example"));
        assert!(university.shares("st.example.ac.jp") && !university.shares("example.ac.jp"));
        assert!(Organisation::default().with_individuals(&list(&["*.st.example.ac.jp"])).is_err());
    }

    #[test]
    fn plus_and_dots_collapse_only_where_the_provider_does() {
        let cases = [
            ("a.b.c+list@gmail.com", "abc@gmail.com"),
            ("a.b+x@outlook.jp", "a.b@outlook.jp"),
            ("a.b+x@hotmail.com", "a.b@hotmail.com"),
            ("a.b+x@example.com", "a.b+x@example.com"),
            ("a+x@live.example.com", "a+x@live.example.com"),
            ("+x@gmail.com", "+x@gmail.com"),
        ];
        for (text, wanted) in cases {
            assert_eq!(counting_key(&address(text)), wanted);
        }
    }

    #[test]
    fn who_is_ours() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let ours = Organisation::new(
            &[("example.co.jp".into(), true), ("例え.jp".into(), false)],
            &list(&["partner.example", "alumni.example.co.jp", "Accountant@Office.example"]),
            &list(&["students.example.co.jp", "alumni.example.co.jp"]),
        )
        .unwrap();
        let cases = [
            ("a@example.co.jp", Affiliation::Internal),
            ("a@MAIL.example.co.jp", Affiliation::Internal),
            ("a@notexample.co.jp", Affiliation::External),
            ("a@example.co.jp.evil.example", Affiliation::External),
            ("a@students.example.co.jp", Affiliation::External),
            ("a@x.students.example.co.jp", Affiliation::External),
            ("a@alumni.example.co.jp", Affiliation::Partner),
            ("a@xn--r8jz45g.jp", Affiliation::Internal),
            ("a@sub.xn--r8jz45g.jp", Affiliation::External),
            ("a@sub.partner.example", Affiliation::Partner),
            ("accountant@office.example", Affiliation::Partner),
            ("other@office.example", Affiliation::External),
            ("accountant@sub.office.example", Affiliation::External),
        ];
        for (text, wanted) in cases {
            assert_eq!(ours.affiliation(&address(text)), wanted, "{text}");
        }
        for bad in ["", "a@b.jp", "*.example.jp", ".example.jp", "a b.jp"] {
            assert!(Organisation::new(&[(bad.into(), true)], &[], &[]).is_err(), "{bad:?}");
        }
        for bad in ["@office.example", "a@", "a b@office.example", "*@office.example.", "Name <a@b.example>"]
        {
            assert!(Organisation::new(&[], &list(&[bad]), &[]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn with_nothing_configured_the_senders_organisation_is_ours() {
        let nobody = Organisation::of_sender();
        let company = nobody.for_sender(Some(&address("a@sales.example.co.jp")));
        assert!(company.is_internal(&address("b@example.co.jp")));
        assert!(!company.is_internal(&address("b@other.co.jp")));
        let person = nobody.for_sender(Some(&address("a@gmail.com")));
        assert!(person.is_internal(&address("A@gmail.com")));
        assert!(!person.is_internal(&address("b@gmail.com")));
        assert!(!nobody.for_sender(None).is_internal(&address("a@example.co.jp")));
        assert_eq!(company.for_sender(Some(&address("x@other.co.jp"))), company);
    }
}
