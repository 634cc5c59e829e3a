//! Every route × every role × a message of others: who may know of a held message, read it, decide on it.
//!
//! The routes are those of the router itself; a route that is missing in the table below fails the test. Each
//! is requested over HTTP in each role, about a message that the role may see or not, and the responses are
//! searched for what they must not contain.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use sekisho::app::{App, Running};
use sekisho::clock::{Clock, SystemClock};
use sekisho::config::Config;
use sekisho::desk::links::Links;
use sekisho::id::Id;
use sekisho::message::Address;
use sekisho::people::scope::{Scope, Scopes};
use sekisho::store::circles::NewCircle;
use sekisho::store::{HeldFilter, HeldState, LinkAction};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Kinds of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// For everybody; says nothing of any message.
    Open,
    /// For anybody who is signed in; shows the messages that they may see.
    Signed,
    /// About one message, without contents.
    Item,
    /// Contents of one message.
    Contents,
    /// Changes a message.
    Decide,
    /// For anybody who is signed in: changes something other than a message.
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

/// A word in the subject, and one in the body: who may not know of a message sees neither.
const SUBJECT: &str = "kumquat-subject";
const BODY: &str = "persimmon-body";
/// A circle, as its form sends it.
const CIRCLE: &str = "name=Board&members=a%40x.example%0D%0Ab%40y.example&days=30";
const PASSWORD: &str = "correct-horse-battery";

/// The roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Nobody,
    Sender,
    OtherSender,
    Approver,
    OtherApprover,
    Auditor,
    Admin,
    NoScope,
    ReadToken,
    DecideToken,
}

const ROLES: [Role; 10] = [
    Role::Nobody,
    Role::Sender,
    Role::OtherSender,
    Role::Approver,
    Role::OtherApprover,
    Role::Auditor,
    Role::Admin,
    Role::NoScope,
    Role::ReadToken,
    Role::DecideToken,
];

impl Role {
    fn login(self) -> Option<&'static str> {
        Some(match self {
            Self::Sender => "hanako",
            Self::OtherSender => "taro",
            Self::Approver => "soumu",
            Self::OtherApprover => "jinji",
            Self::Auditor => "kansa",
            Self::Admin => "boss",
            _ => return None,
        })
    }

    fn token(self) -> bool {
        matches!(self, Self::NoScope | Self::ReadToken | Self::DecideToken)
    }

    /// May know of the message on pages.
    fn sees(self) -> bool {
        matches!(self, Self::Sender | Self::Approver | Self::Auditor | Self::Admin)
    }

    /// May read it on pages.
    fn reads(self) -> bool {
        matches!(self, Self::Sender | Self::Approver | Self::Admin)
    }

    /// Has a token with this scope.
    fn may(self, scope: Scope) -> bool {
        match self {
            Self::ReadToken => matches!(scope, Scope::HeldRead),
            Self::DecideToken => true,
            _ => false,
        }
    }
}

/// A response.
struct Answer {
    status: u16,
    headers: HashMap<String, Vec<String>>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|all| all.first()).map_or("", String::as_str)
    }
}

/// The desk, and the cookies and tokens of every role.
struct Rig {
    running: Running,
    client: reqwest::Client,
    base: String,
    cookies: HashMap<&'static str, String>,
    tokens: HashMap<&'static str, String>,
    _folder: tempfile::TempDir,
}

impl Rig {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        people(at);
        std::fs::write(
            at.join("policy.toml"),
            "[[rule]]\nname = \"ask\"\nwhen = { subject = { contains = [\"kumquat\"] } }\ndemand = \"ask\"\n",
        )
        .unwrap();
        let text = "[organisation]\ndomains = [\"example.co.jp\"]\n\
             [[listener]]\naddress = \"127.0.0.1:0\"\nallow = [\"127.0.0.0/8\"]\n\
             [upstream]\naddress = \"capture:out\"\n\
             [policy]\nfiles = [\"policy.toml\"]\napprovers = [\"soumu@example.co.jp\", \"bucho@example.co.jp\"]\n\
             [desk]\naddress = \"127.0.0.1:0\"\nurl = \"http://desk.example\"\npeople = \"people.toml\"\n\
             [desk.roles]\napprover = [\"jinji\"]\nauditor = [\"kansa\"]\nadmin = [\"boss\"]\n";
        let file = at.join("sekisho.toml");
        std::fs::write(&file, text).unwrap();
        let running = App::start(Config::find(Some(&file)).unwrap()).await.unwrap();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let base = format!("http://{}", running.web().unwrap());
        let (cookies, tokens) = (HashMap::new(), HashMap::new());
        let mut rig = Self { running, client, base, cookies, tokens, _folder: folder };
        for role in ROLES {
            if let Some(user) = role.login() {
                let cookie = rig.sign_in(user).await;
                rig.cookies.insert(user, cookie);
            }
        }
        for (name, scopes) in [
            ("none", vec![Scope::ReportRead]),
            ("read", vec![Scope::HeldRead]),
            ("decide", Scope::ALL.to_vec()),
        ] {
            let scopes: Scopes = scopes.into_iter().collect();
            let now = SystemClock.now();
            let store = &*rig.running.desk().store;
            let token = sekisho::people::add_token(store, name, scopes, None, "test", now).await.unwrap();
            rig.tokens.insert(name, token);
        }
        rig
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, String)], form: Option<&str>) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(form) = form {
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .header("sec-fetch-site", "same-origin")
                .body(form.to_owned());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let mut all: HashMap<String, Vec<String>> = HashMap::new();
        for (name, value) in response.headers() {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            all.entry(name.as_str().to_owned()).or_default().push(value);
        }
        Answer { status, headers: all, body: response.text().await.unwrap_or_default() }
    }

    /// Signs in by password; returns the session cookie.
    async fn sign_in(&self, user: &str) -> String {
        let page = self.ask("GET", "/login", &[], None).await;
        let browser = cookie(&page, "sekisho-browser").unwrap();
        let form = format!("csrf={}&user={user}&password={PASSWORD}", csrf(&page.body));
        let answer = self.ask("POST", "/login", &[("cookie", browser)], Some(&form)).await;
        assert_eq!(answer.status, 303, "{user}: {}", answer.body);
        cookie(&answer, "sekisho").unwrap()
    }

    fn headers(&self, role: Role) -> Vec<(&'static str, String)> {
        if let Some(user) = role.login() {
            return vec![("cookie", self.cookies[user].clone())];
        }
        let name = match role {
            Role::NoScope => "none",
            Role::ReadToken => "read",
            Role::DecideToken => "decide",
            _ => return Vec::new(),
        };
        vec![("authorization", format!("Bearer {}", self.tokens[name]))]
    }

    /// A held message of Hanako's.
    async fn hold(&self) -> Id {
        let stream = TcpStream::connect(self.running.smtp().unwrap()).await.unwrap();
        let (read, mut write) = stream.into_split();
        let mut read = BufReader::new(read);
        let mut last = String::new();
        let content = format!(
            "From: hanako.sato@example.co.jp\r\nTo: a@x.example, b@y.example\r\nSubject: {SUBJECT}\r\n\
             Content-Type: text/plain\r\n\r\n{BODY}\r\n.\r\n"
        );
        let script = [
            "",
            "EHLO client.example\r\n",
            "MAIL FROM:<hanako.sato@example.co.jp>\r\n",
            "RCPT TO:<a@x.example>\r\n",
            "RCPT TO:<b@y.example>\r\n",
            "DATA\r\n",
            &content,
        ];
        for line in script {
            write.write_all(line.as_bytes()).await.unwrap();
            loop {
                last.clear();
                read.read_line(&mut last).await.unwrap();
                if last.as_bytes().get(3) != Some(&b'-') {
                    break;
                }
            }
        }
        let (_, rest) = last.split_once("held as ").unwrap_or_else(|| panic!("{last}"));
        rest[..16].parse().unwrap()
    }

    async fn state(&self, id: Id) -> HeldState {
        let one = HeldFilter { id: Some(id), ..HeldFilter::default() };
        self.running.desk().store.held(&one).await.unwrap()[0].state
    }

    /// What is wrong with the target of a response: errors for people are shown on a page of the desk, and
    /// the page to which a choice of language leads back can be opened.
    async fn leads_on(&self, answer: &Answer, role: Role, acts: bool) -> Option<&'static str> {
        if role.token() {
            return None;
        }
        let page = answer.header("content-type").starts_with("text/html");
        if !page {
            let for_people = answer.status >= 400 && answer.header("content-type").starts_with("text/plain");
            return (for_people && !answer.body.contains("[desk] monitoring")).then_some("is no page");
        }
        if answer.status >= 400 && !answer.body.contains("id=\"main\"") {
            return Some("is not in the desk's own look");
        }
        if !acts {
            return None;
        }
        let (_, rest) = answer.body.split_once("action=\"/language\"")?;
        let (_, rest) = rest.split_once("name=\"back\" value=\"")?;
        let back = rest.split('"').next().unwrap_or_default().replace("&#38;", "&").replace("&amp;", "&");
        let again = self.ask("GET", &back, &self.headers(role), None).await;
        matches!(again.status, 400 | 405).then_some("leads a choice of language to nothing")
    }

    async fn form_token(&self, role: Role) -> String {
        let page = self.ask("GET", "/", &self.headers(role), None).await;
        csrf(&page.body)
    }
}

fn people(folder: &Path) {
    let path = folder.join("people.toml");
    let mut editor = sekisho::accounts::file::edit::Editor::open(&path).unwrap();
    for (name, address) in [
        ("hanako", "hanako.sato@example.co.jp"),
        ("taro", "taro.suzuki@example.co.jp"),
        ("soumu", "soumu@example.co.jp"),
        ("jinji", "jinji@example.co.jp"),
        ("kansa", "kansa@example.co.jp"),
        ("boss", "boss@example.co.jp"),
    ] {
        let password = secrecy::SecretString::from(PASSWORD.to_owned());
        editor.add(name, &[Address::parse(address).unwrap()], &[], &password).unwrap();
    }
}

fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let all = answer.headers.get("set-cookie")?;
    let found = all.iter().find(|text| text.starts_with(&format!("{name}=")))?;
    Some(found.split(';').next().unwrap().to_owned())
}

fn csrf(body: &str) -> String {
    let (_, rest) = body.split_once("name=\"csrf\" value=\"").unwrap_or(("", ""));
    rest.split('"').next().unwrap().to_owned()
}

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

/// What is wrong with a response.
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

/// A link works for anybody who has it: it does one safe thing, once. GET and HEAD change nothing.
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

/// A link of an approver: it decides for who decides now, once, what is safe; nobody else's does anything.
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
        // as it is, nothing is sent by a link, whatever its form says
        (LinkAction::GiveBack, "soumu", "as=as-is", 422, HeldState::Held),
        // who was never asked, who does not decide on this, whose mail it is
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
        // What is decided is told, and no other link decides any more.
        let other = links.new_link(&address("soumu"), &message, LinkAction::GiveBack).await.unwrap().unwrap();
        let other = other.strip_prefix("http://desk.example").unwrap();
        assert_eq!(rig.ask("POST", other, &[], Some("reason=late")).await.status, 303);
        assert_eq!(rig.state(id).await, state);
    }
    rig.running.shutdown().await;
}

/// An approver's link respects absences: while its person is away their deputy's decides, and only then.
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
        // Who may not end a circle may not end one made by somebody else either.
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

/// A release as written remembers those who see each other, if the form says so. If the circle cannot be
/// made, the message stays held.
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

/// After three releases for exactly these people a circle is offered, with the day on which it ends, and only
/// to those who may make circles. Once there is one, it is not offered any more.
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
