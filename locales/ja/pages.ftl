## What the desk's pages say, in Japanese.

# Every page
desk-brand = Sekisho
desk-skip = 本文へ移動
desk-nav = メニュー
desk-nav-list = 保留中のメール
desk-nav-report = レポート
desk-logout = サインアウト
desk-foot = Sekisho は、宛先のアドレスがほかの宛先に見えてしまう事故を防ぎます。
desk-back = 戻る
desk-to-list = 一覧へ戻る
desk-pages = ページ
desk-page-before = 前へ
desk-page-after = 次へ
desk-page-first = 最初へ

# Counting
desk-people = { $count }名
desk-organisations = { $count }組織
desk-span-moment = 1分未満
desk-span-minutes = { $count }分
desk-span-hours = { $count }時間
desk-span-days = { $count }日
desk-ago-moment = たった今
desk-ago = { $span }前
desk-until = あと { $span }
desk-until-over = まもなく

# The list
desk-list-title = 保留中のメール
desk-search = 検索
desk-search-hint = 件名・差出人・宛先
desk-search-do = 検索
desk-filter-state = 状態
desk-filter-whose = 表示するメール
desk-filter-whose-all = 担当分すべて
desk-filter-whose-mine = 自分が送ったメール
desk-filter-rule = 保留の理由
desk-filter-rule-all = すべてのルール
desk-state-held = 判断待ち
desk-state-released = 送信済み
desk-state-returned = 差し戻し
desk-state-expired = 期限切れ
desk-state-all = すべて
desk-none-title = 判断を待っているメールはありません
desk-none-text = メールが保留されると、判断されるまでここに表示されます。
desk-none-found = 条件に合うメールはありません
desk-no-subject = （件名なし）
desk-no-sender = （差出人なし）
desk-line-one = { $sender } → { $first }
desk-line-more = { $sender } → { $first } ほか{ $more }名
desk-line-expires = 差し戻しまで{ $until }
desk-choose = 「{ $subject }」を選択
desk-choose-all = 表示中のすべてを選択
desk-chosen = 0件を選択中
desk-bulk-split = 個別に送信…
desk-bulk-return = 差し戻す…
desk-bulk-take-back = 送信を取り消す…

# Several at once
desk-bulk-title-split = 個別に送信
desk-bulk-title-return = 差し戻し
desk-bulk-ask-split = { $count }件のメールを{ $copies }通に分けて個別に送信します
desk-bulk-ask-return = { $count }件を差出人に差し戻します（送信しません）
desk-bulk-ask-take-back = { $count }件の送信を取り消します（誰にも送信しません）
desk-bulk-do-split = 個別に送信する
desk-bulk-do-return = 差し戻す
desk-bulk-done-split = { $count ->
    [0] 送信したメールはありません
   *[other] { $count }件のメールを{ $copies }通に分けて個別に送信しました
}
desk-bulk-done-return = { $count ->
    [0] 差し戻したメールはありません
   *[other] { $count }件のメールを差し戻しました
}
desk-bulk-done-take-back = { $count ->
    [0] 取り消したメールはありません
   *[other] { $count }件のメールの送信を取り消しました
}
desk-bulk-undo = いまなら、それぞれのメールのページで元に戻せます。
desk-bulk-nothing = メールが選ばれていないか、まとめて処理できません
desk-bulk-nothing-text = 一覧でチェックを付けてから押してください。
desk-bulk-left = 次の{ $count }件は処理しませんでした
desk-left-released = すでに { $by } が送信しています
desk-left-returned = すでに { $by } が差し戻しています
desk-left-expired = 期限が切れています
desk-left-gone = すでに存在しません
desk-left-not-yours = ほかの人の判断が必要です
desk-left-risk = 個別送信では防げない危険があります（{ $risk }）。メールのページで確認してください

# One message
desk-head-sum = 1人につき、ほかの{ $others }名のアドレスが見えます（延べ{ $count }件）
desk-head-look = { $count }名に送るメールです。送信前に確認してください
desk-risk = { $said }（{ $cure }）
desk-risks = 確認が必要な点
desk-past-split = 個別に送信しました。宛先どうしのアドレスは見えていません
desk-past-bcc = Bcc で送信しました。宛先どうしのアドレスは見えていません
desk-past-as-is = 全員のアドレスが見える形で送信しました
desk-past-unchanged = 元のまま送信しました
desk-past-returned = 送信せずに差し戻しました
desk-past-taken-back = 送信を取り消しました。誰にも送信していません
desk-past-expired = 期限までに判断がなかったため、送信せずに差し戻しました
desk-soon-split = 個別に送信します。まだ取り消せます
desk-soon-bcc = Bcc で送信します。まだ取り消せます
desk-soon-as-is = 元のまま送信します。まだ取り消せます
desk-about = このメールについて
desk-subject = 件名
desk-from = 差出人
desk-received = 受付日時
desk-expires = 差し戻し期限
desk-decide = このメールをどうしますか？
desk-do-split = 個別に送信する
desk-do-split-text = 1通ずつ別々のメールで届きます。ほかの社外の宛先は表示されません。
desk-do-bcc = Bcc で送信する
desk-do-bcc-text = 全員に同じメールが届きます。社外の宛先は To・Cc に表示されません。
desk-do-take-back = 送信を取り消す
desk-do-take-back-text = 誰にも送信しません。24時間以内なら元に戻せます。
desk-do-as-is = 元のまま送信する…
desk-do-drop = 一部の宛先を除く…
desk-do-return = 差出人に差し戻す…
desk-do-return-text = 送信せずに、理由を添えて差出人に戻します。
desk-tick = 個別や Bcc で送っても残る点を、それぞれ確認してください
desk-tick-as-is = 元のまま送ると残る点を、それぞれ確認してください
desk-note-audit = 招待状や添付にアドレスが書かれているため、個別や Bcc でも隠せません。
desk-note-unreadable = 宛先欄の書式が壊れているため、個別のメールを安全に作れません。
desk-note-own = ご自身のメールです。送信にはほかの人の承認が必要です。
desk-note-own-ask = ご自身のメールです。宛先どうしが見える形で送るには、ほかの人の承認が必要です。
desk-note-auditor = このメールの情報は閲覧できますが、判断する権限はありません。
desk-late = すでに判断されています。今回の操作は行われていません。
desk-late-own = あなたが判断済みです。今回の操作は行われていません。
desk-decided-split = { $by } が個別に送信しました（{ $at }）
desk-decided-bcc = { $by } が Bcc で送信しました（{ $at }）
desk-decided-as-is = { $by } が元のまま送信しました（{ $at }）
desk-decided-returned = { $by } が差し戻しました（{ $at }）
desk-decided-returned-because = { $by } が差し戻しました（{ $at }）：{ $reason }
desk-decided-expired = 期限までに判断がなかったため、送信せずに差し戻しました（{ $at }）
desk-decided-taken-back = 差出人（{ $by }）が送信を取り消しました（{ $at }）
desk-decided-taken-back-for = { $by } が差出人に代わって送信を取り消しました（{ $at }）
desk-undo = 元に戻す
desk-undo-release = 送信を取り消して元に戻す
desk-undo-leaves = { $at } に送信します。それまでは取り消せます。
desk-undo-taken = 取り消しから24時間以内なら、元に戻して判断を待てます。
desk-undone = 元に戻しました。判断を待っています。
desk-progress = { $total }名中{ $delivered }名に送信済み
desk-progress-failed = { $count }名には配信できませんでした。
desk-recipients = 宛先{ $count }名
desk-recipients-show = { $count }名をすべて表示
desk-ours = 社内
desk-provider = メールサービス
desk-hidden = Bcc
desk-stand-new = 初めての宛先
desk-stand-new-list = 初めての宛先（メーリングリストの可能性）
desk-stand-written = 前回の送信: { $ago }
desk-stand-written-list = 前回の送信: { $ago }（メーリングリストの可能性）
desk-stand-look-alike = { $domain } によく似た別のドメインです
desk-message = メールの内容
desk-message-text = メールの本文
desk-message-closed = このメールの情報は閲覧できますが、内容は閲覧できません。
desk-message-large = サイズが大きいため、ここには表示できません。
desk-message-empty = 本文はありません。
desk-message-goes-on = 本文は途中まで表示しています。
desk-message-html = HTML で表示
desk-message-html-text = 画像・リンク・装飾は取り除いています。外部からは何も読み込みません。
desk-image = 画像
desk-files = 添付ファイル{ $count }件
desk-file-unnamed = 添付ファイル{ $number }
desk-file-inline = 本文中の画像
desk-gets = 宛先ごとの見え方
desk-gets-ways = 送信方法
desk-gets-example = 例:
desk-gets-all = { $count }名分を送信方法ごとに確認する
desk-gets-range = { $total }名中 { $first }–{ $last }
desk-before = 元のメール
desk-before-all = 元のメール（全員共通）
desk-after = 届くメール
desk-after-split = 個別に送信した場合
desk-after-none = 届きません
desk-tab-split = 個別に送信
desk-tab-bcc = Bcc で送信
desk-tab-as-is = 元のまま送信
desk-tab-text-split = 1通ずつ別々のメールで届きます。ほかの社外の宛先は表示されません。
desk-tab-text-bcc = 全員に同じメールが届きます。社外の宛先は To・Cc に表示されません。
desk-tab-text-as-is = To と Cc の全員に、互いのアドレスが見えます。
desk-changed = ほかに{ $count }行が異なります
desk-line-lacks = 削除:{" "}
desk-line-has = 追加:{" "}
desk-why = 保留の理由
desk-hits = アドレスが見つかった場所（{ $count }件）
desk-hit = { $address }（{ $place }）
desk-place-calendar = 招待状（予定表）の中
desk-asked = 判断する人
desk-asked-nobody = 指定なし（管理者が判断します）
desk-timeline = これまでの経過

# Sending as it is, leaving out, returning
desk-as-is-title = 元のまま送信しますか？
desk-as-is-places = 隠すべきアドレスがある場所を、それぞれ確認してください
desk-as-is-sure = 全員のアドレスが互いに見えること、送信後は取り消せないことを確認しました。
desk-as-is-sure-unchanged = 元のまま送信し、送信後は取り消せないことを確認しました。
desk-as-is-do = 元のまま送信する
desk-drop-title = 一部の宛先を除いて送信
desk-drop-text = 選んだ宛先には送信されません。To と Cc からも取り除かれます。
desk-drop-whom = 除く宛先
desk-drop-split = 残りの宛先に個別に送信する
desk-drop-bcc = 残りの宛先に Bcc で送信する
desk-return-title = 差出人に差し戻しますか？
desk-return-text = メールは送信されません。差出人に理由が通知されます。
desk-return-reason = 補足（任意）
desk-return-reason-help = 差出人が次に何をすればよいか書いてください。例：名簿を外して送り直してください
desk-canned = 理由
desk-canned-list = 名簿など、添付してはいけないファイルを外して送り直してください。
desk-canned-bcc = 宛先を Bcc に入れて送り直してください。
desk-canned-recipients = 宛先に誤りがないか確認して送り直してください。
desk-canned-none = 上のどれでもない（下に書く）
desk-return-do = 差し戻す

# What did not work out
desk-gone-title = ページが見つかりません
desk-gone-text = ページがないか、閲覧する権限がないか、保存期間が過ぎています。
desk-nothing-done = 操作は行われませんでした。
desk-not-yours-title = ほかの人の判断が必要です
desk-not-yours-text = 操作は行われませんでした。このメールにこの操作を行う権限がありません。
desk-audit-title = 隠すべきアドレスが見えてしまいます
desk-audit-text = 次の場所にあるアドレスは取り除くことができません:
desk-unacknowledged-text = 次の場所をすべて確認する必要があります:
desk-unreadable-title = 宛先欄の書式が壊れているため、安全に分けて送れません
desk-unreadable-text = 元のまま送信するか、差し戻すかを選んでください。
desk-no-recipient-text = { $address } はこのメールの宛先ではありません。
desk-no-circle-text = サークルには名前と2名以上のメンバー、2 年以内の期限が必要です。
desk-too-late-text = すでに送信されたため、取り消せません。
desk-nothing-to-undo-text = 元に戻せる操作がないか、時間が過ぎています。
desk-nobody-left-text = すべての宛先が除かれています。送らない場合は差し戻してください。
desk-nobody-dropped-text = 除く宛先を1件以上選んでください。
desk-unticked-title = 確認していない点があります
desk-unticked-text = 送信方法では防げない次の点に、それぞれチェックを付けてください：
desk-unavailable-title = ただいま応答できません
desk-unavailable-text = データは失われていません。しばらくしてからもう一度お試しください。
desk-bad-form-text = 入力が足りません。前のページに戻ってもう一度お試しください。

# Timeline
desk-action-pass = そのまま送信
desk-action-bcc = Bcc で送信
desk-action-split = 個別に送信
desk-action-delay = 遅延送信
desk-action-hold = 保留
desk-action-reject = 拒否
desk-action-own = システムからの通知
desk-would-pass = 運用モードでもそのまま送信
desk-would-bcc = 運用モードなら Bcc で送信
desk-would-split = 運用モードなら個別に送信
desk-would-delay = 運用モードなら遅延送信
desk-would-hold = 運用モードなら保留
desk-would-reject = 運用モードなら拒否
desk-delivery-ready = 送信待ち
desk-delivery-sending = 送信中
desk-delivery-delivered = 配信済み
desk-delivery-waiting = 再送待ち
desk-delivery-failed = 配信不能
desk-delivery-uncertain = 結果不明（再送します）
desk-delivery-paused = 一時停止
desk-delivery-dropped = 取り下げ
desk-way-split = 個別に
desk-way-bcc = Bcc で
desk-way-as-is = 元のまま
desk-verb-retry = 再送
desk-verb-drop = 取り下げ
desk-verb-pause = 一時停止
desk-verb-resume = 再開
desk-notice-held = 保留
desk-notice-held-approvers = 判断の依頼
desk-notice-split = 個別送信
desk-notice-returned = 差し戻し
desk-notice-expired = 期限切れ
desk-notice-failure = 配信不能
desk-notice-delayed = 配信遅延
desk-notice-stopped = 送信停止
desk-notice-waits = 送信待ち
desk-notice-taken-back = 取り消し
desk-notice-asked-as-is = 元のまま送る承認の申請
desk-notice-expiring = まもなく期限切れ
desk-notice-expiring-approvers = 期限が近いことの通知（承認者へ）
desk-notice-escalated = ほかの人への判断の依頼
desk-notice-delivered = 配信済み
desk-notice-released = 送信の承認
desk-event-accepted = 受け付けました：{ $action }（宛先{ $count }名、送信元 { $client }）
desk-event-attempts = { $first }{ $more ->
    [0] {""}
   *[other] {" "}ほか{ $more }名
}: { $state }
desk-event-attempt = { $first }{ $more ->
    [0] {""}
   *[other] {" "}ほか{ $more }名
}: { $state } – { $reply }
desk-event-released = { $by } が{ $how }送信しました{ $dropped ->
    [0] {""}
   *[other] （宛先{ $dropped }名を除外）
}
desk-event-returned = { $by } が差し戻しました
desk-event-returned-because = { $by } が差し戻しました：{ $reason }
desk-event-expired = 期限までに判断がなかったため、差し戻しました
desk-event-noticed = 通知を送信しました：{ $kind }
desk-event-queue = { $by } が{ $count }件の配信を{ $verb }しました
desk-event-accepted-would = { $accepted }（{ $would }）
desk-event-stopped = 隠すべきアドレスが見つかったため送信を止めました（{ $total }件のうち{ $left }件は送信済み）
desk-event-asked = { $by } が元のまま送る承認を申請しました：{ $reason }
desk-event-asked-again = { $by } が、全員に見える形で { $anew } として送り直す承認を申請しました
desk-event-again = 個別に送信済みの { $of } を、全員に見える形で送り直すために作成しました
desk-event-repeated = 同じメールが{ $count }名分もう一度届いたため、配信しませんでした
desk-event-namesake = 別のメール { $of } と同じ Message-ID が付いています
desk-event-taken-back = { $by } が送信を取り消しました
desk-event-undone = { $by } が元に戻しました
desk-event-learned = { $by } がアーカイブのメール{ $mails }通から学習させました（新しく分かったもの{ $learned }通）
desk-event-forgotten = { $by } が、学習した人の組{ $sets }件から1人を消しました
desk-event-joined = 別に届いた分を { $item } にまとめました

desk-and-more = ほか{ $count }件
desk-or =  または 

# A message's timeline
desk-reference = 受付番号
desk-trace-held = 保留の詳細を見る
desk-trace-copies = 送信メール{ $count }通
desk-trace-to = 宛先
desk-trace-again = 全員に見える形で送り直す
desk-trace-again-text = 受信者ごとに個別に送信済みです。承認者が認めると、同じメールがもう一度全員に届き、受信者全員のアドレスが互いに見えます。
desk-trace-again-do = 承認者に申請する
desk-trace-would = 観察モードの判定
desk-trace-attempts = 試行回数
desk-trace-reply = サーバーの応答

# The report
desk-number = { $count }
desk-report-span = 期間
desk-report-yours = あなたに判断が依頼されたメールと、あなた自身の保留されたメールについての数値です。
desk-report-days = { $count }日間
desk-report-prevented = 防いだアドレスの開示
desk-report-accepted = 受け付けたメール
desk-report-passed = そのまま送信
desk-report-known = うち、宛先同士が以前のメールで互いに見えていたもの
desk-report-apart = 自動で個別・Bcc 送信
desk-report-waiting = 現在の判断待ち
desk-report-released = 保留後に送信
desk-report-returned = 保留後に差し戻し
desk-report-median = 判断までの時間（中央値）
desk-report-most = 9 割が { $span }以内
desk-report-chart = 日ごとのメール数
desk-report-chart-label = 日ごとに受け付けたメールの数と判断の内訳。下の表に同じ数値があります。
desk-report-table = 表で見る
desk-report-day = 日付
desk-report-rules = ルール別
desk-report-groups = 送信者のグループ別
desk-report-approvers = 判断の依頼先別
desk-report-held = 保留
desk-report-would = 運用モードだった場合の結果
desk-report-would-text = 現在は観察モード（mode = "observe"）です。判定して記録するだけで、すべてそのまま送信します。運用モード（mode = "enforce"）だった場合の結果を示します。
desk-report-would-prevented = 防げたはずのアドレスの開示
desk-report-would-messages = そのまま送信されなかったはずのメール
desk-report-would-senders = 差出人別
desk-held-trace = このメールの配信状況

# Circles
desk-nav-circles = サークル
desk-circles-text = サークルのメンバーは、互いのアドレスを見てもよい方々です。社外の宛先がすべて同じサークルに入っているメールは、サークルを除外条件とするルールでは保留されません。
desk-circles-none = サークルはまだありません
desk-circle-in-force = 有効
desk-circle-over = 期限切れ
desk-circle-ended = 終了
desk-circle-until = 期限
desk-circle-made = 作成
desk-circle-made-by = { $by }（{ $at }）
desk-circle-ended-by = { $by }（{ $at }）
desk-circle-members = メンバー { $count }名
desk-circle-end = このサークルを終了する
desk-circle-new = サークルを作成
desk-circle-name = 名前
desk-circle-who = メンバー
desk-circle-who-help = 互いのアドレスを見てもよい社外の方を、1行に 1アドレスずつ入力してください。
desk-circle-lasts = 有効期間
desk-circle-do = サークルを作成する
desk-circle-was-made = 「{ $name }」が有効になりました。
desk-circle-was-ended = 「{ $name }」を終了しました。
desk-circle-no-address = 「{ $text }」はメールアドレスではありません。サークルは作成されませんでした。
desk-circle-not-yours = サークルの閲覧はできますが、作成や終了はできません。
desk-circle-gone = このサークルは存在しないか、すでに有効ではありません。
desk-circle-gone-title = 終了するサークルがありません
desk-knows = 面識
desk-knows-each = 社外の{ $count }名それぞれ
desk-knows-some = ほかの{ $others }名のうち{ $count }名と互いに見えています（{ $since }から）
desk-knows-nobody = ほかの宛先と同じメールに載った記録はありません
desk-offer = この方々への、互いに見える形での送信は{ $count }回許可されています。サークルにすると、{ $until }まで確認は不要になります。
desk-offer-do = このサークルを作成する
desk-remember = この宛先をサークルとして登録する
desk-remember-text = 社外の{ $count }名は、期間中、互いのアドレスを見てもよいことになります。
