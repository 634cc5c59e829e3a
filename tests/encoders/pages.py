"""HTML as programs and people write it: what a browser shows is the address."""

import base64
import html
import html.entities
import urllib.parse

from tests.encoders.registry import Document, encoder
from tests.encoders.texts import UTF8, text
from tests.encoders.words import cut, sentence, wide, words

# Every name of every sign of an address, and the names of what takes no room.
NAMES = {}
for _name, _sign in html.entities.html5.items():
    NAMES.setdefault(_sign, []).append(f"&{_name}")
EMPTY = [
    name
    for sign in "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063"
    for name in NAMES.get(sign, [])
    if name.endswith(";")
]
BLANK = [name for sign in "\t\n\u00a0\u2002\u2003\u2009<>(:,;" for name in NAMES[sign] if name.endswith(";")]


def page(body, rng, head=""):
    """A page with this body, as text/html."""
    frame = rng.choice(
        [
            "{}",
            "<html><head>{h}</head><body>{}</body></html>",
            "<!DOCTYPE html><html><head><title>x</title>{h}</head><body><div>{}</div></body></html>",
        ]
    )
    return text(
        frame.replace("{h}", head).replace("{}", f"<p>{html.escape(words(rng))}</p>{body}<p>{html.escape(words(rng))}</p>"),
        "text/html",
        rng.choice(["", "page.html"]),
    )


def reference(letter, rng):
    """One of the ways to write a letter as a reference."""
    code = ord(letter)
    forms = [f"&#{code};", f"&#x{code:x};", f"&#X{code:X};", f"&#{code:07d};", f"&#x{code:06x};", *NAMES.get(letter, [])]
    return rng.choice(forms)


@encoder("html")
def escaped_html(address, rng):
    return page(f"<p>{html.escape(sentence(address, rng))}</p>", rng)


@encoder("html")
def references(address, rng):
    """Numbers and names for some or all letters; the blank before it may be one, too."""
    share = rng.choice([0.2, 0.5, 1])
    hidden = "".join(reference(c, rng) if rng.random() < share or not (c.isalnum() or c in ".@-_+") else c for c in address)
    return page(f"<p>x{rng.choice(BLANK)}{hidden}{rng.choice(BLANK)}y</p>", rng)


@encoder("html")
def references_without_semicolon(address, rng):
    """`&#64x`: a browser takes the number to its last digit, so hexadecimal needs no letter a to f after it."""
    out = ""
    for c, after in zip(address, address[1:] + " "):
        out += f"&#{ord(c)}" if rng.random() < 0.5 and not after.isdigit() else html.escape(c)
    return page(f"<p>{html.escape(words(rng))} {out} </p>", rng)


@encoder("html")
def empty_references(address, rng):
    """Soft hyphens and zero-width signs, by their names."""
    return page(f"<td>{rng.choice(EMPTY).join(map(html.escape, cut(address, rng)))}</td>", rng)


@encoder("html")
def tags_inside(address, rng):
    between = lambda: rng.choice(
        [
            "<wbr>",
            "<b>",
            "</b>",
            "<span class='a>b'>",
            "</span>",
            "<font color=red>",
            "<a name=x>",
            "<i/>",
            "<o:p></o:p>",
            "<img src=x alt=''>",
            "<wbr\n/>",
            '<strong title="x > y">',
            "<?pi x?>",
            "<sub></sub>",
        ]
    )
    return page("<div>" + "".join(html.escape(piece) + between() for piece in cut(address, rng, 4)) + "</div>", rng)


@encoder("html")
def comments_inside(address, rng):
    between = lambda: rng.choice(
        [
            "<!-- x -->",
            "<!---->",
            "<!-->",
            "<!--->",
            "<!-- a > b -->",
            "<!-- - -- -->",
            "<!-- <b> --!>",
            "<!x>",
            "</ >",
            "<![CDATA[x]]>",
            "<!--\n\n-->",
        ]
    )
    return page(
        "<p>" + "".join(html.escape(piece) + between() for piece in cut(address, rng)) + "</p>",
        rng,
    )


@encoder("html")
def elements_inside(address, rng):
    """What a browser does not show: styles, scripts, templates and the like."""
    between = rng.choice(
        [
            "<style>p { color: red }</style>",
            "<script>var a = '<b>';</script>",
            "<STYLE type=text/css><!-- x --></STYLE >",
            "<script>//</script\n>",
            "<template>x</template>",
            "<noscript></noscript>",
        ]
    )
    return page(f"<p>{between.join(map(html.escape, cut(address, rng, 2)))}</p>", rng)


@encoder("html")
def conditional(address, rng):
    """Word shows what stands in `[if mso]`; others what stands in `[if !mso]`."""
    a, b = cut(address, rng, 1)
    a, b = html.escape(a), html.escape(b)
    whole = html.escape(sentence(address, rng, breaks=False))
    body = rng.choice(
        [
            f"<!--[if mso]><p>{whole}</p><![endif]-->",
            f"<!--[if gte mso 9]><xml><x>{a}</x></xml><![endif]--><p>{a}<!--[if !mso]><!-->{b}<!--<![endif]--></p>",
            f"<p>{a}<![if !mso]>{b}<![endif]></p>",
            f"<!--[if mso]><p>{a}<b>{b}</b></p><![endif]-->",
            f"<p>{a}<!--[if mso]>{b}<![endif]--><!--[if !mso]><!-->x<!--<![endif]--></p>",
            f"<!--[if (gte mso 9)|(IE)]><td>{a}{reference(b[0], rng) if b[0] != '&' else '&'}{b[1:]}</td><![endif]-->",
        ]
    )
    return page(body, rng)


@encoder("html")
def attributes(address, rng):
    hidden = "".join(reference(c, rng) if rng.random() < 0.3 and c not in "&;" else html.escape(c) for c in address)
    return page(
        rng.choice(
            [
                f'<a href="mailto:{hidden}">x</a>',
                f"<a href='mailto:{html.escape(urllib.parse.quote(address))}?subject=x'>y</a>",
                f"<img alt='{hidden}'>",
                f'<td title="x {hidden}">',
                f"<input value={hidden}>",
                f'<a href="https://example.com/?to={urllib.parse.quote(address, safe="")}&amp;b">z</a>',
                f'<meta name="author" content="{hidden}">',
                f"<div data-to='{{&quot;m&quot;:&quot;{hidden}&quot;}}'></div>",
            ]
        ),
        rng,
    )


@encoder("html")
def stylesheet(address, rng):
    """Content that a style sheet brings: `\\40` for the sign, with the blank that ends the escape."""
    hidden = "".join(
        f"\\{ord(c):x} " if rng.random() < 0.3 else f"\\{ord(c):06x}" if rng.random() < 0.2 else ("\\" + c if c == "'" else c)
        for c in address
    )
    # A page without a head has its styles in the body.
    return page(f"<style>.m:after {{ content: '{hidden}' }}</style><i class=m></i>", rng)


@encoder("html")
def script(address, rng):
    """Written by a script: joined strings are beyond any search, escapes are not."""
    hidden = "".join(rng.choice([c, c, f"\\x{ord(c):02x}", f"\\u{ord(c):04x}"]) for c in address).replace("'", "\\'")
    return page(
        f"<script>document.write('{words(rng, 3, 'en')}{rng.choice([chr(92) + 'n', ' ', chr(92) + 't'])}{hidden}');</script>", rng
    )


@encoder("html")
def data_uri(address, rng):
    inner = rng.choice(
        [
            f"<p>{sentence(address, rng)}</p>",
            sentence(address, rng),
            f"<svg xmlns='http://www.w3.org/2000/svg'><text>{address}</text></svg>",
        ]
    )
    kind = rng.choice(["text/html", "text/plain", "image/svg+xml", "text/html;charset=utf-8"])
    if rng.random() < 0.6:
        link = f"data:{kind};base64,{base64.b64encode(inner.encode()).decode()}"
        if rng.random() < 0.4:
            link = link.replace("=", "&#61;").replace("+", rng.choice(["&#x2b;", "%2B"])).replace("/", "&#47;")
        if rng.random() < 0.3:
            link = link[:60] + rng.choice(["\n", "&#10;", " "]) + link[60:]
    else:
        link = f"data:{kind},{urllib.parse.quote(inner)}"
    return page(
        f'<{rng.choice(["iframe src", "a href", "img src", "object data"])}="{html.escape(link) if "&#" not in link else link}"></a>',
        rng,
    )


@encoder("html")
def svg(address, rng):
    letters = "".join(f"<tspan x='{9 * at}'>{html.escape(piece)}</tspan>" for at, piece in enumerate(cut(address, rng)))
    return text(f"<svg xmlns='http://www.w3.org/2000/svg'><text>{letters}</text></svg>", "image/svg+xml", "plan.svg", params=())


@encoder("html", bare=True)
def enriched(address, rng):
    """RFC 1896: text/enriched, whose marks a reader drops."""
    return text(f"<bold>{words(rng, 4, 'en')}</bold>\n\n" + "<italic>".join(cut(address, rng)) + "\n", "text/enriched")


@encoder("html")
def charset_in_page(address, rng):
    """The charset stands in the page alone."""
    charset = rng.choice(["shift_jis", "euc-jp", "iso-2022-jp", "gb18030", "big5", "euc-kr"])
    meta = rng.choice(
        [
            f"<meta charset={charset}>",
            f'<meta http-equiv="Content-Type" content="text/html; charset={charset}">',
            f"<META HTTP-EQUIV=content-type CONTENT='text/html;charset={charset.upper()}'>",
        ]
    )
    shown = f"<p>{wide(address, charset)}</p><p>{wide('tel 03')}</p>"
    body = f"<html><head>{meta}<title>{wide('abc')}</title></head><body>{shown}</body></html>"
    return Document(body.encode(charset), "text/html", (), rng.choice(["", "page.html"]))


@encoder("html")
def page_utf16(address, rng):
    charset = rng.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
    body = f"<html><body><p>{'<wbr>'.join(map(html.escape, cut(address, rng)))}</p></body></html>"
    mark = {"utf-16-le": "\ufeff", "utf-16-be": "\ufeff"}.get(charset, "")
    declared = {"utf-16": "utf-16", "utf-16-le": "utf-16le", "utf-16-be": "utf-16be", "utf-8-sig": "utf-8"}[charset]
    return Document((mark + body).encode(charset), "text/html", rng.choice([(), (("charset", declared),)]), "page.html")


@encoder("html")
def xhtml(address, rng):
    shown = "".join(reference(c, rng) if rng.random() < 0.3 else html.escape(c) for c in address)
    content = f'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body><p>{shown}</p></body></html>'
    return Document(content.encode(), "application/xhtml+xml", UTF8, "page.xhtml", content)
