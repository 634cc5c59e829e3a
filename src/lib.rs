//! Sekisho: an outgoing SMTP relay that keeps recipients from being exposed to each other by a
//! slip.
//!
//! # The journey of a message
//!
//! A mail client (or the organisation's mail host) connects. The [`listener`] runs one client's
//! conversation: bytes go through [`smtp`], which knows the protocol and does no I/O, and come out as
//! commands, replies and content. After DATA the session asks the one [`intake::Doorway`] for a
//! [`intake::Reception`] and writes the content into it as it arrives. The reception gathers the header block
//! up to its end ([`message::gathering`]).
//!
//! Who may send is known by the network a client comes from, by its certificate ([`tls`]), by the SPF
//! record of a mail host ([`spf`]), or by AUTH ([`accounts`]); and whoever is somebody sends as nobody
//! else: the listener looks at MAIL FROM, and the reception asks it about the header before anything of it is
//! kept.
//!
//! Header and body go on to [`examine::Examining`]. It indexes the header ([`message::Header`]), takes the facts that need no body ([`policy::facts::Preface`]), and from then
//! on knows whose addresses may have to be hidden ([`rewrite::plan::needles`]). The body goes two ways
//! at once: into the store's keeping ([`store::BodyWriter`]), and through
//! [`rewrite::audit::BodyScan`], which walks its MIME parts, decodes them, collects what rules ask
//! about, and searches for those addresses.
//!
//! At the final dot the facts are complete. [`policy::Policy::decide`] reads every rule, joins the
//! demands of those that match, and gives a [`policy::Verdict`]. [`examine::Examiner::settle`] carries
//! it out as far as it can be carried out without sending: [`rewrite::plan::copies`] plans each copy as
//! recipients and header edits (a [`rewrite::Delivery`], which nothing else can make) and audits it. A
//! failure to parse, to rewrite or to pass the audit is a hold.
//!
//! [`intake::Intake`] commits the message, its verdict, its copies or its hold, what it discloses and
//! the notices that follow in one transaction ([`store::Store::accept`]; many sessions share one
//! fsync). Only then the client reads `250 2.0.0 queued as ID`, or `held as ID`.
//!
//! The [`courier`] takes due deliveries under a lease, renders each copy (the edited header and the
//! same body bytes for all), searches the rendered header once more, marks it so that a loop is known
//! ([`marks`]), signs it ([`dkim`]), and sends it through an [`upstream::Upstream`]: a smarthost, one of
//! several, or the exchangers of the recipient's domain, found by [`dns`]. What became of each recipient
//! is recorded before the next claim; what could not be delivered waits for its next try, and in the end
//! is reported.
//!
//! Mail hosts fork one mail into several transactions. What makes them one mail again
//! ([`message::fork`]) is known when the body has streamed past: the same for the same recipient is kept
//! once, and what is held joins one item, so that people are asked once and decide once.
//!
//! What is kept of all this is a type in [`records`], and what becomes of it a pure function in [`lifecycle`]:
//! an engine of the store decides nothing.
//!
//! A held message waits at the [`desk`]. Who may see and do what is one table ([`desk::principal`]),
//! whichever way they come. A release goes back to `rewrite`, never straight to the courier. [`notice`]
//! speaks to people, in Japanese and English, with links that do only what is safe; its mail comes in
//! through intake like any other. [`hook`] tells programs. [`journal`] keeps what happened to each
//! message, in a keyed chain of hashes.
//!
//! The surfaces are [`cli`], which reaches a running relay through [`control`], and [`web`], which
//! learns from [`people`] who somebody is. Whatever is handed out in secret is a [`token`]. [`app`]
//! wires everything from the [`config`]; nothing else knows all of it. Time and randomness are
//! parameters ([`clock`]).
//!
//! # Crates
//!
//! The code is one tree under `src/`, compiled as seven crates along the layers, so that the compiler holds
//! the borders between them and an edit compiles only its own layer for its unit tests. Each crate's root
//! lists its modules: `mail.rs` (messages, SMTP), `rules.rs` (policy, copies), `storage.rs`, `net.rs`
//! (names, TLS, accounts, upstreams), `relay.rs` (intake, courier, desk, notices), `pages.rs` (web), and this
//! one. Their manifests are in `crates/`; every path of this documentation works here, for each crate
//! re-exports what lies below it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub use sekisho_pages::web;
pub use sekisho_relay::{
    accounts, cases, clock, connections, courier, desk, diagnostic, dkim, dns, examine, hook, id, intake,
    journal, lifecycle, listener, marks, message, notice, people, policy, records, rewrite, smtp, spf, store,
    tls, token, upstream,
};

pub mod app;
pub mod cli;
pub mod config;
pub mod control;
