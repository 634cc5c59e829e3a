//! A relay with a person for every role, accessed over HTTP.

use sekisho::app::{App, Running};
use sekisho::clock::{Clock, SystemClock};
use sekisho::config::Config;
use sekisho::id::Id;
use sekisho::message::Address;
use sekisho::people::scope::{Scope, Scopes};
use sekisho::store::{HeldFilter, HeldState};
use std::collections::HashMap;
use std::path::Path;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A word in the subject, and one in the body. A person who may not see a message must find neither.
pub(super) const SUBJECT: &str = "kumquat-subject";
pub(super) const BODY: &str = "persimmon-body";
pub(super) const PASSWORD: &str = "correct-horse-battery";

/// The roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
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

pub(super) const ROLES: [Role; 10] = [
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
    pub(super) fn login(self) -> Option<&'static str> {
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

    pub(super) fn token(self) -> bool {
        matches!(self, Self::NoScope | Self::ReadToken | Self::DecideToken)
    }

    /// Whether the role may see the message on pages.
    pub(super) fn sees(self) -> bool {
        matches!(self, Self::Sender | Self::Approver | Self::Auditor | Self::Admin)
    }

    /// Whether the role may read it on pages.
    pub(super) fn reads(self) -> bool {
        matches!(self, Self::Sender | Self::Approver | Self::Admin)
    }

    /// Whether the role has a token with this scope.
    pub(super) fn may(self, scope: Scope) -> bool {
        match self {
            Self::ReadToken => matches!(scope, Scope::HeldRead),
            Self::DecideToken => true,
            _ => false,
        }
    }
}

/// A response.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HashMap<String, Vec<String>>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|all| all.first()).map_or("", String::as_str)
    }
}

/// The desk, with cookies and tokens for every role.
pub(super) struct Rig {
    pub(super) running: Running,
    client: reqwest::Client,
    pub(super) base: String,
    pub(super) cookies: HashMap<&'static str, String>,
    pub(super) tokens: HashMap<&'static str, String>,
    _folder: tempfile::TempDir,
}

impl Rig {
    pub(super) async fn start() -> Self {
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

    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        form: Option<&str>,
    ) -> Answer {
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
    pub(super) async fn sign_in(&self, user: &str) -> String {
        let page = self.ask("GET", "/login", &[], None).await;
        let browser = cookie(&page, "sekisho-browser").unwrap();
        let form = format!("csrf={}&user={user}&password={PASSWORD}", csrf(&page.body));
        let answer = self.ask("POST", "/login", &[("cookie", browser)], Some(&form)).await;
        assert_eq!(answer.status, 303, "{user}: {}", answer.body);
        cookie(&answer, "sekisho").unwrap()
    }

    pub(super) fn headers(&self, role: Role) -> Vec<(&'static str, String)> {
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
    pub(super) async fn hold(&self) -> Id {
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

    pub(super) async fn state(&self, id: Id) -> HeldState {
        let one = HeldFilter { id: Some(id), ..HeldFilter::default() };
        self.running.desk().store.held(&one).await.unwrap()[0].state
    }

    /// What is wrong with a response's target: errors for people must be pages of the desk, and the page to
    /// which a change of language leads back must exist.
    pub(super) async fn leads_on(&self, answer: &Answer, role: Role, acts: bool) -> Option<&'static str> {
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

    pub(super) async fn form_token(&self, role: Role) -> String {
        let page = self.ask("GET", "/", &self.headers(role), None).await;
        csrf(&page.body)
    }
}

pub(super) fn people(folder: &Path) {
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

pub(super) fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let all = answer.headers.get("set-cookie")?;
    let found = all.iter().find(|text| text.starts_with(&format!("{name}=")))?;
    Some(found.split(';').next().unwrap().to_owned())
}

pub(super) fn csrf(body: &str) -> String {
    let (_, rest) = body.split_once("name=\"csrf\" value=\"").unwrap_or(("", ""));
    rest.split('"').next().unwrap().to_owned()
}
