//! The table of routes, and what each may tell each role.

use super::CIRCLE;
use super::rig::{Answer, BODY, ROLES, Rig, Role, SUBJECT};
use sekisho::id::Id;
use sekisho::people::scope::Scope;
use sekisho::store::HeldState;
use std::collections::BTreeSet;

/// Kinds of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// For everybody; contains nothing about messages.
    Open,
    /// For anybody who is signed in; shows the messages that they may see.
    Signed,
    /// About one message, without contents.
    Item,
    /// Contents of one message.
    Contents,
    /// Changes a message.
    Decide,
    /// For anybody who is signed in; changes something other than a message.
    Change,
    /// Takes a message back, or undoes that: its sender, or an administrator in their place.
    TakeBack,
    /// Operations: GET for auditors and administrators, everything else for administrators.
    Operate,
    /// Only for administrators.
    Administer,
    /// The API, with a token that has this scope.
    Api(Scope),
    /// The API, for everybody.
    ApiOpen,
}

/// All routes.
const TABLE: &[(&str, &str, Kind)] = &[
    ("GET", "/healthz", Kind::Open),
    ("GET", "/readyz", Kind::Open),
    ("GET", "/metrics", Kind::Open),
    ("GET", "/static/{name}", Kind::Open),
    ("GET", "/login", Kind::Open),
    ("POST", "/login", Kind::Open),
    ("GET", "/login/code", Kind::Open),
    ("POST", "/login/code", Kind::Open),
    ("POST", "/login/code/send", Kind::Open),
    ("GET", "/login/oidc", Kind::Open),
    ("GET", "/login/oidc/return", Kind::Open),
    ("GET", "/login/once/{token}", Kind::Open),
    ("GET", "/l/{token}", Kind::Open),
    ("POST", "/l/{token}", Kind::Open),
    ("GET", "/", Kind::Signed),
    ("GET", "/now", Kind::Signed),
    ("GET", "/bulk", Kind::Signed),
    ("POST", "/bulk", Kind::Decide),
    ("GET", "/held/{id}", Kind::Item),
    ("GET", "/held/{id}/now", Kind::Item),
    ("POST", "/held/{id}/release", Kind::Decide),
    ("GET", "/held/{id}/as-is", Kind::Item),
    ("GET", "/held/{id}/drop", Kind::Item),
    ("GET", "/held/{id}/return", Kind::Item),
    ("POST", "/held/{id}/return", Kind::Decide),
    ("POST", "/held/{id}/take-back", Kind::TakeBack),
    ("POST", "/held/{id}/undo", Kind::Decide),
    ("GET", "/held/{id}/ask", Kind::Item),
    ("POST", "/held/{id}/ask", Kind::Decide),
    ("GET", "/held/{id}/copies", Kind::Contents),
    ("GET", "/held/{id}/html", Kind::Contents),
    ("GET", "/held/{id}/attachment/{number}", Kind::Contents),
    ("GET", "/m/{id}", Kind::Item),
    ("GET", "/report", Kind::Signed),
    ("GET", "/report.csv", Kind::Signed),
    ("GET", "/circles", Kind::Signed),
    ("POST", "/circles", Kind::Change),
    ("POST", "/circles/{circle}/end", Kind::Change),
    ("POST", "/language", Kind::Change),
    ("GET", "/mine", Kind::Signed),
    ("POST", "/m/{id}/take-back", Kind::TakeBack),
    ("POST", "/m/{id}/undo", Kind::TakeBack),
    ("POST", "/m/{id}/again", Kind::TakeBack),
    ("POST", "/m/{id}/now", Kind::Decide),
    ("GET", "/account", Kind::Signed),
    ("POST", "/account/passkey/question", Kind::Change),
    ("POST", "/account/passkey", Kind::Change),
    ("POST", "/account/passkey/remove", Kind::Change),
    ("POST", "/login/passkey/question", Kind::Open),
    ("POST", "/login/passkey", Kind::Open),
    ("GET", "/node", Kind::Operate),
    ("GET", "/queue", Kind::Operate),
    ("POST", "/queue", Kind::Operate),
    ("GET", "/users", Kind::Administer),
    ("POST", "/users", Kind::Administer),
    ("GET", "/tokens", Kind::Administer),
    ("POST", "/tokens", Kind::Administer),
    ("GET", "/api/v1/openapi.json", Kind::ApiOpen),
    ("GET", "/api/v1/held", Kind::Api(Scope::HeldRead)),
    ("GET", "/api/v1/held/{id}", Kind::Api(Scope::HeldRead)),
    ("GET", "/api/v1/held/{id}/copies", Kind::Api(Scope::HeldDecide)),
    ("POST", "/api/v1/held/{id}/release", Kind::Api(Scope::HeldDecide)),
    ("POST", "/api/v1/held/{id}/return", Kind::Api(Scope::HeldDecide)),
    ("GET", "/api/v1/queue", Kind::Api(Scope::QueueRead)),
    ("POST", "/api/v1/queue", Kind::Api(Scope::QueueChange)),
    ("GET", "/api/v1/messages", Kind::Api(Scope::MessageRead)),
    ("GET", "/api/v1/messages/{id}", Kind::Api(Scope::MessageRead)),
    ("GET", "/api/v1/report", Kind::Api(Scope::ReportRead)),
    ("POST", "/api/v1/held/{id}/take-back", Kind::Api(Scope::HeldDecide)),
    ("POST", "/api/v1/held/{id}/undo", Kind::Api(Scope::HeldDecide)),
    ("GET", "/api/v1/audit/head", Kind::Api(Scope::ReportRead)),
    ("GET", "/api/v1/circles", Kind::Api(Scope::CirclesRead)),
    ("POST", "/api/v1/circles", Kind::Api(Scope::CirclesChange)),
    ("DELETE", "/api/v1/circles/{id}", Kind::Api(Scope::CirclesChange)),
    ("POST", "/api/v1/knowledge/forget", Kind::Api(Scope::KnowledgeChange)),
    ("POST", "/logout", Kind::Change),
    ("POST", "/account/out", Kind::Change),
    ("POST", "/account/away", Kind::Change),
    ("POST", "/account/back", Kind::Change),
];

/// The path of the route with this message in it.
fn filled(path: &str, id: Id) -> String {
    path.replace("{id}", id.as_str())
        .replace("{number}", "0")
        .replace("{token}", &"x".repeat(43))
        .replace("{name}", "none.css")
        .replace("{delivery}", "1")
        .replace("{circle}", "1")
        .replace("{*rest}", "x")
}

/// The fields of a route's form that would make it take effect if allowed.
fn form(path: &str, id: Id, csrf: &str) -> String {
    let more = match path {
        path if path.ends_with("/release") => "as=split",
        path if path.ends_with("/return") => "reason=no",
        "/bulk" => return format!("csrf={csrf}&what=split&do=split&id={id}&ids={id}"),
        "/language" => "to=en",
        "/circles" => CIRCLE,
        "/queue" => "do=retry",
        "/tokens" => "name=none-such",
        "/users" => "name=hanako",
        _ => "x=1",
    };
    format!("csrf={csrf}&{more}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_tells_each_role_what_is_theirs_to_know() {
    let listed: BTreeSet<(String, String)> = sekisho::web::routes()
        .list()
        .iter()
        .map(|route| (route.method.clone(), route.path.clone()))
        .collect();
    let known: BTreeSet<(String, String)> =
        TABLE.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    let missing: Vec<_> = listed.difference(&known).collect();
    assert!(missing.is_empty(), "say in TABLE who may ask for these routes: {missing:?}");
    let gone: Vec<_> = known.difference(&listed).collect();
    assert!(gone.is_empty(), "TABLE has routes that there are not: {gone:?}");

    let rig = Box::pin(Rig::start()).await;
    let mut wrong = Vec::new();
    let kept = rig.hold().await;
    for (method, path, kind) in TABLE {
        for role in ROLES {
            let acts = *method != "GET";
            let id = if acts && path.contains("{id}") || *path == "/bulk" { rig.hold().await } else { kept };
            let csrf =
                if acts && role.login().is_some() { rig.form_token(role).await } else { String::new() };
            let body = acts.then(|| form(path, id, &csrf));
            let answer = rig.ask(method, &filled(path, id), &rig.headers(role), body.as_deref()).await;
            let state = rig.state(id).await;
            let mut why = judge(*kind, role, &answer, state);
            why.extend(rig.leads_on(&answer, role, acts).await.map(str::to_owned));
            for why in why {
                wrong.push(format!("{method} {path} as {role:?}: {} {why}", answer.status));
            }
            if *path == "/logout"
                && let Some(user) = role.login()
            {
                assert_eq!(rig.ask("GET", "/", &rig.headers(role), None).await.status, 303, "{user} is out");
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    rig.running.shutdown().await;
}

/// What is wrong with a response, if anything.
fn judge(kind: Kind, role: Role, answer: &Answer, state: HeldState) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut need = |good: bool, why: &str| {
        if !good {
            wrong.push(why.to_owned());
        }
    };
    let status = answer.status;
    let signed = role.login().is_some();
    need(status < 500, "an error of ours");
    let (sees, reads) = match kind {
        Kind::Api(_) | Kind::ApiOpen => (role.token() && role != Role::NoScope, role == Role::DecideToken),
        _ => (role.sees(), role.reads()),
    };
    need(sees || !answer.body.contains(SUBJECT), "tells the subject");
    need(reads || !answer.body.contains(BODY), "tells the body");
    need(answer.header("x-content-type-options") == "nosniff", "has no nosniff");
    need(answer.header("referrer-policy") == "no-referrer", "has a referrer");
    need(answer.header("content-security-policy").contains("default-src 'none'"), "has no policy");
    let to_login = status == 303 && answer.header("location").starts_with("/login");
    match kind {
        Kind::Open | Kind::ApiOpen => {}
        Kind::Signed => {
            need(signed || to_login || status == 401 || status == 403, "is open to whoever comes");
            need(!signed || status != 401, "turns somebody away who is signed in");
        }
        Kind::Change => {
            need(signed || matches!(status, 303 | 401 | 403), "is open to whoever comes");
        }
        Kind::Item | Kind::Contents => {
            need(signed || to_login, "is open to whoever comes");
            let may = if kind == Kind::Item { role.sees() } else { role.reads() };
            need(
                !signed || may || matches!(status, 303 | 403 | 404),
                "is shown to somebody it does not concern",
            );
            need(!signed || role.sees() || status == 404, "does not answer 404 about a foreign message");
            need(status != 401, "asks somebody to sign in who has");
        }
        Kind::Decide => {
            need(signed || matches!(status, 401 | 403), "is open to whoever comes");
            need(
                !signed || role.sees() || status >= 400 || state == HeldState::Held,
                "acts on a foreign message",
            );
            let may = role.reads();
            need(may || state == HeldState::Held, "lets somebody decide who may not");
        }
        Kind::TakeBack => {
            need(signed || matches!(status, 401 | 403), "is open to whoever comes");
            need(!signed || role.sees() || status == 404, "does not answer 404 about a foreign message");
            let may = matches!(role, Role::Sender | Role::Admin);
            need(may || state == HeldState::Held, "lets somebody take back what is not theirs");
        }
        Kind::Operate | Kind::Administer => {
            need(signed || to_login || matches!(status, 401 | 403), "is open to whoever comes");
            let may = role == Role::Admin || (kind == Kind::Operate && role == Role::Auditor);
            need(!signed || may || status == 404, "is shown to somebody it does not concern");
            need(role != Role::Admin || status != 404, "is not there for an administrator");
        }
        Kind::Api(scope) => {
            need(role.token() || status == 401, "is open without a token");
            need(
                !role.token() || role.may(scope) || status == 403 || scope == Scope::ReportRead,
                "is open without its scope",
            );
            need(role == Role::DecideToken || state == HeldState::Held, "lets a token decide that may not");
        }
    }
    wrong
}
