//! `sekisho cert`: TLS certificates for clients.

use super::layout::Table;
use super::{Context, Failure};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::Config;
use crate::tls::facts::Validity;
use crate::tls::{Facts, Pair, PairFiles, Trouble, selfsigned};
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What to do with certificates.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make a key and a self-signed certificate
    SelfSigned {
        /// A name or address that clients reach the relay by (may be repeated) [default: our host name]
        #[arg(long = "name", value_name = "N")]
        names: Vec<String>,
        /// The folder to write both files to
        #[arg(long, value_name = "DIR", default_value = "certs")]
        out: PathBuf,
        /// Days until it expires
        #[arg(long, default_value_t = 825, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
        /// Replace existing files
        #[arg(long)]
        force: bool,
    },
    /// Show the configured certificates, or those in files: names, issuer, expiry
    Show {
        /// Files with certificates (PEM)
        files: Vec<PathBuf>,
    },
}

pub(super) fn run(context: &Context, verb: &Verb) -> Result<(), Failure> {
    match verb {
        Verb::SelfSigned { names, out, days, force } => self_signed(context, names, out, *days, *force),
        Verb::Show { files } if files.is_empty() => configured(context),
        Verb::Show { files } => of_files(context, files),
    }
}

fn self_signed(
    context: &Context,
    names: &[String],
    out: &Path,
    days: u32,
    force: bool,
) -> Result<(), Failure> {
    let names = if names.is_empty() { vec![host_name(context)?] } else { names.to_vec() };
    let made = selfsigned::make(&names, days, SystemClock.now()).map_err(Failure::usage)?;
    let base = names[0].replace(['*', ':', '/'], "_");
    let files = PairFiles { chain: out.join(format!("{base}.pem")), key: out.join(format!("{base}.key")) };
    for file in [&files.chain, &files.key] {
        if file.exists() && !force {
            let text = format!("{} is there already: name another folder, or use --force", file.display());
            return Err(Failure::failed(text));
        }
    }
    std::fs::create_dir_all(out)
        .map_err(|error| Failure::failed(format!("{} cannot be made: {error}", out.display())))?;
    selfsigned::write(&made, &files).map_err(|trouble| Failure::failed(trouble.to_string()))?;
    if context.out.json {
        context.out.json(&json!({ "names": names, "chain": files.chain, "key": files.key }));
    } else {
        let (chain, key) = (files.chain.display(), files.key.display());
        context.out.print(&format!(
            "{chain}\n{key} (mode 0600)\n\nFor the configuration:\n\n[tls]\ncertificates = \
             [{{ chain = \"{chain}\", key = \"{key}\" }}]\n\nClients that verify must be told to trust {chain}.\n"
        ));
    }
    Ok(())
}

/// The configured host name, or that of the system.
fn host_name(context: &Context) -> Result<String, Failure> {
    if context.config.is_some() {
        return Ok(context.config()?.hostname);
    }
    match Config::find(None) {
        Ok(config) => Ok(config.hostname),
        Err(_) => std::fs::read_to_string("/proc/sys/kernel/hostname")
            .map(|name| name.trim().to_owned())
            .map_err(|_| Failure::usage("name what clients reach the relay by: --name NAME")),
    }
}

/// One certificate in the list.
struct Row {
    file: PathBuf,
    key: Option<PathBuf>,
    facts: Result<Facts, Trouble>,
}

fn configured(context: &Context) -> Result<(), Failure> {
    let config = context.config()?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut pairs = config.tls.pairs();
    // Before the first start there is no file.
    if let Some(acme) = config.tls.acme.as_ref().filter(|acme| !acme.exists()) {
        pairs.retain(|files| *files != acme.files());
    }
    let rows = pairs.iter().map(|files| Row {
        file: files.chain.clone(),
        key: Some(files.key.clone()),
        facts: Pair::read(files, &provider).map(|pair| pair.facts),
    });
    show(context, &rows.collect::<Vec<_>>())
}

fn of_files(context: &Context, files: &[PathBuf]) -> Result<(), Failure> {
    let rows = files.iter().flat_map(|file| match Facts::of_file(file) {
        Ok(all) => {
            all.into_iter().map(|facts| Row { file: file.clone(), key: None, facts: Ok(facts) }).collect()
        }
        Err(trouble) => vec![Row { file: file.clone(), key: None, facts: Err(trouble) }],
    });
    show(context, &rows.collect::<Vec<_>>())
}

fn show(context: &Context, rows: &[Row]) -> Result<(), Failure> {
    let now = SystemClock.now();
    if context.out.json {
        context.out.json(&rows.iter().map(|row| value(row, now)).collect::<Vec<_>>());
    } else if rows.is_empty() {
        context.out.line("no certificate is configured; `sekisho cert self-signed` makes one");
    } else {
        let mut table = Table::new(&context.out, &["NAMES", "ISSUER", "UNTIL", "LEFT", "FILE"], 0);
        for row in rows {
            if let Ok(facts) = &row.facts {
                let until = facts.until.to_jiff().strftime("%Y-%m-%d").to_string();
                let issuer = if facts.self_signed { "itself".to_owned() } else { facts.issuer.clone() };
                let file = row.file.display().to_string();
                table.row([names(facts).join(", "), issuer, until, left(facts, now), file]);
            }
        }
        context.out.print(&table.render());
    }
    let troubles: Vec<String> =
        rows.iter().filter_map(|row| row.facts.as_ref().err()).map(ToString::to_string).collect();
    if troubles.is_empty() { Ok(()) } else { Err(Failure::failed(troubles.join("\n"))) }
}

fn names(facts: &Facts) -> Vec<String> {
    let addresses = facts.addresses.iter().map(ToString::to_string);
    facts.names.iter().cloned().chain(addresses).collect()
}

fn left(facts: &Facts, now: Timestamp) -> String {
    match facts.validity(now) {
        Validity::Days(days) => format!("{days} d"),
        Validity::Expired => "expired".to_owned(),
        Validity::NotYet => "not valid yet".to_owned(),
    }
}

fn value(row: &Row, now: Timestamp) -> Value {
    match &row.facts {
        Ok(facts) => json!({
            "file": row.file,
            "key": row.key,
            "names": names(facts),
            "subject": facts.subject,
            "issuer": facts.issuer,
            "self_signed": facts.self_signed,
            "from": facts.from.to_string(),
            "until": facts.until.to_string(),
            "days_left": match facts.validity(now) { Validity::Days(days) => Some(days), _ => None },
            "valid": matches!(facts.validity(now), Validity::Days(_)),
        }),
        Err(trouble) => json!({
            "file": row.file, "key": row.key, "valid": false, "error": trouble.to_string(),
        }),
    }
}
