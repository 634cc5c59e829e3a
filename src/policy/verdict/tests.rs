use super::*;
use proptest::prelude::*;

fn demands() -> impl Strategy<Value = Demand> {
    let disclosure = prop_oneof![
        Just(Disclosure::AsIs),
        Just(Disclosure::Ask),
        Just(Disclosure::Bcc),
        Just(Disclosure::Split)
    ];
    let timing = prop_oneof![
        Just(Timing::Now),
        (1_u64..10_000).prop_map(|seconds| Timing::Delay(Duration::from_secs(seconds))),
        Just(Timing::Hold),
        Just(Timing::Reject)
    ];
    (disclosure, timing).prop_map(|(disclosure, timing)| Demand { disclosure, timing })
}

fn join(demands: &[Demand]) -> Demand {
    demands.iter().fold(Demand::default(), |sum, one| sum.join(*one))
}

proptest! {
    #[test]
    fn the_join_knows_no_order(mut all in prop::collection::vec(demands(), 0..12), seed in any::<u64>()) {
        let straight = join(&all);
        let len = all.len().max(1);
        for at in 0..all.len() {
            all.swap(at, usize::try_from(seed).unwrap_or(7).wrapping_mul(at + 1) % len);
        }
        prop_assert_eq!(join(&all), straight);
        all.reverse();
        prop_assert_eq!(join(&all), straight);
    }

    #[test]
    fn the_join_is_idempotent_and_associative(a in demands(), b in demands(), c in demands()) {
        prop_assert_eq!(a.join(a), a);
        prop_assert_eq!(a.join(b), b.join(a));
        prop_assert_eq!(a.join(b).join(c), a.join(b.join(c)));
        prop_assert_eq!(a.join(Demand::default()), a);
    }

    #[test]
    fn a_further_demand_is_never_laxer_on_either_axis(a in demands(), b in demands()) {
        let both = a.join(b);
        prop_assert!(both.disclosure >= a.disclosure && both.timing >= a.timing);
    }
}

#[test]
fn what_happens_follows_from_both_axes() {
    let delay = Timing::Delay(Duration::from_mins(1));
    let cases = [
        (Disclosure::AsIs, Timing::Now, Action::Pass),
        (Disclosure::Bcc, Timing::Now, Action::Bcc),
        (Disclosure::Split, Timing::Now, Action::Split),
        (Disclosure::Ask, Timing::Now, Action::Hold),
        (Disclosure::Ask, delay, Action::Hold),
        (Disclosure::Split, delay, Action::Delay),
        (Disclosure::Split, Timing::Hold, Action::Hold),
        (Disclosure::Ask, Timing::Reject, Action::Reject),
    ];
    for (disclosure, timing, action) in cases {
        assert_eq!(Demand { disclosure, timing }.action(), action, "{disclosure:?} {timing:?}");
    }
}

fn outcome(name: &str, why: &str, disclosure: Disclosure, timing: Timing) -> RuleOutcome {
    RuleOutcome {
        name: name.to_owned(),
        matched: true,
        demand: Demand { disclosure, timing },
        why: why.to_owned(),
        why_ja: "理由".to_owned(),
        ..RuleOutcome::default()
    }
}

#[test]
fn the_short_reason_is_complete_in_itself() {
    let long = "x".repeat(120);
    let cases = [
        (
            "12 outside addresses at 9 organisations would see each other (5 or more at 2 or more): a@b and 11 more",
            "12 outside addresses at 9 organisations would see each other (5 or more at 2 or more)",
        ),
        (
            "4500 outside addresses at 1200 organisations would see each other (between 1000 and 9999 of some kind or other): a",
            "4500 outside addresses at 1200 organisations would see each other",
        ),
        ("short", "short"),
        ("取引先への一斉送信です", "rule r of the organisation"),
        (long.as_str(), "rule r of the organisation"),
        ("line\r\nbreak", "rule r of the organisation"),
        ("its file 名簿.xlsx (secret)", "rule r of the organisation"),
    ];
    for (why, wanted) in cases {
        let mut verdict = Verdict { demand: Demand::default(), mode: Mode::Enforce, rules: Vec::new() };
        verdict.add(outcome("split", "it is a mailing", Disclosure::Split, Timing::Now));
        verdict.add(outcome("r", why, Disclosure::AsIs, Timing::Hold));
        assert_eq!(verdict.short_reason(), wanted);
        assert!(verdict.short_reason().len() <= 100 && verdict.short_reason().is_ascii());
    }
}

#[test]
fn observing_passes_whatever_is_demanded() {
    let mut verdict = Verdict { demand: Demand::default(), mode: Mode::Observe, rules: Vec::new() };
    verdict.add(outcome("r", "no", Disclosure::Split, Timing::Reject));
    assert_eq!(verdict.action(), Action::Pass);
    assert_eq!(verdict.demand.timing, Timing::Reject);
}
