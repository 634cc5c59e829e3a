//! Every route × every role × another person's message: who may see a held message, read it, decide on it.
//!
//! The routes are those of the router itself; a route that is missing in the table fails the test. Each is
//! requested over HTTP in each role, about a message that the role may see or not, and the responses are
//! searched for what they must not contain.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test fails by panicking, and has no users"
)]

#[path = "matrix/rig.rs"]
mod rig;
#[path = "matrix/routes.rs"]
mod routes;

use rig::{BODY, ROLES, Rig, Role};
use sekisho::clock::{Clock, SystemClock};
use sekisho::desk::links::Links;
use sekisho::id::Id;
use sekisho::message::Address;
use sekisho::store::circles::NewCircle;
use sekisho::store::{HeldState, LinkAction};
use std::collections::BTreeSet;

/// A circle, as its form sends it.
const CIRCLE: &str = "name=Board&members=a%40x.example%0D%0Ab%40y.example&days=30";

/// A link works for anybody who has it, for one safe action, once. GET and HEAD change nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_do_only_what_they_are_for() {
    let rig = Box::pin(Rig::start()).await;
    let links = Links::new(rig.running.desk().clone(), Some("http://desk.example"));
    let hanako = Address::parse("hanako.sato@example.co.jp").unwrap();
    let stranger = Address::parse("taro.suzuki@example.co.jp").unwrap();
    let store = &rig.running.desk().store;
    for (action, person, state) in [
        (LinkAction::Split, &hanako, HeldState::Released),
        (LinkAction::TakeBack, &hanako, HeldState::Returned),
        (LinkAction::AskAsIs, &hanako, HeldState::Held),
        (LinkAction::Split, &stranger, HeldState::Held),
        (LinkAction::TakeBack, &stranger, HeldState::Held),
    ] {
        let id = rig.hold().await;
        let message = store.message(id).await.unwrap();
        let url = links.new_link(person, &message, action).await.unwrap().unwrap();
        let path = url.strip_prefix("http://desk.example").unwrap();
        for method in ["GET", "HEAD", "GET"] {
            let shown = rig.ask(method, path, &[], None).await;
            assert!(matches!(shown.status, 200 | 404), "{method} {action:?}: {}", shown.status);
            assert_eq!(rig.state(id).await, HeldState::Held, "{method} of a link changes nothing");
        }
        let cross = [("sec-fetch-site", "cross-site".to_owned())];
        assert_eq!(rig.ask("POST", path, &cross, None).await.status, 403);
        assert_eq!(rig.state(id).await, HeldState::Held, "another site presses no button");
        for time in ["first", "again"] {
            let done = rig.ask("POST", path, &[], Some("reason=they+know+each+other")).await;
            assert!(matches!(done.status, 303 | 404), "{action:?} {time}: {} {}", done.status, done.body);
            assert_eq!(rig.state(id).await, state, "{action:?} {time}");
        }
    }
    for path in [format!("/l/{}", "x".repeat(43)), "/l/short".to_owned(), "/l/%00".to_owned()] {
        let forged = rig.ask("POST", &path, &[], Some("reason=x")).await;
        assert_eq!(forged.status, 404, "{path}");
    }
    rig.running.shutdown().await;
}

/// An approver's link works for the current approvers, once, for what is safe; other links do nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approvers_links_decide_what_is_safe() {
    let rig = Box::pin(Rig::start()).await;
    let links = Links::new(rig.running.desk().clone(), Some("http://desk.example"));
    let address = |who: &str| Address::parse(&format!("{who}@example.co.jp")).unwrap();
    let store = &rig.running.desk().store;
    for (action, person, form, status, state) in [
        (LinkAction::ApproveSplit, "soumu", "x=1", 303, HeldState::Released),
        (LinkAction::GiveBack, "soumu", "canned=list", 303, HeldState::Returned),
        (LinkAction::GiveBack, "soumu", "reason=no", 303, HeldState::Returned),
        (LinkAction::GiveBack, "soumu", "canned=none-such", 422, HeldState::Held),
        // a link never releases as is, whatever the form says
        (LinkAction::GiveBack, "soumu", "as=as-is", 422, HeldState::Held),
        // somebody who was never asked; an approver of other mail; the sender
        (LinkAction::ApproveSplit, "jinji", "x=1", 403, HeldState::Held),
        (LinkAction::ApproveSplit, "taro.suzuki", "x=1", 403, HeldState::Held),
        (LinkAction::GiveBack, "hanako.sato", "reason=x", 403, HeldState::Held),
    ] {
        let id = rig.hold().await;
        let message = store.message(id).await.unwrap();
        let url = links.new_link(&address(person), &message, action).await.unwrap().unwrap();
        let path = url.strip_prefix("http://desk.example").unwrap();
        for method in ["GET", "HEAD", "GET"] {
            let shown = rig.ask(method, path, &[], None).await;
            assert_eq!(shown.status, if status == 403 { 403 } else { 200 }, "{method} {action:?} {person}");
            let told = shown.body.contains(BODY);
            assert_eq!(told, status != 403 && method == "GET", "{method} {action:?} {person} tells the text");
            assert_eq!(rig.state(id).await, HeldState::Held, "{method} of a link changes nothing");
        }
        let cross = [("sec-fetch-site", "cross-site".to_owned())];
        assert_eq!(rig.ask("POST", path, &cross, Some(form)).await.status, 403);
        assert_eq!(rig.state(id).await, HeldState::Held, "another site presses no button");
        for time in ["first", "again"] {
            let done = rig.ask("POST", path, &[], Some(form)).await;
            assert_eq!(done.status, status, "{action:?} {person} {form} {time}: {}", done.body);
            assert_eq!(rig.state(id).await, state, "{action:?} {person} {form} {time}");
        }
        if state == HeldState::Held {
            continue;
        }
        let held = store.message(id).await.unwrap().held.unwrap();
        assert_eq!(held.decided_by.as_deref(), Some("soumu@example.co.jp"));
        // the outcome is shown, and other links no longer decide
        let other = links.new_link(&address("soumu"), &message, LinkAction::GiveBack).await.unwrap().unwrap();
        let other = other.strip_prefix("http://desk.example").unwrap();
        assert_eq!(rig.ask("POST", other, &[], Some("reason=late")).await.status, 303);
        assert_eq!(rig.state(id).await, state);
    }
    rig.running.shutdown().await;
}

/// Approvers' links respect absences: while a person is away, only their deputy's link works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approvers_links_respect_absences() {
    let rig = Box::pin(Rig::start()).await;
    let desk = rig.running.desk();
    let links = Links::new(desk.clone(), Some("http://desk.example"));
    let (soumu, bucho) =
        (Address::parse("soumu@example.co.jp").unwrap(), Address::parse("bucho@example.co.jp").unwrap());
    let console = sekisho::desk::principal::Principal::console("root");
    let stranger = Address::parse("taro.suzuki@example.co.jp").unwrap();
    assert!(
        desk.go_away(&console, &soumu, &stranger, desk.today()).await.is_err(),
        "no approver of the same mail"
    );
    let id = rig.hold().await;
    let message = desk.store.message(id).await.unwrap();
    let mut paths = Vec::new();
    for person in [&soumu, &bucho] {
        let url = links.new_link(person, &message, LinkAction::GiveBack).await.unwrap().unwrap();
        paths.push(url.strip_prefix("http://desk.example").unwrap().to_owned());
    }
    let get = async |at: usize| rig.ask("GET", &paths[at], &[], None).await.status;
    assert_eq!((get(0).await, get(1).await), (200, 200), "both decide");
    desk.go_away(&console, &soumu, &bucho, desk.today()).await.unwrap();
    assert_eq!((get(0).await, get(1).await), (403, 200));
    assert_eq!(rig.ask("POST", &paths[0], &[], Some("reason=x")).await.status, 403);
    assert_eq!(rig.state(id).await, HeldState::Held);
    assert!(desk.come_back(&console, &soumu).await.unwrap());
    assert_eq!(rig.ask("POST", &paths[0], &[], Some("reason=x")).await.status, 303);
    assert_eq!(rig.state(id).await, HeldState::Returned);
    rig.running.shutdown().await;
}

/// Approvers and auditors see circles; approvers make, remember and end them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn circles_belong_to_those_who_decide() {
    let rig = Box::pin(Rig::start()).await;
    let store = &rig.running.desk().store;
    for role in ROLES.into_iter().filter(|role| !role.token()) {
        let headers = rig.headers(role);
        let decides = matches!(role, Role::Approver | Role::OtherApprover | Role::Admin);
        let csrf = if role == Role::Nobody { String::new() } else { rig.form_token(role).await };
        let before = store.circles().await.unwrap().len();
        let form = format!("csrf={csrf}&{CIRCLE}");
        let made = rig.ask("POST", "/circles", &headers, Some(&form)).await;
        let all = store.circles().await.unwrap();
        assert_eq!(all.len() - before, usize::from(decides), "{role:?}: {}", made.status);
        let page = rig.ask("GET", "/circles", &headers, None).await;
        let sees = decides || role == Role::Auditor;
        assert_eq!(page.status == 200, sees, "{role:?}: {}", page.status);
        assert_eq!(page.body.contains("action=\"/circles\""), decides, "{role:?}");
        for bad in ["name=&members=a%40x.example%0Ab%40y.example&days=30", "name=x&members=nobody&days=30"] {
            let wrong = rig.ask("POST", "/circles", &headers, Some(&format!("csrf={csrf}&{bad}"))).await;
            assert_eq!(wrong.status == 422, decides, "{role:?}: {}", wrong.status);
        }
        // a person who may not end circles cannot end another person's circle either
        let by = "somebody".to_owned();
        let now = SystemClock.now();
        let expires = now.plus(std::time::Duration::from_hours(1));
        let members = vec![Address::parse("a@x.example").unwrap(), Address::parse("b@y.example").unwrap()];
        let new = NewCircle { name: "Fair".to_owned(), members, makers: Vec::new(), expires, by, at: now };
        let id = store.make_circle(new).await.unwrap();
        let path = format!("/circles/{id}/end");
        let form = format!("csrf={csrf}");
        let (first, again) = match role {
            Role::Nobody => (401, 401),
            Role::Auditor => (403, 403),
            _ if decides => (303, 404),
            _ => (404, 404),
        };
        for status in [first, again] {
            let ended = rig.ask("POST", &path, &headers, Some(&form)).await;
            assert_eq!(ended.status, status, "{role:?}");
        }
        let all = store.circles().await.unwrap();
        let ended = all.iter().any(|circle| circle.id == id && circle.ended_at.is_some());
        assert_eq!(ended, decides, "{role:?}");
    }
    rig.running.shutdown().await;
}

/// A release as is creates a circle of those who see each other, if the form asks for it. If the circle is
/// invalid, the message stays held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_remembers_a_circle() {
    let rig = Box::pin(Rig::start()).await;
    let store = &rig.running.desk().store;
    let id = rig.hold().await;
    let headers = rig.headers(Role::Approver);
    let csrf = rig.form_token(Role::Approver).await;
    let page = rig.ask("GET", &format!("/held/{id}/as-is"), &headers, None).await;
    assert!(page.body.contains("name=\"remember\""), "{}", page.body);
    let path = format!("/held/{id}/release");
    for (bad, status) in [
        ("as=as-is&remember=yes&name=&days=30", 422),
        ("as=as-is&remember=yes&name=Fair&days=10000", 422),
        ("as=split&remember=yes&name=Fair&days=30", 400),
    ] {
        let answer = rig.ask("POST", &path, &headers, Some(&format!("csrf={csrf}&{bad}"))).await;
        assert_eq!((answer.status, rig.state(id).await), (status, HeldState::Held), "{bad}");
    }
    let form = format!("csrf={csrf}&as=as-is&remember=yes&name=Fair&days=30");
    let answer = rig.ask("POST", &path, &headers, Some(&form)).await;
    assert_eq!((answer.status, rig.state(id).await), (303, HeldState::Released), "{}", answer.body);
    let circles = store.circles().await.unwrap();
    let members: BTreeSet<&str> = circles[0].members.iter().map(Address::as_str).collect();
    assert_eq!((circles.len(), circles[0].name.as_str()), (1, "Fair"));
    assert_eq!(members, BTreeSet::from(["a@x.example", "b@y.example"]));
    rig.running.shutdown().await;
}

/// After three releases to exactly these people a circle is suggested, with its end date, to those who may
/// create circles. Once it exists, it is not suggested any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circle_is_offered_after_three_releases() {
    let rig = Box::pin(Rig::start()).await;
    let headers = rig.headers(Role::Approver);
    let csrf = rig.form_token(Role::Approver).await;
    let offers = async |role: Role, id: Id| {
        let page = rig.ask("GET", &format!("/held/{id}"), &rig.headers(role), None).await;
        assert_eq!(page.status, 200, "{role:?}");
        page.body.contains("id=\"offer-name\"")
    };
    for round in 0..4 {
        let id = rig.hold().await;
        assert_eq!(offers(Role::Approver, id).await, round == 3, "after {round} releases");
        assert!(!offers(Role::Auditor, id).await);
        let page = rig.ask("GET", &format!("/held/{id}"), &headers, None).await;
        assert!(page.body.contains("Who knows whom"), "{}", page.body);
        let form = format!("csrf={csrf}&as=as-is");
        let answer = rig.ask("POST", &format!("/held/{id}/release"), &headers, Some(&form)).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
    }
    let form = format!("csrf={csrf}&name=Fair&days=90&members=a%40x.example%0D%0Ab%40y.example");
    let made = rig.ask("POST", "/circles", &headers, Some(&form)).await;
    assert_eq!(made.status, 303, "{}", made.body);
    let id = rig.hold().await;
    assert!(!offers(Role::Approver, id).await, "there is a circle");
    rig.running.shutdown().await;
}
