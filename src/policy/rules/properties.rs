//! Properties of every set of rules: order does not matter, and an additional rule never makes the verdict
//! looser.

use super::tests::{in_full, load, sample, strangers};
use super::*;
use crate::message::inspect::{Opaque, Tnef};
use proptest::prelude::*;

/// Rules of every kind of demand, some of which match the sample.
fn some_rules() -> impl Strategy<Value = Vec<String>> {
    let when = prop_oneof![
        (0_u64..6).prop_map(|n| format!("{{ external_addresses = {{ at_least = {n} }} }}")),
        (0_u64..5).prop_map(|n| format!("{{ recipients = {{ at_most = {n} }} }}")),
        any::<bool>().prop_map(|is| format!("{{ reply = {is} }}")),
        any::<bool>().prop_map(|is| format!("{{ attachment = {is} }}")),
        Just("{ subject = { contains = \"secret\" } }".to_owned()),
    ];
    let unless =
        prop_oneof![Just(""), Just("unless = { circle = true }\n"), Just("unless = { opaque = true }\n")];
    let demand = prop::sample::select(vec![
        "\"observe\"",
        "\"ask\"",
        "\"bcc\"",
        "\"split\"",
        "\"delay 5m\"",
        "\"delay 2h\"",
        "\"hold\"",
        "\"reject\"",
        "[\"hold\", \"split\"]",
    ]);
    prop::collection::vec((when, unless, demand), 0..8).prop_map(|all| {
        let write = |(n, (when, unless, demand)): (usize, (String, &str, &str))| {
            format!("[[rule]]\nname = \"r{n}\"\nwhen = {when}\n{unless}demand = {demand}\n")
        };
        all.into_iter().enumerate().map(write).collect()
    })
}

fn any_facts() -> impl Strategy<Value = Facts> {
    (any::<[bool; 6]>(), 0_usize..6).prop_map(|(is, people)| {
        let mut facts = if is[0] { sample() } else { strangers(people, people.max(1), "") };
        facts.circle = is[1];
        facts.reply = is[2];
        facts.from_is_ours = is[3];
        if is[4] {
            facts.body.opaque.push(Opaque {
                path: "2".into(),
                name: "a.zip".into(),
                why: "encrypted".into(),
            });
        }
        if is[5] {
            facts.body.tnef = Some(Tnef::Unreadable { why: "cut".into() });
        }
        facts
    })
}

proptest! {
    #[test]
    fn the_order_of_rules_does_not_matter(
        (rules, shuffled) in some_rules().prop_flat_map(|rules| (Just(rules.clone()), Just(rules).prop_shuffle())),
        facts in any_facts(),
    ) {
        let one = load(&rules.concat()).unwrap().decide(&facts);
        let other = load(&shuffled.concat()).unwrap().decide(&facts);
        prop_assert_eq!(one.demand, other.demand);
        let sorted = |verdict: &Verdict| {
            let mut all = verdict.rules.clone();
            all.sort_by(|a, b| a.name.cmp(&b.name));
            all
        };
        prop_assert_eq!(sorted(&one), sorted(&other));
    }

    #[test]
    fn a_complete_verdict_names_each_rule_once(rules in some_rules(), facts in any_facts()) {
        let policy = load(&rules.concat()).unwrap();
        let (short, full) = (policy.decide(&facts), in_full(&policy, &facts));
        let names: Vec<_> = policy.rule_names().chain(BUILTIN_NAMES).collect();
        prop_assert_eq!(full.rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), names);
        prop_assert!(full.rules.iter().all(|rule| !rule.why.is_empty() && !rule.why_ja.is_empty()));
        let matched: Vec<_> = full.rules.into_iter().filter(|rule| rule.matched).collect();
        prop_assert_eq!((full.demand, full.mode, matched), (short.demand, short.mode, short.rules));
    }

    #[test]
    fn a_further_rule_is_never_laxer(rules in some_rules(), facts in any_facts(), leave in 0_usize..8) {
        let all = load(&rules.concat()).unwrap().decide(&facts).demand;
        let fewer: Vec<String> =
            rules.iter().enumerate().filter(|(n, _)| *n != leave).map(|(_, rule)| rule.clone()).collect();
        let fewer = load(&fewer.concat()).unwrap().decide(&facts).demand;
        prop_assert!(all.disclosure >= fewer.disclosure && all.timing >= fewer.timing);
    }

    #[test]
    fn no_file_makes_the_reader_panic(text in "[\\[\\]a-z_ ={}\"0-9\n.,あ]{0,200}") {
        if let Err(wrong) = load(&text) {
            prop_assert!(!wrong.is_empty());
            for one in wrong {
                prop_assert!(one.to_string().contains("dir/p.toml") && !one.render(false).is_empty());
            }
        }
    }
}

#[test]
fn a_verdict_is_completed_as_of_then() {
    let ask = "[[rule]]\nname = \"r\"\nwhen = { external_addresses = { at_least = 2 } }\ndemand = \"ask\"\n";
    let (many, one) = (strangers(12, 9, ""), strangers(1, 1, ""));
    let policy = load(ask).unwrap();
    // it passed, and would be held today
    let mut verdict = policy.decide(&one);
    policy.complete(&mut verdict, &many);
    assert_eq!(verdict.action(), crate::policy::Action::Pass);
    assert!(verdict.rules.iter().all(|rule| !rule.matched));
    assert_eq!(verdict.rules[0].why, "it did not match when the mail came");
    // it was held by a rule that is gone, after which the budget was asked
    let mut verdict = policy.decide(&many);
    verdict.add(RuleOutcome { name: "builtin:budget".to_owned(), ..RuleOutcome::default() });
    let held = verdict.rules.clone();
    load("").unwrap().complete(&mut verdict, &one);
    let (others, own) = verdict.rules.split_at(BUILTIN_NAMES.len());
    assert_eq!(own, held);
    assert!(others.iter().all(|rule| !rule.matched && !rule.why.is_empty()));
}
