//! Sekisho: an outgoing SMTP relay that keeps recipients from being disclosed to each other by mistake.
//!
//! # The journey of a message
//!
//! A mail client or the organisation's mail host connects. The [`listener`] runs the session: it passes bytes
//! to [`smtp`], which implements the protocol without I/O and returns commands, replies and content. After
//! DATA the session asks the [`intake::ClientIntake`] for an [`intake::Reception`], and writes the content into it
//! as it arrives.
//!
//! Clients may send because of their network, their certificate ([`tls`]), the SPF record of a mail host
//! ([`spf`]), or AUTH ([`accounts`]). An authenticated user may only send from their own addresses: the
//! listener checks MAIL FROM, and checks the header before any of it is stored.
//!
//! The reception feeds [`examine::Examining`], which collects the header block, indexes it
//! ([`message::Header`]) and reads the facts that need no body ([`policy::facts::Preface`]). From then on it
//! knows whose addresses may have to be hidden ([`rewrite::plan::needles`]). The body goes to two places at
//! once: into the store ([`store::BodyWriter`]), and through [`rewrite::audit::BodyScan`], which walks and
//! decodes its MIME parts, collects facts for the rules, and searches for those addresses.
//!
//! At the final dot the facts are complete. [`policy::Policy::decide`] evaluates every rule, joins the demands
//! of those that match, and returns a [`policy::Verdict`]. [`examine::Examiner::settle`] turns it into copies:
//! [`rewrite::plan::copies`] plans each as recipients and header edits (a [`rewrite::Delivery`], which only
//! this module can create) and audits it. If the message cannot be parsed or rewritten, or fails the audit, it
//! is held.
//!
//! [`intake::Intake`] commits the message with its verdict, its copies or hold, its disclosures and its notices
//! in one transaction ([`store::Store::accept`]; many sessions share one fsync). Only then does the client get
//! `250 2.0.0 queued as ID`, or `held as ID`.
//!
//! The [`courier`] leases due deliveries, renders each copy (its edited header, and the body that all copies
//! share), searches the rendered header once more, adds loop marks ([`marks`]) and DKIM signatures ([`dkim`]),
//! and sends it through an [`upstream::Upstream`]: a smarthost, one of several, or the mail exchangers of the
//! recipient's domain, found by [`dns`]. The result for each recipient is committed before the next claim.
//! Failed deliveries are retried, and finally reported to the sender.
//!
//! Mail hosts may send one mail in several transactions (forks). They are recognised by [`message::fork`] once
//! the body has been read. The same mail for the same recipient is stored once, and held forks join one item,
//! so that approvers are asked once.
//!
//! What is stored of all this is defined by the types in [`records`]; the pure functions in [`lifecycle`]
//! decide how it changes. Database engines decide nothing.
//!
//! A held message waits at the [`desk`]. One table says who may see and do what ([`desk::principal`]), in every
//! user interface. A release goes back to `rewrite`, never straight to the courier. [`notice`] mails people, in
//! Japanese and English, with links that only do what is safe; these mails come in through the intake like any
//! other. [`hook`] calls other programs. [`journal`] records what happened to each message, in a keyed hash
//! chain.
//!
//! The user interfaces are [`cli`], which reaches a running relay through [`control`], and [`web`], where
//! [`people`] sign in. Secrets that are handed out are [`token`]s. [`app`] builds everything from the
//! [`config`]; it is the only module that knows all others. Time and randomness are parameters ([`clock`]).
//!
//! # Crates
//!
//! The code is one tree under `src/`, compiled as seven crates, one per layer: the compiler enforces the borders
//! between them, and a change compiles only its own layer for its unit tests. Each crate's root lists its
//! modules: `mail.rs` (messages, SMTP), `rules.rs` (policy, copies), `storage.rs`, `net.rs` (DNS, TLS, accounts,
//! upstreams), `relay.rs` (intake, courier, desk, notices), `pages.rs` (web), and this one. Their manifests are
//! in `crates/`. Every path in this documentation works here, because each crate re-exports the ones below it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking"))]

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
