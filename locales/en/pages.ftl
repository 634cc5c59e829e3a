## What the desk's pages say, in English.

# Every page
desk-brand = Sekisho
desk-skip = Skip to the content
desk-nav = Parts of the desk
desk-nav-list = Held mail
desk-nav-report = Report
desk-nav-mine = My mail
desk-nav-admin = Administration
desk-tab-node = This relay
desk-tab-queue = Queue
desk-tab-users = Users
desk-tab-tokens = API tokens
desk-mine-none = You have not sent any mail yet
desk-mine-none-text = What you send stands here, and how it stands.
desk-mine-whom = { $first } and { $more } more
desk-mine-as-written = Sent as written
desk-mine-apart = Sent individually
desk-mine-leaving = Being sent
desk-mine-waits = Leaves { $at }
desk-mine-undelivered = Not delivered: { $count }
desk-mine-held = Held
desk-mine-returned = Returned
desk-mine-expired = Returned: nobody decided in time
desk-mine-taken-back = Taken back
desk-mine-refused = Not sent
desk-mine-decide = Review
desk-mine-now = Send now
desk-mine-take-back = Take back
desk-mine-undo = Undo
desk-mine-done-taken = The mail was taken back. You can undo this for 24 hours.
desk-mine-done-sent = The mail leaves now.
desk-mine-done-undone = The mail is back as it was.
desk-node-ready = Mail is accepted and sent.
desk-node-trouble = Mail cannot be accepted or sent now.
desk-node-observes = Observe mode: verdicts are recorded, and everything is sent unchanged.
desk-node-version = Version
desk-node-rules = Rules
desk-node-zone = Time zone
desk-node-entries = Entries in the record
desk-queue-open = Not finished
desk-queue-none = Nothing is queued
desk-queue-choice = Choose
desk-queue-due = Next attempt
desk-queue-retry = Retry now
desk-queue-pause = Pause
desk-queue-resume = Resume
desk-queue-changed = Changed: { $count }
desk-queue-more = These are the { $count } oldest. Narrow them down by sender or recipient.
desk-tokens-text = Tokens are made on the command line:
desk-tokens-none = There are no tokens
desk-tokens-scopes = Scopes
desk-tokens-used = Last used
desk-tokens-remove = Remove
desk-users-text = Whose roles change has to sign in again.
desk-users-roles = Roles
desk-users-configured = by configuration
desk-users-save = Save roles
desk-users-own = You cannot take your own administrator role away.
desk-users-file = The file of accounts cannot be changed: { $why }
desk-users-elsewhere = Accounts are not in a file
desk-users-elsewhere-text = Roles are given in the configuration, in [desk.roles].
desk-role-approver = Approver
desk-role-auditor = Auditor
desk-role-admin = Administrator
desk-logout = Sign out
desk-foot = Keeps recipients from being shown to each other by mistake
desk-error-mark = Error: { $title }
desk-open-again = Open the page again
desk-printed = Printed { $at } { $who }
desk-back = Back
desk-to-list = Held mail
desk-pages = Pages
desk-page-before = Previous
desk-page-after = Next
desk-page-first = First page

# Counting
desk-people = { $count ->
    [one] 1 person
   *[other] { $count } people
}
desk-organisations = { $count ->
    [one] 1 organisation
   *[other] { $count } organisations
}
desk-span-moment = less than a minute
desk-span-minutes = { $count ->
    [one] 1 minute
   *[other] { $count } minutes
}
desk-span-hours = { $count ->
    [one] 1 hour
   *[other] { $count } hours
}
desk-span-days = { $count ->
    [one] 1 day
   *[other] { $count } days
}
desk-ago-moment = just now
desk-ago = { $span } ago
desk-until = in { $span }
desk-until-over = any moment now

# The list
desk-list-title = Held mail
desk-search = Search
desk-search-hint = Subject, sender or recipient
desk-search-do = Search
desk-filter-state = State
desk-filter-whose = Whose
desk-filter-whose-all = Everything I can see
desk-filter-whose-mine = My own mail
desk-filter-rule = Held by
desk-filter-rule-all = Any rule
desk-state-held = Waiting
desk-state-released = Sent
desk-state-returned = Returned
desk-state-expired = Expired
desk-state-all = All
desk-none-title = Nothing is waiting
desk-none-text = When a mail is held, it appears here until somebody decides.
desk-none-found = No mail matches
desk-no-subject = (no subject)
desk-no-sender = (no sender)
desk-line-one = { $sender } → { $first }
desk-line-more = { $sender } → { $first } and { $more ->
    [one] 1 other
   *[other] { $more } others
}
desk-line-expires = Goes back { $until }
desk-choose = Choose: { $subject }
desk-choose-all = Choose all shown
desk-chosen = (0 chosen)
desk-bulk-split = Send individually…
desk-bulk-return = Return to sender…
desk-bulk-take-back = Take back…

# Several at once
desk-bulk-title-split = Send individually
desk-bulk-title-return = Return to sender
desk-bulk-ask-split = { $count ->
    [one] Send this mail
   *[other] Send these { $count } mails
} individually, in { $copies ->
    [one] 1 copy
   *[other] { $copies } copies
}
desk-bulk-ask-return = Return { $count ->
    [one] this mail to its sender
   *[other] these { $count } mails to their senders
} (nothing is sent)
desk-bulk-ask-take-back = Take back { $count ->
    [one] this mail
   *[other] these { $count } mails
} (nothing is sent)
desk-bulk-do-split = Send individually
desk-bulk-do-return = Return
desk-bulk-done-split = { $count ->
    [0] Nothing was sent
    [one] 1 mail was sent, in { $copies } individual copies
   *[other] { $count } mails were sent, in { $copies } individual copies
}
desk-bulk-done-return = { $count ->
    [0] Nothing was returned
    [one] 1 mail was returned
   *[other] { $count } mails were returned
}
desk-bulk-done-take-back = { $count ->
    [0] Nothing was taken back
    [one] 1 mail was taken back
   *[other] { $count } mails were taken back
}
desk-bulk-undo = Each can still be undone on its page.
desk-bulk-nothing = No mail was chosen, or none can be decided on together
desk-bulk-nothing-text = Tick mails in the list first.
desk-bulk-left = { $count ->
    [one] 1 mail is left as it is
   *[other] { $count } mails are left as they are
}
desk-left-released = already sent by { $by }
desk-left-returned = already returned by { $by }
desk-left-expired = its time ran out
desk-left-gone = no longer here
desk-left-not-yours = needs someone else's approval
desk-left-risk = sending individually leaves a risk ({ $risk }): decide on its page

# One message
desk-head-sum = Each would see { $others } other addresses ({ $count } in all)
desk-head-look = A mail to { $count ->
    [one] 1 recipient
   *[other] { $count } recipients
} needs a review before it is sent
desk-risk = { $said } ({ $cure })
desk-risks = What to check
desk-past-split = Sent individually: no recipient sees another's address
desk-past-bcc = Sent as Bcc: no recipient sees another's address
desk-past-as-is = Sent unchanged: all recipients see each other's addresses
desk-past-unchanged = Sent unchanged
desk-past-returned = Returned without being sent
desk-past-taken-back = Taken back: it was not sent to anyone
desk-past-expired = Returned without being sent: nobody decided in time
desk-soon-split = It will be sent individually. You can still undo this
desk-soon-bcc = It will be sent as Bcc. You can still undo this
desk-soon-as-is = It will be sent unchanged. You can still undo this
desk-about = About this message
desk-subject = Subject
desk-from = From
desk-received = Received
desk-expires = Goes back unsent on
desk-decide = What should happen to this mail?
desk-do-split = Send individually
desk-do-split-text = Everyone gets a copy of their own and sees nobody else from outside.
desk-do-bcc = Send as Bcc
desk-do-bcc-text = Everyone gets the same copy, and no outside recipient appears in To or Cc.
desk-do-take-back = Take it back
desk-do-take-back-text = It is sent to no one. You can undo this for 24 hours.
desk-do-as-is = Send it unchanged…
desk-do-drop = Leave some recipients out…
desk-do-return = Return to sender…
desk-do-return-text = It goes back to its sender with your reason, and is not sent.
desk-tick = Check each of these: they remain however it is sent
desk-tick-as-is = Check each of these: they remain when it is sent unchanged
desk-note-audit = Addresses stand in an invitation or attachment, so sending individually or as Bcc cannot hide them.
desk-note-unreadable = Its recipients cannot be read reliably, so no safe copies can be made.
desk-note-own = This is your own mail: sending it needs someone else's approval.
desk-note-own-ask = This is your own mail: showing the recipients to each other needs someone else's approval.
desk-note-mailbox = You signed in with a code by mail, so you cannot send this unchanged. Sign in with a passkey or your organisation’s account to do that.
desk-note-auditor = You can see this message, but not decide on it.
desk-late = This mail was already decided on. Nothing more was done.
desk-late-own = You already decided on this mail. Nothing more was done.
desk-decided-split = Sent individually by { $by }, { $at }
desk-decided-bcc = Sent as Bcc by { $by }, { $at }
desk-decided-as-is = Sent unchanged by { $by }, { $at }
desk-decided-returned = Returned by { $by }, { $at }
desk-decided-returned-because = Returned by { $by }, { $at }: { $reason }
desk-decided-expired = Returned unsent, { $at }: nobody decided in time
desk-decided-taken-back = Taken back by its sender ({ $by }), { $at }
desk-decided-taken-back-for = Taken back for its sender by { $by }, { $at }
desk-undo = Undo
desk-undo-release = Undo, do not send
desk-undo-leaves = It will be sent on { $at }. Until then you can undo this.
desk-undo-taken = For 24 hours you can undo this: the mail then waits for a decision again.
desk-undone = Undone. The mail waits for a decision again.
desk-progress = { $delivered } of { $total } delivered.
desk-progress-failed = { $count ->
    [one] 1 failed.
   *[other] { $count } failed.
}
desk-recipients = { $count ->
    [one] 1 recipient
   *[other] { $count } recipients
}
desk-recipients-show = Show all { $count }
desk-ours = Our own
desk-provider = mail provider
desk-hidden = Bcc
desk-stand-new = never written to before
desk-stand-new-list = never written to before; looks like a list
desk-stand-written = last written to { $ago }
desk-stand-written-list = last written to { $ago }; looks like a list
desk-stand-look-alike = looks like { $domain } but is a different domain
desk-message = The message
desk-message-text = Text of the message
desk-message-closed = You can see about this message, but not what is written in it.
desk-message-large = This message is too large to be shown here.
desk-message-empty = There is no text in it.
desk-message-goes-on = The text goes on; only its beginning is shown.
desk-message-html = As HTML
desk-message-html-text = Without images, links and styles; nothing is loaded from anywhere.
desk-image = image
desk-files = { $count ->
    [one] 1 attachment
   *[other] { $count } attachments
}
desk-file-unnamed = Attachment { $number }
desk-file-inline = shown in the text
desk-gets = What each recipient gets
desk-gets-ways = Ways of sending
desk-gets-example = For example,
desk-gets-all = { $count ->
    [one] See the copy
   *[other] See all { $count } copies, for each way of sending
}
desk-gets-range = { $first }–{ $last } of { $total }
desk-before = As written
desk-before-all = As written, the same for everyone
desk-after = As it would leave
desk-after-split = Sent individually
desk-after-none = gets no copy
desk-tab-split = Individually
desk-tab-bcc = As Bcc
desk-tab-as-is = Unchanged
desk-tab-text-split = Everyone gets a copy of their own and sees nobody else from outside.
desk-tab-text-bcc = Everyone gets the same copy, and no outside recipient appears in To or Cc.
desk-tab-text-as-is = Everyone sees everyone in To and Cc.
desk-changed = { $count ->
    [one] 1 other line differs
   *[other] { $count } other lines differ
}
desk-line-lacks = Removed:{" "}
desk-line-has = Added:{" "}
desk-why = Why it is held
desk-hits = { $count ->
    [one] Where the address was found
   *[other] { $count } places where addresses were found
}
desk-hit = { $address } ({ $place })
desk-asked = Asked to decide
desk-asked-nobody = nobody by name; an administrator decides
desk-timeline = What happened

# Sending as it is, leaving out, returning
desk-as-is-title = Send it unchanged?
desk-as-is-places = Acknowledge each place where a hidden address stands
desk-as-is-sure = I know that all recipients will see each other's addresses, and that it cannot be undone once it is sent.
desk-as-is-sure-unchanged = I know that it is sent unchanged, and that it cannot be undone once it is sent.
desk-as-is-do = Send unchanged
desk-drop-title = Leave some recipients out
desk-drop-text = Those you choose get nothing, and are taken out of To and Cc as well.
desk-drop-whom = Leave out
desk-drop-split = Send to the others individually
desk-drop-bcc = Send to the others as Bcc
desk-return-title = Return to the sender?
desk-return-text = Nothing is sent. The sender gets a notice with your reason.
desk-return-reason = Anything to add (optional)
desk-return-reason-help = Say what the sender should do next, for example: remove the list and send it again
desk-canned = Reason
desk-canned-list = Remove the list or file that must not be attached, and send it again.
desk-canned-bcc = Put the recipients into Bcc, and send it again.
desk-canned-recipients = Check the recipients for mistakes, and send it again.
desk-canned-none = None of these (write below)
desk-return-do = Return

# What did not work out
desk-gone-title = Page not found
desk-gone-text = This page does not exist, is not yours to see, or is past its time.
desk-nothing-done = Nothing was done
desk-nothing-done-text = Nothing was done.
desk-not-yours-title = You cannot decide on this mail
desk-not-yours-text = Nothing was done. You may not do this with this mail.
desk-audit-title = Hidden addresses would be shown
desk-audit-text = They stand in these places, where they cannot be taken out:
desk-unacknowledged-text = Each of these places has to be acknowledged:
desk-unreadable-title = The message cannot be read reliably
desk-unreadable-text = Send it unchanged, or return it.
desk-no-recipient-text = { $address } is no recipient of this message.
desk-no-circle-text = A circle needs a name, two members or more, and at most two years.
desk-too-late-text = It is too late: the mail has left and cannot be taken back any more.
desk-nothing-to-undo-text = There is nothing to undo, or the time for it is over.
desk-nobody-left-text = All recipients were left out. Return the mail if it should not be sent.
desk-nobody-dropped-text = Choose at least one recipient to leave out.
desk-unticked-title = Something was not checked
desk-unticked-text = Tick each of these, which remain however the mail is sent:
desk-unavailable-title = The desk cannot answer just now
desk-unavailable-text = Nothing was lost. Please try again in a moment.
desk-bad-form-text = Something is missing. Go back to the page before and try again.
desk-turned-crossed = Another site sent this. If it was you, open the page again and repeat what you did.
desk-turned-old = The page was open for too long, or belongs to another sign-in. Open it again and repeat what you did.
desk-turned-large = This is more than the desk takes at once. Send less, and try again.
desk-turned-slow = It took too long to arrive. Try again.

# Timeline
desk-action-pass = passed
desk-action-bcc = sent as Bcc
desk-action-split = sent individually
desk-action-delay = delayed
desk-action-hold = held
desk-action-reject = refused
desk-action-own = our own notice
desk-would-pass = would have passed as well
desk-would-bcc = would have been sent as Bcc
desk-would-split = would have been sent individually
desk-would-delay = would have been delayed
desk-would-hold = would have been held
desk-would-reject = would have been refused
desk-delivery-ready = ready
desk-delivery-sending = being sent
desk-delivery-delivered = delivered
desk-delivery-waiting = to be tried again
desk-delivery-failed = failed
desk-delivery-uncertain = uncertain, to be tried again
desk-delivery-paused = paused
desk-delivery-dropped = dropped
desk-way-split = individually
desk-way-bcc = as Bcc
desk-way-as-is = unchanged
desk-verb-retry = tried again
desk-verb-drop = dropped
desk-verb-pause = paused
desk-verb-resume = resumed
desk-notice-held = held
desk-notice-held-approvers = to decide
desk-notice-split = sent individually
desk-notice-returned = returned
desk-notice-expired = expired
desk-notice-failure = not delivered
desk-notice-delayed = delivery delayed
desk-notice-stopped = sending stopped
desk-notice-waits = a delayed mail waits
desk-notice-taken-back = taken back
desk-notice-asked-as-is = asked to send it unchanged
desk-notice-expiring = about to expire
desk-notice-expiring-approvers = about to expire, to those asked
desk-notice-escalated = asked somebody else
desk-notice-delivered = delivered
desk-notice-released = released
desk-event-accepted = Accepted from { $client } for { $count ->
    [one] 1 recipient
   *[other] { $count } recipients
}: { $action }
desk-event-attempts = { $first }{ $more ->
    [0] {""}
    [one] {" "}and 1 other
   *[other] {" "}and { $more } others
}: { $state }
desk-event-attempt = { $first }{ $more ->
    [0] {""}
    [one] {" "}and 1 other
   *[other] {" "}and { $more } others
}: { $state } – { $reply }
desk-event-released = Released { $how } by { $by }{ $dropped ->
    [0] {""}
    [one] , 1 recipient left out
   *[other] , { $dropped } recipients left out
}
desk-event-returned = Returned by { $by }
desk-event-returned-because = Returned by { $by }: { $reason }
desk-event-expired = Returned: nobody decided in time
desk-event-noticed = Notice sent: { $kind }
desk-event-noticed-asked = Asked { $who } to decide
desk-event-noticed-wish = Told { $who } of the request to send it unchanged
desk-event-noticed-soon = Reminded { $who } that it goes back soon
desk-event-queue = { $count ->
    [one] 1 delivery
   *[other] { $count } deliveries
} { $verb } by { $by }
desk-event-accepted-would = { $accepted } ({ $would })
desk-event-stopped = Sending stopped: a hidden address was found. { $left } of { $total } had left.
desk-event-asked = { $by } asks to send it unchanged: { $reason }
desk-event-asked-again = { $by } asks for it to be sent again openly, as { $anew }
desk-event-again = Made from { $of }, which was sent individually, to be sent again openly
desk-event-repeated = The same came again for { $count ->
    [one] one recipient
   *[other] { $count } recipients
}: nothing was delivered for it
desk-event-namesake = Has the Message-ID of another mail, { $of }
desk-event-taken-back = Taken back by { $by }
desk-event-learned = { $by } had { $mails } mails of an archive learned from; { $learned } taught something new
desk-event-forgotten = { $by } had somebody taken out of { $sets } sets of people that were learned
desk-event-undone = Undone by { $by }
desk-event-joined = Came in a transaction of its own and belongs to { $item }

desk-and-more = and { $count } more
desk-or =  or 

# A message's timeline
desk-reference = Reference
desk-trace-held = See it among the held mail
desk-trace-copies = { $count ->
    [one] 1 copy
   *[other] { $count } copies
}
desk-trace-to = To
desk-trace-again = Send it again openly
desk-trace-again-text = Each recipient has had a copy that shows nobody else. If an approver agrees, all of them get the mail once more, and everybody sees everybody's address.
desk-trace-again-do = Ask the approver
desk-trace-would = Observed only
desk-trace-attempts = Attempts
desk-trace-reply = What the server said

# The report
desk-number = { $count }
desk-report-span = Span
desk-report-yours = These are the mails that you were asked about, and your own that were held.
desk-report-held-all = held
desk-report-more = { $percent }% more than the span before ({ $before })
desk-report-fewer = { $percent }% fewer than the span before ({ $before })
desk-report-same = the same as in the span before ({ $before })
desk-report-days = { $count } days
desk-report-prevented = addresses kept from being seen (in all)
desk-report-passed = sent unchanged
desk-report-apart = split automatically
desk-report-known = of these, because one mail had shown their people to each other: { $count }
desk-report-waiting = waiting for a decision now
desk-report-released = held, then sent
desk-report-returned = held, then returned
desk-report-median = median time to a decision
desk-report-most = 90% within { $span }
desk-report-chart = Held and split, by day
desk-report-chart-label = Mails held and mails split each day. The table below has the numbers.
desk-report-take = For spreadsheets (CSV):
desk-report-csv-days = by day
desk-report-csv-rules = by rule
desk-report-csv-senders = by sender
desk-report-paces = Time to a decision
desk-report-decider = Decided by
desk-report-pace-hour = within 1 hour
desk-report-pace-half = within 4 hours
desk-report-pace-day = within a day
desk-report-pace-later = later
desk-report-table = The same as a table
desk-report-day = Day
desk-report-rules = Rules with most holds
desk-report-unchanged = Sent unchanged
desk-report-unchanged-text = A rule whose mails are often sent unchanged may hold more than it should.
desk-report-senders = Senders with most holds
desk-report-groups = By sender's group
desk-report-approvers = By who was asked
desk-report-held = Held
desk-report-would = What would have been done
desk-report-would-text = The policy is only observed (mode = "observe"): it decides and records, and everything passes. This is what would have happened to that mail if its verdicts had been carried out.
desk-report-would-prevented = addresses that would not have been seen (in all)
desk-report-would-messages = Mails that would not have passed
desk-report-would-senders = By sender
desk-held-trace = Every delivery of this message

# Circles
desk-nav-circles = Circles
desk-circles-text = People in a circle may see each other’s addresses: mail whose outside recipients are all in one circle is not held for showing addresses.
desk-circles-none = There are no circles yet
desk-circle-in-force = in force
desk-circle-over = expired
desk-circle-ended = ended
desk-circle-until = Until
desk-circle-made = Made
desk-circle-made-by = by { $by }, { $at }
desk-circle-ended-by = by { $by }, { $at }
desk-circle-members = { $count ->
    [one] 1 member
   *[other] { $count } members
}
desk-circle-end = End it now
desk-circle-new = Make a circle
desk-circle-name = Name
desk-circle-who = Members
desk-circle-who-help = One address per line: people outside who may see each other.
desk-circle-lasts = How long it lasts
desk-circle-do = Make the circle
desk-circle-was-made = “{ $name }” is in force.
desk-circle-was-ended = “{ $name }” has ended.
desk-circle-no-address = “{ $text }” is not a mail address. Nothing was made.
desk-circle-not-yours = You can see circles, but not make or end them.
desk-circle-gone = This circle does not exist, or is no longer in force.
desk-circle-gone-title = There is no such circle
desk-knows = Who knows whom
desk-knows-each = { $count ->
    [one] The person outside
   *[other] Each of the { $count } people outside
}
desk-knows-some = knows { $count } of the { $others } others, since { $since }
desk-knows-nobody = was on no known mail with any of the others
desk-offer = Just these people were let see each other { $count } times. As a circle they need not be asked about until { $until }.
desk-offer-do = Make this circle
desk-remember = Remember these people as a circle
desk-remember-text = { $count ->
    [one] 1 person outside
   *[other] { $count } people outside
} may then see each other for that long.

# One screen: the list
desk-list-count = { $title } ({ $count })
desk-list-released = Sent mail
desk-list-returned = Returned mail
desk-list-expired = Expired mail
desk-list-all = Mail in every state
desk-more-than = over { $count }
desk-narrow = Filter
desk-search-hint-files = Subject, sender, recipient or attachment
desk-elsewhere = { $count ->
    [one] 1 more is in another state.
   *[other] { $count } more are in other states.
}
desk-crowd = { $people }, { $organisations }
desk-chip-files = { $count ->
    [one] 1 attachment
   *[other] { $count } attachments
}

# One screen: pages that stay open
desk-live-new = { $count ->
    [one] 1 new mail is held.
   *[other] { $count } new mails are held.
}
desk-live-show = Show
desk-live-changed = This changed after you opened the page: { $what }

# One screen: a message
desk-next = Next one waiting ({ $count } left)
desk-next-none = Nothing else is waiting
desk-do-other = Other ways
desk-recipients-more = Show { $count } more
desk-sum-outside = { $count } outside ({ $organisations })
desk-sum-ours = { $count } internal
desk-sum-hidden = { $count } in Bcc
desk-sum-danger = { $count ->
    [one] 1 look-alike domain
   *[other] { $count } at look-alike domains
}
desk-sum-new = { $count } new
desk-message-rest = { $count ->
    [one] Show 1 more line
   *[other] Show { $count } more lines
}
desk-message-html-links = Without images and styles; each link shows where it leads. Nothing is loaded from anywhere.
desk-files-more = Show { $count } more
desk-rows = Show its beginning ({ $rows } × { $columns })
desk-rows-more = Show its beginning (over { $rows } × { $columns })
desk-rows-addresses = , { $count ->
    [one] 1 mail address
   *[other] { $count } mail addresses
}
desk-lines = Show its beginning
desk-event-title = Event
desk-event-when = When
desk-event-where = Where
desk-event-organiser = Organiser
desk-event-attendees = Attendees
desk-sort-pdf = PDF
desk-sort-document = Document
desk-sort-workbook = Excel
desk-sort-slides = Slides
desk-sort-table = Table (CSV)
desk-sort-text = Text
desk-sort-picture = Picture
desk-sort-sound = Sound
desk-sort-film = Video
desk-sort-archive = Archive
desk-sort-calendar = Calendar
desk-sort-mail = Mail
desk-sort-cards = Contacts
desk-sort-page = HTML
desk-sort-program = Program
desk-sort-other = File
# Requests to send unchanged, deciding out of a mail, absences
desk-notice-settled = who decided
asked-tag = Requested
asked-filter = Requests
asked-filter-all = All
asked-request = { $by } asks to send it unchanged
asked-approve = Approve and send it unchanged…
asked-decline = Return it with a reason…
asked-open = Ask to send it unchanged…
asked-title = Ask to send it unchanged
asked-text = You say why all recipients may see each other's addresses. An approver decides; nothing is sent until then.
asked-missing = Say why all recipients may see each other's addresses.
asked-do = Send the request
decide-title = Decide on a mail
decide-split-title = Send this mail individually?
decide-split-text = { $count ->
    [one] The recipient gets a mail of their own.
   *[other] Each of the { $count } recipients gets a mail of their own and sees nobody else. You can undo it for a moment.
}
decide-split-do = Send individually
decide-return-title = Return this mail to its sender?
decide-return-text = Nothing is sent. Choose what its sender should do:
decide-return-other = Another reason
decide-return-do = Return with this reason
decide-reason-missing = Nothing was done. Choose or write why it goes back.
decide-as-is-desk = To send it unchanged, decide at the desk.
decide-at-desk = Open it at the desk (sign-in needed)
link-away-text = Nothing was done. You said that you are away: { $deputies } decides in your place. At the desk you can say that you are back, or decide yourself.
link-no-approver-text = Nothing was done. You do not decide on this mail, or not any more.
link-mail-off-text = Nothing was done. Mails do not decide here any more: decide at the desk.
away-title = Away
away-text = While you are away, somebody else is asked in your place and may decide. Mail that already waits stays with you as well.
away-now = You are away up to and including { $until }. { $deputy } is asked in your place.
away-back = I am back
away-until = Last day away
away-who = Deputy
away-do = Save
away-nobody = Nobody else decides on the same mail as you. Ask the administrator to name a deputy.
away-day = Nothing was changed. Choose a day from today on, within a year.
away-deputy = Nothing was changed. Choose a deputy from the list.
away-not-yours = Nothing was changed. You can only set your own absence.
desk-report-rule-name = Name in the policy
