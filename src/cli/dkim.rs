//! `sekisho dkim`: makes signing keys and shows the DNS records that publish them.

use super::{Context, Failure};
use crate::app::{signing_key, write_private};
use crate::config::{DkimKey, reason, selector, signing_domain};
use crate::dkim::{Algorithm, Record, SigningKey, key::generate};
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make a private key and print the DNS record that publishes it
    Keygen(Keygen),
    /// Print the DNS records of the configured keys, or of one key
    #[command(visible_alias = "record")]
    Show(Show),
}

/// Options of `keygen`.
#[derive(Debug, clap::Args)]
pub(super) struct Keygen {
    /// The signing domain: that of your From addresses
    #[arg(long)]
    domain: String,
    /// The selector that the key is published under, such as s1
    #[arg(long)]
    selector: String,
    /// RSA (2048 bits) is verified by every receiver; Ed25519 can be added to it
    #[arg(long = "type", value_enum, default_value_t = Kind::Rsa)]
    kind: Kind,
    /// The folder for the key file
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

/// Options of `show`.
#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// A private key file, which need not be configured
    #[arg(long, value_name = "FILE", requires = "domain", requires = "selector")]
    key: Option<PathBuf>,
    /// Only keys of this domain
    #[arg(long)]
    domain: Option<String>,
    /// Only keys with this selector
    #[arg(long)]
    selector: Option<String>,
}

/// Types of keys.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Rsa,
    Ed25519,
}

pub(super) fn run(context: &Context, verb: &Verb) -> Result<(), Failure> {
    match verb {
        Verb::Keygen(wanted) => keygen(context, wanted),
        Verb::Show(wanted) => show(context, wanted),
    }
}

fn keygen(context: &Context, wanted: &Keygen) -> Result<(), Failure> {
    let (domain, selector) = names(&wanted.domain, &wanted.selector)?;
    let algorithm = match wanted.kind {
        Kind::Rsa => Algorithm::Rsa,
        Kind::Ed25519 => Algorithm::Ed25519,
    };
    let failed = |error: &dyn std::fmt::Display| Failure::failed(format!("no key was made: {error}"));
    let pem = generate(algorithm).map_err(|error| failed(&error))?;
    let key = SigningKey::from_pem(&domain, &selector, &pem).map_err(|error| failed(&error))?;
    let folder = std::path::absolute(&wanted.out).unwrap_or_else(|_| wanted.out.clone());
    let file = folder.join(format!("dkim-{domain}-{selector}.pem"));
    write_private(&file, pem.as_bytes()).map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                "it exists; choose another selector, so that both can be published for a while".to_owned()
            }
            _ => reason(&error),
        };
        Failure::failed(format!("{}: {why}", file.display()))
    })?;
    let (text, value) = shown(&key, &file).map_err(|error| failed(&error))?;
    if context.out.json {
        context.out.json(&value);
        return Ok(());
    }
    let entry = format!(
        "keys = [{{ domain = \"{domain}\", selector = \"{selector}\", key = \"{}\" }}]",
        file.display()
    );
    context.out.print(&format!(
        "made {} (mode 0600)\n\n{text}\nPublish the record, then configure the key:\n\n[dkim]\n{entry}\n\n\
         `sekisho check` compares the two.\n",
        file.display()
    ));
    Ok(())
}

fn names(domain: &str, name: &str) -> Result<(String, String), Failure> {
    let domain = signing_domain(domain).map_err(|why| Failure::usage(format!("--domain: {why}")))?;
    let name = selector(name).ok_or_else(|| {
        Failure::usage(format!("--selector: `{name}` is none: letters, digits and hyphens, such as s1"))
    })?;
    Ok((domain, name))
}

fn show(context: &Context, wanted: &Show) -> Result<(), Failure> {
    let keys = match (&wanted.key, &wanted.domain, &wanted.selector) {
        (Some(file), Some(domain), Some(selector)) => {
            let (domain, selector) = names(domain, selector)?;
            vec![DkimKey { domain, selector, file: file.clone() }]
        }
        _ => configured(context, wanted)?,
    };
    let mut texts = Vec::new();
    let mut values = Vec::new();
    for key in &keys {
        let signing = signing_key(key)?;
        let (text, value) = shown(&signing, &key.file).map_err(|error| Failure::failed(error.to_string()))?;
        texts.push(text);
        values.push(value);
    }
    if context.out.json {
        context.out.json(&values);
    } else {
        context.out.print(&texts.join("\n"));
    }
    Ok(())
}

fn configured(context: &Context, wanted: &Show) -> Result<Vec<DkimKey>, Failure> {
    let domain = wanted.domain.as_deref().map(signing_domain).transpose();
    let domain = domain.map_err(|why| Failure::usage(format!("--domain: {why}")))?;
    let selector = wanted.selector.as_deref().map(str::to_ascii_lowercase);
    let mut keys = context.config()?.dkim.keys;
    keys.retain(|key| {
        domain.as_ref().is_none_or(|wanted| key.domain == *wanted)
            && selector.as_ref().is_none_or(|wanted| key.selector == *wanted)
    });
    if keys.is_empty() {
        return Err(Failure::failed("no such key is configured: make one with `sekisho dkim keygen`"));
    }
    Ok(keys)
}

/// The record of a key, as text and as JSON.
fn shown(key: &SigningKey, file: &Path) -> Result<(String, Value), crate::dkim::key::KeyError> {
    let record = Record::of(key)?;
    let text = format!(
        "{} key of {}\n\nfor a zone file:\n{}\n\nfor a form:\n  name   {}\n  type   TXT\n  value  {}\n",
        key.algorithm(),
        key.domain(),
        record.zone(),
        record.name,
        record.value
    );
    let value = json!({
        "domain": key.domain(),
        "selector": key.selector(),
        "type": key.algorithm().key_type(),
        "file": file,
        "name": record.name,
        "value": record.value,
        "strings": record.strings(),
        "zone": record.zone(),
    });
    Ok((text, value))
}
