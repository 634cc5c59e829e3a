//! Handles AUTH: passes a client's claim to the authenticator and answers the session.

use super::conversation::Conversation;
use crate::accounts::{Decision, Identity};
use crate::clock::{Entropy, SystemEntropy};
use crate::smtp::sasl::Claim;

/// Replies to failed authentication: code with enhanced code, and text.
const WRONG: (&str, &str) = ("535 5.7.8", "user name or password is wrong");
const TOO_MANY: (&str, &str) = ("454 4.7.0", "too many failed attempts, try again in an hour");
const DOWN: (&str, &str) = ("454 4.7.0", "credentials cannot be verified now, try again later");

impl Conversation {
    /// Verifies a claim and answers it.
    pub(super) async fn claimed(&mut self, claim: Claim) {
        let Some(auth) = self.shared.settings.access.auth.clone() else {
            return self.session.refuse(DOWN.0, DOWN.1);
        };
        let address = self.client.peer.ip();
        let decision = match &claim {
            Claim::Lookup { user } => match auth.authenticator.lookup(user, address).await {
                Ok((keys, guess)) => {
                    self.guess = Some(Box::new(guess));
                    return self.session.keys(keys, &nonce());
                }
                Err(decision) => decision,
            },
            Claim::Proof { user, proven } => match self.guess.take() {
                Some(guess) => auth.authenticator.proof(user, &guess, *proven),
                None => Decision::Wrong,
            },
            Claim::Password { .. } | Claim::Token { .. } => auth.authenticator.judge(&claim, address).await,
        };
        self.decided(claim.user(), decision);
    }

    fn decided(&mut self, user: &str, decision: Decision) {
        let client = self.client.peer;
        let (code, text) = match decision {
            Decision::Right(identity) => {
                tracing::info!(%client, user, "authenticated");
                self.identity = Some(identity);
                return self.session.accept();
            }
            Decision::Wrong => {
                tracing::info!(%client, user, "refused: wrong credentials");
                WRONG
            }
            Decision::TooMany => {
                tracing::info!(%client, user, "refused: too many failed attempts, credentials not checked");
                TOO_MANY
            }
            Decision::Down(down) => {
                tracing::warn!(%client, %down, "credentials cannot be verified");
                DOWN
            }
        };
        self.session.refuse(code, text);
    }

    /// The authenticated user, for log and records.
    pub(super) fn label(&self) -> Option<String> {
        self.identity.as_deref().map(Identity::label)
    }
}

/// The server's part of the SCRAM nonce.
fn nonce() -> String {
    let entropy = SystemEntropy;
    format!("{:016x}{:016x}{:016x}", entropy.bits(), entropy.bits(), entropy.bits())
}
