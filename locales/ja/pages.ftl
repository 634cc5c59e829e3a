## What the desk's pages say, in Japanese.

# Every page
desk-brand = Sekisho
desk-skip = 本文へ移動
desk-nav = メニュー
desk-nav-list = 保留中のメール
desk-nav-report = レポート
desk-logout = ログアウト
desk-foot = 宛先のアドレスがほかの宛先に見えてしまう事故を防ぎます
desk-error-mark = エラー: { $title }
desk-open-again = ページを開き直す
desk-printed = 印刷: { $at } { $who }
desk-back = 戻る
desk-to-list = 一覧へ戻る
desk-pages = ページ
desk-page-before = 前へ
desk-page-after = 次へ
desk-page-first = 最初へ

# Counting
desk-people = { $count } 名
desk-organisations = { $count } 組織
desk-span-moment = 1 分未満
desk-span-minutes = { $count } 分
desk-span-hours = { $count } 時間
desk-span-days = { $count } 日
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
desk-filter-whose = 対象
desk-filter-whose-all = 閲覧できるすべて
desk-filter-whose-mine = 自分のメール
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
desk-line-more = { $sender } → { $first } ほか { $more } 名
desk-line-expires = 差し戻しまで{ $until }
desk-choose = 選択: { $subject }
desk-choose-all = 表示中のすべてを選択
desk-chosen = （0 件選択中）
desk-bulk-split = 個別に送信…
desk-bulk-return = 差し戻す…

# Several at once
desk-bulk-title-split = 個別に送信
desk-bulk-title-return = 差し戻し
desk-bulk-ask-split = { $count } 件のメールを個別に送信しますか？（送信数 { $copies } 通）
desk-bulk-ask-return = { $count } 件のメールを差出人に差し戻しますか？（送信はされません）
desk-bulk-do-split = 個別に送信する
desk-bulk-do-return = 差し戻す
desk-bulk-done-split = { $count ->
    [0] 送信したメールはありません
   *[other] { $count } 件のメールを個別に送信しています（{ $copies } 通）
}
desk-bulk-done-return = { $count ->
    [0] 差し戻したメールはありません
   *[other] { $count } 件のメールを差し戻しました
}
desk-bulk-nothing = 対象のメールがありません
desk-bulk-nothing-text = この操作ができるメールは選択されていません。
desk-bulk-left = { $count } 件はそのままにしました
desk-left-released = すでに { $by } が送信しています
desk-left-returned = すでに { $by } が差し戻しています
desk-left-expired = 期限が切れています
desk-left-gone = すでに存在しません
desk-left-not-yours = ほかの人の判断が必要です

# One message
desk-head = このまま送ると、{ $organisations }の { $people }に互いのアドレスが見えます
desk-head-sum = アドレスの開示 { $count } 件
desk-head-audit = 隠すべき宛先 { $count } 件のアドレスが、ほかの人に見えてしまいます
desk-head-audit-sum = アドレスはメールの本文や添付の中にあるため、取り除くことができません。
desk-head-unreadable = このメールは正しく解析できません
desk-head-look = 宛先 { $count } 名のメールが確認を待っています
desk-about = このメールについて
desk-subject = 件名
desk-from = 差出人
desk-received = 受付日時
desk-expires = 差し戻し期限
desk-decide = どのように扱いますか？
desk-do-split = 個別に送信する
desk-do-split-text = 一人ずつ別々のメールで届きます。社外のほかの宛先は見えません。
desk-do-bcc = Bcc で送信する
desk-do-bcc-text = 全員に同じメールが届きます。社外の宛先は誰の名前も載りません。
desk-do-take-back = 取り消す
desk-do-take-back-text = 送信せずに、メールをお手元に戻します。
desk-do-as-is = このまま送信する…
desk-do-drop = 一部の宛先を除く…
desk-do-return = 差出人に差し戻す…
desk-note-audit = 宛先のアドレスがメールの中身に含まれているため、互いに見えないように送ることはできません。
desk-note-unreadable = メールを正しく解析できないため、安全な写しを作ることができません。
desk-note-own = ご自身のメールです。送信にはほかの人の承認が必要です。
desk-note-own-ask = ご自身のメールです。宛先どうしが見える形で送るには、ほかの人の承認が必要です。
desk-note-auditor = このメールの情報は閲覧できますが、判断する権限はありません。
desk-late = ほかの人が先に判断しました。今回の操作は行われていません。
desk-decided-split = { $by } が個別に送信しました（{ $at }）
desk-decided-bcc = { $by } が Bcc で送信しました（{ $at }）
desk-decided-as-is = { $by } がこのまま送信しました（{ $at }）
desk-decided-returned = { $by } が差し戻しました（{ $at }）
desk-decided-returned-because = { $by } が差し戻しました（{ $at }）: { $reason }
desk-decided-expired = 期限までに判断がなかったため、送信せずに差し戻しました（{ $at }）
desk-progress = { $total } 名のうち { $delivered } 名に配信しました。
desk-progress-failed = { $count } 名には配信できませんでした。
desk-recipients = 宛先 { $count } 名
desk-recipients-show = すべて表示（{ $count } 組織）
desk-ours = 社内
desk-provider = メールサービス
desk-hidden = To・Cc に記載なし
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
desk-files = 添付ファイル { $count } 件
desk-file-unnamed = 添付ファイル { $number }
desk-file-inline = 本文に表示
desk-gets = 宛先ごとの見え方
desk-gets-ways = 送信方法
desk-gets-example = 例:
desk-gets-all = { $count } 名分を送信方法ごとに確認する
desk-gets-range = { $total } 名中 { $first }–{ $last }
desk-before = 元のメール
desk-before-all = 元のメール（全員共通）
desk-after = 届くメール
desk-after-split = 個別に送信した場合
desk-after-none = 届きません
desk-tab-split = 個別に送信
desk-tab-bcc = Bcc で送信
desk-tab-as-is = このまま送信
desk-tab-text-split = 一人ずつ別々のメールで届きます。社外のほかの宛先は見えません。
desk-tab-text-bcc = 全員に同じメールが届きます。社外の宛先は誰の名前も載りません。
desk-tab-text-as-is = To と Cc の全員に、互いのアドレスが見えます。
desk-changed = ほかに { $count } 行が異なります
desk-line-lacks = 削除:{" "}
desk-line-has = 追加:{" "}
desk-why = 保留の理由
desk-hits = アドレスが見つかった場所（{ $count } 件）
desk-asked = 判断を依頼した人
desk-asked-nobody = 指定なし（管理者が判断します）
desk-timeline = これまでの経過

# Sending as it is, leaving out, returning
desk-as-is-title = このまま送信しますか？
desk-as-is-places = 隠すべきアドレスがある場所を、それぞれ確認してください
desk-as-is-sure = 全員にアドレスが見えること、取り消しができないことを理解しています。
desk-as-is-do = このまま送信する
desk-drop-title = 一部の宛先を除いて送信
desk-drop-text = 選んだ宛先には送信されません。To と Cc からも取り除かれます。
desk-drop-whom = 除く宛先
desk-drop-split = ほかの宛先に個別に送信する
desk-drop-bcc = ほかの宛先に Bcc で送信する
desk-return-title = 差出人に差し戻しますか？
desk-return-text = メールは送信されません。差出人に理由が通知されます。
desk-return-reason = 理由（任意）
desk-return-reason-help = 差出人が次にすべきことがわかるように、一文でお書きください。
desk-return-do = 差し戻す

# What did not work out
desk-gone-title = ページが見つかりません
desk-gone-text = ページがないか、閲覧する権限がないか、保存期間が過ぎています。
desk-nothing-done = 操作は行っていません
desk-not-yours-title = ほかの人の判断が必要です
desk-not-yours-text = 操作は行っていません。このメールにこの操作を行う権限がありません。
desk-audit-title = 隠すべきアドレスが見えてしまいます
desk-audit-text = 次の場所にあるアドレスは取り除くことができません:
desk-unacknowledged-text = 次の場所をすべて確認する必要があります:
desk-unreadable-title = 宛先欄の書式が壊れているため、安全に分けて送れません
desk-unreadable-text = 元のまま送信するか、差し戻すかを選んでください。
desk-no-recipient-text = { $address } はこのメールの宛先ではありません。
desk-no-circle-text = 共有グループには名前と2名以上のメンバー、2年以内の期限が必要です。
desk-too-late-text = すでに送信されたため、取り消せません。
desk-nothing-to-undo-text = 元に戻せる操作がないか、24 時間を過ぎています。
desk-nobody-left-text = すべての宛先が除かれています。送らない場合は差し戻してください。
desk-unavailable-title = ただいま応答できません
desk-unavailable-text = データは失われていません。しばらくしてからもう一度お試しください。
desk-bad-form-text = 入力が足りません。前のページに戻って、もう一度お試しください。
desk-turned-crossed = ほかのサイトから送られた操作です。ご自分の操作であれば、ページを開き直してやり直してください。
desk-turned-old = 画面を開いてから時間がたったか、別のログインの画面です。ページを開き直して、もう一度操作してください。
desk-turned-large = 一度に送れる量を超えています。減らしてからやり直してください。
desk-turned-slow = 送信に時間がかかりすぎました。もう一度お試しください。

# Timeline
desk-action-pass = 元のまま送信
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
desk-way-as-is = このまま
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
desk-notice-asked-as-is = このままの送信の依頼
desk-notice-expiring = まもなく期限切れ
desk-notice-expiring-approvers = 期限が近いことの通知（判断する人へ）
desk-notice-escalated = ほかの人への判断の依頼
desk-notice-delivered = 配信済み
desk-notice-released = 送信の承認
desk-event-accepted = { $client } から受け付けました（宛先 { $count } 名、{ $action }）
desk-event-attempts = { $first }{ $more ->
    [0] {""}
   *[other] {" "}ほか { $more } 名
}: { $state }
desk-event-attempt = { $first }{ $more ->
    [0] {""}
   *[other] {" "}ほか { $more } 名
}: { $state } – { $reply }
desk-event-released = { $by } が{ $how }送信しました{ $dropped ->
    [0] {""}
   *[other] （宛先 { $dropped } 名を除外）
}
desk-event-returned = { $by } が差し戻しました
desk-event-returned-because = { $by } が差し戻しました: { $reason }
desk-event-expired = 期限までに判断がなかったため、差し戻しました
desk-event-noticed = 通知を送信しました: { $kind }
desk-event-queue = { $by } が { $count } 件の配信を{ $verb }しました
desk-event-accepted-would = { $accepted }（{ $would }）
desk-event-stopped = 隠すべきアドレスが見つかったため送信を止めました（{ $total } 件のうち { $left } 件は送信済み）
desk-event-asked = { $by } がこのままの送信を希望しています: { $reason }
desk-event-repeated = 同じメールが { $count } 名分もう一度届いたため、配信しませんでした
desk-event-namesake = 別のメール { $of } と同じ Message-ID が付いています
desk-event-taken-back = { $by } が取り消しました
desk-event-undone = { $by } が取り消しを元に戻しました
desk-event-joined = 別に届いた分を { $item } にまとめました

desk-and-more = ほか { $count } 件

# A message's timeline
desk-reference = 受付番号
desk-trace-held = 保留の詳細を見る
desk-trace-copies = 送信メール { $count } 通
desk-trace-to = 宛先
desk-trace-would = 観察モードの判定
desk-trace-attempts = 試行回数
desk-trace-reply = サーバーの応答

# The report
desk-number = { $count }
desk-report-span = 期間
desk-report-yours = あなたが判断を依頼されたメールと、あなたが送って保留されたメールの集計です。
desk-report-held-all = 保留したメール
desk-report-more = 前の期間より{ $percent }%増（{ $before }）
desk-report-fewer = 前の期間より{ $percent }%減（{ $before }）
desk-report-same = 前の期間と同じ（{ $before }）
desk-report-days = { $count } 日間
desk-report-prevented = 見えずに済んだアドレス（延べ）
desk-report-passed = 元のまま送信
desk-report-apart = 自動で個別・Bcc 送信
desk-report-waiting = 現在の判断待ち
desk-report-released = 保留後に送信
desk-report-returned = 保留後に差し戻し
desk-report-median = 判断までの時間（中央値）
desk-report-most = 90%が{ $span }以内
desk-report-chart = 日ごとの保留と個別送信
desk-report-chart-label = 日ごとに保留したメールと個別に送信したメールの数。下の表に同じ数値があります。
desk-report-take = 表計算用（CSV）:
desk-report-csv-days = 日別
desk-report-csv-rules = ルール別
desk-report-csv-senders = 差出人別
desk-report-paces = 判断までの時間
desk-report-decider = 判断した人
desk-report-pace-hour = 1時間以内
desk-report-pace-half = 4時間以内
desk-report-pace-day = 1日以内
desk-report-pace-later = 1日を超える
desk-report-table = 表で見る
desk-report-day = 日付
desk-report-rules = 保留の多いルール
desk-report-unchanged = 元のまま送信
desk-report-unchanged-text = 「元のまま送信」の割合が高いルールは、保留しなくてよいメールまで止めている可能性があります。
desk-report-senders = 保留の多い差出人
desk-report-groups = 送信者のグループ別
desk-report-approvers = 判断の依頼先別
desk-report-held = 保留
desk-report-would = 運用モードだった場合の結果
desk-report-would-text = 現在は観察モード（mode = "observe"）です。判定して記録するだけで、すべてそのまま送信します。運用モード（mode = "enforce"）だった場合の結果を示します。
desk-report-would-prevented = 見えずに済んだはずのアドレス（延べ）
desk-report-would-messages = そのまま送信されなかったはずのメール
desk-report-would-senders = 差出人別
desk-held-trace = このメールの配信状況

# Circles
desk-nav-circles = 共有グループ
desk-circles-text = 登録した人どうしは、互いのアドレスが見えてよいものとして扱います。社外の宛先が全員同じグループなら、それを理由に保留しません。
desk-circles-none = 共有グループはまだありません
desk-circle-in-force = 有効
desk-circle-over = 期限切れ
desk-circle-ended = 終了
desk-circle-until = 期限
desk-circle-made = 作成
desk-circle-made-by = { $by }（{ $at }）
desk-circle-ended-by = { $by }（{ $at }）
desk-circle-members = メンバー { $count } 名
desk-circle-end = 今すぐ無効にする
desk-circle-new = 共有グループを作成
desk-circle-name = 名前
desk-circle-who = メンバー
desk-circle-who-help = 互いのアドレスが見えてよい社外の方を、1行に1アドレスずつ入力してください。
desk-circle-lasts = 有効期間
desk-circle-do = 共有グループを作成する
desk-circle-was-made = 「{ $name }」が有効になりました。
desk-circle-was-ended = 「{ $name }」を無効にしました。
desk-circle-no-address = 「{ $text }」はメールアドレスではありません。共有グループは作成していません。
desk-circle-not-yours = 共有グループの閲覧はできますが、作成や終了はできません。
desk-circle-gone = この共有グループは存在しないか、すでに無効です。
desk-circle-gone-title = 無効にする共有グループがありません
desk-remember = この宛先を共有グループとして登録する
desk-remember-text = 社外の { $count } 名は、期間中、互いのアドレスを見てもよいことになります。
