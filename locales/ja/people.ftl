# ログインと、メールのリンク

code-mail-subject = Sekisho のログインコード: { $code }
code-mail-lead =
    メール承認デスクへのログインコードをお送りします。
    コードは、リクエストしたブラウザーで 10 分間有効です。
code-mail-link = 同じブラウザーで次のリンクを開くと、コードが自動的に入力されます。
code-mail-end =
    このコードは、ほかの人に知らせないでください。
    お心当たりのない場合は、何もしていただく必要はありません。

# ログイン
people-login-title = ログイン
people-password-title = ユーザー名とパスワードでログイン
people-user = ユーザー名
people-password = パスワード
people-sign-in = ログイン
people-wrong = ユーザー名またはパスワードが正しくありません。ログインしていません。
people-too-many = 試行回数が上限に達しました。1 時間ほど待ってからもう一度お試しになるか、管理者にご連絡ください。
people-down = 現在ログインできません。しばらくしてからもう一度お試しください。
people-off = このログイン方法は使用できません。
people-cookies = ブラウザーの Cookie が無効になっています。このページの Cookie を許可し、再読み込みしてからもう一度お試しください。
people-no-address = メールアドレスの形式が正しくありません。hanako@example.co.jp のように省略せずに入力してください。
people-no-way = ログイン方法が設定されていません。管理者にご連絡ください。
people-code-title = メールで届くコードでログイン
people-code-lead = 勤務先のメールアドレスを入力してください。10 分間有効なコードをお送りします。
people-address = メールアドレス
people-code-send = コードを送信
people-code-page-title = コードの入力
people-code-page-lead = このデスクを利用できるアドレスであれば、8 桁のコードを記載したメールが届きます。10 分以内に、このブラウザーでコードを入力してください。
people-code-field = コード
people-code-wrong = コードが正しくないか、有効期限が切れています。5 回間違えた場合は、新しいコードが必要です。
people-code-again = 新しいコードを送信
people-provider-title = 組織のアカウントでログイン
people-provider = { $name } でログイン
people-provider-away = 認証サービスに接続できません。ログインしていません。しばらくしてからもう一度お試しください。
people-provider-refused = 認証サービスからの応答が正しくありません。ログインしていません。このページからもう一度やり直してください。
people-provider-no-address = 認証は完了しましたが、このデスクを利用できるメールアドレスを確認できませんでした。管理者にご連絡ください。
people-provider-out = 認証サービスからもログアウトする
people-signed-out = ログアウトしました。
people-once-over = このリンクは使用済みか、有効期限が切れています。もう一度 `sekisho try` を実行してください。

# メールのリンク
link-title-split = 個別に送信
link-text-split = 受信者ごとに1通ずつ送信します。ほかの社外の宛先は表示されません。まだ送信していません。送信するには、ボタンを押してください。
link-button-split = 個別に送信する
link-title-take-back = 送信の取り消し
link-text-take-back = このメールは誰にも送信されなくなります。まだ取り消していません。取り消すには、ボタンを押してください。
link-button-take-back = 送信を取り消す
link-title-undo = 取り消しを元に戻す
link-text-undo = メールを、取り消す前の状態に戻します。まだ戻していません。戻すには、ボタンを押してください。
link-button-undo = 元に戻す
link-title-ask = 元のまま送る承認の申請
link-text-ask = 元のまま送信すると、宛先全員のアドレスが互いに見えます。送信するかどうかは、承認者が理由を確認して判断します。まだ申請していません。
link-button-ask = 承認を申請する
link-title-again = 全員に見える形で送り直す承認の申請
link-text-again = このメールは、受信者ごとに個別に送信済みです。送り直すと、同じメールがもう一度全員に届き、受信者全員のアドレスが互いに見えます。送り直すかどうかは、承認者が理由を確認して判断します。まだ申請していません。
link-button-again = 承認を申請する
link-title-view = メールの確認
link-text-view = メールのページで、送信した場合の影響を確認できます。
link-button-view = 開く
link-reason = 全員のアドレスを互いに見せてよい理由
link-recipients = 宛先
link-more = ほか { $count } 名
link-to-message = メールのページを開く
link-did-asked = 元のまま送る承認を申請しました
link-did-undone = 元に戻しました。判断を待っています
link-did-undone-later = 元に戻しました。予定どおり送信します
link-did-split-soon = 個別に送信します（{ $count }通）
link-did-split = 個別に送信しました（{ $count }通）
link-did-bcc = Bcc で送信しました
link-did-as-is = 元のまま送信しました
link-did-taken-back = 送信を取り消しました
link-did-returned = 送信せずに差し戻しました
link-did-expired = 期限までに判断がなかったため、差し戻しました
link-did-waits = このメールは判断を待っています
link-next-asked = { $approvers } が判断します。それまでメールは送信されません。結果はメールでお知らせします。
link-next-asked-admin = 管理者が判断します。それまでメールは送信されません。結果はメールでお知らせします。
link-next-waits = まだ誰にも送信していません。届いた通知のボタンで、個別に送信する、取り消す、元のまま送る承認を申請することができます。
link-next-here = このページのボタンをもう一度使えます。ほかの操作は、届いた通知のボタンでできます。
link-next-later = それまでは、届いた通知のボタンで取り消せます。
link-next-split-soon = { $until } までは取り消せます。ほかの社外の宛先は表示されません。
link-next-undo = 誰にも送信していません。{ $until } までは元に戻せます。
link-next-again = 誰にも送信していません。必要な場合は、直して送り直してください。
link-next-done = 操作は必要ありません。
link-over-by = 判断した人：{ $by }（{ $at }）
link-did-again = 全員に見える形で送り直す承認を申請しました
link-next-asked-again = 承認者が判断します。それまで何も送信されません。結果はメールでお知らせします。
link-nothing-title = このリンクは使用できません
link-nothing-text = リンクが途中で切れているか、有効期限が切れています。何も実行していません。ログインすると、ご自分のメールを確認できます。
link-past-title = このメールの内容は残っていません
link-past-text = 保存期間が過ぎて内容が削除されたため、ここから送り直すことはできません。何も実行していません。お使いのメールソフトから、もう一度送信してください。
link-not-done-title = 何も実行していません
link-not-allowed-text = この操作にはほかの人の承認が必要か、理由が入力されていません。メールは送信していません。
link-not-safe-text = 個別のメールを安全に作れないため、送信していません。承認者が確認します。送信を取り消すこともできます。
link-later-text = 現在デスクが応答できません。メールは送信していません。しばらくしてから、もう一度リンクを開いてください。
