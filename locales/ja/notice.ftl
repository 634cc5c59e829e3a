## What the relay's mails to people say, in Japanese.

# Counting people
people = { $count }名
recipients = { $count }名
organisations = { $count }組織
and-more-people = ほか{ $count }名
or = または

# Labels
label-subject = 件名
label-sender = 差出人
label-received = 受付日時
label-recipients = 宛先
label-reference = 受付番号
recipients-awaited = 宛先欄のほかの{ recipients }分が、メールソフトからまだ届いていません
recipients-outside = { recipients }（うち社外{ $outside }名）
no-subject = （件名なし）
null-sender = （なし）
internal = 社内
bcc-mark = （Bcc）
group = { $name }（{ $count }名）
heading-why = 理由
heading-who = 誰に誰のアドレスが見えるか
heading-next = このあと
heading-commands = できること
heading-hits = 見えてはならないアドレスがあった場所
heading-saw = 受け取った人に見えるもの
heading-got = 送信先
heading-gets = 送信される宛先
heading-undelivered = 配信できていない宛先
in-place-of = 差出人（{ $sender }）に通知できないため、代わりにお送りしています。

# To the sender: held
held-subject = 【保留】{ $subject }
held-lead = まだ送信していません。{ $risk }。
held-some-reason = 送信前に確認が必要なメールです
held-next =
    { $deciders } が判断します。
    1通ずつ個別に送る（互いのアドレスは見えません）か、
    差出人に差し戻すかのどちらかになります。操作は必要ありません。
held-next-yourself =
    1通ずつ個別に送れば、互いのアドレスは見えません。
    承認は不要で、今すぐご自身で送信できます。
    互いのアドレスを見せる必要がある場合は、{ $deciders } の承認が必要です。
held-next-yourself-risk =
    承認なしで、今すぐご自身で1通ずつ個別に送信できます。
    個別送信では防げない理由については、送信前に確認していただきます。
    元のまま送る場合は、{ $deciders } の承認が必要です。
held-next-no-copies =
    上の理由は個別に送っても防げないため、個別には送信できません。
    送信を取り消し、原因を除いて送り直してください。
    元のまま送る場合は、{ $deciders } の承認が必要です。
held-next-others = { $deciders } が判断します。操作は必要ありません。
held-ends = { $expires }までに判断がない場合は、送信せずに差し戻します。
the-administrator = メールシステムの管理者
button-split = 個別に送信する
button-split-hint = 宛先ごとに別々のメールになり、ほかの人のアドレスは見えません。
button-take-back = 送信を取り消す
button-take-back-hint = 誰にも送信しません。24時間以内なら元に戻せます。
button-as-is = 元のまま送る承認を申請する
button-as-is-hint = 理由を書いて申請します。承認者が判断します。
button-now = 今すぐ個別に送信する
button-now-hint = 宛先ごとに別々のメールとしてすぐに送信され、ほかの人のアドレスは見えません。
button-know = 宛先は互いに知り合い：元のまま送る承認を申請する
button-know-hint = 理由を書いて申請します。メールは保留され、承認者が判断します。
button-again = 全員に見える形で送り直す承認を申請する
button-again-hint = 理由を書いて申請します。承認者が判断します。承認されると、全員にもう一度、互いのアドレスが見える形で届きます。
button-undo = 取り消しを元に戻す
button-undo-hint = 取り消す前の状態に戻ります。
button-view = 内容を確認して判断する
button-view-hint = ログインが必要です。
expiring-subject = 【保留中】{ $subject }
expiring-lead = まだ誰も判断していません。{ $expires }に、送信せずに差し戻します。

# To the sender: it leaves later, taken back
waits-subject = 【送信待ち】{ $subject }
waits-lead = { $leaves }に送信します。それまでは取り消せます。
waits-individually = 宛先どうしのアドレスが見えないように送信されます。
waits-ask = 送信を止めたい場合は、{ $admin } にご連絡ください。
taken-subject = 【取り消し】{ $subject }
taken-lead = メールの送信を取り消しました。このメールは送信されません。

# To those who decide
approve-subject = 【承認待ち】{ $subject }
approve-lead = 判断を待っているメールがあります。
figure-people = 宛先
approve-risk = { $risk }。
approve-sum = 1人につき、ほかの{ $others }名のアドレスが見えます（延べ{ $count }件）。
figure-organisations = 組織
figure-disclosures = 見えるアドレス（延べ）
approve-waits =
    まだ誰にも送信していません。
    { $expires }までに判断がない場合は、差出人に差し戻します。
approve-again =
    宛先の全員に、互いのアドレスが見えない形で個別に送信済みです。
    承認すると、同じメールがもう一度、全員のアドレスが見える形で届きます。
    { $expires }までに判断がない場合は送り直さず、差出人に知らせます。
again-before = 先に個別に送信した分には、影響しません。
approve-deputy =
    承認者が不在のため、代わりに判断をお願いしています。まだ誰にも送信していません。
    { $expires }までに判断がない場合は、差出人に差し戻します。
approve-escalated =
    承認者からまだ回答がありません。まだ誰にも送信していません。
    { $expires }までに判断がない場合は、差出人に差し戻します。
approve-expiring =
    まだ誰も判断していません。
    { $expires }に、送信せずに差出人へ差し戻します。
approve-exposed = このまま送ると、社外の{ people }に互いのアドレスが見えます。
escalated-subject = 【判断が必要です】{ $subject }
expiring-approver-subject = 【期限間近】{ $subject }
as-is-subject = 【承認申請】元のまま送信：{ $subject }
as-is-lead = { $sender } が、元のまま送る承認を申請しています。
command-show = 内容と、送信される各メールを確認する：
command-split = 1通ずつ個別に送る：
command-bcc = 宛先を伏せて送る：
command-as-is = 元のまま送る（全員のアドレスが互いに見えます）：
command-as-is-unsafe = 問題を承知のうえで、元のまま送る：
command-return = 差出人に差し戻す：
command-reason = 差し戻しの理由

# To those who decide: all that waits
digest-subject = 【承認待ち】{ $count }件のメールが判断を待っています
digest-lead = { $count }件のメールが、あなたの判断を待っています。
digest-more = ほかに{ $count }件あります。
digest-deputy = 承認者が不在のため、代わりにお知らせしています
digest-until = 期限 { $expires }
label-note = 備考

# To the sender: sent individually
split-subject = 【個別送信】{ $subject }
split-lead =
    メールを{ recipients }に1通ずつ個別に送信しました。
    互いのアドレスは見えません。
has-left = 送信は済んでいます。操作は必要ありません。
split-saw-outside = 社外の{ people }：自分だけが宛先のメールを受け取ります。
split-saw-colleagues = Cc には元のとおり社内の次の人が表示されます：{ $colleagues }
split-saw-inside = 社内の{ people }：宛先欄には社内の人だけが表示されます。
bcc-lead =
    メールを、宛先を伏せて{ recipients }に送信しました。
    互いのアドレスは見えません。

# To the sender: somebody else let it go
released-subject = 【送信承認】{ $subject }
released-lead = { $by } が送信を承認しました。これから送信します。
released-split =
    1通ずつ個別に送信します。
    互いのアドレスは見えません。
released-bcc =
    宛先を伏せて送信します。
    互いのアドレスは見えません。
released-as-is = 元のとおりの宛先で送信します。宛先には互いのアドレスが見えます。
heading-dropped = 承認者が外した宛先（送信しません）

# To the sender: returned, expired
returned-subject = 【差し戻し】{ $subject }
returned-lead = { $by } が差し戻しました。送信していません。
returned-reason = 差し戻しの理由：
returned-next =
    送信が必要な場合は、アドレスを Bcc に入れるか、
    宛先を減らして送り直してください。
returned-next-file = 送信が必要な場合は、添付ファイルを確認し、送ってはいけないものを外して送り直してください。
returned-next-invitation = 送信が必要な場合は、招待状の参加者を社内だけにするか、相手ごとに別々の招待状を送ってください。
returned-next-address = 送信が必要な場合は、宛先のアドレスを1件ずつ確認して送り直してください。
returned-next-unreadable = 送信が必要な場合は、宛先欄を入力し直した新しいメールで送り直してください。
returned-next-otherwise = 送信が必要な場合は、上の点を直して送り直してください。
returned-enclosed = お送りいただいたメールは、この通知に添付しています。
expired-subject = 【未送信】{ $subject }
expired-lead =
    { $expires }の期限までに判断がなかったため、
    メールは送信されませんでした。
partly-sent = 停止するまでに、{ $total }名のうち{ $left }名にはすでに送信していました。

# To the approvers: the second lock
stopped-subject = 【送信停止】{ $subject }
stopped-lead = 送信中のメールを停止しました。{ $total }通のうち{ $left }通はすでに送信済みです。
stopped-rest =
    見えてはならない人のアドレスが、送信するメールの中に見つかりました。
    未送信の分は保留しています。

# Reports (RFC 3464)
failure-subject = 【配信不能】{ $subject }
failure-lead = 宛先{ $total }名のうち{ recipients }に配信できませんでした。
failure-next =
    これらの宛先への再送は行いません。アドレスを確かめるか、
    別の方法で連絡してください。
delayed-subject = 【配信遅延】{ $subject }
delayed-lead = 宛先{ $total }名のうち{ recipients }にまだ配信できていません。
delayed-next =
    自動で再送を続けます。操作は必要ありません。
    もう一度送信しないでください。
no-answer = メールサーバーから応答がありません

# Why a mail server refused (RFC 3463)
bounce-reply = 詳細：{ $reply }
bounce-no-address = 宛先のアドレスが存在しません
bounce-bad-address = 宛先のアドレスの書式が正しくありません
bounce-no-host = 宛先のメールサーバーが見つかりません
bounce-sender = 差出人のアドレスが受け付けられませんでした
bounce-disabled = 宛先のメールボックスは現在使用できません
bounce-full = 宛先のメールボックスがいっぱいです
bounce-too-large = メールのサイズが大きすぎます
bounce-no-answer = 相手のメールサーバーに接続できません
bounce-expired = 期限までに配信できませんでした
bounce-content = 相手のメールサーバーがメールの内容を受け付けませんでした
bounce-policy = 相手のメールサーバーの規則により拒否されました
bounce-later = 相手のメールサーバーが一時的に受け付けていません
bounce-refused = 相手のメールサーバーが受け取りを拒否しました

delivered-subject = 【送信済み】{ $subject }
delivered-lead = 宛先{ $total }名のうち{ recipients }分のメールを、相手のメールサーバーに引き渡しました。
delivered-next =
    相手のメールサーバーは、メールボックスに届いたかどうかを通知しません。
    このお知らせは、ご依頼に応じてお送りしています。

# Foot
foot = このメールは、送信中継システム Sekisho（{ $hostname }）が自動で送信しました。

# The journal's head
head-subject = { $host } の記録の末尾：{ $entry }
head-lead = { $host } の記録は、いま項目 { $entry } で終わっています。末尾の値：
head-keep = このメールは、リレーを操作する人が変更できない場所に保管してください。次のコマンドで、この項目までに書き換えや削除があったかどうかを、後からいつでも確かめられます。
head-end = このメールは1時間ごとに届きます。届かないこと自体も異常の知らせです。

# 承認者: メールからの判断、判断済みのお知らせ、問い合わせ先
button-approve-split = 個別に送信する
button-approve-split-hint = 宛先ごとに別々のメールになり、ほかの人のアドレスは見えません。次の画面で内容を確認できます。
button-give-back = 差し戻す
button-give-back-hint = 誰にも送信しません。次の画面で内容を確認し、理由を選びます。
button-view-settled = 内容を確認する
settled-subject = 【対応済み】{ $subject }
settled-split = { $by } が個別に送信しました。宛先どうしのアドレスは見えません。
settled-bcc = { $by } が社外の宛先を Bcc にして送信しました。宛先どうしのアドレスは見えません。
settled-as-is = { $by } が元のまま送信しました。宛先どうしのアドレスが見えます。
settled-returned = { $by } が差出人に差し戻しました。送信していません。
settled-taken-back = { $by } が送信を取り消しました。送信していません。
settled-expired = 期限までに判断がなかったため、差出人に戻しました。送信していません。
settled-nothing = 操作は必要ありません。
digest-settled-subject = 【対応済み】{ $count }件のメール
digest-settled-lead = 判断をお願いしていた{ $count }件のメールは、対応が済みました。操作は必要ありません。
digest-as-is = 差出人が、元のまま送る承認を申請しています。
digest-expiring = まもなく期限を過ぎ、差出人に戻されます
foot-contact = 困ったときは：{ $contact }

# チャット（Teams、Slack）
hook-held = メールが保留され、判断を待っています
hook-decided = 保留されていたメールは対応が済みました
hook-who-sender = 差出人は、誰にも確認せずに個別に送信できます。差出人が申請したとき、または操作しないときに、承認者にお知らせします。
hook-who-approver = 承認者の判断が必要です。
hook-recipients = 宛先{ $count }名
hook-deadline = { $at }（過ぎると送信せずに差出人に戻します）
hook-label-people = 宛先
hook-label-risks = 注意点
hook-label-deadline = 期限
hook-open = 内容を確認して判断する
hook-open-decided = 内容を確認する
