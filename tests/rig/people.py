"""Fictional people: names as they stand in Japanese address books, addresses at reserved domains.

`.example` (RFC 2606) and the `example` names under `.jp` belong to nobody. The free-mail and provider
domains in `PROVIDERS` are real, for the policy must know them as such: they are used in tests on the
loopback alone, and nothing is ever sent to them.
"""

import random

from tests.rig.clients import Person

FAMILY = "佐藤 鈴木 高橋 田中 伊藤 渡辺 山本 中村 小林 加藤 吉田 山田 佐々木 山口 松本 井上 木村 林 斎藤 清水".split()
FAMILY_LATIN = (
    "sato suzuki takahashi tanaka ito watanabe yamamoto nakamura kobayashi kato yoshida yamada sasaki "
    "yamaguchi matsumoto inoue kimura hayashi saito shimizu"
).split()
GIVEN = "花子 太郎 一郎 次郎 恵子 洋子 健一 誠 由美 美咲 翔太 大輔 直樹 智子 久美子 浩 明 さくら 結衣 蓮".split()
GIVEN_LATIN = (
    "hanako taro ichiro jiro keiko yoko kenichi makoto yumi misaki shota daisuke naoki tomoko kumiko hiroshi "
    "akira sakura yui ren"
).split()
RESERVED = [
    "example.jp",
    "example.or.jp",
    "example.ac.jp",
    "example.ne.jp",
    "city.example.lg.jp",
    "example.go.jp",
    "example.com",
    "example.net",
    "example.org",
    *(f"{name}.example" for name in (
        "aozora-shoji minato-press sakura-do kita-unyu hoshi-seisaku midori-en tsubame-net hikari-insatsu "
        "umibe-ryokan yama-kobo kawara-ban akari-denki fuji-shoten nishi-bunko higashi-clinic"
    ).split()),
]
PROVIDERS = "gmail.com yahoo.co.jp docomo.ne.jp ezweb.ne.jp softbank.ne.jp ocn.ne.jp nifty.com outlook.jp icloud.com".split()

SENDER = Person("総務課 佐藤花子", "hanako.sato@example.co.jp")


def strangers(count, seed=1, providers=False, plain_share=4):
    """`count` people with different addresses; every `plain_share`-th has no name."""
    dice = random.Random(f"strangers/{seed}")
    domains = RESERVED + (PROVIDERS if providers else [])
    people = []
    for n in range(count):
        f, g = dice.randrange(len(FAMILY)), dice.randrange(len(GIVEN))
        domain = domains[n % len(domains)]
        # The old carriers handed out local parts with dots in a row and at the end.
        dots = ".." if domain in ("docomo.ne.jp", "ezweb.ne.jp") and n % 3 == 0 else "."
        local = f"{GIVEN_LATIN[g]}{dots}{FAMILY_LATIN[f]}{n + 1}"
        name = "" if n % plain_share == plain_share - 1 else f"{FAMILY[f]} {GIVEN[g]}"
        people.append(Person(name, f"{local}@{domain}"))
    return people
