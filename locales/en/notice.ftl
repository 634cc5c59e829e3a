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
and-more-people = and { $count } more
or = or

# Labels
label-subject = Subject
label-sender = Sender
label-received = Received
label-recipients = Recipients
label-reference = Reference
recipients-awaited = { $count ->
    [one] 1 more recipient in the header has not arrived yet
   *[other] { $count } more recipients in the header have not arrived yet
}
recipients-outside = { recipients }, { $outside } of them outside
no-subject = (no subject)
null-sender = (none)
internal = internal
bcc-mark = {" "}(Bcc)
group = { $name } ({ $count })
heading-why = Why
heading-who = Who would see whom
heading-next = What happens now
heading-commands = What you can do
heading-hits = Where a hidden address was found
heading-saw = What each of them sees
heading-got = Who gets a copy
heading-gets = Who will get a copy
heading-undelivered = Not delivered so far
in-place-of = This notice comes to you because the sender ({ $sender }) cannot be told.

# To the sender: held
held-subject = [Held] { $subject }
held-lead = Not sent yet. { $risk }.
held-some-reason = It needs a review before it is sent
held-next =
    { $deciders } will decide: they can have it sent to each recipient
    individually, so that nobody sees anybody else, or return it to you.
    You don't need to do anything.
held-next-yourself =
    You can send it now to each recipient individually, so that nobody sees
    anybody else's address. No approval needed. To let them see each other,
    { $deciders } has to approve.
held-next-yourself-risk =
    You can send it now to each recipient individually; no approval needed.
    That does not prevent everything above: what it leaves is asked about first.
    To send it as it is, { $deciders } has to approve.
held-next-no-copies =
    For this reason it cannot be sent individually: a copy would not be safe.
    Take it back, remove the cause and send it again.
    To send it as it is, { $deciders } has to approve.
held-next-others =
    { $deciders } will decide. You don't need to do anything.
held-ends = If nobody decides by { $expires }, it is returned to you unsent.
the-administrator = the administrator of this mail system
button-split = Send individually
button-split-hint = Each recipient gets a mail of their own and sees nobody else.
button-take-back = Take it back
button-take-back-hint = Nothing is sent. You can undo this for 24 hours.
button-as-is = Ask to send it unchanged…
button-as-is-hint = You give a reason, and an approver decides.
button-now = Send individually now
button-now-hint = Each recipient gets a mail of their own at once, and sees nobody else.
button-know = They know each other: ask to send it unchanged…
button-know-hint = The mail waits. You give a reason, and an approver decides.
button-again = Ask to send it again openly…
button-again-hint = You give a reason, and an approver decides. Then all of them get it once more, and see each other.
button-undo = Undo
button-undo-hint = The mail is as it was before you took it back.
button-view = Look at it and decide
button-view-hint = You will be asked to sign in.
expiring-subject = [Still held] { $subject }
expiring-lead = Nobody has decided about your mail yet. It is returned to you unsent on { $expires }.

# To the sender: it leaves later, taken back
waits-subject = [Leaves later] { $subject }
waits-lead = Your mail leaves on { $leaves }. Until then you can take it back.
waits-individually = It will be sent to each recipient without showing them the others' addresses.
waits-ask = To stop it, write to { $admin }.
taken-subject = [Taken back] { $subject }
taken-lead = You took your mail back. It will not be sent.

# To those who decide
approve-subject = [Approval needed] { $subject }
approve-lead = A mail is held and waits for your decision.
approve-risk = { $risk }.
approve-sum = Each would see { $others } other addresses ({ $count } in all).
figure-people = Recipients
figure-organisations = Organisations
figure-disclosures = Addresses seen (in all)
approve-waits =
    It has not been sent to anyone. If nobody decides by { $expires },
    it is returned to the sender.
approve-again =
    Each of them has a copy that shows nobody else. If you agree, all of them
    get the mail once more and see each other. If nobody decides by
    { $expires }, that does not happen, and the sender is told.
again-before = The copies that were sent individually before are not concerned.
approve-deputy =
    You are asked because an approver is away. It has not been sent to
    anyone. If nobody decides by { $expires }, it is returned to the sender.
approve-escalated =
    Nobody who was asked has decided so far. It has not been sent to
    anyone. If nobody decides by { $expires }, it is returned to the sender.
approve-expiring =
    Nobody has decided so far. On { $expires } it is returned to the sender
    unsent.
approve-exposed = Sent as written, { people } outside would see each other's addresses.
escalated-subject = [Approval overdue] { $subject }
expiring-approver-subject = [Expires soon] { $subject }
as-is-subject = [Approval request] { $subject }
as-is-lead = { $sender } asks to send this mail unchanged:
command-show = See it, with every copy as it would leave:
command-split = Send it to each recipient individually:
command-bcc = Send one text to all, naming nobody:
command-as-is = Send it as written, everybody sees everybody:
command-as-is-unsafe = Send it as written, although it is unsafe (see above):
command-return = Return it to the sender:
command-reason = why it is returned

# To those who decide: all that waits
digest-subject = { $count ->
    [one] [Approval needed] 1 mail waits for you
   *[other] [Approval needed] { $count } mails wait for you
}
digest-lead = { $count ->
    [one] 1 mail waits for your decision.
   *[other] { $count } mails wait for your decision.
}
digest-more = { $count ->
    [one] 1 more mail waits.
   *[other] { $count } more mails wait.
}
digest-deputy = you are asked because an approver is away
digest-until = decide by { $expires }
label-note = Note

# To the sender: sent individually
split-subject = [Sent individually] { $subject }
split-lead =
    Your mail was sent to { recipients } individually: nobody sees anybody
    else's address.
has-left = It has left; you don't need to do anything.
split-saw-outside = { people } outside: a mail addressed to them alone.
split-saw-colleagues = Named in their Cc as you wrote them: { $colleagues }.
split-saw-inside = { people } inside: only colleagues appear in their To and Cc.
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
heading-dropped = Removed by the approver (not sent)

# To the sender: returned, expired
returned-subject = [Returned] { $subject }
returned-lead = Your mail was returned by { $by }. It was not sent.
returned-reason = The reason given:
returned-next =
    To send it after all, put the addresses into Bcc, or send it to fewer
    people.
returned-next-file = To send it after all, check the attachments, remove what must not leave, and send it again.
returned-next-invitation = To invite them after all, send an invitation of their own to each, or invite colleagues only.
returned-next-address = To send it after all, check each address, and send it again.
returned-next-unreadable = To send it after all, write a new mail and enter the recipients anew.
returned-next-otherwise = To send it after all, correct what is said above and send it again.
returned-enclosed = Your mail is enclosed with this one.
expired-subject = [Not sent] { $subject }
expired-lead = Not sent: nobody decided by { $expires }.
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
    It is tried again automatically. You don't need to do anything; please
    do not send it a second time.
no-answer = no answer from the mail server

# Why a mail server refused (RFC 3463)
bounce-reply = Details: { $reply }
bounce-no-address = The address does not exist
bounce-bad-address = The address is malformed
bounce-no-host = No mail server was found for the address
bounce-sender = The sender's address was not accepted
bounce-disabled = The mailbox cannot be used at present
bounce-full = The mailbox is full
bounce-too-large = The mail is too large
bounce-no-answer = The mail server cannot be reached
bounce-expired = It could not be delivered in time
bounce-content = The mail server did not accept the content
bounce-policy = Refused by the other side's rules
bounce-later = The mail server does not take it for now
bounce-refused = The mail server refused it

delivered-subject = [Sent on] { $subject }
delivered-lead = Your mail was handed on for { recipients } of { $total }:
delivered-next =
    The mail servers there took it, and do not report when it is put into
    the mailbox. You asked to be told.

# Foot
foot = Automatic message of Sekisho, the outgoing mail relay at { $hostname }.

# The journal's head
head-subject = Journal of { $host }: { $entry }
head-lead = The journal of { $host } ends with entry { $entry } now. Its head:
head-keep = Keep this mail where nobody who works on the relay can change it. This command finds, at any later time, whether something up to this entry was changed or taken away:
head-end = Such a mail comes every hour. One that does not come is a sign as well.

# Approvers: their own links, what is decided, and help
button-approve-split = Send individually
button-approve-split-hint = Each recipient gets a mail of their own and sees nobody else. A page shows the mail first.
button-give-back = Return it to its sender
button-give-back-hint = Nothing is sent. A page shows the mail first and asks why.
button-view-settled = Look at it
settled-subject = [Decided] { $subject }
settled-split = { $by } sent it individually: recipients do not see each other's addresses.
settled-bcc = { $by } sent it with outside recipients in Bcc: they do not see each other's addresses.
settled-as-is = { $by } sent it unchanged: recipients see each other's addresses.
settled-returned = { $by } returned it to its sender. It was not sent.
settled-taken-back = { $by } took it back. It was not sent.
settled-expired = Nobody decided in time. It went back to its sender.
settled-nothing = You don't need to do anything.
digest-settled-subject = { $count ->
    [one] [Decided] 1 mail
   *[other] [Decided] { $count } mails
}
digest-settled-lead = { $count ->
    [one] 1 mail that you were asked about has been decided. You don't need to do anything.
   *[other] { $count } mails that you were asked about have been decided. You don't need to do anything.
}
digest-as-is = its sender asks to send it unchanged:
digest-expiring = it goes back unsent soon
foot-contact = Need help? { $contact }

# Chat messages (Teams, Slack)
hook-held = A mail is held and waits for a decision
hook-decided = A held mail has been decided
hook-who-sender = Its sender can send it individually without asking anybody. Approvers are asked if the sender asks, or does not answer.
hook-who-approver = An approver has to decide.
hook-recipients = { $count ->
    [one] 1 recipient
   *[other] { $count } recipients
}
hook-deadline = { $at } (then it goes back unsent)
hook-label-people = To
hook-label-risks = Risks
hook-label-deadline = Deadline
hook-open = Look at it and decide
hook-open-decided = Look at it
