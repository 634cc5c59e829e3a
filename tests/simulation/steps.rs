//! The random steps of a history: mail arrives, people decide, time passes, nodes work, stop and die.

use crate::model::{Item, Kind, Mail};
use crate::person::{Person, State};
use crate::world::{HOLD, SENDER, World, address};
use bytes::Bytes;
use sekisho::clock::Timestamp;
use sekisho::desk::wish::{How, Wish};
use sekisho::intake::{Answer, ClientIntake};
use sekisho::message::{Envelope, Recipient};
use sekisho::store::{HeldFilter, Origin, QueueChange, QueueFilter};
use std::time::Duration;

/// A client may send a mail again within this time: a repeat is recognised for a day.
const REPEATS: Duration = Duration::from_hours(20);

/// Where a node dies while it accepts a mail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dies {
    Not,
    BeforeTheCommit,
    BeforeTheReply,
    /// It lives, but the client loses the connection.
    ReplyLost,
}

impl World<'_> {
    pub(crate) async fn step(&mut self) {
        let node = self.dice.below(2);
        match self.dice.below(100) {
            0..18 => self.mail_comes().await,
            18..34 => self.work(node).await,
            34..58 => self.go_on(node).await,
            58..72 => self.decide().await,
            72..78 => self.change_mind().await,
            78..90 => {
                let spans = [1, 1, 30, 61, 61, 125, 300, 605, 3_700, 20_000];
                let span = Duration::from_secs(self.dice.pick(&spans));
                self.say(format_args!("{} s pass", span.as_secs()));
                self.pass(span).await;
                self.expire().await;
            }
            90..92 => {
                let now = self.nodes[node].frozen;
                self.nodes[node].frozen = !now;
                self.say(format_args!("node {node} {}", if now { "goes on" } else { "stops" }));
            }
            92..94 => self.die(node).await,
            94..95 => {
                self.say("all is killed and starts again");
                self.restart(Duration::from_secs(self.dice.pick(&[0, 5, 70, 900]))).await;
            }
            95..97 => self.operate().await,
            _ => self.tell().await,
        }
    }

    async fn die(&mut self, node: usize) {
        self.lose_given(node);
        self.say(format_args!("node {node} is killed and starts again"));
        self.crash(node).await;
    }

    /// A mail, another transaction of one, or one again.
    async fn mail_comes(&mut self) {
        let now = self.now();
        let known = self.model.mails.len();
        let number = if known == 0 || known < 5 && self.dice.percent(40) {
            let kind = self.dice.pick(&[Kind::Pass, Kind::Split, Kind::Delay, Kind::Hold, Kind::Hold]);
            let count = 1 + self.dice.below(6);
            let people: Vec<String> =
                (0..count).map(|one| format!("u{one}m{known}@o{one}.example")).collect();
            let named = count - self.dice.below(2).min(count - 1);
            self.model.mails.push(Mail::new(kind, &people, named, now));
            known
        } else {
            self.dice.below(known)
        };
        let mail = &self.model.mails[number];
        if now.since(mail.began) > REPEATS {
            return;
        }
        let everybody: Vec<usize> = (0..mail.people.len()).collect();
        let to = self.dice.some(&everybody, 60);
        let dies = match self.dice.below(20) {
            0 => Dies::BeforeTheCommit,
            1 => Dies::BeforeTheReply,
            2 => Dies::ReplyLost,
            _ => Dies::Not,
        };
        self.arrives(number, &to, dies).await;
    }

    async fn arrives(&mut self, number: usize, to: &[usize], dies: Dies) {
        // Ids begin with the time.
        self.pass(Duration::from_millis(7)).await;
        let node = self.dice.below(2);
        if self.nodes[node].frozen {
            return;
        }
        let mail = &self.model.mails[number];
        let subject = match mail.kind {
            Kind::Pass => "news",
            Kind::Split => "splitme",
            Kind::Delay => "delayme",
            Kind::Hold => "holdme",
        };
        let named: Vec<&str> =
            mail.people[..mail.named].iter().map(|person| person.address.as_str()).collect();
        let text = format!(
            "From: {SENDER}\r\nTo: {}\r\nSubject: {subject}\r\nMessage-ID: <{number}@example.co.jp>\r\n\
             Date: Thu, 15 Oct 2026 01:46:40 +0900\r\n\r\nHello\r\n",
            named.join(",\r\n ")
        );
        let recipients = to.iter().map(|one| Recipient::plain(address(&mail.people[*one].address)));
        let envelope = Envelope {
            sender: Some(address(SENDER)),
            recipients: recipients.collect(),
            smtputf8: false,
            eight_bit: false,
            ret: None,
            envid: None,
        };
        let origin = Origin::Client {
            peer: "192.0.2.9:4025".to_owned(),
            helo: "pc".to_owned(),
            identity: None,
            secured: false,
        };
        *self.nodes[node].slots.free.lock().unwrap() = self.dice.below(4);
        let intake = self.nodes[node].intake.clone();
        let Ok(mut reception) = intake.begin(origin, envelope, None).await else { panic!("refused") };
        reception.write(Bytes::from(text)).await.unwrap();
        if dies == Dies::BeforeTheCommit {
            self.say(format_args!("{subject} {number} for {to:?}: node {node} dies before the commit"));
            drop(reception);
            return self.die(node).await;
        }
        let answer = reception.finish().await;
        let (id, held) = match &answer {
            Answer::Queued(id) => (*id, false),
            Answer::Held(id, _) => (*id, true),
            other => panic!("{other:?}"),
        };
        let now = self.now();
        let how = match dies {
            Dies::BeforeTheReply => ", and dies before the reply",
            Dies::ReplyLost => ", and the reply is lost",
            _ => "",
        };
        self.say(format_args!("{subject} {number} for {to:?} comes to node {node}: {answer:?}{how}"));
        let mail = &mut self.model.mails[number];
        let new = mail.arrives(to, id, now, now.plus(HOLD));
        assert!(mail.came.iter().any(|came| came.0 == id), "the answer names a message of another mail");
        if new {
            let waits = to
                .iter()
                .any(|one| mail.people[*one].came + 1 == mail.came.len() && is_held(&mail.people[*one]));
            let back = mail.kind == Kind::Hold && !waits && held;
            assert!(waits == held || back, "the answer, while {:?}", mail.people);
        }
        if matches!(dies, Dies::Not) {
            for one in to {
                mail.people[*one].acked = true;
            }
        }
        self.take_given(node);
        if dies == Dies::BeforeTheReply {
            self.die(node).await;
        }
    }

    /// Claims, and renewals.
    async fn work(&mut self, node: usize) {
        if self.nodes[node].frozen {
            return;
        }
        if self.dice.percent(20) {
            self.renew(node).await;
        } else {
            let room = 1 + self.dice.below(5);
            self.claim(node, room).await;
        }
    }

    /// The next step of one copy that a node has claimed.
    pub(crate) async fn go_on(&mut self, node: usize) {
        if self.nodes[node].frozen || self.nodes[node].jobs.is_empty() {
            return;
        }
        let job = self.dice.below(self.nodes[node].jobs.len());
        if self.nodes[node].jobs[job].answer.is_some() {
            self.record(node, job).await;
        } else {
            self.send(node, job).await;
        }
    }

    async fn decide(&mut self) {
        let now = self.now();
        let waiting: Vec<usize> =
            (0..self.model.mails.len()).filter(|mail| self.model.mails[*mail].waiting().is_some()).collect();
        let put_off: Vec<usize> =
            (0..self.model.mails.len()).filter(|mail| self.model.mails[*mail].kind == Kind::Delay).collect();
        if !put_off.is_empty() && self.dice.percent(40) {
            let number = self.dice.pick(&put_off);
            return self.take_back_or_send(number, now).await;
        }
        if waiting.is_empty() {
            return;
        }
        let number = self.dice.pick(&waiting);
        let mail = &self.model.mails[number];
        let item = mail.waiting().unwrap();
        let id = mail.items[item].id;
        if mail.items[item].expires <= now {
            return;
        }
        match self.dice.below(6) {
            0 => {
                self.say(format_args!("the approver returns {number}"));
                self.desk.give_back(&self.approver, id, "no").await.unwrap();
                self.model.mails[number].went_back(None);
            }
            1 => {
                self.say(format_args!("the sender takes back {number}"));
                self.desk.take_back(&self.sender, id).await.unwrap();
                self.model.mails[number].went_back(Some(now.plus(Duration::from_hours(24))));
            }
            _ => self.release(number, item).await,
        }
        let twice = self.desk.give_back(&self.approver, id, "no").await.expect_err("decided twice");
        assert!(twice.to_string().contains("already"), "{twice}");
    }

    async fn release(&mut self, number: usize, item: usize) {
        let now = self.now();
        let mail = &self.model.mails[number];
        let id = mail.items[item].id;
        let how = self.dice.pick(&[How::Split, How::Split, How::Bcc, How::AsIs]);
        let inside: Vec<usize> = (0..mail.people.len())
            .filter(|one| is_held(&mail.people[*one]) && mail.people[*one].item == item)
            .collect();
        let dropped = if inside.len() > 1 && self.dice.percent(25) {
            vec![self.dice.pick(&inside)]
        } else {
            Vec::new()
        };
        let drop = dropped.iter().map(|one| address(&mail.people[*one].address)).collect();
        let mut wish = Wish { how, drop, ..Wish::default() };
        let mut leaves = None;
        if self.dice.percent(60) {
            let one = HeldFilter { id: Some(id), ..HeldFilter::default() };
            let row = self.stores[0].held(&one).await.unwrap().remove(0);
            let left = wish.left(&row.risks).into_iter().map(sekisho::policy::risks::Risk::key).collect();
            wish.ticked = Some(left);
            leaves = Some(now.plus(self.grace));
        }
        self.say(format_args!(
            "the approver releases {number} as {how} without {dropped:?}, leaves {leaves:?}"
        ));
        self.desk.release_as(&self.approver, id, &wish).await.unwrap();
        self.model.mails[number].released(how, &dropped, leaves, now);
    }

    async fn take_back_or_send(&mut self, number: usize, now: Timestamp) {
        let Some((id, _)) = self.model.mails[number].came.last().copied() else { return };
        if self.dice.percent(70) {
            let done = self.desk.take_back(&self.sender, id).await;
            let people = self.model.mails[number].taken_back(now);
            self.say(format_args!("the sender takes back {number}: {}", done.is_ok()));
            assert_eq!(done.is_ok(), people > 0, "{done:?}");
        } else {
            let done = self.desk.split_now(&self.sender, id, &[]).await;
            let mut people = 0;
            for person in &mut self.model.mails[number].people {
                if Mail::is_put_off(person, now) {
                    person.due = now;
                    people += 1;
                }
            }
            self.say(format_args!("the sender sends {number} now: {}", done.is_ok()));
            assert_eq!(done.is_ok(), people > 0, "{done:?}");
        }
    }

    /// Somebody undoes a decision.
    async fn change_mind(&mut self) {
        if self.model.mails.is_empty() {
            return;
        }
        let (now, number) = (self.now(), self.dice.below(self.model.mails.len()));
        let mail = &self.model.mails[number];
        if mail.kind == Kind::Delay {
            if mail.came.is_empty() {
                return;
            }
            // People get a link that names one of its transactions.
            let by = self.dice.below(mail.came.len());
            let done = self.desk.undo(&self.sender, mail.came[by].0).await;
            self.say(format_args!("the sender undoes taking back {number} by {by}: {}", done.is_ok()));
            let people = self.model.mails[number].untaken(by, now);
            assert_eq!(done.is_ok(), people > 0, "{done:?}");
        } else if !mail.items.is_empty() {
            let item = self.dice.below(mail.items.len());
            let Item { state, id, expires, .. } = mail.items[item].clone();
            if state == State::Held || mail.moved(item) {
                return;
            }
            let who = if state == State::Back { &self.sender } else { &self.approver };
            let (may, again) = (mail.can_be_undone(item, now), mail.came_since(item));
            let done = self.desk.undo(who, id).await;
            self.say(format_args!("the decision on {number} ({item}) is undone: {done:?}"));
            assert!(done.is_err() || may, "undone too late");
            assert!(done.is_ok() || !may || again, "not undone in time: {done:?}");
            if done.is_ok() {
                let new = match state {
                    State::Back => now.plus(HOLD),
                    _ => expires.max(now.plus(Duration::from_hours(1))),
                };
                self.model.mails[number].waits_again(item, new);
            }
        }
    }

    /// An operator drops what is open of a transaction, or has it tried at once.
    async fn operate(&mut self) {
        if self.model.mails.is_empty() {
            return;
        }
        let (number, now) = (self.dice.below(self.model.mails.len()), self.now());
        let mail = &mut self.model.mails[number];
        let Some((id, _)) = mail.came.last().copied() else { return };
        let came = mail.came.len() - 1;
        let change = self.dice.pick(&[QueueChange::Drop, QueueChange::Retry]);
        let filter = QueueFilter { id: Some(id.to_string()), ..QueueFilter::default() };
        let mut people = 0;
        let here = |one: &Person| one.came == came && one.state == State::Going;
        for person in mail.people.iter_mut().filter(|one| here(one)) {
            match change {
                QueueChange::Drop => person.dropped(&self.model.leases),
                _ if person.is_leased() => continue,
                _ => person.due = person.due.min(now),
            }
            people += 1;
        }
        let count = self.stores[0].change_queue(&filter, change, "root", now).await.unwrap();
        self.say(format_args!("an operator: {change:?} {count} copies of {number}"));
        assert_eq!(count > 0, people > 0, "{people} people");
    }

    pub(crate) async fn tell(&mut self) {
        let told = self.postman.round().await.unwrap();
        self.take_given(0);
        self.say(format_args!("{told} notices"));
    }

    pub(crate) async fn expire(&mut self) {
        let (now, mut due) = (self.now(), 0);
        for mail in &mut self.model.mails {
            if mail.waiting().is_some_and(|item| mail.items[item].expires < now) {
                mail.went_back(None);
                due += 1;
            }
        }
        let expired = self.desk.expire().await.unwrap();
        assert_eq!(expired, due, "expired");
        if expired > 0 {
            self.say(format_args!("{expired} items expire"));
        }
    }
}

fn is_held(person: &Person) -> bool {
    person.state == State::Held
}
