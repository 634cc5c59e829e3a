//! How many sessions the next hop lets us have at once, as far as its answers have told.
//!
//! A next hop that refuses one session more while others of ours are open has said nothing about the mail:
//! from then on there are as many as were open. Now and then one more is tried; each refusal doubles the
//! time until the next try.

use crate::smtp::Reply;
use crate::upstream::tally::Tally;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

/// How long a limit stands before one session more is tried.
const TRY_MORE: Duration = Duration::from_mins(1);
/// The longest of these spans.
const TRY_MORE_MOST: Duration = Duration::from_hours(1);
/// Refusals so close together tell the same thing.
const ONE_BURST: Duration = Duration::from_secs(10);
/// Refusals in a row, with no mail taken in between, after which they are no longer believed to be about
/// sessions: else a next hop that says so to everything would be asked without a pause.
const UNBELIEVABLE: usize = 64;

/// See the module.
pub(super) struct Sessions {
    state: Mutex<State>,
    freed: Notify,
    /// Where the limit is shown, and under which name.
    shown: Option<(Tally, String)>,
}

struct State {
    /// Connections that may count at the next hop: being opened, in use, idle, being closed.
    open: usize,
    /// Those of them that were greeted and are not being closed.
    greeted: usize,
    /// The most at once, once it is known.
    most: Option<usize>,
    changed: Instant,
    wait: Duration,
    /// Refusals in a row.
    refused: usize,
}

/// A connection that counts; dropped, it counts no more.
pub(super) struct Open {
    of: Arc<Sessions>,
    greeted: bool,
}

impl Open {
    /// The next hop took the session.
    pub(super) fn greeted(&mut self) {
        if !std::mem::replace(&mut self.greeted, true) {
            self.of.greeted();
        }
    }

    /// The connection is about to be closed: it is no proof any more that so many are allowed.
    pub(super) fn leaves(&mut self) {
        if std::mem::take(&mut self.greeted) {
            self.of.lock().greeted -= 1;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.leaves();
        self.of.lock().open -= 1;
        self.of.freed.notify_one();
    }
}

impl Sessions {
    /// Shows its limit under this name, where there is one. `most` is what was found before.
    pub(super) fn new(shown: Option<(Tally, String)>, most: Option<usize>) -> Arc<Self> {
        if let (Some((tally, name)), Some(most)) = (&shown, most) {
            tally.known_limit(name, most);
        }
        let state = State { open: 0, greeted: 0, most, changed: Instant::now(), wait: TRY_MORE, refused: 0 };
        Arc::new(Self { state: Mutex::new(state), freed: Notify::new(), shown })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // nothing can panic while it is held
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most at once, where the next hop has told.
    pub(super) fn most(&self) -> Option<usize> {
        self.lock().most
    }

    /// Leave to open one more, unless there are as many as are allowed.
    pub(super) fn enter(self: &Arc<Self>, now: Instant) -> Option<Open> {
        let mut state = self.lock();
        if let Some(most) = state.most
            && state.open >= most
        {
            if now.saturating_duration_since(state.changed) < state.wait {
                return None;
            }
            state.most = Some(most + 1);
            state.changed = now;
        }
        state.open += 1;
        Some(Open { of: Arc::clone(self), greeted: false })
    }

    /// Until a session may be free.
    pub(super) fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// A connection waits for its next transaction.
    pub(super) fn free(&self) {
        self.freed.notify_one();
    }

    fn greeted(&self) {
        let mut state = self.lock();
        state.greeted += 1;
        // those that were refused at the same moment told of a limit that is not so low, or one more that
        // was tried was let in
        if state.most.is_some_and(|most| most <= state.greeted) {
            state.most = Some(state.greeted);
            self.show(state.greeted);
        }
    }

    /// Mail was taken.
    pub(super) fn served(&self) {
        self.lock().refused = 0;
    }

    /// Whether a refusal may be taken for one about sessions, and not be waited for.
    pub(super) fn believes(&self) -> bool {
        let mut state = self.lock();
        state.refused += 1;
        state.refused <= UNBELIEVABLE
    }

    /// The next hop refused a session, be it one that was `greeted`. The limit that follows from those of
    /// ours that are open beside it; `None` where there are none, and nothing follows.
    pub(super) fn crowded(&self, greeted: bool, now: Instant) -> Option<usize> {
        let mut state = self.lock();
        let own = usize::from(greeted);
        // those that are being opened count: their answers are on the way, and raise the limit again
        if state.open <= own {
            return None;
        }
        let others = state.greeted.saturating_sub(own).max(1);
        if state.most.is_some() && now.saturating_duration_since(state.changed) > ONE_BURST {
            state.wait = (state.wait * 2).min(TRY_MORE_MOST);
        }
        let news = state.most != Some(others);
        state.most = Some(others);
        state.changed = now;
        drop(state);
        if news {
            self.show(others);
        }
        Some(others)
    }

    fn show(&self, most: usize) {
        if let Some((tally, name)) = &self.shown {
            tally.sessions_limit(name, most);
        }
    }
}

/// Whether a reply speaks of sessions, connections, or how many mails one of them may carry, and not of
/// the mail: 432 (RFC 4468's "thread limit" at large hosts), X.4.5 (RFC 3463: congestion), or words to
/// that effect. A host that is slow to trust (greylisting) says 4xx as well: its words are no such words.
pub(super) fn is_about_sessions(reply: &Reply) -> bool {
    if !reply.is_transient() {
        return false;
    }
    let congested = reply.enhanced().is_some_and(|code| code.subject == 4 && code.detail == 5);
    if reply.code() == 432 || congested {
        return true;
    }
    let text = reply.lines().join(" ").to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    has(&["too many", "limit", "exceed", "maximum"]) && has(&["connection", "session", "thread", "concurren"])
}

/// Whether it speaks of how many mails one session may carry.
pub(super) fn is_per_session(reply: &Reply) -> bool {
    let text = reply.lines().join(" ").to_ascii_lowercase();
    let one = ["per session", "per connection", "this session", "this connection"];
    one.iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::ReplyReader;

    fn reply(text: &str) -> Reply {
        ReplyReader::new().read(format!("{text}\r\n").as_bytes()).unwrap().1.unwrap()
    }

    #[test]
    fn words_about_sessions_are_told_from_words_about_mail() {
        for (text, sessions) in [
            ("421 4.7.0 too many connections, try again later", true),
            ("421 4.3.2 Connection rate limit exceeded", true),
            ("421 too many concurrent SMTP connections from your IP", true),
            ("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", true),
            ("452 4.4.5 too many messages per session", true),
            ("452 4.4.5 mail system congestion", true),
            ("451 4.7.0 maximum number of sessions reached", true),
            ("450 4.2.0 greylisted, try again in 300 seconds", false),
            ("451 4.3.2 please try again later", false),
            ("452 4.5.3 too many recipients", false),
            ("452 4.2.2 mailbox over its size limit", false),
            ("421 4.7.28 too many messages from your domain", false),
            ("550 5.7.0 too many connections", false),
            ("250 2.0.0 too many connections", false),
        ] {
            assert_eq!(is_about_sessions(&reply(text)), sessions, "{text}");
        }
        assert!(is_per_session(&reply("452 4.4.5 too many messages per session")));
        assert!(!is_per_session(&reply("421 4.7.0 too many sessions")));
    }

    #[test]
    fn the_limit_is_what_was_open_and_grows_again_slowly() {
        let sessions = Sessions::new(None, None);
        let mut now = Instant::now();
        let mut open: Vec<Open> = (0..20).map(|_| sessions.enter(now).unwrap()).collect();
        open[0].greeted();
        assert_eq!(sessions.crowded(false, now), Some(1));
        // two more of the burst got in: the limit is three
        open[1].greeted();
        open[2].greeted();
        open.truncate(3);
        assert_eq!(sessions.most(), Some(3));
        assert!(sessions.enter(now).is_none());
        drop(open.pop());
        open.push(sessions.enter(now).unwrap());
        assert!(sessions.enter(now).is_none());
        open[2].greeted();
        let mut wait = TRY_MORE;
        for _ in 0..9 {
            now += wait.checked_sub(Duration::from_secs(1)).unwrap();
            assert!(sessions.enter(now).is_none());
            now += Duration::from_secs(1);
            let one_more = sessions.enter(now).unwrap();
            assert!(sessions.enter(now).is_none());
            now += ONE_BURST + Duration::from_secs(1);
            drop(one_more);
            assert_eq!(sessions.crowded(false, now), Some(3));
            wait = (wait * 2).min(TRY_MORE_MOST);
        }
    }

    #[test]
    fn what_was_found_before_a_restart_holds_and_what_is_found_is_told_on_once() {
        let tally = Tally::default();
        let sessions = Sessions::new(Some((tally.clone(), "mx:25".to_owned())), Some(2));
        let now = Instant::now();
        let mut open: Vec<Open> = (0..2).map(|_| sessions.enter(now).unwrap()).collect();
        assert!(sessions.enter(now).is_none());
        open.iter_mut().for_each(Open::greeted);
        assert_eq!(tally.fresh_limits(), [], "that is known already");
        let mut third = sessions.enter(now + TRY_MORE).unwrap();
        third.greeted();
        assert_eq!(tally.fresh_limits(), [("mx:25".to_owned(), 3)]);
        assert_eq!(tally.fresh_limits(), []);
        drop(third);
        assert_eq!(sessions.crowded(false, now + TRY_MORE), Some(2));
        assert_eq!(tally.fresh_limits(), [("mx:25".to_owned(), 2)]);
    }

    #[test]
    fn alone_nothing_is_learned() {
        let (sessions, now) = (Sessions::new(None, None), Instant::now());
        drop(sessions.enter(now));
        assert_eq!(sessions.crowded(false, now), None);
        let mut only = sessions.enter(now).unwrap();
        only.greeted();
        assert_eq!(sessions.crowded(true, now), None);
        assert_eq!(sessions.most(), None);
        assert!((0..UNBELIEVABLE).all(|_| sessions.believes()));
        assert!(!sessions.believes());
        sessions.served();
        assert!(sessions.believes());
    }
}
