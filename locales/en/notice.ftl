## What the relay's mails to people say, in English.

# Counting people
people = { $count ->
    [one] 1 person
   *[other] { $count } people
}
recipients = { $count ->
    [one] 1 recipient
   *[other] { $count } recipients
}
organisations = { $count ->
    [one] 1 organisation
   *[other] { $count } organisations
}
and-more = and { $count } more

# Labels
label-subject = Subject
label-sender = Sender
label-received = Received
label-recipients = Recipients
label-reference = Reference
recipients-awaited = { recipients } more in its header have not come yet
recipients-outside = { recipients }, { $outside } of them outside
no-subject = (no subject)
null-sender = (none)
internal = our own
bcc-mark = (in nobody's To or Cc)
heading-why = Why
heading-who = Who would see whom
heading-next = What happens now
heading-commands = What you can do
heading-hits = Where a hidden address was found
heading-saw = What each of them sees
heading-got = Who gets a copy
heading-gets = Who will get a copy
heading-failed = What the mail server said
in-place-of = This notice comes to you because the sender ({ $sender }) cannot be told.

# To the sender: held
held-subject = [Held] { $subject }
held-lead = Your mail is held. Nothing has been sent to anybody.
held-exposed =
    { $people } at { $organisations } would see each other's addresses.
held-next =
    The decision is with { $deciders }.
    They can have it sent to each recipient individually, so that nobody
    sees anybody else, or return it to you. You need not do anything.
held-next-yourself =
    You can send it now to each recipient individually, so that nobody sees
    anybody else's address. That needs nobody's approval. Are they meant to
    see each other? Then { $deciders } must agree.
held-next-others =
    The decision is with { $deciders }. You need not do anything.
held-ends = If nobody decides by { $expires }, it is returned to you unsent.
the-administrator = the administrator of this mail system
button-split = Send individually
button-split-hint = Each recipient gets a mail of their own and sees nobody else.
button-take-back = Take it back
button-take-back-hint = Nothing is sent. You can undo this for 24 hours.
button-as-is = Ask for it to be sent as it is, because …
button-as-is-hint = You say why, and somebody else decides.
button-now = Send individually now
button-now-hint = Each recipient gets a mail of their own at once, and sees nobody else.
button-know = They know each other: ask for it to be sent as it is, because …
button-know-hint = The mail waits. You say why, and somebody else decides.
button-again = Send it again openly, because …
button-again-hint = You say why, and somebody else decides. Then all of them get it once more, and see each other.
button-undo = Undo
button-undo-hint = The mail is as it was before you took it back.
button-view = Look at it and decide
button-view-hint = You will be asked to sign in.
expiring-subject = [Still held] { $subject }
expiring-lead = Nobody has decided about your mail yet. It is returned to you unsent at { $expires }.

# To the sender: it leaves later, taken back
waits-subject = [Leaves later] { $subject }
waits-lead = Your mail leaves at { $leaves }. Until then you can take it back.
waits-individually = It will be sent to each recipient without showing them the others' addresses.
waits-ask = To stop it, write to { $admin }.
taken-subject = [Taken back] { $subject }
taken-lead = You took your mail back. It will not be sent.

# To those who decide
approve-subject = [To decide] { $subject }
approve-lead = A mail is held and waits for your decision.
approve-would-see =
    { $people } at { $organisations } would see each other's addresses:
    { $disclosures }.
disclosures = { $count ->
    [one] 1 disclosure
   *[other] { $count } disclosures
}
figure-people = people
figure-organisations = organisations
figure-disclosures = addresses seen (in all)
approve-waits =
    Nothing has been sent to anybody. If nobody decides by { $expires },
    it is returned to the sender.
approve-again =
    Each of them has a copy that shows nobody else. If you agree, all of them
    get the mail once more and see each other. If nobody decides by
    { $expires }, that does not happen, and the sender is told.
again-before = The copies that were sent individually before are not concerned.
approve-deputy =
    You are asked because an approver is away. Nothing has been sent to
    anybody. If nobody decides by { $expires }, it is returned to the sender.
approve-escalated =
    Nobody who was asked has decided so far. Nothing has been sent to
    anybody. If nobody decides by { $expires }, it is returned to the sender.
approve-expiring =
    Nobody has decided so far. At { $expires } it is returned to the sender
    unsent.
approve-exposed = Sent as written, { people } outside would see each other's addresses.
escalated-subject = [No decision yet] { $subject }
expiring-approver-subject = [Expires soon] { $subject }
as-is-subject = [Asked for as it is] { $subject }
as-is-lead = { $sender } asks that this mail be sent as it is:
command-show = See it, with every copy as it would leave:
command-split = Send it to each recipient individually:
command-bcc = Send one text to all, naming nobody:
command-as-is = Send it as written, everybody sees everybody:
command-as-is-unsafe = Send it as written, although it is unsafe (see above):
command-return = Return it to the sender:
command-reason = why it is returned

# To those who decide: all that waits
digest-subject = { $count ->
    [one] [To decide] 1 mail waits for you
   *[other] [To decide] { $count } mails wait for you
}
digest-lead = { $count ->
    [one] 1 mail waits for your decision.
   *[other] { $count } mails wait for your decision.
}
digest-more = { $count ->
    [one] 1 more mail waits.
   *[other] { $count } more mails wait.
}
digest-exposed = { people } at { $organisations ->
    [one] 1 organisation
   *[other] { $organisations } organisations
} would see each other
digest-deputy = you are asked because an approver is away
label-exposed = Disclosure
label-expires = Decide by
label-note = Note

# To the sender: sent individually
split-subject = [Sent individually] { $subject }
split-lead =
    Your mail was sent to { recipients } individually: nobody sees anybody
    else's address.
has-left = It has left; you need not do anything.
split-saw-outside = { people } outside: a mail addressed to them alone.
split-saw-colleagues = Named in their Cc as you wrote them: { $colleagues }.
split-saw-inside = { people } of our own: only our own people are named, nobody outside.
bcc-lead =
    Your mail was sent to { recipients } without naming them: nobody sees
    anybody else's address.

# To the sender: somebody else let it go
released-subject = [Released] { $subject }
released-lead = Your mail was released by { $by }. It leaves now.
released-split =
    It is sent to each recipient individually: nobody sees anybody else's
    address.
released-bcc =
    It is sent without naming the recipients: nobody sees anybody else's
    address.
released-as-is = It is sent as you wrote it: the recipients see each other's addresses.
heading-dropped = Taken off: it is not sent to them

# To the sender: returned, expired
returned-subject = [Returned] { $subject }
returned-lead = Your mail was returned by { $by }. It was not sent.
returned-reason = The reason given:
returned-next =
    If it is still wanted, send it again: put the addresses into Bcc, or
    send it to fewer people.
returned-enclosed = Your mail is enclosed with this one.
expired-subject = [Not sent] { $subject }
expired-lead =
    Nobody decided about your mail in time ({ $expires }). It was not sent.
partly-sent = It had already been sent to { $left } of { $total } recipients before it was stopped.

# To the approvers: the second lock
stopped-subject = [Stopped] { $subject }
stopped-lead = A mail was stopped while it was being sent: { $left } of { $total } copies had already left.
stopped-rest =
    A copy was found to name somebody who must not be seen. What had not
    left yet is held.

# Reports (RFC 3464)
failure-subject = [Not delivered] { $subject }
failure-lead = Your mail could not be delivered to { recipients } of { $total }:
failure-next =
    It will not be tried again for these. Check the addresses, or reach
    the recipients in another way.
delayed-subject = [Delayed] { $subject }
delayed-lead = Your mail has not reached { recipients } of { $total } yet:
delayed-next =
    It is tried again by itself. You need not do anything, and should not
    send it a second time.
no-answer = no answer from the mail server

delivered-subject = [Sent on] { $subject }
delivered-lead = Your mail was handed on for { recipients } of { $total }:
delivered-next =
    The mail servers there took it, and do not report when it is put into
    the mailbox. You asked to be told.

# Foot
foot = Sekisho, the outgoing mail relay at { $hostname }. This mail was written by a program.

# The journal's head
head-subject = Journal of { $host }: { $entry }
head-lead = The journal of { $host } ends with entry { $entry } now. Its head:
head-keep = Keep this mail where nobody who works on the relay can change it. This command finds, at any later time, whether something up to this entry was changed or taken away:
head-end = Such a mail comes every hour. One that does not come is a sign as well.
