//! `[dns]`: the name servers.

use super::keys::dns::Dns;
use super::{Base, Reporter};
use crate::diagnostic::Diagnostic;
use crate::dns::Settings;

pub(super) fn dns(keys: Dns, base: &Base, reporter: &Reporter<'_>) -> Result<Settings, Diagnostic> {
    let dnssec = keys.dnssec.unwrap_or(true);
    if !dnssec && keys.trust_anchor_file.is_some() {
        return Err(reporter.wrong(
            "[dns]",
            "trust_anchor_file",
            "`trust_anchor_file` means nothing with `dnssec = false`",
        ));
    }
    Ok(Settings {
        servers: keys.servers.into_iter().map(|server| server.0).collect(),
        dnssec,
        trust_anchor_file: keys.trust_anchor_file.map(|file| base.join(&file)),
    })
}
