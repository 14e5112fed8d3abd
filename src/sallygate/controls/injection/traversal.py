r"""Path traversal and file inclusion: values that climb out of a directory, or name a file no client should ask for.

**Threat.** `../../etc/passwd` in any disguise (CWE-22, CWE-98; MITRE T1083): steps up, absolute names of system files,
wrappers that read or run (`php://filter`, `expect://`), network shares.

**Evidence.** `injection.traversal` with the rule: `climb-disguised`, `climb`, `climb-once`, `system-file`, `secret-file`,
`wrapper`, `share`.

**How.** Dots and separators are first read in every spelling that some decoder takes for them (overlong UTF-8, `%u2215`,
`0x2f`, half-broken percent signs), then steps up are counted. A step that had to be disguised is an attack by itself; a plain
one is judged by where it stands: web pages are full of `../img/x.png`, parameters that name a file are not.

**Known bypasses.** Names relative to where the application already stands (`config.php`) are not to be told from honest
ones. Archives whose entries climb are for the guard on uploads.

**Cost.** Linear: one pass to normalise, one to count, a set of names looked up."""

from __future__ import annotations

import re

from sallygate.controls.injection.evidence import ATTACK, CERTAIN, LIKELY, ODD, Evidence

# Spellings of a dot and of a separator that survive, or are made by, decodings. The lists are the broken ones that servers
# were found to take: overlong forms with the wrong continuation bits, hexadecimal digits beyond f, private-use characters.
_DOT = (
    r"%(?:25)*+(?:2e|uff0e|c0(?:%(?:25)*+[2-9a-f]e|\.)|e0%(?:25)*+80%(?:25)*+ae|f0(?:%(?:25)*+80){2}%(?:25)*+ae|"
    r"f8(?:%80){3}%ae|fc(?:%80){4}%ae)|%%32%(?:%36)?%?65|%%32%65|0x2e|%%c0%6e|\uff0e|\u2024"
)
_SLASH = (
    r"%(?:25)*+(?:u221[56]|uefc8|uf025|c0(?:%(?:25)*+(?:af|2f|5c|9v|qf))|c1%(?:25)*+(?:9c|1c|af|8s|pc)|bg%qf|"
    r"e0%(?:25)*+80%(?:25)*+af|f0(?:%(?:25)*+80){2}%(?:25)*+af|f8(?:%80){3}%af|fc(?:%80){4}%af)|%%32%%?66|%%35%%?63|"
    r"0x2f|0x5c|[\u2215\u2216\u2044\uff0f\uff3c\uefc8\uf025]"
)
_DISGUISED = re.compile(rf"({_DOT})|({_SLASH})|%(?:25)*+(2f|5c)", re.IGNORECASE)
_MAYBE = re.compile(r"[%\u2024\u2044\u2215\u2216\uefc8\uf025\uff0e\uff0f\uff3c]|0x[25]", re.IGNORECASE)
_DOT_MARK, _SLASH_MARK = "\ue000", "\ue001"
"""Private-use characters that stand for a disguised dot and separator while steps are looked for."""

NEAR_CHARS = 64
"""After the last step up, the name it leads to begins."""
_D = r"[.\ue000]"
_S = r"[/\\\ue001]"
_UP = re.compile(
    rf"(?:{_D}{{2,4}}|[.?]\?|\?\.|{_D}\x00{_D}|{_D}%00{_D}|\u2026)(?:;[a-z0-9=]{{0,16}}|%01|\x01)?{_S}++"
    rf"|\.\.2f(?=[.a-z])|\.\.5c(?=[.a-z])|{_D}{_S}++{_D}{_S}++(?={_D})|{_S}{_D}{{2}}(?=$|[?#;\x00\s\"'])"
)
_SEPARATED = re.compile(rf"{_D}[/\\]{{1,3}}{_D}[/\\]")
"""`./\\/./`: filters that take out `../` once leave one behind."""

_PADDED = re.compile(rf"(?:{_D}{_S}+){{12,}}|[a-z]{{0,8}}/?A{{80,}}[/\\.]")
"""`./././…` to fill a buffer that cuts an appended ending off."""

_TEXTUAL = re.compile(r"[<>\n]|\{[^{}]*[:;]|[a-z]{2,} [a-z]{2,} [a-z]{2,}")
"""Markup, code and prose, in which relative addresses are at home."""
_ASSET = re.compile(
    r"\.(?:png|jpe?g|gif|svg|webp|avif|ico|css|m?js|map|woff2?|ttf|eot|mp[34]|html?|scss|tsx?|jsx|vue)\b", re.IGNORECASE
)

_TARGETS = (
    # Unix: what every system has and no API serves.
    r"[/\\]etc[/\\]+(?:(?:[a-z0-9._-]+[/\\]+){0,4})(?:passwd|shadow|group|gshadow|hosts?|hostname|issue|motd|fstab|crontab|sudoers|"
    r"utmp|wtmp|netconfig|netgroup|limits|ssh|ftphosts|ftpusers|mailman|shells|securetty|rc[0-9.]|nsswitch|ld\\.so|sysctl|"
    r"resolv|profile|bashrc|inittab|inetd|services|networks?|protocols|exports|aliases|environment|mtab|release|"
    r"[a-z0-9_.-]+\.(?:conf|cnf|ini|cfg|d|allow|deny|equiv|pem|key|passwd|log|sh|rc|local|[a-z]{2,4}[0-9]))\b",
    r"/(?:proc|sys)/+(?:self|version|cmdline|mounts?|net|[0-9]+|cpuinfo|meminfo|stat|sched_debug|partitions|"
    r"interrupts|modules|filesystems|devices|ioports|swaps|kcore|config\.gz)\b",
    r"/(?:var|opt|usr|home|root|srv|private|volumes|library|tmp|boot|mnt|bin|sbin|dev)/+(?:[a-z0-9 ._+-]+/+){0,7}"
    r"(?:[a-z0-9_.-]*(?:passwd|shadow|_?logs?(?![a-z])|_history|mysqld?[a-z0-9_-]*|httpd|apache2?|nginx|lampp|xampp|php[0-9.]*|ftpd?|"
    r"proftpd|vsftpd|pure-?ftpd|cpanel|cron(?:tabs?)?|spool|mail|saf|adm|utmp|wtmp|lastlog|messages|syslog|dmesg|"
    r"secure|boot|config(?:uration)?s?|sites-(?:available|enabled)|id_[dr]sa|authorized_keys|known_hosts|bashrc|"
    r"cgi-bin|lib/php)[a-z0-9_-]*)(?:[./%\\]|\b)",
    # Windows.
    r"(?<![a-z0-9])[a-z]:[/\\]+(?:[a-z0-9 ._~()-]+[/\\]+){0,7}(?:boot\.ini|win(?:dows)?|winnt|inetpub|system32|xampp|apache|php|mysql|"
    r"nginx|users|program|documents|log(?:s|files)?|repair|sam|pagefile|autoexec|config|wwwroot|ftproot|opt|"
    r"[a-z0-9_-]+\.(?:ini|log|conf|cnf|sys|bat|inc))",
    r"\b(?:boot\.ini|win\.ini|system32[/\\]|system\.ini|windows[/\\](?:win|system|repair|php|debug)|winnt[/\\]|"
    r"unattend\.xml|web\.config|global\.asax?|cmd\.exe)",
    r"\A/+(?:etc(?:/+[a-z0-9._-]{2,40}){0,5}|proc|dev|sys|boot|root|(?:usr|var)/+(?:local|share|etc|lib|log|run|spool|www)(?:/+[a-z0-9._-]+){0,3})/*\Z|\A/?[a-z]:[/\\]+\Z",
)
_TARGET = re.compile("|".join(_TARGETS), re.IGNORECASE)
_SECRET = re.compile(
    r"(?:^|[/\\ \x00'\"=])(?:\.(?:ht(?:access|passwd)|bash(?:rc|_history|_profile)|cshrc|zshrc|kshrc|s?hosts|rhosts|profile|netrc|npmrc|pypirc|"
    r"pgpass|mysql_history|viminfo|ssh[/\\]|aws[/\\]|kube[/\\]|docker[/\\]|git[/\\](?:config|head|index|logs)|svn[/\\]|hg[/\\]|"
    r"env(?:\.(?:local|prod\w*|dev\w*|backup))?$|ds_store|vscode[/\\]|idea[/\\])|"
    r"wp-config\.(?:php|bak|txt|old)|id_(?:rsa|dsa|ecdsa|ed25519)\b|authorized_keys|web-inf[/\\]|meta-inf[/\\]|"
    r"(?:my|httpd|apache2?|nginx|php|proftpd?|vsftpd|pure-ftpd|smb|sshd_config|lighttpd)\.(?:cnf|conf|ini)\b|"
    r"(?:access|error)[_.]log\b|localsettings\.php|configuration\.php|settings\.py\b|config\.inc\.php|"
    r"[a-z0-9_.-]{1,40}\.(?:php[0-9]?|aspx?|jsp|html?|conf|ini|xml|ya?ml|json|sql|zip|tar|gz|js|py|rb|pl|cgi)(?:\.(?:bak|old|orig|save|swp|tmp|backup|inc|txt|zip|gz|[0-9])|~)\Z|"
    r"(?:config|database|db|backup|dump|users|settings)\.(?:sql|inc|bak|old|zip)\b|database\.yml|secrets\.yml|credentials\.xml|master\.key|passwd\b(?:$|\x00|%00)|shadow(?:$|\x00|%00))",
    re.IGNORECASE,
)
_WRAPPER = re.compile(
    r"\b(?:php://(?:filter|std(?:in|out|err)|input|output|memory|temp|fd)|(?:expect|phar|zip|glob|ssh2|ogg|rar|compress\.(?:zlib|bzip2)|"
    r"zlib|netdoc|jar:(?:file|https?)|dict|gopher|ldap|tftp)://|file:/{1,4}(?:[a-z]:|etc|proc|var|usr|home|root|c\||windows|"
    r"tmp|opt|\.\.|%2f|/)|data:(?:text/plain|text/x-php|application/x-httpd-php|;base64)[;,]|"
    r"convert\.(?:iconv\.[a-z0-9_.-]+|base64-(?:en|de)code|quoted-printable)|string\.rot13)",
    re.IGNORECASE,
)
_SHARE = re.compile(
    r"(?:^|[=\"' ])\\\\(?:localhost|[0-9a-f:.]{3,40}|[a-z0-9.-]+)\\(?:[a-z]\$|admin\$|ipc\$|share|[a-z0-9._$-]+\\)",
    re.IGNORECASE,
)

TRIGGERS = (
    r"\.\.[/\\]", r"\.\.2f[.a-z]", r"\.\.5c[.a-z]", r"\.\.;[/\\a-z]", r"[/\\]\.\.", r"\.\x00\.", r"%00\.", r"\.[/\\]{1,3}\.[/\\]", r"[.?]\?[/\\%]", r"\?\.[/\\%]", r"\?\?0x",
    r"\.\?0x", r"\?\.0x", r"\.\.[\x01]", r"\.\.%01", r"%(?:25)?c[01](?:%|\.)", r"%(?:25)?u221[56]", r"%uefc8", r"%uf025",
    r"%uff0e", r"0x2e0x2e", r"0x[25][fce]", r"%%3[25]", r"%bg%qf", r"%(?:25)?e0%(?:25)?80", r"%f[08c](?:%80){2}", r"%%c0",
    r"\xe2\x88[\x95\x96]", r"\xef\xbf\x88", r"\xef\x80\xa5", r"\xe2\x80\xa6[/\\]", r"\xef\xbc\x8e",
    r"[/\\]etc[/\\]+[a-z]", r"/proc/+[a-z0-9]", r"/var/(?:log|adm|run|spool|www|lib|saf|mail|cpanel|backup)", r"/usr/(?:local|etc|lib|ports|pkg|share|apache|home|spool)",
    r"/(?:opt|home|root|volumes|srv|library|private|tmp|boot|mnt)/+(?:[a-z0-9 ._+-]+/+){0,3}[a-z0-9_.-]*(?:log|conf|php|apache|httpd|nginx|mysql|xampp|lampp|ftp|_rsa|history|rc)",
    r"[^a-z0-9][a-z]:[/\\]+(?:[a-z0-9 ._~()-]+[/\\]+)?(?:boot|win|inetpub|system|xampp|apache|php|mysql|nginx|users|program|document|log|repair|sam|pagefile|autoexec|config|opt)",
    r"boot\.ini", r"win\.ini", r"system32", r"system\.ini", r"windows[/\\]", r"winnt[/\\]", r"web\.config", r"global\.asax?", r"unattend\.xml",
    r"\.ht(?:access|passwd)", r"\.bash", r"\.[ckz]shrc", r"\.s?hosts", r"\.rhosts", r"\.netrc", r"\.npmrc", r"\.pgpass", r"_history", r"\.(?:ssh|aws|kube|svn|git|hg|docker)[/\\]",
    r"(?:\./){12}", r"(?:\.\\){12}", r"A{80}", r"[/\\= ]\.env", r"wp-config\.", r"id_(?:rsa|dsa|ecdsa|ed25519)", r"authorized_keys", r"(?:web|meta)-inf[/\\]", r"(?:my|httpd|apache2?|nginx|proftpd?|smb|sshd_config|lighttpd)\.(?:cnf|conf)",
    r"php\.ini", r"ftpd?\.(?:conf|ini)", r"(?:access|error)[_.]log", r"localsettings\.php", r"configuration\.php", r"settings\.py", r"config\.inc", r"database\.yml",
    r"cmd\.exe", r"\x1e/{0,3}(?:etc|proc|dev|sys|boot|root|usr/|var/)", r"\x1e/?[a-z]:[/\\]{1,3}\x1e", r"\.(?:bak|old|orig|save|swp|sql|inc|tmp|backup)[\x1e.]", r"(?:php|asp|jsp)~",
    r"\\\\[0-9a-f:.]{3,40}\\", r"secrets\.yml", r"credentials\.xml", r"master\.key", r"passwd", r"shadow", r"/\.profile", r"/\.ds_store",
    r"php://", r"(?:expect|phar|zip|glob|ssh2|ogg|rar|zlib|bzip2|netdoc|dict|gopher|tftp|ldap)://", r"jar:(?:file|http)", r"file:/", r"data:(?:text/plain|text/x-php|application/x-httpd|;base64)",
    r"convert\.(?:iconv|base64|quoted)", r"string\.rot13", r"\\\\[a-z0-9.-]+\\[a-z0-9]",
)  # fmt: skip


def judge(text: str) -> Evidence | None:
    """The strongest of: steps up, a file nobody should ask for, a wrapper."""
    best = _climb(text)
    for found in (_file(text), _wrapper(text)):
        if found is not None and (best is None or found.score > best.score):
            best = found
    return best


def _climb(text: str) -> Evidence | None:
    plain, disguised = _undisguised(text)
    if (padded := _PADDED.search(plain)) is not None:
        return Evidence("traversal", "padded", ATTACK, padded.start(), min(padded.end(), len(text)))
    steps = list(_UP.finditer(plain))
    if not steps:
        separated = _SEPARATED.search(plain)
        if separated is None:
            return None
        score = LIKELY if not _TEXTUAL.search(plain) and len(_SEPARATED.findall(plain)) > 1 else ODD
        return Evidence("traversal", "climb-separated", score, *separated.span())
    first, last = steps[0], steps[-1]
    span = (first.start(), min(last.end(), len(text))) if not disguised else (0, len(text))
    spelled = plain[max(first.start() - 1, 0) : last.end() + 8]
    if disguised and (_DOT_MARK in spelled or _SLASH_MARK in spelled):
        return Evidence("traversal", "climb-disguised", CERTAIN, *span)
    if any("?" in step.group() for step in steps) and not any(".." in step.group() for step in steps):
        # `??/` is a glob, `.?/` too; in a row they climb.
        if len(steps) < 2 or _TEXTUAL.search(plain):
            return None
        return Evidence("traversal", "climb-glob", LIKELY, *span)
    odd = any(ch in spelled for ch in "\x00\x01;\u2026") or "%0" in spelled or "...." in spelled or "\\" in spelled
    near = plain[last.end() - 1 : last.end() + NEAR_CHARS]
    if _TARGET.search(near) or _SECRET.search(near):
        return Evidence("traversal", "climb-to-file", CERTAIN, *span)
    if _TEXTUAL.search(plain):
        return Evidence("traversal", "climb-in-text", ODD, *span) if len(steps) > 2 else None
    return _plain_climb(plain, steps, odd, span)


def _plain_climb(plain: str, steps: list[re.Match[str]], odd: bool, span: tuple[int, int]) -> Evidence | None:
    """Steps up in the open, in a value that is one name."""
    rest = plain[steps[-1].end() :]
    asset = _ASSET.search(rest) is not None
    if len(steps) == 1 and re.match(r"\.{3}[/\\](?![.{])", steps[0].group() + rest[:1]):
        return None  # an ellipsis
    at_start = steps[0].start() <= 1
    many = len(steps) + sum("//" in step.group() for step in steps) > 2
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
    plain = _DISGUISED.sub(_shown, text)
    return plain, plain != text


def _shown(found: re.Match[str]) -> str:
    """An ordinarily encoded separator is one; any other disguise is marked."""
    dot, _, usual = found.groups()
    if usual is not None:
        return "/" if usual in "2f2F" else "\\"
    return _SLASH_MARK if dot is None else _DOT_MARK


def _file(text: str) -> Evidence | None:
    target = _TARGET.search(text)
    if target is not None:
        whole = len(target.group()) >= len(text.strip("\x00%0123456789{}?=;&|.")) * 0.5
        address = "://" in text[: target.start()] or _TEXTUAL.search(text) is not None
        score = ODD if address else ATTACK if whole else LIKELY
        return Evidence("traversal", "system-file", score, *target.span())
    secret = _SECRET.search(text)
    if secret is not None and not _TEXTUAL.search(text):
        score = LIKELY if "://" not in text else ODD
        return Evidence("traversal", "secret-file", score, *secret.span())
    return None


def _wrapper(text: str) -> Evidence | None:
    wrapper = _WRAPPER.search(text)
    if wrapper is not None:
        name = wrapper.group().lower()
        score = LIKELY if name.startswith(("data:", "ldap", "dict", "zip", "glob", "file")) else ATTACK
        return Evidence("traversal", "wrapper", score, *wrapper.span())
    share = _SHARE.search(text)
    return Evidence("traversal", "share", LIKELY, *share.span()) if share is not None else None
