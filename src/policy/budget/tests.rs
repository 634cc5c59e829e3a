use super::*;
use crate::clock::ManualClock;
use proptest::prelude::*;

const BEGIN: Timestamp = Timestamp(1_760_000_400_000);

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn hours(hours: u64) -> Timestamp {
    BEGIN.plus(Duration::from_hours(hours))
}

fn people(number: usize, domain: &str) -> Vec<Address> {
    (0..number).map(|at| address(&format!("p{at}@{domain}"))).collect()
}

fn usual(limits: &[&str]) -> RouteBudgets {
    RouteBudgets {
        usual: limits.iter().map(|text| text.parse().unwrap()).collect(),
        ..RouteBudgets::default()
    }
}

fn ours() -> Organisation {
    Organisation::new(&[("example.co.jp".to_owned(), true)], &[], &[]).unwrap()
}

/// Sends to these addresses; `Err` has the rule that holds the mail.
fn send(budgets: &Budgets, from: &str, to: &[Address], at: Timestamp) -> Result<(), RuleOutcome> {
    let (sender, organisation) = (address(from), ours());
    let recipients: Vec<&Address> = to.iter().collect();
    let sending = Sending { sender: Some(&sender), recipients: &recipients, organisation: &organisation };
    budgets.reserve(sending, at, &ManualClock::at(at)).map(Reserved::keep)
}

#[test]
fn budgets_are_read_and_written_in_full() {
    for (text, full) in [
        ("10000/day", "10000/day sender"),
        ("22059/day outside", "22059/day all outside"),
        ("50000/day all", "50000/day all"),
        ("2000/day outside sender", "2000/day sender outside"),
        ("500 / h sender", "500/hour sender"),
    ] {
        let limit: Limit = text.parse().unwrap();
        assert_eq!(limit.to_string(), full, "{text}");
        assert_eq!(full.parse::<Limit>().unwrap(), limit);
    }
    for text in
        ["", "10000", "0/day", "x/day", "5/min", "5/day inside", "5/day all sender", "5/day all all", "5/"]
    {
        assert!(text.parse::<Limit>().unwrap_err().to_string().contains("10000/day"), "{text}");
    }
}

#[test]
fn each_sender_has_a_budget_and_all_together_have_another() {
    let budgets = Budgets::new(usual(&["100/day", "150/day outside"]));
    let out = people(80, "one.example");
    send(&budgets, "a@example.co.jp", &out, BEGIN).unwrap();
    let over = send(&budgets, "A@Example.co.jp", &out[..21], hours(1)).unwrap_err();
    assert!(over.why.starts_with(
        "over the budget of 100 recipients a day for each sender: this mail goes to 21; 80 of 100 "
    ));
    send(&budgets, "a@example.co.jp", &out[..20], hours(1)).unwrap();
    let over = send(&budgets, "b@example.co.jp", &out[..51], hours(2)).unwrap_err();
    assert!(over.why.starts_with("over the budget of 150 outside recipients a day in all: "), "{}", over.why);
    assert!(over.why_ja.contains("社外宛先150名、全体") && over.why_ja.contains("51名"), "{}", over.why_ja);
    assert_eq!((over.name.as_str(), over.demand.timing, over.matched), (BUDGET_RULE, Timing::Hold, true));
    // recipients in our own domain count only for the budget per sender
    send(&budgets, "b@example.co.jp", &people(100, "sub.example.co.jp"), hours(2)).unwrap();
    assert!(send(&budgets, "b@example.co.jp", &people(1, "example.co.jp"), hours(2)).is_err());
    let used: Vec<u64> = budgets.used(hours(2)).into_iter().map(|(.., used)| used).collect();
    assert_eq!(used, [100, 100]);
}

#[test]
fn the_span_slides_and_the_forecast_says_when_there_is_room() {
    let budgets = Budgets::new(usual(&["100/day"]));
    for (hour, number) in [(0, 60), (3, 30), (20, 10)] {
        send(&budgets, "a@example.co.jp", &people(number, "one.example"), hours(hour)).unwrap();
    }
    let when = |number: usize, at: Timestamp| {
        let (sender, organisation) = (address("a@example.co.jp"), ours());
        let to = people(number, "one.example");
        let to: Vec<&Address> = to.iter().collect();
        let sending = Sending { sender: Some(&sender), recipients: &to, organisation: &organisation };
        let costs = budgets.costs(sending);
        over(&budgets.lock(), &costs, at).map(|over| over.room)
    };
    // a slot of ten minutes counts until all of it lies outside the period
    let slot = Duration::from_mins(10);
    for (number, hour) in [(1, 0), (60, 0), (61, 3), (90, 3), (91, 20), (100, 20)] {
        let room = when(number, hours(21)).unwrap().unwrap();
        let out = hours(24 + hour);
        assert!(room > out && room <= out.plus(slot), "{number}: {room:?}");
        assert!(when(number, room.minus(Duration::from_millis(1))).is_some(), "{number} fits before");
        assert_eq!(when(number, room), None, "{number} fits then");
    }
    assert_eq!(when(101, hours(21)), Some(None), "more than a day allows fits at no time");
    let over = send(&budgets, "a@example.co.jp", &people(101, "one.example"), hours(21)).unwrap_err();
    assert!(over.why.contains("more than one day allows"), "{}", over.why);
}

#[test]
fn each_way_has_budgets_of_its_own() {
    let mut by_route = usual(&["10/day"]);
    by_route.named.insert("other".to_owned(), vec!["5/hour all".parse().unwrap()]);
    by_route.routes.push(Route {
        sender_domains: Vec::new(),
        recipient_domains: vec!["*.far.example".to_owned(), "far.example".to_owned()],
        upstream: "other".to_owned(),
    });
    let budgets = Budgets::new(by_route);
    let both = [people(10, "near.example"), people(5, "sub.far.example")].concat();
    send(&budgets, "a@example.co.jp", &both, BEGIN).unwrap();
    let over = send(&budgets, "b@example.co.jp", &people(1, "far.example"), BEGIN).unwrap_err();
    assert!(over.why.contains("5 recipients a hour in all at the upstream other"), "{}", over.why);
    assert!(send(&budgets, "a@example.co.jp", &people(1, "near.example"), BEGIN).is_err());
    send(&budgets, "b@example.co.jp", &people(5, "far.example"), hours(2)).unwrap();
}

#[test]
fn what_comes_to_nothing_is_given_back_and_what_was_said_goes() {
    let budgets = Budgets::new(usual(&["10/day"]));
    let (sender, organisation, to) = (address("a@example.co.jp"), ours(), people(10, "one.example"));
    let recipients: Vec<&Address> = to.iter().collect();
    let sending = Sending { sender: Some(&sender), recipients: &recipients, organisation: &organisation };
    let clock = ManualClock::at(BEGIN);
    drop(budgets.reserve(sending, BEGIN, &clock).unwrap());
    budgets.reserve(sending, BEGIN, &clock).unwrap().keep();
    assert!(budgets.forecast(sending, &clock).is_some());
    budgets.spend(sending, BEGIN);
    assert_eq!(budgets.used(BEGIN)[0].2, 20);
    assert!(Budgets::default().is_idle());
    // a delivery due in two days does not remove today's usage; both count until then
    let later = hours(48);
    assert!(budgets.reserve(sending, later, &clock).map(Reserved::keep).is_ok());
    assert_eq!((budgets.used(BEGIN)[0].2, budgets.used(later)[0].2), (30, 10));
    // a report counts for no sender
    let report = Sending { sender: None, ..sending };
    assert!(budgets.forecast(report, &clock).is_none());
}

proptest! {
    /// Whatever the order of mails, no period of a day ever holds more than the budget.
    #[test]
    fn no_span_holds_more_than_its_budget(mails in prop::collection::vec((0_u64..60, 1_usize..40), 1..60)) {
        let budgets = Budgets::new(usual(&["100/day"]));
        let mut now = BEGIN;
        let mut sent: Vec<(Timestamp, usize)> = Vec::new();
        for (wait, number) in mails {
            now = now.plus(Duration::from_mins(wait * 7));
            if send(&budgets, "a@example.co.jp", &people(number, "one.example"), now).is_ok() {
                sent.push((now, number));
            }
            let day: usize = sent.iter().filter(|(at, _)| now.since(*at) < Duration::from_hours(24)).map(|(_, n)| n).sum();
            prop_assert!(day <= 100);
        }
    }
}
