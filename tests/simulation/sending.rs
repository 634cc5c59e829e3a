//! What a courier does, one step at a time: claim, ask the upstream, record; and a scripted upstream. Between any two
//! of these steps its node may stop, or die.

use crate::node::Job;
use crate::world::{LEASE, SENDER, World};
use sekisho::clock::{Entropy, Timestamp};
use sekisho::courier::schedule::Attempt;
use sekisho::store::{AttemptResult, Body, Claim, DeliveryState, Lease, Origin, RecipientResult, StoreError};
use sekisho::upstream::Fate;

/// More than is ever due.
const ALL: usize = 1_000;

/// The upstream's answer to one transaction, and for whom it took a copy.
struct Scene {
    name: &'static str,
    fates: Vec<Fate>,
    took: Vec<bool>,
}

impl World<'_> {
    /// A node takes work that its intake handed over directly.
    pub(crate) fn take_given(&mut self, node: usize) {
        let given = std::mem::take(&mut *self.nodes[node].slots.given.lock().unwrap());
        let (now, until) = (self.now(), self.now().plus(LEASE));
        for claim in given {
            self.model.claimed(&claim, node, now, until);
            self.nodes[node].jobs.push(Job { claim, until, answer: None });
        }
    }

    /// The work that a dying node was given is lost with it: its leases stay in the store.
    pub(crate) fn lose_given(&mut self, node: usize) {
        self.take_given(node);
    }

    pub(crate) async fn claim(&mut self, node: usize, room: usize) {
        let (now, mine) = (self.now(), self.nodes[node].leases());
        let until = now.plus(LEASE);
        // A claim renews those of the node's own leases that it comes upon: all that ran out, if it has room for all.
        let ends = |lease: &Lease| self.model.leases.get(&lease.delivery).map(|(_, ends, _)| *ends);
        let ran_out =
            |lease: &Lease| self.model.is_current(*lease) && ends(lease).is_some_and(|ends| ends <= now);
        let ran_out: Vec<Lease> = mine.iter().copied().filter(ran_out).collect();
        let room = if ran_out.is_empty() { room } else { ALL };
        let claims = self.stores[node].claim_beside(now, room, LEASE, &mine).await.unwrap();
        self.model.renewed(&ran_out, until);
        let say = |claim: &Claim| format!("{}#{}", names(claim), claim.attempt);
        let all: Vec<String> = claims.iter().map(say).collect();
        self.say(format_args!("node {node} claims {}", all.join(" and ")));
        for claim in claims {
            self.model.claimed(&claim, node, now, until);
            self.nodes[node].jobs.push(Job { claim, until, answer: None });
        }
    }

    pub(crate) async fn renew(&mut self, node: usize) {
        let (mine, until) = (self.nodes[node].leases(), self.now().plus(LEASE));
        let lost = self.stores[node].renew(&mine, until).await.unwrap();
        self.say(format_args!("node {node} renews {} leases, {} are lost", mine.len(), lost.len()));
        for job in &mut self.nodes[node].jobs {
            let gone = lost.contains(&job.claim.lease);
            job.until = if gone { Timestamp(0) } else { until };
            assert!(gone || self.model.is_current(job.claim.lease), "a lease that was lost was renewed");
        }
        self.model.renewed(&mine, until);
    }

    /// A node sends its next copy up to the upstream's answer.
    pub(crate) async fn send(&mut self, node: usize, job: usize) {
        let now = self.now();
        let Job { claim, until, .. } = &self.nodes[node].jobs[job];
        let (claim, ours) = (claim.clone(), now < *until);
        if !ours {
            self.say(format_args!("node {node} sees that its lease on {} is over", names(&claim)));
            let count = claim.delivery.recipients().len();
            self.nodes[node].jobs[job].answer = Some(vec![Fate::NotTried(String::new()); count]);
            return;
        }
        let message = self.stores[node].message(claim.message).await.unwrap();
        let header = claim.delivery.edits().render(&message.header).unwrap();
        let shows = String::from_utf8(header.to_vec()).unwrap();
        let own = matches!(message.origin, Origin::Own { .. });
        let scene = self.scene(claim.delivery.recipients().len(), own, now.since(claim.queued).as_secs());
        self.say(format_args!("node {node} sends {}: {}", names(&claim), scene.name));
        for (to, took) in claim.delivery.recipients().iter().zip(&scene.took) {
            if *took {
                self.model.took(to.address.as_str(), claim.lease, &shows);
            }
        }
        if let (Origin::Own { about }, true, Body::Inline(body)) =
            (&message.origin, scene.took[0], &message.body)
        {
            if let Some(about) = about {
                *self.model.told.entry(*about).or_default() += 1;
            }
            let first = claim.attempt == 1 && !claim.possible_duplicate;
            if claim.delivery.recipients()[0].address.as_str() == SENDER {
                self.report(&String::from_utf8_lossy(body), first);
            }
        }
        self.nodes[node].jobs[job].answer = Some(scene.fates);
    }

    /// Reads which recipients a report names as failed (RFC 3464).
    fn report(&mut self, body: &str, _first: bool) {
        for part in body.split("Final-Recipient: rfc822; ").skip(1) {
            let (to, rest) = part.split_once("\r\n").unwrap();
            if rest.split("\r\n\r\n").next().unwrap().contains("Action: failed")
                && let Some(person) = self.model.person(to.trim())
            {
                person.reports += 1;
            }
        }
    }

    fn scene(&self, count: usize, own: bool, age: u64) -> Scene {
        let same = |name, fate: Fate, took| Scene { name, fates: vec![fate; count], took: vec![took; count] };
        let taken = || Fate::Delivered("250 2.0.0 taken".to_owned());
        let draw = if self.settling { self.dice.below(45) } else { self.dice.below(100) };
        let dead = self.seed.is_multiple_of(16) && !own && age < 500_000;
        match draw {
            _ if dead && self.settling => same("451", Fate::Deferred("451 4.7.1 not now".to_owned()), false),
            40..55 => same("451", Fate::Deferred("451 4.7.1 not now".to_owned()), false),
            55..62 if !own => same("550", Fate::Failed("550 5.1.1 nobody".to_owned()), false),
            62..70 => same("lost before the dot", Fate::Deferred("4.4.2 lost".to_owned()), false),
            70..80 => same("taken, answer lost", Fate::Uncertain("4.4.2 lost".to_owned()), true),
            80..84 => same("not taken, lost", Fate::Uncertain("4.4.2 lost".to_owned()), false),
            84..96 if !own => {
                let mut scene = same("mixed", taken(), true);
                for (fate, took) in scene.fates.iter_mut().zip(&mut scene.took) {
                    (*fate, *took) = match self.dice.below(5) {
                        0 => (Fate::Deferred("452 4.2.2 full".to_owned()), false),
                        1 => (Fate::Failed("550 5.1.1 nobody".to_owned()), false),
                        2 => (Fate::NotTried("452 4.5.3 too many".to_owned()), false),
                        _ => (taken(), true),
                    };
                }
                scene
            }
            // Also below 40: the usual case.
            _ => same("taken", taken(), true),
        }
    }

    /// A node records what it knows of a copy.
    pub(crate) async fn record(&mut self, node: usize, job: usize) {
        let Job { claim, answer, .. } = self.nodes[node].jobs.swap_remove(job);
        let fates = answer.unwrap();
        let now = self.now();
        let attempt = Attempt { number: claim.attempt, queued: claim.queued, now, random: self.dice.bits() };
        let recipients = claim.delivery.recipients();
        let results: Vec<RecipientResult> =
            fates.iter().map(|fate| self.schedule.after(fate.clone(), &attempt)).collect();
        let message = self.stores[node].message(claim.message).await.unwrap();
        let mut notices = Vec::new();
        if message.envelope.sender.is_some() {
            let last = recipients.len() == message.envelope.recipients.len()
                && results.iter().all(|result| result.due.is_none());
            let pairs = recipients.iter().zip(&results).map(|(to, result)| (to.notify, result));
            notices = self.schedule.notices(pairs, &attempt, last);
        }
        let result = AttemptResult {
            lease: claim.lease,
            message: claim.message,
            at: now,
            recipients: recipients.iter().map(|to| to.address.clone()).zip(results).collect(),
            attempt: claim.attempt,
            notices,
        };
        let done: Vec<DeliveryState> = result.recipients.iter().map(|(_, result)| result.state).collect();
        let recorded = match self.stores[node].record(result).await {
            Ok(()) => true,
            Err(StoreError::Fenced) => false,
            Err(error) => panic!("{error}"),
        };
        self.say(format_args!("node {node} records {}: {done:?}, {recorded}", names(&claim)));
        self.model.recorded(&claim, &fates, recorded, now);
    }
}

/// The recipients of a copy, short.
pub(crate) fn names(claim: &Claim) -> String {
    let names: Vec<&str> = claim.delivery.recipients().iter().map(|to| to.address.as_str()).collect();
    names.join("+")
}
