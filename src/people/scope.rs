//! Scopes: what an API token may do.

use crate::desk::principal::Roles;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One thing that a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// List held messages and their facts, without contents.
    HeldRead,
    /// Read held messages and decide on them.
    HeldDecide,
    /// Find messages and what happened to them.
    MessageRead,
    /// Read statistics.
    ReportRead,
    /// Read the queue.
    QueueRead,
    /// Retry, drop, pause and resume deliveries.
    QueueChange,
    /// Read circles.
    CirclesRead,
    /// Make and end circles.
    CirclesChange,
    /// Remove people from what was learned of who wrote with whom.
    KnowledgeChange,
}

impl Scope {
    /// All scopes.
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

    /// The name of the scope.
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
        found.ok_or_else(|| format!("`{text}` is not a scope; choose from {}", all.join(", ")))
    }
}

/// The scopes of one token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// The scopes with these names; unknown names are ignored.
    pub fn of<T: AsRef<str>>(texts: &[T]) -> Self {
        Self(texts.iter().filter_map(|text| text.as_ref().parse().ok()).collect())
    }

    /// Their names, for the store.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// Whether the token has this scope.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// The roles that a token gives. Without `held:decide` it is an auditor's at most, so that it can never
    /// read contents or decide, even if a caller forgets to check the scope. Circles are made by approvers;
    /// tokens have no address, so they are never an assigned approver of a message.
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
