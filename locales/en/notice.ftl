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
heading-failed = What the mail server said
in-place-of = This notice comes to you because the sender ({ $sender }) cannot be told.

# To the sender: held
held-subject = [Held] { $subject }
held-lead = Your mail is held. Nothing has been sent to anybody.
held-who =
    { $people } outside, of { $organisations }, would see each
    other's addresses:
held-next =
    The decision is with { $deciders }.
    They can have it sent to each recipient individually, so that nobody
    sees anybody else, or return it to you. You need not do anything.
    If nobody decides by { $expires }, it is returned to you unsent.
the-administrator = the administrator of this mail system

# To the approvers: held
approve-subject = [To decide] { $subject }
approve-lead =
    A mail is held and waits for a decision. Nothing has been sent to
    anybody. If nobody decides by { $expires }, it is returned.
approve-exposed = Sent as written, { people } outside would see each other's addresses.
command-show = See it, with every copy as it would leave:
command-split = Send it to each recipient individually:
command-bcc = Send one text to all, naming nobody:
command-as-is = Send it as written, everybody sees everybody:
command-as-is-unsafe = Send it as written, although it is unsafe (see above):
command-return = Return it to the sender:
command-reason = why it is returned

# To the sender: sent individually
split-subject = [Sent individually] { $subject }
split-lead =
    Your mail was sent to { recipients } individually, so that they do
    not see each other's addresses. It has left; you need not do anything.
split-saw-outside = { people } outside: a mail addressed to them alone.
split-saw-colleagues = Named in their Cc as you wrote them: { $colleagues }.
split-saw-inside = { people } of our own: only our own people are named, nobody outside.
bcc-lead =
    Your mail was sent to { recipients } without naming them, so that
    they do not see each other's addresses. It has left; you need not do
    anything.

# To the sender: returned, expired
returned-subject = [Returned] { $subject }
returned-lead =
    Your mail was returned by { $by }. It was not sent to anybody.
returned-reason = Reason: { $reason }
returned-next =
    If it is still wanted, send it again: put the addresses into Bcc, or
    send it to fewer people.
expired-subject = [Not sent] { $subject }
expired-lead =
    Nobody decided about your mail in time ({ $expires }).
    It was not sent to anybody.
partly-sent = It had already been sent to { $left } of { $total } recipients before it was stopped.

# To the approvers: the second lock
stopped-subject = [Stopped] { $subject }
stopped-lead =
    While a mail was being sent, a copy was found to name somebody who
    must not be seen. Sending was stopped: { $left } of { $total } copies
    had already left, the rest is held.

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

# Foot
foot = Sekisho, the outgoing mail relay at { $hostname }. This mail was written by a program.
