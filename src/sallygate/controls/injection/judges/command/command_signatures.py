"""Signatures of command injection: expressions that no honest text holds, wherever they stand in it.

The expressions read lower-case text, and begin with a character that is rare, by which they are searched.

Refuses to know where a command may stand.
"""

from __future__ import annotations

import re

from sallygate.controls.injection.judges.command.command_words import CMDLETS, NAMES, PLAIN_WORDS, alternatives
from sallygate.controls.injection.pipeline.evidence import ATTACK, CERTAIN, LIKELY, ODD, Evidence

NAME_CHARS_MAX = 32
"""Longer than any name of a file-handling program of Windows with what stands before it, and than any cmdlet."""
_FILE_VERB = re.compile(r"\b(?:dir|type|del|copy|move|cd|md|rd|attrib|more|tree)\Z")
_CMDLET = re.compile(rf"\b(?:{alternatives(CMDLETS)})\Z")
_NOUNS = alternatives({name.partition("-")[2] for name in CMDLETS})
_INTERPRETER = "|".join(rf"(?<=\b{name} -)" for name in ("python", "python[23]", "perl", "ruby", "php", "lua", "node"))

_SIGNATURES: tuple[tuple[str, int, tuple[re.Pattern[str], ...]], ...] = (
    ("device", ATTACK, tuple(map(re.compile, (
        r"/dev/(?:tcp|udp)/", r"nc(?<!\wnc)(?:at)?(?:\.\w+)? (?:-\w+ ){0,4}+-\w*e\b", r"netcat(?<!\wnetcat)(?:\.\w+)? (?:-\w+ ){0,4}+-\w*e\b",
        r"sh -(?:(?<!\wsh -)|(?<=\b[zkc]sh -)|(?<=\b[bd]ash -))(?:i|l?c)\b", r"0<&\d", r">& ?/dev/", r"mkfifo(?<!\wmkfifo) /",
        rf" -(?:{_INTERPRETER})[cer] ?['\"]", r"pty\.spawn", r"<<<(?<!<<<<) ?(?:['\"$`]|(?<=<)[a-z])", r"sh ?<<< ?[a-z]",
    )))),
    ("powershell", ATTACK, tuple(map(re.compile, (
        r"powershell(?<!\wpowershell)(?:\.exe)?\b.{0,12}-[a-z]", r"i(?:ex|wr|rm)(?<!\w...)\b ?[\s($'\"]{1,4}(?:\((?=new|iwr|irm|get|curl|wget|gc|cat|type|invoke|\(|\$|'|\"|\[)|http|\$[a-z_{(]|new-|'(?=http|\w:)|\"(?=http|\w:))", r"net\.webclient", r"[;|&]\s{0,4}i(?:ex|wr|rm)\b ?[\s(]{0,4}['\"($]",
        r"\.download(?:string|file)\(", r"(?<![a-z])-e(?:nc|ncodedcommand)? (?=[a-z]{0,40}[0-9+/=])[a-z0-9+/=]{16}", r"\[(?:system\.)?(?:convert|text\.encoding|io\.file|reflection\.assembly|diagnostics\.process|scriptblock|net\.\w+)\]::",
        r"[&.]\s?\(\s?['\"][a-z-]{1,12}['\"]\s?\+",
    )))),
    ("windows", LIKELY, tuple(map(re.compile, (
        r"cmd(?<!\wcmd)(?:\.exe)?['\"]? {0,4}+/[ckqrsv]\b", r"%(?:comspec|systemroot|windir|programfiles|appdata|temp|userprofile|path(?:ext)?)(?::~|%)",
        r"for(?<!\wfor)\s{1,20}+(?:/[dflr]\s{1,20}+(?:['\"(\w:\\.*%-][^%]{0,68}+(?<=\s))?)?%{1,2}[^\s]{0,12}\s{1,9}+in\s{0,9}+\(",
        r"(?:\A|[;|&()@\n\"'`]\s{0,4}|(?:call|do|else)\s{1,4})if\s{1,20}+(?:/i\s{1,20}+)?(?:not\s{1,20}+)?(?:exist\s{1,20}+\S|defined\s{1,20}+\S|errorlevel\s{1,20}+\d|cmdextversion\s|"
        r"\S{1,40}+\s{1,20}+(?:equ|neq|lss|leq|gtr|geq)\s{1,20}+\S|[\"'(%!\w][^\n=]{0,40}+==\s{0,9}+[\"'(%!\w][^\n]{0,40}[\s)])",
        r"[;|&]\s{0,4}net1? {1,4}+(?:user|localgroup|view|use|share|start|stop|accounts|group|session|config)(?:\s++[^\s;|&>/]{1,40}+){0,2}\s*+(?:\Z|[;|&>/])", r"(?:\A|[(\"'`\n]\s{0,4}|/c ['\"]?|\\)net1? {1,4}+(?:user|localgroup|view|use|share|start|stop|accounts|group|session|config)\s*+"
        r"(?:\Z|[;|&>/\"'`)*]|\\\\|[a-z]:|\S{1,40}+(?:\s++\S{1,40}+)?\s++/[a-z]|\S{1,40}=[a-z]:|(?:administrators?|admin|guest|domain)\b)", r"reg(?<!\wreg) {1,4}+(?:add|query|delete|save|export)\b",
        r"certutil(?<!\wcertutil)\b.{0,40}-(?:urlcache|decode|encode|f)\b", r"bitsadmin(?<!\wbitsadmin)\b.{0,20}/\w",
        r"wmic(?<!\wwmic)\b.{0,24}\b(?:process|os|call|get|useraccount|service|product)\b", r"regsvr32(?<!\wregsvr32)\b.{0,20}/", r"rundll32(?<!\wrundll32)\b.{0,20}[.,]",
        r"mshta(?<!\wmshta)\b.{0,8}(?:http|vb|java)", r"netsh(?<!\wnetsh) {1,4}+(?:firewall|advfirewall|wlan|interface|int)\b",
    )))),
    ("expansion", LIKELY, tuple(map(re.compile, (
        r"\$(?:\{?ifs\b|\{?(?:path|shell|home|pwd|oldpwd|bash|hostname|ls_colors)(?::[0-9-]|\}|\b(?=[ /;|&]))|\{#?[a-z_]\w{0,24}+(?:[#%@^/]|,,?\}|:(?:[-+?=](?!/)|\s{0,2}[(-](?!/)|\s?\d{1,3}[:}+]|\$))|"
        r"\(\(|\[[\]\d($]|'\\|(?<![\w)]\$)\{![a-z_])", rf"[;|&`(]\s{{0,4}}\{{{alternatives(NAMES)},[^{{}}:\" ]{{1,80}}\}}", rf"\{{(?:(?:{alternatives(NAMES - PLAIN_WORDS)}|(?=[a-z]*[./?*-])[a-z./?*-]+|)|[a-z]++(?=,[^{{}}]*[/-])),[^{{}}:\" ]{{0,80}}+\}}(?=\Z|[\s;|&'\"`)])",
        r"/(?!\*\*?/)(?:[a-z]?[?*]{1,4}+[a-z?*]{0,12}+/(?!\*\*?[/.])[a-z]?[?*]|[a-z]*+\[[a-z!?^/-]{1,12}+\][a-z]|etc/[a-z]*+[\[?*])", r"[<>](?<![=\w-].)\([a-z/]",
        r"[;|&\n]\s{0,4}[a-z_]\w{0,15}+=[^;&|\s=]{1,60}+(?:;|&&)\s{0,4}(?:[a-z_]\w{0,15}+=[^;&|\s=]{1,60}+(?:;|&&)\s{0,4}){0,4}\$[a-z_]\w{0,15}+", r"bin/[a-z0-9]{0,12}+[?*\[](?![\w-]{1,40}=)", r"[;|&]\s{0,2}:?>{1,2}\s{0,2}[a-z0-9./_-]{1,60}+\Z",
        r"[;|&\n]\s{0,4}(?:\.\s{1,3})?(?:/tmp/|/dev/shm/|/var/tmp/|\./)[a-z0-9]\S{0,60}+\s*+(?:\Z|[;|&])", r"[;|&\n]\s{0,4}(?:\$?\"\$\(|\$['\"][a-z\\])",
    )))),
    ("option", LIKELY, tuple(map(re.compile, (
        r"-(?:(?<![^\s=]-)(?:oproxycommand|wrapper)\b|opermitlocalcommand|-(?:exec|upload-pack|receive-pack|use-compress-program|checkpoint-action|"
        r"open-files-in-pager|to-command|rsh|pre-invoke|post-file|output-document|os-shell|os-cmd)[= ])", r"ext::(?<!\wext::)", r"\A-(?:exec|ok)(?:dir)? .{1,80}(?:[;+]|\{\})",
        r"\A(?:-ccore\.\w|--(?:gpu-launcher|rsh|renderer-cmd-prefix)=|-soutputfile=|-agentpath:)",
    )))),
)  # fmt: skip
_FILE_SHOWN = re.compile(r"[ +]{1,4}+(?:/\w+[ +]{1,4}){0,3}+\"?[a-z]:(?:[\\/]|(?=[\s\"'|&;+]|\Z))")
_SEPARATORS = tuple(";|&({\r\n")
_GIVEN = re.compile(r"[ \t]++[-$\"'(@{\\/.\w]|\s*+[|;)}>&]").match
"""What a cmdlet is given or hands on: without, and behind nothing that parts commands, it is the name of a button."""
_CMDLET_END = re.compile(rf"-(?:{_NOUNS})\b")


def signature_in(text: str, looks: set[str], markup: bool) -> Evidence | None:
    """What no honest text holds, wherever it stands."""
    for rule, score, patterns in _SIGNATURES:
        if rule not in looks:
            continue
        span = next((found.span() for pattern in patterns if (found := pattern.search(text)) is not None), None)
        if span is None and rule == "windows":
            span = _ending_in(text, _FILE_SHOWN, _FILE_VERB, shown=True)
        if span is None and rule == "powershell":
            span = _ending_in(text, _CMDLET_END, _CMDLET, shown=False)
            if (
                span is not None
                and _GIVEN(text, span[1]) is None
                and text[: span[0]].rstrip(" \t")[-1:] not in _SEPARATORS
            ):
                span = None
        if span is not None:
            return Evidence("command", rule, ODD if markup and score < CERTAIN else score, *span)
    return None


def _ending_in(text: str, end: re.Pattern[str], name: re.Pattern[str], shown: bool) -> tuple[int, int] | None:
    """Where `name` stands before (`shown`) or up to the end of what `end` finds: it is rarer, and so searched first."""
    for found in end.finditer(text):
        to = found.start() if shown else found.end()
        named = name.search(text, max(to - NAME_CHARS_MAX, 0), to)
        if named is not None:
            return named.start(), found.end()
    return None
