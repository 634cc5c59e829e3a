//! Tests of the file of accounts: reading, editing, reloading, and that it does not reveal who has an account.

use super::edit::Editor;
use super::*;
use crate::clock::ManualClock;
use std::os::unix::fs::PermissionsExt;

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

fn edited(path: &Path, change: impl FnOnce(&mut Editor) -> Result<(), String>) -> String {
    let mut editor = Editor::open(path).unwrap();
    change(&mut editor).unwrap();
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn comments_order_and_owner_only_mode_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    let address = Address::parse("hanako.sato@example.co.jp").unwrap();
    edited(&path, |editor| editor.add("hanako", std::slice::from_ref(&address), &[], &secret("pencil-case")));
    edited(&path, |editor| editor.add("taro", &[], &[], &secret("pencil-case")));
    let text = std::fs::read_to_string(&path).unwrap();
    let commented = format!(
        "# ours\n{}",
        text.replace("[[user]]\nname = \"taro\"", "# second\n[[user]] # him\nname = \"taro\"")
    );
    std::fs::write(&path, &commented).unwrap();
    let added = edited(&path, |editor| editor.add("jiro", &[], &[], &secret("pencil-case")));
    assert!(added.starts_with(&commented), "{added}");
    let changed = edited(&path, |editor| editor.set_password("TARO", &secret("another one")));
    assert!(changed.contains("# second\n[[user]] # him\nname = \"taro\""), "{changed}");
    assert_ne!(added, changed);
    let removed = edited(&path, |editor| editor.remove("hanako"));
    assert!(
        removed.starts_with("# ours\n\n# second\n[[user]] # him\n") && !removed.contains("hanako"),
        "{removed}"
    );
    let names: Vec<String> =
        Editor::open(&path).unwrap().users().map(|user| user.account.name.clone()).collect();
    assert_eq!(names, ["taro", "jiro"]);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    edited(&path, |editor| editor.add("hanako", &[], &[], &secret("pencil-case")));
    let before = std::fs::read_to_string(&path).unwrap();
    let mut editor = Editor::open(&path).unwrap();
    for (said, part) in [
        (editor.add("Hanako", &[], &[], &secret("pencil-case")), "already"),
        (editor.add("", &[], &[], &secret("pencil-case")), "not a valid user name"),
        (editor.add("a\nb", &[], &[], &secret("pencil-case")), "not a valid user name"),
        (editor.add("taro", &[], &[], &secret("short")), "8 characters"),
        (editor.remove("taro"), "no user"),
        (editor.set_password("taro", &secret("pencil-case")), "no user"),
        (editor.set_password("hanako", &secret("")), "8 characters"),
    ] {
        assert!(said.unwrap_err().contains(part), "{part}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
}

#[test]
fn mistakes_are_told_with_their_line() {
    let path = Path::new("users.toml");
    let hash = Hash::make("pencil").unwrap();
    let sound = format!("[[user]]\nname = \"a\"\npassword = \"{}\"\n", hash.as_str());
    for (text, part) in [
        ("[[user]]\nname = \"a\"\n".to_owned(), "users.toml:1: missing field `password`"),
        ("[[user]]\nname = \"a\"\npassword = \"pencil\"\n".to_owned(), "`password` is not an argon2id hash"),
        (format!("{sound}\n{sound}"), "users.toml:5: user `a`: there is another user"),
        (format!("{sound}scram = \"x\"\n"), "`scram` is not of the form"),
        (format!("{sound}adresses = []\n"), "users.toml:4: unknown field `adresses`"),
        (format!("{sound}addresses = [\"x\"]\n"), "users.toml:4: `x` is not a mail address"),
    ] {
        let said = read(path, &text).unwrap_err();
        assert!(said.contains(part), "wanted {part}, said {said}");
    }
}

fn opened(text: &str) -> (tempfile::TempDir, FileAccounts, Arc<ManualClock>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    std::fs::write(&path, text).unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp(0)));
    let accounts = FileAccounts::open(path, clock.clone()).unwrap();
    (folder, accounts, clock)
}

#[tokio::test]
async fn a_changed_file_is_read_anew_and_a_broken_one_is_not() {
    let (folder, accounts, clock) = opened("");
    let path = folder.path().join("users.toml");
    assert_eq!(accounts.password("hanako", &secret("pencil-case")).await, Ok(None));
    let address = Address::parse("hanako.sato@example.co.jp").unwrap();
    edited(&path, |editor| editor.add("hanako", std::slice::from_ref(&address), &[], &secret("pencil-case")));
    clock.advance_millis(1_000);
    let account = Account { name: "hanako".into(), addresses: vec![address] };
    assert_eq!(accounts.password("Hanako", &secret("pencil-case")).await, Ok(Some(account.clone())));
    assert_eq!(accounts.password("hanako", &secret("pencil")).await, Ok(None));
    std::fs::write(&path, "broken").unwrap();
    clock.advance_millis(1_000);
    assert_eq!(accounts.password("hanako", &secret("pencil-case")).await, Ok(Some(account)));
}

#[test]
fn keys_of_nobody_look_like_anybodys() {
    let (folder, _, _) = opened("");
    let path = folder.path().join("users.toml");
    edited(&path, |editor| editor.add("hanako", &[], &[], &secret("pencil-case")));
    let accounts = FileAccounts::open(path, Arc::new(ManualClock::at(Timestamp(0)))).unwrap();
    let real = accounts.keys("hanako").unwrap();
    let nobody = accounts.keys("nobody").unwrap();
    assert_eq!((real.iterations, real.salt.len()), (nobody.iterations, nobody.salt.len()));
    assert_eq!(accounts.keys("Nobody").unwrap(), nobody, "asked again, the same");
    assert_ne!(accounts.keys("nobody2").unwrap().salt, nobody.salt);
    let rounds = std::num::NonZeroU32::new(real.iterations).unwrap();
    assert_eq!(Keys::derive("pencil-case", real.salt.clone(), rounds), real);
    assert!(accounts.account("nobody").is_none());
}
