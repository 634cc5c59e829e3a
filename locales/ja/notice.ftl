## What the relay's mails to people say, in Japanese.

# Counting people
people = { $count } 名
recipients = { $count } 名
organisations = { $count } 組織
and-more = ほか { $count } 件

# Labels
label-subject = 件名
label-sender = 差出人
label-received = 受付日時
label-recipients = 宛先
label-reference = 受付番号
recipients-outside = { recipients }（うち社外 { $outside } 名）
no-subject = （件名なし）
null-sender = （なし）
internal = 社内
bcc-mark = （To・Cc にはありません）
heading-why = 理由
heading-who = 誰に誰のアドレスが見えるか
heading-next = このあと
heading-commands = できること
heading-hits = 見えてはならないアドレスがあった場所
heading-saw = 受け取った人に見えるもの
heading-failed = メールサーバーの応答
in-place-of = 差出人（{ $sender }）に通知できないため、代わりにお送りしています。

# To the sender: held
held-subject = 【保留】{ $subject }
held-lead = メールを保留しました。まだ誰にも送信していません。
held-who =
    このまま送ると、社外の { $people }（{ $organisations }）に
    互いのアドレスが見えます。
held-next =
    { $deciders } が判断します。
    一人ずつ個別に送る（互いのアドレスは見えません）か、
    差出人に差し戻すかのどちらかになります。操作は必要ありません。
    { $expires } までに判断がない場合は、送信せずに差し戻します。
the-administrator = メールシステムの管理者

# To the approvers: held
approve-subject = 【承認待ち】{ $subject }
approve-lead =
    判断を待っているメールがあります。まだ誰にも送信していません。
    { $expires } までに判断がない場合は、差出人に差し戻します。
approve-exposed = このまま送ると、社外の { people } に互いのアドレスが見えます。
command-show = 内容と、送信される各メールを確認する:
command-split = 一人ずつ個別に送る:
command-bcc = 宛先を伏せて送る:
command-as-is = このまま送る（全員に全員のアドレスが見えます）:
command-as-is-unsafe = 問題を承知のうえで、このまま送る:
command-return = 差出人に差し戻す:
command-reason = 差し戻しの理由

# To the sender: sent individually
split-subject = 【個別送信】{ $subject }
split-lead =
    互いのアドレスが見えないよう、{ recipients } に一人ずつ個別に
    送信しました。送信は済んでいます。操作は必要ありません。
split-saw-outside = 社外の { people }: 本人だけを宛先とするメールです。
split-saw-colleagues = その Cc には、書かれたとおり次の社内の人が載っています: { $colleagues }
split-saw-inside = 社内の { people }: 社内の人だけが載り、社外の人は載っていません。
bcc-lead =
    互いのアドレスが見えないよう、宛先を伏せて { recipients } に
    送信しました。送信は済んでいます。操作は必要ありません。

# To the sender: returned, expired
returned-subject = 【差し戻し】{ $subject }
returned-lead =
    メールは { $by } により差し戻されました。誰にも送信していません。
returned-reason = 理由: { $reason }
returned-next =
    送信が必要な場合は、アドレスを Bcc に入れるか、
    宛先を減らして送り直してください。
expired-subject = 【未送信】{ $subject }
expired-lead =
    期限（{ $expires }）までに判断がなかったため、
    メールは誰にも送信されませんでした。
partly-sent = 停止するまでに、{ $total } 件のうち { $left } 件はすでに送信されていました。

# To the approvers: the second lock
stopped-subject = 【送信停止】{ $subject }
stopped-lead =
    送信中のメールに、見えてはならない人のアドレスが見つかったため、
    送信を止めました。{ $total } 通のうち { $left } 通はすでに送信済みで、
    残りは保留しています。

# Reports (RFC 3464)
failure-subject = 【配信不能】{ $subject }
failure-lead = 宛先 { $total } 名のうち { recipients } に配信できませんでした。
failure-next =
    これらの宛先への再送は行いません。アドレスを確かめるか、
    別の方法で連絡してください。
delayed-subject = 【配信遅延】{ $subject }
delayed-lead = 宛先 { $total } 名のうち { recipients } にまだ配信できていません。
delayed-next =
    自動で再送を続けます。操作は必要ありません。
    もう一度送信しないでください。
no-answer = メールサーバーから応答がありません

# Foot
foot = このメールは { $hostname } の送信中継プログラム Sekisho が自動で送信しました。
