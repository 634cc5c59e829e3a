//! Groups of senders and the file of managers, as typed values: who is asked about whose mail.

use super::{Config, Reporter, keys, read_file};
use crate::diagnostic::Diagnostic;
use crate::policy::Approvers;
use crate::policy::approvers::{Managers, NamedApprover, SenderGroup};

/// The groups. Each name may occur only once.
pub(super) fn groups(
    keys: Vec<keys::Group>,
    reporter: &Reporter<'_>,
) -> Result<Vec<SenderGroup>, Diagnostic> {
    let mut groups: Vec<SenderGroup> = Vec::new();
    for group in keys {
        let wrong = |span, said: String| Diagnostic::at(reporter.path, reporter.text, span, said, None);
        if groups.iter().any(|other| other.name == group.name) {
            let said = format!("there is already a [[group]] `{}`", group.name);
            return Err(wrong(group.senders.span(), said));
        }
        let asked = group.approvers.span();
        let approvers = group.approvers.into_inner();
        if approvers.is_empty() {
            return Err(wrong(asked, format!("the group `{}` names no approvers", group.name)));
        }
        let span = group.senders.span();
        let made = SenderGroup::new(&group.name, group.senders.get_ref(), approvers);
        groups.push(made.map_err(|said| wrong(span, said))?);
    }
    Ok(groups)
}

impl Config {
    /// Who is asked to decide, apart from approvers that rules name. Reads the file of managers.
    ///
    /// # Errors
    /// The file cannot be read, or it has a mistake, which is reported with its line.
    pub fn approvers(&self) -> Result<Approvers, Diagnostic> {
        let managers = match &self.policy.managers {
            Some(path) => Managers::parse(path, &read_file(path, "the file of managers")?)?,
            None => Managers::default(),
        };
        Ok(Approvers {
            everything: self.policy.approvers.clone(),
            by_rule: std::collections::HashMap::new(),
            groups: self.groups.clone(),
            managers,
            behind: self.behind(),
        })
    }
}

impl Config {
    /// Who is asked if nobody else is left.
    fn behind(&self) -> Vec<crate::message::Address> {
        let escalated = self.notices.asking.escalation.iter().flat_map(|escalation| &escalation.to);
        escalated.chain(&self.notices.admin).cloned().collect()
    }
}

/// `manager` needs a file that says who the managers are.
pub(super) fn managers_named(
    asked: &[NamedApprover],
    groups: &[SenderGroup],
    file: bool,
    reporter: &Reporter<'_>,
) -> Result<(), Diagnostic> {
    let mut all = asked.iter().chain(groups.iter().flat_map(|group| &group.approvers));
    if !file && all.any(|one| *one == NamedApprover::Manager) {
        let said = "\"manager\" is asked, but no file names the managers: set `managers` in [policy]";
        return Err(reporter.wrong("[policy]", "approvers", said));
    }
    Ok(())
}
