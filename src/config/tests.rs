//! What a configuration file becomes once it is read.

use super::*;

const LEAST: &str = r#"
[organisation]
domains = ["example.co.jp"]
[[listener]]
address = "127.0.0.1:2525"
allow = ["127.0.0.0/8", "::1"]
[upstream]
address = "smtp.example.net:587"
[policy]
files = ["policy/default.toml"]
"#;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("/etc/sekisho/sekisho.toml"), text).map_err(|error| error.to_string())
}

#[test]
fn the_least_that_runs_has_defaults_worth_keeping() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.database, Path::new("/etc/sekisho/sekisho.db"));
    assert_eq!(config.policy.files, [Path::new("/etc/sekisho/policy/default.toml")]);
    assert_eq!(config.policy.mode, Mode::Enforce);
    assert_eq!(config.policy.expiry, Duration::from_hours(72));
    assert_eq!(config.upstream.tls, UpstreamTls::Required);
    assert_eq!(config.upstream.route.to_string(), "smtp.example.net:587");
    assert_eq!(config.desk.address, Some("127.0.0.1:8025".parse().unwrap()));
    assert_eq!(config.limits.size, 157_286_400);
    assert_eq!(config.limits.recipients, 5_000);
    assert_eq!(config.listeners[0].allow.len(), 2);
    assert_eq!(config.notices.from.as_str(), "sekisho@example.co.jp");
}

/// Messages are kept for 400 days, contents for 30; if messages are kept for less, so are contents.
#[test]
fn what_is_kept_has_a_time() {
    let days = |days: u64| Duration::from_hours(24 * days);
    let cases = [
        ("", 30, 400),
        ("[store]\nkeep = { messages = \"14d\" }", 14, 14),
        ("[store]\nkeep = { contents = \"90d\" }", 90, 400),
        ("[store]\nkeep = { contents = \"7d\", messages = \"30d\", ledger = \"90d\" }", 7, 30),
    ];
    for (text, contents, messages) in cases {
        let keep = parse(&format!("{LEAST}\n{text}")).unwrap().keep;
        assert_eq!((keep.contents, keep.messages, keep.ledger), (days(contents), days(messages), days(90)));
    }
    let wrong = parse(&format!("{LEAST}\n[store]\nkeep = {{ contents = \"500d\" }}")).unwrap_err();
    assert!(wrong.contains("`contents` cannot be kept longer than `messages`"), "{wrong}");
}

#[test]
fn values_that_mean_off_ask_for_nothing() {
    let text = LEAST.replace("[upstream]", "tls = \"off\"\nauth = \"off\"\n[upstream]");
    let text = format!("{text}\n[tls]\ncertificates = []\n[auth]\nsource = \"off\"\n[dkim]\nkeys = []\n");
    parse(&text).unwrap();
}

#[test]
fn paths_are_relative_to_the_file() {
    let text = LEAST.replace("smtp.example.net:587", "capture:out");
    let config = parse(&text).unwrap();
    assert_eq!(config.upstream.route, UpstreamRoute::Capture("/etc/sekisho/out".into()));
}

#[test]
fn mistakes_found_late_still_have_a_place() {
    let text = LEAST.replace("[policy]", "username = \"u\"\n[policy]");
    let error = parse(&text).unwrap_err();
    assert!(error.starts_with("/etc/sekisho/sekisho.toml:9:1: `username` needs"), "{error}");
}

#[test]
fn a_missing_file_names_both_places() {
    let error = ConfigError::NotFound { here: "/work".into() }.to_string();
    assert!(error.contains("sekisho.toml") && error.contains("/etc/sekisho/sekisho.toml"), "{error}");
}
