# Signing in, and links out of mails.

code-mail-subject = { $code } is your code to sign in to Sekisho
code-mail-lead =
    Somebody, most likely you, asked for a code to sign in to the mail approval desk.
    It is valid for ten minutes, in the browser that asked for it:
code-mail-link = In that browser, this link fills the code in for you:
code-mail-end =
    Do not pass this code on to anyone.
    If you did not ask for it, you don't need to do anything.

# Signing in
people-login-title = Sign in
people-password-title = With your name and password
people-user = Name
people-password = Password
people-sign-in = Sign in
people-wrong = The name or the password is not right.
people-first = Your sign-in has ended. Nothing was done. Sign in, and you are taken back to the page.
people-still-in = You could not be signed out. Try again.
people-account = Your account
people-passkeys = Passkeys
people-passkeys-text = Sign in with your fingerprint, your face or your device’s PIN. The key stays on your device and works for this desk alone.
people-passkey-title = With a passkey
people-passkey-use = Sign in with a passkey
people-passkey-wrong = The passkey was not accepted. Try again, or sign in another way.
people-passkey-make = Add a passkey
people-passkey-label = Name of the passkey
people-passkey-label-help = Such as: work laptop
people-passkey-not-made = The passkey was not added. If you already have one, sign in with it first.
people-passkey-unnamed = Passkey without a name
people-passkey-made = Added { $at }.
people-passkey-used = Last used { $at }.
people-passkey-script = Adding a passkey takes JavaScript.
people-sessions = Where you are signed in
people-session-here = this one
people-session-began = since { $at }, last used { $ago }
people-sessions-end = Sign out everywhere
people-by-password = Password
people-by-code = Code by mail
people-by-provider = Organisation’s account
people-by-passkey = Passkey
people-by-once = Link from the start
people-stronger-title = Sign in a safer way
people-stronger-text = Nothing was done. Signed in with a code by mail you cannot send unchanged. Sign in with a passkey or your organisation’s account.
people-too-many = There were too many attempts. Wait an hour and try again, or ask your administrator.
people-down = Signing in is not possible just now. Try again in a minute.
people-off = This way of signing in is not offered here.
people-cookies = Your browser did not send a cookie back. Allow cookies for this page, load it again, and try once more.
people-no-address = This is not a mail address. Write it in full, such as hanako@example.co.jp.
people-no-way = No way of signing in is configured. Ask your administrator.
people-code-title = With a code by mail
people-code-lead = Enter your work mail address. A code that is valid for ten minutes is sent there.
people-code-sent-to = Sent to: { $address }
people-address = Mail address
people-code-send = Send me a code
people-code-page-title = Enter the code
people-code-page-lead = If the address may sign in here, a mail with a code of eight digits is on its way to it. Enter the code in this browser within ten minutes.
people-code-field = Code
people-code-wrong = The code is not right, or has expired.
people-code-tries = { $count } tries left.
people-code-over = This code can no longer be used. Ask for a new one.
people-code-elsewhere = Enter the code in the browser in which you asked for it. To sign in with this browser, ask for a new code.
people-code-again = Ask for a new code
people-provider-title = With your organisation's account
people-provider = Sign in with { $name }
people-provider-away = The provider cannot be reached just now. Try again in a minute.
people-provider-refused = What the provider answered could not be verified. Start again from this page.
people-provider-no-address = The provider gave no verified address that may sign in here. Ask your administrator.
people-provider-out = Sign out at the provider too
people-signed-out = You are signed out.
people-once-over = This link was used already, or has ended. Start `sekisho try` again for a new one.

# Links out of mails
link-title-split = Send individually
link-text-split = Each recipient gets a copy of their own, and nobody sees anybody else's address. Nothing has been done yet: press the button to send.
link-button-split = Send individually now
link-title-take-back = Take the mail back
link-text-take-back = The mail is not sent to anybody. Nothing has been done yet: press the button to take it back.
link-button-take-back = Take it back
link-title-undo = Undo
link-text-undo = The mail waits again as it did before you took it back. Nothing has been done yet: press the button.
link-button-undo = Undo
link-title-ask = Ask to send it unchanged
link-text-ask = Every recipient would see everybody's address. An approver decides on that and reads your reason. Nothing has been done yet.
link-button-ask = Ask for approval
link-title-again = Ask to send it again, openly
link-text-again = Each recipient has had a copy that shows nobody else. Sent again openly, the mail reaches all of them once more, and everybody sees everybody's address. An approver decides on that and reads your reason. Nothing has been done yet.
link-button-again = Ask for approval
link-title-view = Look at the mail
link-text-view = The mail's own page shows what would happen to it.
link-button-view = Open
link-reason = Why may they all see each other's addresses?
link-recipients = To
link-more = { $count ->
    [one] and 1 more
   *[other] and { $count } more
}
link-to-message = Open the mail's page
link-did-asked = You asked to send it unchanged
link-did-undone = Undone: the mail waits for a decision
link-did-undone-later = Undone: the mail leaves as planned
link-did-split-soon = It will be sent individually, in { $count ->
    [one] 1 copy
   *[other] { $count } copies
}
link-did-split = Sent individually, in { $count ->
    [one] 1 copy
   *[other] { $count } copies
}
link-did-bcc = Sent as Bcc
link-did-as-is = Sent unchanged
link-did-taken-back = You took the mail back
link-did-returned = Returned without being sent
link-did-expired = Returned: nobody decided in time
link-did-waits = This mail waits for a decision
link-next-asked = { $approvers } will decide. Until then nothing is sent. You will get a mail with the answer.
link-next-asked-admin = An administrator will decide. Until then nothing is sent. You will get a mail with the answer.
link-next-waits = It has not been sent to anyone. With the buttons of the notice you got you can send it individually, take it back, or ask to send it unchanged.
link-next-here = The button on this page works again; for anything else use those of the notice you got.
link-next-later = Until then you can take it back with the button of the notice you got.
link-next-split-soon = You can undo this until { $until }. No recipient sees another outside address.
link-next-undo = It was not sent to anyone. You can undo this until { $until }.
link-next-again = It was not sent to anyone. To send it after all, correct it and send it again.
link-next-done = You don't need to do anything.
link-did-again = You asked to send it again openly
link-next-asked-again = An approver will decide. Nothing is sent until then. You will get a mail with the answer.
link-over-by = Decided by { $by }, { $at }.
link-nothing-title = This link leads nowhere
link-nothing-text = It may be incomplete, or have ended. Nothing was done. Sign in to see your mail.
link-past-title = The mail is not kept any more
link-past-text = Its content was removed when its time was over, so it cannot be sent again from here. Nothing was done. Send it anew from your mail program.
link-not-done-title = Nothing was done
link-not-allowed-text = That takes another person, or a reason was missing. Nothing was sent.
link-not-safe-text = No safe copies can be made of this mail, so nothing was sent. An approver looks at it; you can take it back.
link-later-text = The desk cannot answer just now. Nothing was sent. Try the link again in a minute.
