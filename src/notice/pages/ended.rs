//! Tells the sender that their mail was not sent: who returned it and why, or that the hold expired; and
//! returns the mail.

use super::super::back;
use super::super::canned::in_language;
use super::super::locale::text;
use super::super::page::{Page, Tone};
use super::super::people::People;
use super::super::whom::Addressee;
use super::{Desk, Letter, decided_by, lines, risks};
use crate::intake::Enclosed;
use crate::notice::Encloses;
use crate::policy::risks::Kind;
use crate::store::HeldRow;

/// A notice, and the returned mail.
pub(in super::super) type Back = (Letter, Option<Enclosed>);

impl Desk<'_> {
    /// A person returned it.
    pub(in super::super) fn returned(&self) -> Option<Back> {
        let held = self.matter.message.held.as_ref()?;
        let (told, mut page) = self.to_sender(Tone::Ended)?;
        let people = self.people();
        let by = decided_by(&page, held);
        page.lead("returned-lead", &[("by", text(&by))]);
        let reason = held.decision.as_deref().map(|reason| lines(&in_language(reason.trim(), page.language)));
        if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
            page.paragraph("returned-reason", &[]);
            page.quote(&reason);
        }
        self.partly_sent(&mut page);
        self.was_sent_alone(&mut page);
        self.after_all(&mut page, held, &people, &told);
        Some(self.give_back("returned-subject", told, &[page], back::Why::Refused))
    }

    /// The hold expired.
    pub(in super::super) fn expired(&self) -> Option<Back> {
        let held = self.matter.message.held.as_ref()?;
        let (told, mut page) = self.to_sender(Tone::Ended)?;
        let people = self.people();
        let expires = self.moment_text(&page, held.expires);
        page.lead("expired-lead", &[("expires", text(&expires))]);
        self.partly_sent(&mut page);
        self.was_sent_alone(&mut page);
        self.after_all(&mut page, held, &people, &told);
        Some(self.give_back("expired-subject", told, &[page], back::Why::Expired))
    }

    /// Explains what to do with a mail that was not sent.
    fn after_all(&self, page: &mut Page, held: &HeldRow, people: &People, told: &Addressee) {
        self.facts(page, people);
        risks(page, held);
        page.heading("heading-next");
        let next = page.say(advice(held.risks.first().map(|risk| risk.kind)), &[]);
        page.item(2, &next);
        if told.is_sender && matches!(self.matter.details.encloses, Some(Encloses::Whole { .. })) {
            let enclosed = page.say("returned-enclosed", &[]);
            page.item(2, &enclosed);
        }
    }

    /// The notice with the enclosed mail. If another person is told in the sender's place, the mail is not
    /// enclosed.
    fn give_back(&self, subject: &str, told: Addressee, pages: &[Page], why: back::Why) -> Back {
        let letter = self.close(subject, vec![told.address], pages, false);
        match self.matter.details.encloses.filter(|_| told.is_sender) {
            Some(encloses) => back::with_original(letter, encloses, why, self),
            None => (letter, None),
        }
    }
}

/// Advice for the most serious risk. It suggests Bcc or fewer recipients only if addresses would be shown.
fn advice(reason: Option<Kind>) -> &'static str {
    match reason {
        None | Some(Kind::Exposed) => "returned-next",
        Some(Kind::ListOfPeople | Kind::File | Kind::Opaque | Kind::Attachment | Kind::WinmailDat) => {
            "returned-next-file"
        }
        Some(Kind::Invitation) => "returned-next-invitation",
        Some(Kind::LookAlike | Kind::LargeBcc) => "returned-next-address",
        Some(Kind::Unreadable) => "returned-next-unreadable",
        Some(_) => "returned-next-otherwise",
    }
}
