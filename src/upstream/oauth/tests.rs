//! Tests with a small token service.

use super::*;
use std::collections::{HashMap, HashSet};
use std::sync::Mutex as StdMutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers each request with the next of these answers; records the request bodies.
async fn service(answers: Vec<(u16, String)>) -> (String, Arc<StdMutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let asked = Arc::new(StdMutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    tokio::spawn(async move {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = String::new();
            let mut octets = [0; 4096];
            while !request.contains("grant_type") {
                let count = stream.read(&mut octets).await.unwrap();
                request.push_str(std::str::from_utf8(&octets[..count]).unwrap());
            }
            heard.lock().unwrap().push(request.split("\r\n\r\n").nth(1).unwrap().to_owned());
            let answer =
                format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(format!("{answer}{body}").as_bytes()).await.unwrap();
        }
    });
    (url, asked)
}

fn tokens(url: String, grant: Grant) -> Tokens {
    let settings = Settings {
        token_url: url,
        client_id: "relay id".to_owned(),
        client_secret: Some("s&cret".into()),
        grant,
        scope: Some("https://outlook.example/.default".to_owned()),
    };
    Tokens::new(settings, &Authorities::new(None).unwrap()).unwrap()
}

fn answer(token: &str, life: u64) -> (u16, String) {
    (200, format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{life}}}"#))
}

#[tokio::test]
async fn a_token_is_kept_until_shortly_before_it_expires_or_is_refused() {
    let (url, asked) =
        service(vec![answer("one", 600), answer("two", 600), answer("three", 0), answer("four", 9)]).await;
    let tokens = tokens(url, Grant::ClientCredentials);
    assert_eq!(tokens.token().await.unwrap().expose_secret(), "one");
    assert_eq!(tokens.token().await.unwrap().expose_secret(), "one");
    tokens.forget(&"another".into()).await;
    assert_eq!(tokens.token().await.unwrap().expose_secret(), "one");
    tokens.forget(&"one".into()).await;
    assert_eq!(tokens.token().await.unwrap().expose_secret(), "two");
    tokens.forget(&"two".into()).await;
    assert_eq!(tokens.token().await.unwrap().expose_secret(), "three");
    assert_eq!(tokens.token().await.unwrap().expose_secret(), "four", "that one had no life left");
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 4);
    for part in [
        "client_id=relay+id",
        "client_secret=s%26cret",
        "grant_type=client_credentials",
        "scope=https%3A%2F%2F",
    ] {
        assert!(asked[0].contains(part), "{}", asked[0]);
    }
}

#[tokio::test]
async fn a_new_refresh_token_is_used_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("refresh");
    std::fs::write(&file, "old\n").unwrap();
    let with_new = r#"{"access_token":"one","expires_in":"0","refresh_token":"new"}"#;
    let (url, asked) = service(vec![(200, with_new.to_owned()), answer("two", 600)]).await;
    let tokens = tokens(url, Grant::RefreshToken { token: "old".into(), file: file.clone() });
    assert_eq!(tokens.token().await.unwrap().expose_secret(), "one");
    assert_eq!(tokens.token().await.unwrap().expose_secret(), "two");
    let asked = asked.lock().unwrap();
    assert!(asked[0].contains("refresh_token=old") && asked[1].contains("refresh_token=new"), "{asked:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "new\n");
}

#[tokio::test]
async fn a_refusal_says_why_and_no_secret() {
    let refusal = r#"{"error":"invalid_client","error_description":"the secret is wrong"}"#;
    let large = "x".repeat(LARGEST + 1);
    let table = [
        ((401, refusal.to_owned()), "invalid_client the secret is wrong"),
        ((200, "nonsense".to_owned()), "no token"),
        ((200, "{}".to_owned()), "access_token"),
        ((302, "{}".to_owned()), "302"),
        ((200, large), "too large"),
    ];
    for (answer, expected) in table {
        let (url, _) = service(vec![answer]).await;
        let error = tokens(url, Grant::ClientCredentials).token().await.unwrap_err();
        assert!(error.contains(expected) && !error.contains("s&cret"), "{error}");
    }
    let error = tokens("http://127.0.0.1:1/".to_owned(), Grant::ClientCredentials).token().await.unwrap_err();
    assert!(!error.contains("s&cret"), "{error}");
}

/// Keeps refresh tokens for several relays.
#[derive(Default)]
struct Together {
    tokens: StdMutex<HashMap<String, String>>,
    /// Names whose turn somebody has.
    taken: StdMutex<HashSet<String>>,
    /// How many times it cannot be written.
    failures: AtomicUsize,
}

#[async_trait]
impl TokenStore for Together {
    async fn load(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.tokens.lock().unwrap().get(name).cloned())
    }

    async fn replace(&self, name: &str, was: Option<String>, new: String) -> Result<bool, String> {
        if self.failures.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err("the store cannot be written".to_owned());
        }
        let mut tokens = self.tokens.lock().unwrap();
        let ours = tokens.get(name) == was.as_ref();
        if ours {
            tokens.insert(name.to_owned(), new);
        }
        Ok(ours)
    }

    async fn turn(&self, name: &str, lasts: Duration) -> Result<bool, String> {
        let mut taken = self.taken.lock().unwrap();
        if lasts.is_zero() {
            taken.remove(name);
            return Ok(true);
        }
        Ok(taken.insert(name.to_owned()))
    }
}

/// The answer of a service that replaces the refresh token: its number is one more.
fn fresh(number: usize) -> (u16, String) {
    let next = number + 1;
    (200, format!(r#"{{"access_token":"access{number}","expires_in":600,"refresh_token":"token{next}"}}"#))
}

fn uses(request: &str, token: &str) -> bool {
    let field = format!("refresh_token={token}");
    request.contains(&format!("{field}&")) || request.ends_with(&field)
}

/// Two mailboxes of one registered client have refresh tokens of their own, and a store that fails for a moment loses
/// none of them.
#[tokio::test]
async fn each_mailbox_keeps_its_own_refresh_token() {
    let folder = tempfile::tempdir().unwrap();
    let (url, asked) = service([1, 11, 2, 12].map(fresh).into()).await;
    let shared = Arc::new(Together { failures: AtomicUsize::new(2), ..Together::default() });
    let mailbox = |token: &str| {
        let grant = Grant::RefreshToken { token: token.into(), file: folder.path().join(token) };
        tokens(url.clone(), grant).shared(Some(shared.clone()))
    };
    for _ in 0..2 {
        // New relays each time: they know nothing but what is stored.
        for mailbox in [mailbox("token1"), mailbox("token11")] {
            mailbox.token().await.unwrap();
        }
    }
    let asked = asked.lock().unwrap();
    for (request, token) in asked.iter().zip(["token1", "token11", "token2", "token12"]) {
        assert!(uses(request, token), "{token}: {request}");
    }
    assert_eq!(asked.len(), 4);
}

/// The service replaces the refresh token each time. Neither relay uses one that was replaced, whoever is first.
#[tokio::test]
async fn two_relays_use_each_refresh_token_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("refresh");
    std::fs::write(&file, "token0\n").unwrap();
    let (url, asked) = service((0..6).map(fresh).collect()).await;
    let shared = Arc::new(Together::default());
    let relay = || {
        let grant = Grant::RefreshToken { token: "token0".into(), file: file.clone() };
        tokens(url.clone(), grant).shared(Some(shared.clone()))
    };
    let (one, two) = (relay(), relay());
    let (first, second) = tokio::join!(one.token(), two.token());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_ne!(first.expose_secret(), second.expose_secret());
    for _ in 0..2 {
        for relay in [&one, &two] {
            let current = relay.token().await.unwrap();
            relay.forget(&current).await;
            relay.token().await.unwrap();
        }
    }
    {
        let asked = asked.lock().unwrap();
        assert_eq!(asked.len(), 6);
        for (number, request) in asked.iter().enumerate() {
            assert!(uses(request, &format!("token{number}")), "{number}: {request}");
        }
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "token0\n", "the file is the administrator's");
}
