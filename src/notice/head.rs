//! Mails the head of the journal's chain. Kept outside the relay, it proves later that no earlier entry was
//! changed or removed.

use super::locale::{say, text};
use super::mail::{Head, text_part};
use super::{Letterhead, Moment, Postman};
use crate::id::Id;
use crate::intake::OwnMail;
use crate::message::Address;
use crate::store::StoreError;
use crate::store::chain;

impl Postman {
    /// Mails the head of the journal's chain to an address.
    ///
    /// # Errors
    /// The intake could not commit the mail.
    pub async fn mail_head(&self, head: &chain::Head, to: &Address) -> Result<Id, StoreError> {
        let moment = Moment { now: self.clock.now(), bits: self.entropy.bits() };
        self.intake.own(compose(head, to, &self.letterhead(), moment)).await
    }
}

fn compose(head: &chain::Head, to: &Address, letterhead: &Letterhead, moment: Moment) -> OwnMail {
    let shown = head.to_string();
    let number = head.entries.to_string();
    let values = [("host", text(&letterhead.hostname)), ("entry", text(&number))];
    let language = letterhead.language.unwrap_or_default();
    let said = |key| say(language, key, &values);
    let body = format!(
        "{}\n\n    {shown}\n\n{}\n\n    sekisho audit verify --head {shown}\n\n{}\n",
        said("head-lead"),
        said("head-keep"),
        said("head-end")
    );
    let help = letterhead.contact.as_ref().map(|contact| {
        let values = [("contact", text(contact.text(language)))];
        format!("\n-- \n{}\n", say(language, "foot-contact", &values))
    });
    let body = body + &help.unwrap_or_default();
    let to = [to.clone()];
    let top = Head {
        letterhead,
        moment,
        about: Id::new(moment.now, moment.bits),
        thread: "",
        to: &to,
        subject: &said("head-subject"),
        auto_submitted: "auto-generated",
        urgent: false,
    };
    let message = top.render() + &text_part("text/plain; charset=utf-8", body.as_bytes());
    OwnMail { about: None, to: to.into(), message: message.into(), answers: None, enclosed: None }
}

#[cfg(test)]
mod tests {
    use super::super::tests::letterhead;
    use super::*;
    use crate::clock::Timestamp;
    use crate::policy::verdict::Language;

    #[test]
    fn both_languages_say_the_head_and_what_to_do_with_it() {
        let link = "0123456789abcdef".repeat(4);
        let head = chain::Head { entries: 4_711, link: link.clone() };
        let to = Address::parse("kansa@example.co.jp").unwrap();
        for (language, word) in [(Language::En, "every hour"), (Language::Ja, "1時間ごと")] {
            let letterhead = Letterhead { language: Some(language), ..letterhead() };
            let mail = compose(&head, &to, &letterhead, Moment { now: Timestamp(0), bits: 7 });
            let parsed = mail_parser::MessageParser::default().parse(&mail.message[..]).unwrap();
            let text = parsed.body_text(0).unwrap();
            assert!(text.contains(&format!("sekisho audit verify --head 4711:{link}")), "{text}");
            assert!(text.contains(word), "{text}");
            assert!(parsed.subject().unwrap().contains("4711"));
            assert_eq!(mail.to, std::slice::from_ref(&to));
        }
    }
}
