# ログインと、メールのリンク

code-mail-subject = Sekisho のログインコード: { $code }
code-mail-lead =
    メール承認デスクへのログインコードをお送りします。
    コードは、ログイン画面を開いたブラウザーで10分間有効です。
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
people-wrong = ユーザー名またはパスワードが正しくありません。
people-first = ログインの有効期限が切れています。操作は行っていません。ログインすると、元のページに戻ります。
people-still-in = ログアウトできませんでした。もう一度お試しください。
people-too-many = 試行回数が上限に達しました。1 時間ほど待ってからもう一度お試しになるか、管理者にご連絡ください。
people-down = 現在ログインできません。しばらくしてからもう一度お試しください。
people-off = このログイン方法は使用できません。
people-cookies = ブラウザーの Cookie が無効になっています。このページの Cookie を許可し、再読み込みしてからもう一度お試しください。
people-no-address = メールアドレスの形式が正しくありません。hanako@example.co.jp のように、@ より後ろも入力してください。
people-no-way = ログイン方法が設定されていません。管理者にご連絡ください。
people-code-title = メールで届くコードでログイン
people-code-lead = 会社のメールアドレスを入力してください。10分間有効なコードをお送りします。
people-address = メールアドレス
people-code-send = コードを送信
people-code-page-title = コードの入力
people-code-page-lead = このデスクを利用できるアドレスであれば、8桁のコードを記載したメールが届きます。10分以内に、このブラウザーで入力してください。
people-code-sent-to = 送信先: { $address }
people-code-field = コード
people-code-wrong = コードが正しくないか、有効期限が切れています。
people-code-tries = あと{ $count }回入力できます。
people-code-over = このコードは使用できなくなりました。コードをもう一度受け取ってください。
people-code-elsewhere = コードは、ログイン画面を開いたブラウザーで入力してください。このブラウザーでログインする場合は、コードをもう一度受け取ってください。
people-code-again = コードをもう一度受け取る
people-provider-title = 組織のアカウントでログイン
people-provider = { $name } でログイン
people-provider-away = 認証サービスに接続できません。しばらくしてからもう一度お試しください。
people-provider-refused = 認証サービスからの応答を確認できませんでした。このページからもう一度やり直してください。
people-provider-no-address = 認証は完了しましたが、このデスクを利用できるメールアドレスを確認できませんでした。管理者にご連絡ください。
people-provider-out = 認証サービスからもログアウトする
people-signed-out = ログアウトしました。
people-once-over = このリンクは使用済みか、有効期限が切れています。もう一度 `sekisho try` を実行してください。

# メールのリンク
link-title-split = 個別に送信
link-text-split = 受信者ごとに 1 通ずつ送信します。ほかの受信者のアドレスは表示されません。まだ送信していません。送信するには、ボタンを押してください。
link-button-split = 個別に送信する
link-title-take-back = メールの取り戻し
link-text-take-back = このメールは誰にも送信されなくなります。まだ取り戻していません。取り戻すには、ボタンを押してください。
link-button-take-back = 取り戻す
link-title-undo = 取り戻しの取り消し
link-text-undo = メールを、取り戻す前の状態に戻します。まだ戻していません。戻すには、ボタンを押してください。
link-button-undo = 元に戻す
link-title-ask = そのまま送信することの申請
link-text-ask = そのまま送信すると、受信者全員のアドレスが互いに見えます。送信するかどうかは、承認者が理由を確認して判断します。まだ申請していません。
link-button-ask = 承認者に申請する
link-title-view = メールの確認
link-text-view = メールのページで、送信した場合の影響を確認できます。
link-button-view = 開く
link-reason = 全員のアドレスを互いに見せてよい理由
link-recipients = 宛先
link-more = ほか { $count } 名
link-to-message = メールのページを開く
link-over-title = このメールは対応済みです
link-over-split = メールは個別に送信されました。ほかの受信者のアドレスは表示されていません。
link-over-bcc = メールは Bcc で送信されました。ほかの受信者のアドレスは表示されていません。
link-over-as-is = メールはそのまま送信されました。
link-over-taken-back = メールを取り戻しました。送信されていません。
link-over-returned = メールは送信者に差し戻されました。送信されていません。
link-over-expired = 期限までに判断がなかったため、メールは送信者に差し戻されました。
link-over-asked = 承認者に申請しました。判断があるまで、メールは保留されます。
link-over-done = このリンクは使用済みです。
link-over-by = 判断した人: { $by }（{ $at }）
link-nothing-title = このリンクは使用できません
link-nothing-text = リンクが途中で切れているか、有効期限が切れています。何も実行していません。ログインすると、ご自分のメールを確認できます。
link-not-done-title = 何も実行していません
link-not-allowed-text = この操作にはほかの人の承認が必要か、理由が入力されていません。メールは送信していません。
link-not-safe-text = このメールからは安全なコピーを作成できないため、送信していません。承認者が確認します。取り戻すこともできます。
link-later-text = 現在デスクが応答できません。メールは送信していません。しばらくしてから、もう一度リンクを開いてください。
