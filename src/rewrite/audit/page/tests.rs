//! The reader of pages beside html5ever, which serves as the oracle.

use super::super::lazy::tests::in_chunks;
use super::*;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};

fn shown(html: &str) -> (String, String) {
    let asides = RefCell::new(String::new());
    let text = in_chunks(html, |html, size| {
        let (mut page, mut shown, mut aside) = (Page::default(), Vec::new(), Vec::new());
        html.as_bytes().chunks(size).for_each(|chunk| page.feed(chunk, &mut shown, &mut aside));
        *asides.borrow_mut() = String::from_utf8_lossy(&aside).into_owned();
        shown
    });
    (text, asides.into_inner())
}

/// Collects the text from the tokenizer of html5ever, with the same rules for what a browser shows.
#[derive(Default)]
struct Oracle {
    text: RefCell<String>,
    hidden: Cell<bool>,
    templates: Cell<usize>,
}

impl Oracle {
    fn tag(&self, tag: &Tag) -> TokenSinkResult<()> {
        let name = &*tag.name;
        let opens = tag.kind == TagKind::StartTag;
        self.hidden.set(false);
        let raw = |kind, hidden| {
            self.hidden.set(hidden);
            TokenSinkResult::RawData(kind)
        };
        match name {
            "template" if opens => self.templates.set(self.templates.get() + 1),
            "template" => self.templates.set(self.templates.get().saturating_sub(1)),
            "script" if opens => return raw(RawKind::ScriptData, true),
            "style" | "iframe" | "noembed" | "noframes" if opens => return raw(RawKind::Rawtext, true),
            "xmp" if opens => return raw(RawKind::Rawtext, false),
            "title" | "textarea" if opens => return raw(RawKind::Rcdata, false),
            _ if begins_line(name.as_bytes()) && self.templates.get() == 0 => {
                self.text.borrow_mut().push(' ');
            }
            _ if is_replaced(name.as_bytes()) && self.templates.get() == 0 => {
                let mut text = self.text.borrow_mut();
                let apart = text.ends_with(|last: char| last.is_ascii_whitespace());
                text.push(if apart { ' ' } else { '\u{200b}' });
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl TokenSink for Oracle {
    type Handle = ();
    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        match token {
            Token::CharacterTokens(text) if !self.hidden.get() && self.templates.get() == 0 => {
                self.text.borrow_mut().push_str(&text);
            }
            Token::TagToken(tag) => return self.tag(&tag),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

fn by_html5ever(html: &str) -> String {
    let tokenizer = Tokenizer::new(Oracle::default(), html5ever::tokenizer::TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(html));
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.text.take()
}

#[test]
fn what_a_browser_shows() {
    for (html, text) in [
        ("a<b title='x > y'>@</b>x.jp", "a@x.jp"),
        ("a<script>var x = '<b>';</script\n>@x<style><!-- .jp</STYLE >.jp", "a@x.jp"),
        ("a<!-- <b> --!>@x<!-->.<!--->jp", "a@x.jp"),
        ("a</ >@<!x>x<?pi ?>.jp<![CDATA[y]]>", "a@x.jp"),
        ("a<template>x<p>y</template>@x.jp", "a@x.jp"),
        ("<title>a@</x>x.jp</title>", "a@</x>x.jp"),
        ("a<!--[if mso]>x<![endif]-->@<!--[if !mso]><!-->x.jp<!--<![endif]-->", "a@x.jp"),
        ("a<i class=x>@<i a = \"b\"c/d>x.jp<p", "a@x.jp"),
        ("1 < 2 <3 <", "1 < 2 <3 "),
    ] {
        assert_eq!(shown(html).0, text, "{html}");
        assert_eq!(by_html5ever(html).trim_end_matches('<'), text, "{html} by html5ever");
    }
}

#[test]
fn texts_in_attributes() {
    for (html, text) in [
        ("<a href='data:text/html;base64,YUB4Lmpw'>", "a@x.jp\n"),
        ("<a href='data:text/html;base64,YUB4&#76;mpw'>", "a@x.jp\n"),
        ("<a href='&#100;ata:text/html;base64,YUB4\n Lmpw'>", "a@x.jp\n"),
        ("<img src=data:image/svg+xml,%3Cb%3Ea%40x.jp>", "<b>a@x.jp\n"),
        ("<img src='data:image/png;base64,YUB4Lmpw'>", "\n"),
        ("<iframe srcdoc='&lt;b>a@x.jp&lt;/b>'></iframe>", "<b>a@x.jp</b>\n"),
        ("<a href='mailto:a@\nx.jp'>", "mailto:a@x.jp\n"),
        ("<a href='mailto:a@x.jp' class=x>", ""),
    ] {
        assert_eq!(shown(html).1, text, "{html}");
    }
}

proptest! {
    #[test]
    fn the_same_as_html5ever(pieces in prop::collection::vec(prop::sample::select(vec![
        "a", "@", " ", ">", "<", "/", "!", "-", "--", "'", "\"", "=", "?", "<!--", "-->", "--!>", "<!", "</", "<b",
        "<b>", "</p>", "<script>", "</script>", "<style ", "</style", "<title>", "</title>", "<template>",
        "</template>", "<xmp>", "</xmp x>", "<br/>", "<img>", "<a b='c>d'>", "<a b=c>", "\n", "]]>", "<![CDATA[", "é", "x.jp",
    ]), 0..24)) {
        let html = pieces.concat();
        // In a script, `<!--` starts states in which some end tags do not count. They exist for scripts
        // that were written for the browsers of 1996, and `Page` does not have them.
        prop_assume!(!html.contains("<script") || !html.contains("<!--"));
        // How an unfinished tag or reference at the end is shown does not matter, so this completes them.
        let html = html + ">'>\">--></script></style></title></xmp>.";
        prop_assert_eq!(shown(&html).0, by_html5ever(&html));
    }
}

/// However signs follow each other, none is looked at again for each that came before: each text is one piece of 256
/// KiB, which takes milliseconds, and many seconds otherwise.
#[test]
fn a_page_is_read_once() {
    const PIECES: [&str; 10] = ["<", "%", "=", "\"", "a", "/", " ", "<a ", "<a b='", "<!-"];
    for (one, other) in PIECES.iter().flat_map(|one| PIECES.iter().map(move |other| (*one, *other))) {
        let text = [one, other].concat();
        let text = text.repeat(256 * 1_024 / text.len());
        let start = std::time::Instant::now();
        let (mut shown, mut aside) = (Vec::new(), Vec::new());
        Page::default().feed(text.as_bytes(), &mut shown, &mut aside);
        let took = start.elapsed();
        assert!(took < std::time::Duration::from_secs(4), "{one:?} and {other:?}: {took:?}");
    }
}
