//! Learns how many concurrent sessions the next hop allows.
//!
//! If the next hop refuses a session while others of ours are open, the refusal is about the number of
//! sessions and not about the message. The number then open becomes the limit. After a while one session
//! more is tried; each refusal doubles the time until the next try.

use crate::smtp::Reply;
use crate::upstream::tally::Tally;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

/// How long a limit applies before one session more is tried.
const TRY_MORE: Duration = Duration::from_mins(1);
/// The longest such time.
const TRY_MORE_MOST: Duration = Duration::from_hours(1);
/// Refusals within this time count as one.
const ONE_BURST: Duration = Duration::from_secs(10);
/// After this many consecutive refusals without an accepted message, refusals are no longer taken to be
/// about sessions. Otherwise a next hop that refuses everything in this way would be tried without pause.
const UNBELIEVABLE: usize = 64;

/// The sessions with one next hop; see the module documentation.
pub(super) struct Sessions {
    state: Mutex<State>,
    freed: Notify,
    /// The metrics and the name under which the limit is shown.
    shown: Option<(Tally, String)>,
}

struct State {
    /// Connections that the next hop may count: being opened, in use, idle, being closed.
    open: usize,
    /// Open connections that the next hop has accepted and that are not being closed.
    greeted: usize,
    /// The limit, once known.
    most: Option<usize>,
    /// When the limit changed last.
    changed: Instant,
    /// How long until one session more is tried.
    wait: Duration,
    /// Consecutive refusals.
    refused: usize,
}

/// The slot of one connection. Dropping it frees the slot.
pub(super) struct SessionSlot {
    of: Arc<Sessions>,
    greeted: bool,
}

impl SessionSlot {
    /// The next hop accepted the session.
    pub(super) fn greeted(&mut self) {
        if !std::mem::replace(&mut self.greeted, true) {
            self.of.greeted();
        }
    }

    /// The connection is about to be closed, so it no longer shows how many sessions are allowed.
    pub(super) fn leaves(&mut self) {
        if std::mem::take(&mut self.greeted) {
            self.of.lock().greeted -= 1;
        }
    }
}

impl Drop for SessionSlot {
    fn drop(&mut self) {
        self.leaves();
        self.of.lock().open -= 1;
        self.of.freed.notify_one();
    }
}

impl Sessions {
    /// Tracks the sessions with one next hop. `shown` are the metrics and the name for the limit; `most` is
    /// the limit found before the start.
    pub(super) fn new(shown: Option<(Tally, String)>, most: Option<usize>) -> Arc<Self> {
        if let (Some((tally, name)), Some(most)) = (&shown, most) {
            tally.known_limit(name, most);
        }
        let state = State { open: 0, greeted: 0, most, changed: Instant::now(), wait: TRY_MORE, refused: 0 };
        Arc::new(Self { state: Mutex::new(state), freed: Notify::new(), shown })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // no code that can panic runs while it is held
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The limit, if known.
    pub(super) fn most(&self) -> Option<usize> {
        self.lock().most
    }

    /// A slot for one connection more; `None` if the limit is reached.
    pub(super) fn enter(self: &Arc<Self>, now: Instant) -> Option<SessionSlot> {
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
        Some(SessionSlot { of: Arc::clone(self), greeted: false })
    }

    /// Waits until a session may be free.
    pub(super) fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// Notes that a connection became idle.
    pub(super) fn free(&self) {
        self.freed.notify_one();
    }

    fn greeted(&self) {
        let mut state = self.lock();
        state.greeted += 1;
        // the limit was learned too low from concurrent refusals, or a try of one session more succeeded
        if state.most.is_some_and(|most| most <= state.greeted) {
            state.most = Some(state.greeted);
            self.show(state.greeted);
        }
    }

    /// Notes that the next hop accepted a message.
    pub(super) fn served(&self) {
        self.lock().refused = 0;
    }

    /// Counts a refusal; returns whether it may still be taken to be about sessions.
    pub(super) fn believes(&self) -> bool {
        let mut state = self.lock();
        state.refused += 1;
        state.refused <= UNBELIEVABLE
    }

    /// The next hop refused a session, which it had accepted before if `greeted`. Returns the limit that
    /// follows from our other open sessions; `None` if there are none.
    pub(super) fn crowded(&self, greeted: bool, now: Instant) -> Option<usize> {
        let mut state = self.lock();
        let own = usize::from(greeted);
        // connections being opened count as others; if they are accepted, they raise the limit again
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

/// Whether a reply is about the number of sessions or of messages per session, and not about the message:
/// 432 (a "thread limit" at large hosts), X.4.5 (congestion, RFC 3463), or a text that says so.
/// Greylisting also uses 4xx, but with other texts.
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

/// Whether a reply is about the number of messages per session.
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
        let mut open: Vec<SessionSlot> = (0..20).map(|_| sessions.enter(now).unwrap()).collect();
        open[0].greeted();
        assert_eq!(sessions.crowded(false, now), Some(1));
        // two more of the concurrent connections were accepted, so the limit is three
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
        let mut open: Vec<SessionSlot> = (0..2).map(|_| sessions.enter(now).unwrap()).collect();
        assert!(sessions.enter(now).is_none());
        open.iter_mut().for_each(SessionSlot::greeted);
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
