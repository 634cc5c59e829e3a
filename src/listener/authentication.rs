//! AUTH in a conversation: the session asks, the authenticator judges.

use super::conversation::Conversation;
use crate::accounts::{Decision, Identity};
use crate::clock::{Entropy, SystemEntropy};
use crate::smtp::sasl::Claim;

/// What a client claimed and was not believed.
const WRONG: (&str, &str) = ("535 5.7.8", "user name and password do not go together");
const TOO_MANY: (&str, &str) = ("454 4.7.0", "too many wrong attempts, try again in an hour");
const DOWN: (&str, &str) = ("454 4.7.0", "nobody can be verified now, try again later");

impl Conversation {
    /// Judges a claim, and says so.
    pub(super) async fn claimed(&mut self, claim: Claim) {
        let Some(auth) = self.place.settings.access.auth.clone() else {
            return self.session.refuse(DOWN.0, DOWN.1);
        };
        let address = self.client.peer.ip();
        let decision = match &claim {
            Claim::Lookup { user } => match auth.authenticator.lookup(user, address) {
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
                tracing::info!(%client, user, "refused: too many wrong attempts, not looked at");
                TOO_MANY
            }
            Decision::Down(down) => {
                tracing::warn!(%client, %down, "nobody can be authenticated");
                DOWN
            }
        };
        self.session.refuse(code, text);
    }

    /// Who sends, for the record.
    pub(super) fn label(&self) -> Option<String> {
        self.identity.as_deref().map(Identity::label)
    }
}

/// Our part of SCRAM's nonce.
fn nonce() -> String {
    let entropy = SystemEntropy;
    format!("{:016x}{:016x}{:016x}", entropy.bits(), entropy.bits(), entropy.bits())
}
