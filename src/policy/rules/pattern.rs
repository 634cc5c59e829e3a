//! Lists of addresses and domains, with wildcards, in the rule or in a separate file.
//!
//! | pattern | matches |
//! |---|---|
//! | `example.jp` | every address at exactly that domain |
//! | `*.example.jp` | every address at any of its subdomains |
//! | `user@example.jp` | that address |
//! | `sales-*@example.jp`, `*@example.jp` | `*` matches any characters on its side of the `@` |
//! | `<>` | the null sender |
//! | `file:clients.txt` | the patterns in that file, one per line; `#` starts a comment |

use crate::message::Address;
use crate::policy::organisation::domain_key;
use regex::{Regex, RegexBuilder};
use std::collections::HashSet;

/// Most patterns in one list, including its files.
const MOST: usize = 1_000_000;
/// Most patterns with wildcards in one list.
const MOST_GLOBS: usize = 2_000;
/// Most memory the compiled wildcards may take, in octets.
const GLOBS_SIZE: usize = 64 << 20;

/// A compiled list.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Patterns {
    addresses: HashSet<String>,
    domains: HashSet<String>,
    /// Domains whose subdomains match.
    parents: HashSet<String>,
    null: bool,
    globs: Vec<String>,
    glob: Option<Regex>,
}

impl Patterns {
    /// Adds one pattern.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(in crate::policy) fn add(&mut self, pattern: &str) -> Result<(), String> {
        let pattern = pattern.trim();
        if self.addresses.len() + self.domains.len() + self.parents.len() >= MOST {
            return Err(format!("more than {MOST} patterns in one list"));
        }
        if pattern == "<>" {
            self.null = true;
            return Ok(());
        }
        match pattern.rsplit_once('@') {
            None => self.add_domain(pattern),
            Some(("*", domain)) => self.add_domain(domain),
            Some((local, domain)) if local.contains('*') || domain.contains('*') => {
                if local.is_empty() || domain.is_empty() {
                    return Err(unreadable(pattern));
                }
                let domain = domain
                    .split('.')
                    .map(
                        |label| {
                            if label.contains('*') { Ok(label.to_lowercase()) } else { domain_key(label) }
                        },
                    )
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|_| unreadable(pattern))?
                    .join(".");
                let local = glob(&super::values::fold(local), "[^@]*");
                self.add_glob(format!("{local}@{}", glob(&domain, "[^@]*")))
            }
            Some(_) => {
                let address = Address::parse(pattern).map_err(|error| error.to_string())?;
                self.addresses.insert(address.key().to_owned());
                Ok(())
            }
        }
    }

    fn add_domain(&mut self, domain: &str) -> Result<(), String> {
        if let Some(parent) = domain.strip_prefix("*.")
            && !parent.contains('*')
        {
            self.parents.insert(domain_key(parent)?);
            return Ok(());
        }
        if domain.contains('*') {
            return Err(format!("`{domain}`: a wildcard for domains is written `*.example.jp`"));
        }
        self.domains.insert(domain_key(domain).map_err(|_| unreadable(domain))?);
        Ok(())
    }

    fn add_glob(&mut self, glob: String) -> Result<(), String> {
        if self.globs.len() >= MOST_GLOBS {
            return Err(format!("more than {MOST_GLOBS} patterns with wildcards in one list"));
        }
        self.globs.push(glob);
        Ok(())
    }

    /// Compiles the wildcards after all patterns were added.
    pub(in crate::policy) fn finish(mut self) -> Result<Self, String> {
        if self.is_empty() {
            return Err("the list is empty: it would never match".to_owned());
        }
        if !self.globs.is_empty() {
            let all = format!("^(?:{})$", self.globs.join("|"));
            let built = RegexBuilder::new(&all).size_limit(GLOBS_SIZE).build();
            self.glob = Some(built.map_err(|_| "too many patterns with wildcards in one list".to_owned())?);
            self.globs = Vec::new();
        }
        Ok(self)
    }

    fn is_empty(&self) -> bool {
        self.addresses.is_empty()
            && self.domains.is_empty()
            && self.parents.is_empty()
            && self.globs.is_empty()
            && !self.null
    }

    /// Whether the address is in the list; `None` is the null sender.
    pub(in crate::policy) fn holds(&self, address: Option<&Address>) -> bool {
        let Some(address) = address else { return self.null };
        self.addresses.contains(address.key())
            || self.domains.contains(address.domain_key())
            || self.has_parent_of(address.domain_key())
            || self.glob.as_ref().is_some_and(|glob| glob.is_match(address.key()))
    }

    fn has_parent_of(&self, domain: &str) -> bool {
        if self.parents.is_empty() {
            return false;
        }
        let mut rest = domain;
        while let Some((_, parent)) = rest.split_once('.') {
            if self.parents.contains(parent) {
                return true;
            }
            rest = parent;
        }
        false
    }
}

fn unreadable(pattern: &str) -> String {
    format!("`{pattern}` is not an address pattern: write `user@example.jp`, `example.jp` or `*.example.jp`")
}

/// The regular expression of a pattern; `any` replaces the star.
fn glob(pattern: &str, any: &str) -> String {
    pattern.split('*').map(regex::escape).collect::<Vec<_>>().join(any)
}

/// A list of file names or content types, in which only `*` and `?` are special.
#[derive(Clone, Debug)]
pub(super) struct Names {
    any: Regex,
    /// The literal text of each pattern that has wildcards only at its ends.
    words: Vec<String>,
}

impl Names {
    /// Compiles patterns that match any of these; case and compatibility forms are ignored.
    pub(super) fn new(patterns: &[String]) -> Result<Self, String> {
        if patterns.is_empty() || patterns.iter().any(|pattern| pattern.trim().is_empty()) {
            return Err("an empty name never matches: write a pattern such as `*.xlsx`".to_owned());
        }
        let each: Vec<String> =
            patterns.iter().map(|pattern| glob(&super::values::fold(pattern.trim()), ".*")).collect();
        let any = super::values::regex(&format!("(?s)^(?:{})$", each.join("|")))?;
        let inner = |pattern: &String| {
            let word = pattern.trim().strip_prefix('*')?.strip_suffix('*')?;
            (!word.contains('*')).then(|| word.to_owned())
        };
        Ok(Self { any, words: patterns.iter().filter_map(inner).collect() })
    }

    /// The text of the list that the name contains, for patterns with wildcards at both ends.
    pub(super) fn word_in(&self, name: &str) -> Option<&str> {
        let folded = super::values::fold(name);
        self.words.iter().find(|word| folded.contains(&super::values::fold(word))).map(String::as_str)
    }

    pub(in crate::policy) fn holds(&self, name: &str) -> bool {
        self.any.is_match(&super::values::fold(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_what_they_say() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("example.jp", &["a@example.jp", "B@Example.JP"], &["a@x.example.jp", "a@badexample.jp"]),
            ("*.example.jp", &["a@x.example.jp", "a@y.x.example.jp"], &["a@example.jp", "a@xexample.jp"]),
            ("User@Example.jp", &["user@example.jp"], &["user2@example.jp", "xuser@example.jp"]),
            ("*@example.jp", &["a@example.jp"], &["a@x.example.jp"]),
            ("sales-*@example.jp", &["sales-1@example.jp"], &["sales@example.jp", "xsales-1@example.jp"]),
            ("*-ml@*.example.jp", &["a-ml@b.example.jp"], &["a@b.example.jp", "a-ml@example.jp"]),
            ("info@*", &["info@anywhere.example"], &["xinfo@anywhere.example"]),
            ("例え.jp", &["a@xn--r8jz45g.jp"], &["a@example.jp"]),
            ("a.b@example.jp", &["a.b@example.jp"], &["aXb@example.jp"]),
            ("a.*@example.jp", &["a.b@example.jp"], &["aXb@example.jp"]),
        ];
        for (pattern, yes, no) in cases {
            let mut list = Patterns::default();
            list.add(pattern).unwrap();
            let list = list.finish().unwrap();
            for text in *yes {
                assert!(list.holds(Some(&Address::parse(text).unwrap())), "{pattern} should hold {text}");
            }
            for text in *no {
                assert!(
                    !list.holds(Some(&Address::parse(text).unwrap())),
                    "{pattern} should not hold {text}"
                );
            }
            assert!(!list.holds(None), "{pattern} is not the null sender");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in ["", "*", "*.*", "a b", "@example.jp", "a@", "a.*.jp", ".example.jp", "exa*mple.jp"] {
            assert!(Patterns::default().add(bad).is_err(), "{bad:?}");
        }
        assert!(Patterns::default().finish().is_err());
    }

    #[test]
    fn file_names_are_compared_folded() {
        let names = Names::new(&["*.xlsx".into(), "名簿*".into()]).unwrap();
        for yes in ["a.XLSX", "ａ.ｘｌｓｘ", "名簿2026.pdf"] {
            assert!(names.holds(yes), "{yes}");
        }
        for no in ["axlsx", "a.xlsx.pdf", "会員名簿.pdf"] {
            assert!(!names.holds(no), "{no}");
        }
    }
}
