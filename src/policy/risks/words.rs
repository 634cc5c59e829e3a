//! Risks in words, English and Japanese: a label, a line that says what removes the risk, a headline.
//!
//! Text from the mail is reduced to one harmless line, because these words appear in lists, subjects and
//! pages.

use super::places::called;
use super::{Kind, Risk};
use crate::policy::Disclosure;
use crate::policy::verdict::Language;

/// Longest text from the mail that is shown (file name, address), in characters.
const LONGEST: usize = 60;

impl Risk {
    /// The label, one or two words.
    pub fn label(&self, language: Language) -> String {
        let own = self.title.as_ref().filter(|_| !matches!(self.kind, Kind::Exposed | Kind::LookAlike));
        if let Some(title) = own {
            return short(title.text(language), 2 * LONGEST);
        }
        let (en, ja) = match self.kind {
            Kind::LookAlike => ("Look-alike domain", "よく似たドメイン"),
            Kind::ListOfPeople => ("Possible list of people", "名簿の可能性"),
            Kind::Words => ("Words in the header", "件名などの語句"),
            Kind::Unreadable => ("Recipients cannot be read reliably", "宛先欄の書式が壊れています"),
            Kind::Invitation => ("Invitation", "招待状（予定表）"),
            Kind::SignedContent => ("Signed content", "署名済みの内容"),
            Kind::Encrypted => ("Encrypted content", "暗号化された内容"),
            Kind::WinmailDat => ("winmail.dat", "winmail.dat"),
            Kind::Inside => ("Addresses inside the mail", "メールの中身にアドレス"),
            Kind::Opaque => ("Files that cannot be inspected", "中身を検査できないファイル"),
            Kind::UnreadablePart => ("A part cannot be read reliably", "読み取れない部分"),
            Kind::ForeignSender => ("Sender is not ours", "差出人が社外"),
            Kind::Rule => ("Organisation rule", "組織のルール"),
            Kind::File | Kind::Attachment => ("Attachment", "添付ファイル"),
            Kind::LargeBcc => ("Large Bcc", "多数の Bcc"),
            Kind::Exposed => ("Addresses shown to each other", "互いのアドレスが見える"),
        };
        pick(language, en, ja).to_owned()
    }

    /// The risk in one sentence, without what removes it.
    pub fn headline(&self, language: Language) -> String {
        match (self.kind, &self.text, language) {
            (Kind::Exposed, None, Language::En) => {
                format!("{} would see each other's addresses", self.crowd(language))
            }
            (Kind::Exposed, None, Language::Ja) => {
                format!("社外の{}に互いのアドレスが見えます", self.crowd(language))
            }
            (Kind::Exposed | Kind::Rule, Some(text), _) => short(text.text(language), 300),
            _ => self.named(language),
        }
    }

    /// The risk as one line of a list: the kind, the details, and what removes it.
    pub fn line(&self, language: Language) -> String {
        let said = match (self.kind, language) {
            (Kind::Exposed, Language::Ja) if self.text.is_none() => {
                let organisations = grouped(self.organisations);
                format!("{}：{}名/{organisations}組織", self.label(language), grouped(self.people))
            }
            _ => self.headline(language),
        };
        let cure = self.cure(language);
        match language {
            Language::En => format!("{said} ({cure})"),
            Language::Ja => format!("{said}（{cure}）"),
        }
    }

    /// What removes the risk, or what does not.
    pub fn cure(&self, language: Language) -> String {
        let (en, ja) = match self.kind {
            _ if self.is_cured_by(Disclosure::Split) => {
                ("sending individually prevents it", "個別送信で防げます")
            }
            Kind::LookAlike => (
                "check the address; sending individually does not help",
                "アドレスを確認してください。個別送信では防げません",
            ),
            Kind::LargeBcc => ("check the recipients", "宛先を確認してください"),
            Kind::Unreadable => ("no safe copies can be made", "個別のメールを安全に作れません"),
            Kind::ForeignSender => ("it is not split", "個別送信にはできません"),
            Kind::Inside | Kind::Invitation | Kind::SignedContent | Kind::Encrypted | Kind::WinmailDat => {
                ("visible even when sent individually", "個別送信でも見えてしまいます")
            }
            _ => ("sending individually does not prevent it", "個別送信では防げません"),
        };
        pick(language, en, ja).to_owned()
    }

    /// `Label: detail`
    fn named(&self, language: Language) -> String {
        let (label, detail) = (self.label(language), self.detail(language));
        let colon = pick(language, ": ", "：");
        if detail.is_empty() { label } else { format!("{label}{colon}{detail}") }
    }

    fn detail(&self, language: Language) -> String {
        let about = self.names(language);
        let (people, known) = (grouped(self.people), short(&self.place, LONGEST));
        match (self.kind, language) {
            (Kind::LookAlike, Language::En) => {
                format!("{about} (looks like {known} but is a different domain)")
            }
            (Kind::LookAlike, Language::Ja) => format!("{about}（{known} とは別のドメインです）"),
            (Kind::ListOfPeople, Language::En) if about.is_empty() => {
                format!("the text names {people} people")
            }
            (Kind::ListOfPeople, Language::Ja) if about.is_empty() => format!("本文に{people}名"),
            (Kind::ListOfPeople, Language::En) => format!("{about} names {people} people"),
            (Kind::ListOfPeople, Language::Ja) => format!("{about} に{people}名"),
            (Kind::Invitation, Language::En) if self.people > 0 => {
                format!("it names {people} outside attendees")
            }
            (Kind::Invitation, Language::Ja) if self.people > 0 => {
                format!("社外の参加者{people}名が書かれています")
            }
            (Kind::SignedContent, Language::En) => {
                format!("it names {people} recipients and cannot be changed")
            }
            (Kind::SignedContent, Language::Ja) => format!("宛先{people}名が書かれていて変更できません"),
            (Kind::Encrypted, Language::En) => "it shows who else can open it".to_owned(),
            (Kind::Encrypted, Language::Ja) => "ほかに開ける人が分かります".to_owned(),
            (Kind::WinmailDat, Language::En) if about.is_empty() => "it may name recipients".to_owned(),
            (Kind::WinmailDat, Language::Ja) if about.is_empty() => {
                "宛先が含まれている可能性があります".to_owned()
            }
            (Kind::WinmailDat, Language::En) => format!("it names {about}"),
            (Kind::WinmailDat, Language::Ja) => format!("{about} が書かれています"),
            (Kind::Inside, Language::En) => format!("others would see {about}"),
            (Kind::Inside, Language::Ja) => format!("{about} がほかの宛先に見えます"),
            (Kind::LargeBcc, Language::En) => format!("{people} recipients in Bcc"),
            (Kind::LargeBcc, Language::Ja) => format!("Bcc の宛先が{people}名います"),
            (Kind::Attachment, Language::En) if self.people > 1 => {
                format!("{about} goes to {people} people outside")
            }
            (Kind::Attachment, Language::Ja) if self.people > 1 => {
                format!("{about} が社外の{people}名に届きます")
            }
            (Kind::Words, Language::En) => format!("“{about}”"),
            (Kind::Words, Language::Ja) => format!("「{about}」"),
            (Kind::Rule | Kind::Unreadable | Kind::UnreadablePart, _) => {
                self.text.as_ref().map(|text| short(text.text(language), 200)).unwrap_or_default()
            }
            _ => about,
        }
    }

    /// `a@x, b@y and 3 more`
    fn names(&self, language: Language) -> String {
        let names: Vec<String> =
            self.about.iter().map(|one| short(&called(one, language), LONGEST)).collect();
        let more = self.total.saturating_sub(names.len());
        let joined = names.join(pick(language, ", ", "、"));
        match (more, language) {
            (0, _) => joined,
            (_, Language::En) => format!("{joined} and {} more", grouped(more)),
            (_, Language::Ja) => {
                let people = self.about.iter().all(|one| one.contains('@'));
                format!("{joined} ほか{}{}", grouped(more), if people { "名" } else { "件" })
            }
        }
    }

    /// `12 people at 3 organisations`
    fn crowd(&self, language: Language) -> String {
        let (people, organisations) = (grouped(self.people), grouped(self.organisations));
        match language {
            Language::En => {
                let plural = if self.organisations == 1 { "organisation" } else { "organisations" };
                format!("{people} people at {organisations} {plural}")
            }
            Language::Ja => format!("{people}名（{organisations}組織）"),
        }
    }
}

pub(super) fn pick<'a>(language: Language, en: &'a str, ja: &'a str) -> &'a str {
    match language {
        Language::En => en,
        Language::Ja => ja,
    }
}

/// A number with thousands separators.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Text from the mail on one line, shortened if necessary, without invisible characters and direction marks.
pub(super) fn short(text: &str, most: usize) -> String {
    let shown = |c: &char| !c.is_control() && !is_unseen(*c);
    let words: Vec<&str> = text.split_whitespace().collect();
    let one_line: Vec<char> = words.join(" ").chars().filter(shown).collect();
    if one_line.len() <= most {
        return one_line.into_iter().collect();
    }
    one_line.into_iter().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Whether the character changes the direction of text or has no width.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Whether a text is one line without invisible characters and direction marks.
#[cfg(test)]
pub(super) fn is_calm(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || is_unseen(c))
}
