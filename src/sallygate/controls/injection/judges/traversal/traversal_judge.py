r"""Judge of path traversal and file inclusion: values that leave a directory, or name a file no client should ask for.

**Threat.** `../../etc/passwd` in any disguise (CWE-22, CWE-98; MITRE T1083): steps up, absolute names of system files,
wrappers that read or run (`php://filter`, `expect://`), network shares.

**Evidence.** `injection.traversal` with the rule: `climb-disguised`, `climb`, `climb-once`, `system-file`, `secret-file`,
`wrapper`, `share`.

**How.** Dots and separators are first read in every spelling that some decoder takes for them (overlong UTF-8, `%u2215`,
`0x2f`, half-broken percent signs), then steps up are counted. A step that had to be disguised is an attack by itself; a plain
one is judged by where it stands: web pages are full of `../img/x.png`, parameters that name a file are not.

**Known bypasses.** Names relative to where the application already stands (`config.php`) cannot be distinguished from honest
ones. Archives whose entries climb are for the guard on uploads.

**Cost.** Linear: one pass to normalise, one to count, a set of names looked up."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from itertools import islice

from msgspec import Struct

from sallygate.controls.injection.pipeline.evidence import ATTACK, CERTAIN, LIKELY, ODD, Evidence
from sallygate.controls.injection.pipeline.judge_interface import Judge
from sallygate.controls.injection.pipeline.literal_rules import lowered
from sallygate.controls.injection.pipeline.pattern_scans import possible

# Spellings of a dot and of a separator that survive, or are made by, decodings. The lists are the broken ones that servers
# were found to take: overlong forms with the wrong continuation bits, hexadecimal digits beyond f, private-use characters.
_DOT = (
    r"2e|uff0e|c0(?:%(?:25)*+[2-9a-f]e|\.)|e0%(?:25)*+80%(?:25)*+ae|f0(?:%(?:25)*+80){2}%(?:25)*+ae|"
    r"f8(?:%80){3}%ae|fc(?:%80){4}%ae|%(?:32%(?:%36)?%?65|c0%6e)"
)
_SLASH = (
    r"u221[56]|uefc8|uf025|c0%(?:25)*+(?:af|2f|5c|9v|qf)|c1%(?:25)*+(?:9c|1c|af|8s|pc)|bg%qf|"
    r"e0%(?:25)*+80%(?:25)*+af|f0(?:%(?:25)*+80){2}%(?:25)*+af|f8(?:%80){3}%af|fc(?:%80){4}%af|%(?:32%%?66|35%%?63)"
)
_DISGUISED = re.compile(
    rf"%(?:25)*+(?=[25ubcef]|%[3c])(?:({_DOT})|({_SLASH})|(2f|5c))|0x(?:(2e)|[25][fc])",
    re.IGNORECASE,
)
"""1 and 4 dots, 3 a separator encoded as usual, the rest separators."""
_MAYBE = re.compile(r"[%\u2024\u2044\u2215\u2216\uefc8\uf025\uff0e\uff0f\uff3c]|0x[25]", re.IGNORECASE)
_DOT_MARK, _SLASH_MARK = "\ue000", "\ue001"
"""Private-use characters that stand for a disguised dot and separator while steps are looked for."""

STEPS_MAX = 32
"""Steps up looked at one by one, besides the last."""
NEAR_CHARS = 64
"""After the last step up, the name it leads to begins."""
_D = r"[.\ue000]"
_S = r"[/\\\ue001]"
_AFTER_DOTS = rf"(?:;[a-z0-9=]{{0,16}}+|(?:%(?:0[0-9a-d]|20)|[\x01-\x1f]){{1,3}}+)?{_S}++"
_FROM_DOT = (
    rf"(?:{_D}{{1,3}}+{_AFTER_DOTS}|\?{_AFTER_DOTS}|(?:\x00|%00){_D}{_AFTER_DOTS}|\.(?:2f(?=[.a-z])|5c(?=[.a-z]))|"
    rf"{_S}++{_D}{_S}++(?={_D}))"
)
_FROM_SLASH = rf"{_D}{{2}}(?=$|[?#;%\x00\s\"'])"
_UP = re.compile(
    rf"\.{_FROM_DOT}|\ue000{_FROM_DOT}|\?[.?]{_AFTER_DOTS}|\u2026{_AFTER_DOTS}|/{_FROM_SLASH}|\\{_FROM_SLASH}|\ue001{_FROM_SLASH}"
)
_SEPARATED = re.compile(rf"{_D}[/\\]{{1,3}}+{_D}[/\\]")
"""`./\\/./`: filters that take out `../` once leave one behind."""

_PADDED = (re.compile(rf"{_D}(?:{_S}++{_D}){{11}}{_S}"), re.compile(r"[Aa](?<![Aa]{2})[Aa]{79,}+[/\\.]"))
"""`./././…` to fill a buffer that cuts an appended ending off."""

_TEXTUAL = (re.compile(r"[<>\n]"), re.compile(r"\{[^{}:;]*+[:;]"), re.compile(r" (?<=[a-z]{2} )[a-z]{2,}+ [a-z]{2}"))
"""Markup, code and prose, in which relative addresses are at home."""
_ASSET = re.compile(
    r"\.(?=[a-z])(?:png|jpe?g|gif|svg|webp|avif|ico|css|m?js|map|woff2?|ttf|eot|mp[34]|html?|scss|tsx?|jsx|vue)\b",
    re.IGNORECASE,
)


class _Context(Struct, frozen=True):
    """Names that say something below a directory that says where they are."""

    root: re.Pattern[str]
    """The directory and all that may be a path from there."""
    name: re.Pattern[str]
    """What is looked for in that path."""
    whole_segment: bool
    """Whether no space may stand before the name in its own segment."""


# All of them read lower-case text. A root is searched by its first characters, and what it took is not read again for it.
_PLACES = (
    # Unix: what every system has and no API serves.
    _Context(
        re.compile(r"[/\\]etc[/\\][a-z0-9._/\\-]*+"),
        re.compile(
            r"[/\\](?:(?:passwd|shadow|group|gshadow|hosts?|hostname|issue|motd|fstab|crontab|sudoers|"
            r"utmp|wtmp|netconfig|netgroup|limits|ssh|ftphosts|ftpusers|mailman|shells|securetty|rc[0-9.]|nsswitch|ld\.so|sysctl|"
            r"resolv|profile|bashrc|inittab|inetd|services|networks?|protocols|exports|aliases|environment|mtab|release)\b|"
            r"[a-z0-9_.-]+\.(?=[a-z])(?:conf|cnf|ini|cfg|d|allow|deny|equiv|pem|key|passwd|log|sh|rc|local|[a-z]{2,4}[0-9])\b)"
        ),
        False,
    ),
    _Context(
        re.compile(
            r"/(?:(?:var|opt|usr|root|private|boot|mnt|bin|sbin|dev)|(?<![a-z0-9_.-].)(?:home|srv|volumes|library|tmp))/[a-z0-9 ._+/-]*+"
        ),
        re.compile(
            r"(?:a(?:pache|dm|uthorized_keys)|passwd|shadow|_?logs?(?![a-z])|[._][a-z]{0,12}_?history|mysql|httpd|nginx|lampp|xampp|php|"
            r"ftp|cpanel|cron|spool|mail|saf|[uw]tmp|lastlog|messages|syslog|dmesg|secure|boot|config|"
            r"sites-(?:available|enabled)|id_[dr]sa|known_hosts|bashrc|cgi-bin)[a-z0-9_-]*+[./%\\]?"
        ),
        True,
    ),
    # Windows.
    _Context(
        re.compile(r":(?<=[a-z]:)(?<![a-z0-9][a-z]:)[/\\][a-z0-9 ._~()/\\-]*+"),
        re.compile(
            r"[/\\](?:boot\.ini|users[/\\](?:administrator|[a-z0-9 ._-]{1,40}[/\\](?:appdata|\.[a-z]))|win(?:dows)?|winnt|inetpub|system32|xampp|apache|php|mysql|"
            r"nginx|log(?:s|files)?|repair|sam|pagefile|autoexec|config|wwwroot|ftproot|opt|"
            r"[a-z0-9_-]++\.(?:ini|log|conf|cnf|sys|bat|inc))"
        ),
        False,
    ),
)
_TARGETS = (
    re.compile(
        r"/(?:proc|sys)/++(?:self|version|cmdline|mounts?|net|[0-9]++|cpuinfo|meminfo|stat|sched_debug|partitions|"
        r"interrupts|modules|filesystems|devices|ioports|swaps|kcore|config\.gz)\b"
    ),
    re.compile(r"boot\.ini(?<!\w.{8})", re.DOTALL),
    re.compile(r"win(?<!\w...)(?:\.ini|dows[/\\](?:win|system|repair|php|debug)|nt[/\\])", re.DOTALL),
    re.compile(r"system(?<!\w.{6})(?:32[/\\]|\.ini)", re.DOTALL),
    re.compile(r"unattend\.xml"),
    re.compile(r"web\.config"),
    re.compile(r"global\.asa"),
    re.compile(r"cmd\.exe"),
)
_WHOLE_TARGET = re.compile(
    r"/++(?:etc(?:/++[a-z0-9._-]{1,40}+){0,5}|proc|dev|sys|boot|root|(?:usr|var)/++(?:local|share|etc|lib(?!/++(?:python|node|jvm|ruby))|log|run|spool|www|lock|db|cache|adm|mail|backups?|crash|root)(?:/++[a-z0-9._-]++){0,3})/*+\Z"
)
_SECRET = re.compile(
    r"[/\\ \x00'\"=](?=[.a-z])(?:\.(?:ht(?:access|passwd)|bash(?:rc|_history|_profile)|cshrc|zshrc|kshrc|s?hosts|rhosts|profile|netrc|npmrc|pypirc|"
    r"pgpass|mysql_history|viminfo|ssh[/\\]|aws[/\\]|kube[/\\]|docker[/\\]|git[/\\](?:config|head|index|logs)|svn[/\\]|hg[/\\]|"
    r"env(?:\.(?:local|prod\w*|dev\w*|backup))?$|ds_store|vscode[/\\]|idea[/\\])|"
    r"wp-config\.(?:php|bak|txt|old)|id_(?:rsa|dsa|ecdsa|ed25519)\b|authorized_keys|web-inf[/\\]|meta-inf[/\\]|"
    r"(?:my|httpd|apache2?|nginx|php|proftpd?|vsftpd|pure-ftpd|smb|sshd_config|lighttpd)\.(?:cnf|conf|ini)\b|"
    r"(?:access|error)[_.]log\b|localsettings\.php|configuration\.php|settings\.py\b|config\.inc\.php|"
    r"(?:config|database|db|backup|dump|users|settings)\.(?:sql|inc|bak|old|zip)\b|database\.yml|secrets\.yml|credentials\.xml|master\.key|(?<=[/\\=\x00])(?<!\A/)(?:passwd\b|shadow)(?:$|\x00|%00))"
)
_COPY = re.compile(
    r"[/\\ \x00'\"=][a-z0-9_.-]{1,40}\.(?:php[0-9]?|aspx?|jsp|html?|conf|ini|xml|ya?ml|json|sql|zip|tar|gz|js|py|rb|pl|cgi)(?:\.(?:bak|old|orig|save|swp|tmp|backup|inc|txt|zip|gz|[0-9])|~)\Z"
)
COPY_CHARS = 64
"""At the end of a text, the name of a copy: one is 1 to 40 characters and two endings long."""
_SCHEMES = ("expect", "phar", "zip", "glob", "ssh2", "ogg", "rar", r"compress\.zlib", r"compress\.bzip2", "zlib", "netdoc", "jar:file", "jar:https?",
            "dict", "gopher", "ldap", "sftp", "tftp")  # fmt: skip
_WRAPPERS = (
    re.compile(r"php://(?<!\w.{6})(?:filter|std(?:in|out|err)|input|output|memory|temp|fd)", re.DOTALL),
    re.compile(
        r"://(?:"
        + "|".join(
            rf"(?<=\b{scheme}://)" for name in _SCHEMES for scheme in {name.replace("s?", ""), name.replace("?", "")}
        )
        + ")"
    ),
    re.compile(
        r"file:(?<!\w.{5})/{1,4}(?:[a-z]:|etc|proc|var|usr|home|root|c\||windows|tmp|opt|\.\.|%2f|/)", re.DOTALL
    ),
    re.compile(r"data:(?<!\w.{5})(?:text/plain|text/x-php|application/x-httpd-php|;base64)[;,]", re.DOTALL),
    re.compile(r"convert\.(?<!\w.{8})(?:iconv\.[a-z0-9_.-]|base64-(?:en|de)code|quoted-printable)", re.DOTALL),
    re.compile(r"string\.rot13"),
)
_SHARE = re.compile(
    r"\\\\(?<![^=\"' ]..)(?:localhost|[0-9a-f:.]{3,40}|[a-z0-9.-]++)\\(?:[a-z]\$|admin\$|ipc\$|share|[a-z0-9._$-]++\\)",
    re.DOTALL,
)

TRIGGERS = (
    r"\.\.[/\\]", r"\.\.2f[.a-z]", r"\.\.5c[.a-z]", r"\.\.;[/\\a-z]", r"[/\\]\.\.", r"\.\x00\.", r"%00\.", r"\.[/\\]{1,3}\.[/\\]", r"[.?]\?[/\\%]", r"\?\.[/\\%]", r"\?\?0x",
    r"\.\?0x", r"\?\.0x", r"\.\.[\x01-\x1f]{1,3}[/\\]", r"\.\.%(?:0[0-9a-d]|20)[/\\%]", r"%(?:25)?c[01](?:%|\.)", r"%(?:25)?u221[56]", r"%uefc8", r"%uf025",
    r"%uff0e", r"0x2e0x2e", r"0x[25][fce]", r"%%3[25]", r"%bg%qf", r"%(?:25)?e0%(?:25)?80", r"%f[08c](?:%80){2}", r"%%c0",
    r"\xe2\x88[\x95\x96]", r"\xef\xbf\x88", r"\xef\x80\xa5", r"\xe2\x80\xa6[/\\]", r"\xef\xbc\x8e",
    r"[/\\]etc[/\\]+[a-z]", r"/proc/+[a-z0-9]", r"/var/(?:log|adm|run|spool|www|lib|saf|mail|cpanel|backup)", r"/usr/(?:local|etc|lib|ports|pkg|share|apache|home|spool)",
    r"/(?:opt|home|root|volumes|srv|library|private|tmp|boot|mnt)/+(?:[a-z0-9 ._+-]+/+){0,3}[a-z0-9_.-]*(?:log|conf|php|apache|httpd|nginx|mysql|xampp|lampp|ftp|_rsa|history|rc)",
    r"[^a-z0-9][a-z]:[/\\]+(?:[a-z0-9 ._~()-]+[/\\]+)?(?:boot|win|inetpub|system|xampp|apache|php|mysql|nginx|users|program|document|log|repair|sam|pagefile|autoexec|config|opt)",
    r"boot\.ini", r"win\.ini", r"system32", r"system\.ini", r"windows[/\\]", r"winnt[/\\]", r"web\.config", r"global\.asax?", r"unattend\.xml",
    r"\.ht(?:access|passwd)", r"\.bash", r"\.[ckz]shrc", r"\.s?hosts", r"\.rhosts", r"\.netrc", r"\.npmrc", r"\.pgpass", r"_history", r"\.(?:ssh|aws|kube|svn|git|hg|docker)[/\\]",
    r"(?:\./){12}", r"(?:\.\\){12}", r"A{8}[/\\.]", r"[\x1e/\\= ]\.env", r"wp-config\.", r"id_(?:rsa|dsa|ecdsa|ed25519)", r"authorized_keys", r"(?:web|meta)-inf[/\\]", r"(?:my|httpd|apache2?|nginx|proftpd?|smb|sshd_config|lighttpd)\.(?:cnf|conf)",
    r"php\.ini", r"ftpd?\.(?:conf|ini)", r"(?:access|error)[_.]log", r"localsettings\.php", r"configuration\.php", r"settings\.py", r"config\.inc", r"database\.yml",
    r"cmd\.exe", r"\x1e/{0,3}(?:etc|proc|dev|sys|boot|root|usr|var)/", r"\x1e/{1,3}(?:etc|proc|dev|sys|boot|root)\x1e", r"\.(?:bak|old|orig|save|swp|sql|inc|tmp|backup)[\x1e.]", r"(?:php|asp|jsp)~",
    r"\\\\[0-9a-f:.]{3,40}\\", r"secrets\.yml", r"credentials\.xml", r"master\.key", r"passwd", r"shadow", r"/\.profile", r"/\.ds_store",
    r"php://", r"(?:expect|phar|zip|glob|ssh2|ogg|rar|zlib|bzip2|netdoc|dict|gopher|[st]ftp|ldap)://", r"jar:(?:file|http)", r"file:/", r"data:(?:text/plain|text/x-php|application/x-httpd|;base64)",
    r"convert\.(?:iconv|base64|quoted)", r"string\.rot13", r"\\\\[a-z0-9.-]+\\[a-z0-9]",
)  # fmt: skip


_possibly_up = possible((_UP, *_PADDED, _SEPARATED))
_NAMED_BELOW = (
    r"[/\\]etc[a-z0-9._/\\-]*",
    r"/(?:var|opt|usr|home|root|srv|private|volumes|library|tmp|boot|mnt|bin|sbin|dev)/[a-z0-9 ._+/-]*",
    r":[a-z0-9 ._~()/\\-]*",
)
"""Up to a name of each of `_PLACES`, of which the first character may be the last of the root."""
_possibly_named = possible(
    (
        *_TARGETS,
        *(re.compile(root + context.name.pattern) for root, context in zip(_NAMED_BELOW, _PLACES, strict=True)),
        _SECRET,
        *_WRAPPERS,
        _SHARE,
    )
)
_FIRST_LOCATION, _FIRST_WRAPPER = len(_TARGETS), len(_TARGETS) + len(_PLACES) + 1


class TraversalJudge(Judge):
    """Judge of paths that leave their directory and of wrappers."""

    name = "traversal"
    triggers = TRIGGERS
    cost = 1.25
    least = 224

    def judge(self, text: str, hits: Sequence[int]) -> Evidence | None:
        """The strongest of: steps up, a file nobody should ask for, a wrapper."""
        best = _climb(text)
        lower = lowered(text)
        named = _possibly_named("/" + lower)
        for found in (_file(text, lower, named), _wrapper(lower) if named and named[-1] >= _FIRST_WRAPPER else None):
            if found is not None and (best is None or found.score > best.score):
                best = found
        return best


JUDGE: Judge = TraversalJudge()


def _is_textual(text: str) -> bool:
    return any(pattern.search(text) is not None for pattern in _TEXTUAL)


def _climb(text: str) -> Evidence | None:
    plain, disguised = _undisguised(text)
    candidates = _possibly_up(plain)
    if not candidates:
        return None
    if candidates != [0]:
        padded = _PADDED[0].search(plain) or _PADDED[1].search(plain)
        if padded is not None:
            return Evidence("traversal", "padded", ATTACK, padded.start(), min(padded.end(), len(text)))
    steps = _steps(plain) if candidates[0] == 0 else []
    if not steps:
        separated = _SEPARATED.search(plain)
        if separated is None:
            return None
        score = LIKELY if len(_SEPARATED.findall(plain)) > 1 and not _is_textual(plain) else ODD
        return Evidence("traversal", "climb-separated", score, *separated.span())
    first, last = steps[0], steps[-1]
    span = (first.start(), min(last.end(), len(text))) if not disguised else (0, len(text))
    spelled = plain[max(first.start() - 1, 0) : last.end() + 8]
    if disguised and (_DOT_MARK in spelled or _SLASH_MARK in spelled):
        return Evidence("traversal", "climb-disguised", CERTAIN, *span)
    if "?" in plain and all(".." not in step.group() for step in steps) and any("?" in step.group() for step in steps):
        # `??/` is a glob, `.?/` too; in a row they climb.
        if len(steps) < 2 or _is_textual(plain):
            return None
        return Evidence("traversal", "climb-glob", LIKELY, *span)
    odd = any(ch in spelled for ch in "\x00\x01;\u2026") or "%0" in spelled or "...." in spelled or "\\" in spelled
    near = lowered(plain[last.end() - 1 : last.end() + NEAR_CHARS])
    if _names_file(near):
        return Evidence("traversal", "climb-to-file", CERTAIN, *span)
    if _is_textual(plain):
        return Evidence("traversal", "climb-in-text", ODD, *span) if len(steps) > 2 else None
    return _plain_climb(plain, steps, odd, span)


def _names_file(near: str) -> bool:
    named = _possibly_named("/" + near)
    return _target_among(near, named) is not None or _secret(near, _FIRST_WRAPPER - 1 in named) is not None


def _steps(plain: str) -> list[re.Match[str]]:
    """Steps up: all of them, or so many and the last."""
    found = _UP.finditer(plain)
    steps = list(islice(found, STEPS_MAX))
    if "?" in plain:  # what all of them are like is asked for
        return [*steps, *found]
    return [*steps, *deque(found, 1)]


def _plain_climb(plain: str, steps: list[re.Match[str]], odd: bool, span: tuple[int, int]) -> Evidence | None:
    """Steps up in the open, in a value that is one name."""
    rest = plain[steps[-1].end() :]
    asset = _ASSET.search(rest) is not None
    if len(steps) == 1 and re.match(r"\.{3}[/\\](?![.{])", steps[0].group() + rest[:1]):
        return None  # an ellipsis
    at_start = steps[0].start() <= 1
    many = len(steps) > 2 or len(steps) + sum("//" in step.group() for step in steps) > 2
    if "://" in plain[: steps[0].start()] or asset:
        score = LIKELY if odd and at_start else ODD
    elif many or odd:
        score = ATTACK
    else:
        score = LIKELY if at_start or " " not in plain.strip() else ODD
    return Evidence("traversal", "climb" if many else "climb-once", score, *span)


def _undisguised(text: str) -> tuple[str, bool]:
    if not _MAYBE.search(text):
        return text, False
    plain = _DISGUISED.sub(_shown, text if text.isascii() else text.translate(_SINGLE))
    return plain, plain != text


_SINGLE = str.maketrans(
    dict.fromkeys("\uff0e\u2024", _DOT_MARK) | dict.fromkeys("\u2215\u2216\u2044\uff0f\uff3c\uefc8\uf025", _SLASH_MARK)
)


def _shown(found: re.Match[str]) -> str:
    """An ordinarily encoded separator is one; any other disguise is marked."""
    group = found.lastindex
    if group == 3:
        return "/" if found[3] in "2f2F" else "\\"
    return _DOT_MARK if group in (1, 4) else _SLASH_MARK


def _whole_target(text: str) -> tuple[int, int] | None:
    whole = _WHOLE_TARGET.match(text)
    return None if whole is None else whole.span()


def _target(text: str) -> tuple[int, int] | None:
    """Where the first system file is named in lower-case `text`."""
    spans = [found.span() for pattern in _TARGETS if (found := pattern.search(text)) is not None]
    if (whole := _whole_target(text)) is not None:
        spans.append(whole)
    for context in _PLACES:
        for root in context.root.finditer(text):
            if (end := _named_below(text, root, context)) > 0:
                start = root.start() - (root[0][0] == ":")
                spans.append((start, end))
                break
    return min(spans, default=None)


def _target_among(text: str, named: list[int]) -> tuple[int, int] | None:
    """The same, where it is known what may be there of the expressions for files."""
    return _target(text) if named and named[0] < _FIRST_LOCATION + len(_PLACES) else _whole_target(text)


def _named_below(text: str, root: re.Match[str], context: _Context) -> int:
    """Where the deepest name below `root` ends, 0 without one."""
    end = 0
    from_root = text.find("/", root.start() + 1) if context.whole_segment else root.start() + 1
    for name in context.name.finditer(text, from_root, root.end()):
        if context.whole_segment:
            begin = text.rfind("/", from_root, name.start()) + 1
            if " " in text[begin : name.start()] or "+" in text[begin : name.start()]:
                continue
        end = name.end()
    return end


def _secret(text: str, possible: bool = True) -> tuple[int, int] | None:
    """Where a file that is kept from clients is named in lower-case `text`; a copy, where no other is `possible`."""
    edged = "/" + text
    found = (_SECRET.search(edged) if possible else None) or _COPY.search(edged, max(len(edged) - COPY_CHARS, 0))
    return (max(found.start() - 1, 0), found.end() - 1) if found is not None else None


def _file(text: str, lower: str, named: list[int]) -> Evidence | None:
    """`named`: what may be there of the expressions for files."""
    target = _target_among(lower, named)
    if target is not None:
        start, end = target
        whole = end - start >= len(text.strip("\x00%0123456789{}?=;&|.")) * 0.5
        address = "://" in text[:start] or _is_textual(text)
        score = ODD if address else ATTACK if whole else LIKELY
        return Evidence("traversal", "system-file", score, start, end)
    secret = _secret(lower, _FIRST_WRAPPER - 1 in named)
    if secret is not None and not _is_textual(text):
        score = LIKELY if "://" not in text else ODD
        return Evidence("traversal", "secret-file", score, *secret)
    return None


def _wrapper(text: str) -> Evidence | None:
    """What reads or runs instead of being found, in lower-case `text`."""
    spans = [found.span() for pattern in _WRAPPERS if (found := pattern.search(text)) is not None]
    if spans:
        start, end = min(spans)
        begins = text[start : start + 4] if text[start] != ":" else text[max(start - 4, 0) : start]
        score = LIKELY if begins.endswith(("data", "ldap", "dict", "zip", "glob", "file")) else ATTACK
        return Evidence("traversal", "wrapper", score, start, end)
    share = _SHARE.search(text)
    return Evidence("traversal", "share", LIKELY, *share.span()) if share is not None else None
