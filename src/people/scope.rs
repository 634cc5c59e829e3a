//! What a token of the API is good for.

use crate::desk::principal::Roles;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One thing that a token may be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Lists held messages and what is known of each, without contents.
    HeldRead,
    /// Reads held messages, and decides on them.
    HeldDecide,
    /// Finds messages, and what happened to each.
    MessageRead,
    /// Reads numbers.
    ReportRead,
    /// Reads the queue.
    QueueRead,
    /// Retries, drops, pauses and resumes deliveries.
    QueueChange,
    /// Reads circles.
    CirclesRead,
    /// Makes and ends circles.
    CirclesChange,
    /// Takes people out of what was learned of who wrote with whom.
    KnowledgeChange,
}

impl Scope {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::HeldRead,
        Self::HeldDecide,
        Self::MessageRead,
        Self::ReportRead,
        Self::QueueRead,
        Self::QueueChange,
        Self::CirclesRead,
        Self::CirclesChange,
        Self::KnowledgeChange,
    ];

    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::HeldRead => "held:read",
            Self::HeldDecide => "held:decide",
            Self::MessageRead => "message:read",
            Self::ReportRead => "report:read",
            Self::QueueRead => "queue:read",
            Self::QueueChange => "queue:change",
            Self::CirclesRead => "circles:read",
            Self::CirclesChange => "circles:change",
            Self::KnowledgeChange => "knowledge:change",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scope| scope.text() == text);
        let all: Vec<&str> = Self::ALL.iter().map(|scope| scope.text()).collect();
        found.ok_or_else(|| format!("`{text}` is no scope; there are {}", all.join(", ")))
    }
}

/// What one token is good for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Of these texts; what this version does not know counts for nothing.
    pub fn of<T: AsRef<str>>(texts: &[T]) -> Self {
        Self(texts.iter().filter_map(|text| text.as_ref().parse().ok()).collect())
    }

    /// As they are kept.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// Whether the token is good for this.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// The roles of whoever shows the token. Without `held:decide` it is an auditor's at most: it reads no
    /// contents and decides nothing, whatever a surface forgets to ask. Circles are made by approvers; a
    /// token has no address, so that as one it was never asked about any message.
    pub fn roles(&self) -> Roles {
        let decides = self.allow(Scope::HeldDecide);
        Roles {
            admin: decides,
            auditor: !decides && !self.0.is_empty(),
            approver: self.allow(Scope::CirclesChange),
        }
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_and_only_one_decides() {
        for scope in Scope::ALL {
            assert_eq!(scope.text().parse(), Ok(scope));
            let alone = Scopes::of(&[scope.text()]);
            assert_eq!(alone.roles().admin, scope == Scope::HeldDecide, "{scope}");
            assert!(alone.allow(scope));
        }
        assert!("held:write".parse::<Scope>().unwrap_err().contains("held:read"));
        assert_eq!(Scopes::of(&["later:scope"]).roles(), Roles::default());
    }
}
