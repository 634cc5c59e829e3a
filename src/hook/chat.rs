//! Messages for chat rooms: Adaptive Cards for Teams workflows, Block Kit for Slack. Pure functions.
//!
//! Text from a mail must not become a mention, a link or formatting. It is put where no markup is
//! interpreted: a `TextRun` in Teams (other texts of a card are Markdown), a `plain_text` object in Slack.
//! Slack's three control characters are escaped there too, and a zero-width space breaks what a client could
//! turn into a link or a mention. The notification text contains only our own words.

use crate::notice::words::{clean, number, say, text};
use crate::policy::verdict::Language;
use serde_json::{Value, json};

/// Most recipients that are named.
pub(super) const NAMED: usize = 6;
/// Most risks that are listed.
const RISKS: usize = 6;
/// Longest subject or address, in characters.
const LONGEST: usize = 200;

/// The contents of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChatNews {
    /// The language.
    pub(super) language: Language,
    /// Decoded subject of the mail.
    pub(super) subject: String,
    /// MAIL FROM.
    pub(super) sender: String,
    /// The first recipients.
    pub(super) people: Vec<String>,
    /// The number of recipients.
    pub(super) recipients: usize,
    /// The risks in words, most serious first.
    pub(super) risks: Vec<String>,
    /// The event.
    pub(super) news: News,
    /// The URL of the mail's page.
    pub(super) page: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The mail is held.
    Held {
        /// The deadline, as people write it.
        deadline: String,
        /// Whether its sender can decide alone.
        alone: bool,
    },
    /// The mail has been decided.
    Decided {
        /// The key of the phrase that says how.
        key: &'static str,
        /// Who decided.
        by: String,
    },
}

/// A fact: label and value.
struct Fact {
    label: String,
    lines: Vec<String>,
}

impl ChatNews {
    fn say(&self, key: &str) -> String {
        say(self.language, key, &[])
    }

    fn title(&self) -> String {
        match self.news {
            News::Held { .. } => self.say("hook-held"),
            News::Decided { .. } => self.say("hook-decided"),
        }
    }

    fn subject(&self) -> String {
        let subject = unlinked(&clean(&self.subject, LONGEST));
        if subject.is_empty() { self.say("no-subject") } else { subject }
    }

    fn facts(&self) -> Vec<Fact> {
        let mut people: Vec<String> =
            vec![say(self.language, "hook-recipients", &[("count", number(self.recipients))])];
        people.extend(self.people.iter().take(NAMED).map(|one| clean(one, LONGEST)));
        if self.recipients > self.people.len().min(NAMED) {
            people.push("…".to_owned());
        }
        let sender =
            if self.sender.is_empty() { self.say("null-sender") } else { clean(&self.sender, LONGEST) };
        let fact = |key: &str, lines| Fact { label: self.say(key), lines };
        let mut facts = vec![fact("label-sender", vec![sender]), fact("hook-label-people", people)];
        if let News::Held { deadline, .. } = &self.news {
            let risks: Vec<String> =
                self.risks.iter().take(RISKS).map(|risk| unlinked(&clean(risk, 2 * LONGEST))).collect();
            if !risks.is_empty() {
                facts.push(fact("hook-label-risks", risks));
            }
            let deadline = say(self.language, "hook-deadline", &[("at", text(deadline))]);
            facts.push(fact("hook-label-deadline", vec![deadline]));
        }
        facts
    }

    /// The last line: who acts now, or what was done.
    fn last(&self) -> String {
        match &self.news {
            News::Held { alone: true, .. } => self.say("hook-who-sender"),
            News::Held { alone: false, .. } => self.say("hook-who-approver"),
            News::Decided { key, by } => {
                let by = if by.is_empty() { self.say("the-administrator") } else { clean(by, LONGEST) };
                unlinked(&say(self.language, key, &[("by", text(&by))]))
            }
        }
    }

    fn button(&self) -> Option<(String, &str)> {
        let key = if matches!(self.news, News::Held { .. }) { "hook-open" } else { "hook-open-decided" };
        self.page.as_deref().map(|page| (self.say(key), page))
    }
}

/// Inserts a zero-width space where a client might detect a link or a mention.
fn unlinked(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        out.push(c);
        let next = rest.peek();
        let breaks = match c {
            '@' | '＠' => true,
            ':' => next == Some(&'/'),
            '.' => next.is_some_and(char::is_ascii_alphanumeric),
            _ => false,
        };
        if breaks {
            out.push('\u{200b}');
        }
    }
    out
}

/// A card for a Teams workflow (Adaptive Cards 1.4).
pub(super) fn teams(told: &ChatNews) -> Value {
    let run = |text: &str, weight: &str, subtle: bool| json!({ "type": "TextRun", "text": text, "weight": weight, "isSubtle": subtle });
    let rich = |runs: Vec<Value>| json!({ "type": "RichTextBlock", "inlines": runs, "spacing": "Small" });
    let mut body = vec![
        json!({ "type": "TextBlock", "text": told.title(), "weight": "Bolder", "size": "Medium", "wrap": true }),
        rich(vec![run(&told.subject(), "Bolder", false)]),
    ];
    if matches!(told.news, News::Decided { .. }) {
        body.push(rich(vec![run(&told.last(), "Default", false)]));
    }
    for fact in told.facts() {
        body.push(rich(vec![run(&fact.label, "Default", true)]));
        body.extend(fact.lines.iter().map(|line| rich(vec![run(line, "Default", false)])));
    }
    if matches!(told.news, News::Held { .. }) {
        body.push(rich(vec![run(&told.last(), "Default", true)]));
    }
    let actions: Vec<Value> = told
        .button()
        .map(|(title, url)| json!({ "type": "Action.OpenUrl", "title": title, "url": url }))
        .into_iter()
        .collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "lang": tag(told.language),
                "fallbackText": told.title(),
                "msteams": { "width": "Full" },
                "body": body,
                "actions": actions,
            },
        }],
    })
}

/// Blocks for an incoming webhook of Slack.
pub(super) fn slack(told: &ChatNews) -> Value {
    let plain = |text: &str| json!({ "type": "plain_text", "text": escaped(text), "emoji": false });
    let section = |text: &str| json!({ "type": "section", "text": plain(text) });
    let mut blocks =
        vec![json!({ "type": "header", "text": plain(&told.title()) }), section(&told.subject())];
    if matches!(told.news, News::Decided { .. }) {
        blocks.push(section(&told.last()));
    }
    for fact in told.facts() {
        blocks.push(section(&format!("{}\n{}", fact.label, fact.lines.join("\n"))));
    }
    if matches!(told.news, News::Held { .. }) {
        blocks.push(json!({ "type": "context", "elements": [plain(&told.last())] }));
    }
    if let Some((title, url)) = told.button() {
        let button = json!({ "type": "button", "text": plain(&title), "url": url });
        blocks.push(json!({ "type": "actions", "elements": [button] }));
    }
    json!({
        "text": escaped(&told.title()),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
}

/// Escapes Slack's control characters.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn tag(language: Language) -> &'static str {
    match language {
        Language::En => "en",
        Language::Ja => "ja",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(language: Language, subject: &str, news: News) -> ChatNews {
        ChatNews {
            language,
            subject: subject.to_owned(),
            sender: "hanako.tanaka@example.co.jp".to_owned(),
            people: (1..=12).map(|at| format!("tanaka.{at}@firm-{at}.example")).collect(),
            recipients: 12,
            risks: vec![
                "名簿の可能性: 会員名簿.csv に30名（個別送信では防げません）".to_owned(),
                "互いのアドレスが見える: 12名/12組織（個別送信で防げます）".to_owned(),
            ],
            news,
            page: Some("https://desk.example/held/AAAA".to_owned()),
        }
    }

    fn held() -> News {
        News::Held { deadline: "12月2日（水）12:25".to_owned(), alone: true }
    }

    fn decided() -> News {
        News::Decided { key: "settled-split", by: "soumu@example.co.jp".to_owned() }
    }

    #[expect(clippy::disallowed_methods, reason = "a test is told to write what it expects")]
    /// Compares with a golden file; `SEKISHO_GOLDEN=write` writes it.
    fn golden(name: &str, value: &Value) {
        let path = format!("{}/../../src/hook/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let made = serde_json::to_string_pretty(value).unwrap() + "\n";
        if std::env::var("SEKISHO_GOLDEN").is_ok_and(|wish| wish == "write") {
            std::fs::write(&path, &made).unwrap();
        }
        assert_eq!(made, std::fs::read_to_string(&path).unwrap_or_default(), "{path}");
    }

    #[test]
    fn payloads_are_as_they_were() {
        let ja = told(Language::Ja, "お知らせ", held());
        let en = ChatNews {
            risks: vec!["Addresses shown to each other".to_owned()],
            ..told(Language::En, "News", decided())
        };
        golden("teams-held", &teams(&ja));
        golden("slack-held", &slack(&ja));
        golden("teams-decided", &teams(&en));
        golden("slack-decided", &slack(&en));
    }

    /// Every text of a payload, with the object that contains it.
    fn texts(value: &Value, out: &mut Vec<(Value, String)>) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    match inner {
                        Value::String(text) if !["type", "url", "$schema"].contains(&key.as_str()) => {
                            out.push((value.clone(), text.clone()));
                        }
                        other => texts(other, out),
                    }
                }
            }
            Value::Array(list) => list.iter().for_each(|one| texts(one, out)),
            _ => {}
        }
    }

    const HOSTILE: [&str; 12] = [
        "<!channel> <!everyone> <!here>",
        "<@U012AB3CD> <#C012AB3CD> <!subteam^S1>",
        "<https://evil.example/|click>",
        "[click](https://evil.example/) ![x](http://evil.example/x.png)",
        "<at>Everyone</at>",
        "*bold* _it_ ~no~ `code` ```block``` # head",
        "@channel @here @everyone",
        "https://evil.example/login www.evil.example evil.example",
        "&lt;!channel&gt; &amp;",
        "a\r\nb\u{2028}c\u{202e}d\u{0}e",
        "\"}],\"text\":\"<!channel>\",\"x\":[{\"",
        "{{DATE(2026-01-01,SHORT)}} ${x} :bomb:",
    ];

    fn harmless(words: &str) -> Result<(), TestCaseError> {
        let mark = format!("QQ{words}QQ");
        let risky = |news| ChatNews {
            sender: format!("{words}@x.example"),
            people: vec![format!("\"{words}\"@x.example")],
            risks: vec![mark.clone()],
            ..told(Language::Ja, &mark, news)
        };
        let by = News::Decided { key: "settled-returned", by: words.to_owned() };
        for told in [risky(held()), risky(by)] {
            let mut found = Vec::new();
            let payload = slack(&told);
            texts(&payload, &mut found);
            for (object, text) in &found {
                prop_assert!(!text.contains(['<', '>']), "{text}");
                let entities = ["amp;", "lt;", "gt;"];
                let sound =
                    text.split('&').skip(1).all(|rest| entities.iter().any(|end| rest.starts_with(end)));
                let calm = !text.contains(['\r', '\u{202e}', '\u{2028}']);
                prop_assert!(sound && calm, "{text}");
                // the notification text is ours
                prop_assert!(object["type"] == "plain_text" || *text == payload["text"].as_str().unwrap());
            }
            prop_assert!(!payload["text"].as_str().unwrap().contains("QQ"));
            found.clear();
            texts(&teams(&told), &mut found);
            for (object, text) in &found {
                // nothing but a `TextRun` contains text of the mail
                prop_assert!(object["type"] == "TextRun" || !text.contains("QQ"), "{text}");
            }
            let all: String =
                found.iter().map(|(_, text)| text.as_str()).filter(|text| text.contains("QQ")).collect();
            prop_assert!(!all.contains("://") && !all.contains("@channel") && !all.contains("evil.example"));
        }
        Ok(())
    }

    #[test]
    fn nothing_in_a_mail_is_markup() {
        for words in HOSTILE {
            harmless(words).unwrap();
        }
    }

    proptest! {
        #[test]
        fn no_words_are_markup(words in "\\PC{0,60}|[<>&@!|:/.\\[\\]()*`a-z ]{0,80}") {
            harmless(&words)?;
        }
    }

    #[test]
    fn payloads_stay_within_what_is_taken() {
        let long = "長".repeat(5_000);
        let mut told = told(Language::En, &long, held());
        told.people = vec![long.clone(); 500];
        told.risks = vec![long.clone(); 50];
        told.recipients = 500;
        // Teams accepts 28 KB; Slack accepts texts of 3,000 characters and headers of 150
        assert!(teams(&told).to_string().len() < 28 * 1024);
        let mut found = Vec::new();
        texts(&slack(&told), &mut found);
        assert!(found.iter().all(|(_, text)| text.chars().count() <= 3_000));
        for language in [Language::En, Language::Ja] {
            told.language = language;
            assert!(told.title().chars().count() <= 150);
        }
    }
}
