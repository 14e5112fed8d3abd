"""Triggers of command injection: necessary parts of what the judge finds, grouped by the look that needs them."""

from __future__ import annotations

from sallygate.controls.injection.judges.command.command_words import BUSY, CMDLETS, NAMES

_BOUNDARY = r"[\s\x1e;|&<>$'\"\x60)}#\\/+]"
_ANY_NAME = "|".join(sorted(name.replace(".", r"\.") for name in NAMES if len(name) > 1))

GROUPS: dict[str, tuple[str, ...]] = {
    "shell": (
        rf"[;|&\x60\n\r]\s{{0,8}}(?:[({{!'\"\\$@ ]|/[a-z]+/|sudo |time |nohup |exec |eval |xargs |env ){{0,4}}(?:{_ANY_NAME})(?:\.exe)?{_BOUNDARY}",
        rf"\$\(\s{{0,4}}(?:['\"\\\x60$]|/[a-z]+/){{0,4}}(?:{_ANY_NAME}){_BOUNDARY}",
        r"\$\([\x60$]",
        r"\x1e\s{0,4}(?:[;&|]{1,2}\s{0,4})?\$\(",
        r"\x1e\s{0,4}(?:[;&|]{1,2}\s{0,4})?\x60[^\x60]{1,100}\x60\s{0,4}\x1e",
        r"[;|&\x60\n(]\s{0,8}[a-z/.]{1,12}(?:''|\"\"|\x60\x60|\\[a-z]|\$@|\$\*|\$\(\)|\$\{|\^[a-z]|['\"][a-z]{1,6}['\"\\]|['\"][a-z]{1,3}/|\?{1,4}[/a-z]|\*)",
        r"[;|&\x60\n(]\s{0,8}(?:['\"][a-z]{1,4}['\"][a-z]|\\[a-z]|/[?*\[]|\{[a-z./-]*,)",
        r"\x1e['\"]?[a-z]{1,8}(?:\$[@*]|''|\"\"|\x60\x60|\$\(\))[a-z]",
        r"\x1e['\"]?[a-z]{1,4}(?:['\"^\\][a-z]{1,4}){3,12}",
        r"\x1e[a-z]{1,10}(?:\^[a-z]{1,10}){1,6}[\x1e\s]",
        r"\{,[^\s]",
        r"\{[a-z./?-]{1,20},[a-z./?$\"-]",
        r"\x1e~[+-]\d{0,4}\x1e",
        r"\x1e!-?\d{1,4}[!:\x1e]",
        r"(?:usr/|local/|[^a-z0-9]s?|\x1es?)bin/[a-z]",
        rf"\x1e[\s'\"(]{{0,4}}(?:{_ANY_NAME})(?:\.exe)?['\"]?(?: {{1,4}}(?:-|/[a-z?*\x1e]|\.|~|\$|[0-9<>]|https?:|[a-z]:\\|[a-z0-9_-]+\.[a-z])|[;|&\x60])",
        rf"\x1e[\s'\"(]{{0,4}}(?:{'|'.join(sorted(BUSY))})[\s'\"\x1e;|&]",
        r"\x1e(?:which|whereis|alias|env|printenv|time|nohup|sudo|if|for) {1,4}[a-z0-9'\"+.-]",
    ),
    "shellshock": (
        r"\(\s{0,8}\)\s{0,8}\{",
    ),
    "expansion": (
        r"\$\(\(",
        r"\$\[[\])\d($]",
        r"\$\{?ifs",
        r"\$\{?(?:path|shell|home|pwd|oldpwd|bash|hostname|ls_colors)[:}/ ]",
        r"/\?\?\?/",
        r"[?*][a-z?*]{0,12}/[a-z]?[?*]",
        r"/etc/[a-z]{0,12}[\[?*]",
        r"/[a-z]*\[[a-z!?^/-]{1,12}\][a-z]",
        r"\{[a-z./]{2,20},[^{}:\" ]{1,80}\}",
        r"\$'\\",
        r"[<>]\([a-z/]",
        r"\$\{[#!][a-z_]",
        r"\$\{[a-z_]+[:#%@^,/]",
        r"[;|&\x60(]\s{0,4}\{[a-z]{2,20},",
        r"[;&]\s{0,4}\$[a-z_]\w{0,15}[\s;&|$\x1e]",
        r"bin/[a-z0-9]{0,12}[?*\[]",
        r"[;|&\n]\s{0,4}(?:\.\s{1,3})?(?:/tmp/|/dev/shm/|/var/tmp/|\./)[a-z0-9]",
        r"[;|&\n]\s{0,4}(?:\$?\"\$\(|\$['\"][a-z\\])",
        r"[;|&]\s{0,2}:?>{1,2}\s{0,2}[a-z0-9./_-]{1,60}\x1e",
    ),
    "device": (
        r"/dev/(?:tcp|udp)/",
        r"<<<",
        r"pty\.spawn",
        r"\b(?:nc|ncat|netcat) -",
        r"(?:ba|z|k|c|da)?sh -(?:i|c|lc)\b",
        r"mkfifo /",
        r"(?:python[23]?|perl|ruby|php|lua|node) -[cer] ?['\"]",
    ),
    "windows": (
        r"cmd(?:\.exe)?['\"]? {0,4}/[ckqrsv]",
        r"%(?:comspec|systemroot|windir|programfiles|appdata|userprofile)",
        r"\bfor\s{1,20}(?:/[dflr]|%)",
        r"\bif\s{1,20}(?:/i|not|exist|defined|errorlevel|cmdextversion)\s",
        r"\b(?:equ|neq|lss|leq|gtr|geq)\s{1,20}\S",
        r"\bif\s{1,20}[^=\n]{1,40}==",
        r"net1? {1,4}(?:user|localgroup|view|use|share|start|stop|accounts|group|session|config)\b",
        r"\breg {1,4}(?:add|query|delete|save|export)",
        r"\b(?:certutil|bitsadmin|wmic|regsvr32|rundll32|mshta|netsh)[ .]",
        r"(?:dir|type|del|copy|move|cd|md|rd|attrib|more|tree)[ +]{1,4}(?:/\w+[ +]{1,4}){0,3}\"?[a-z]:[\\/\x1e\s\"'|&;+]",
    ),
    "powershell": (
        rf"(?:{'|'.join(CMDLETS)})\b",
        r"powershell",
        r"\b(?:iex|iwr|irm)\b ?[\s($'\"]",
        r"net\.webclient",
        r"downloadstring",
        r"downloadfile",
        r"-e(?:nc|ncodedcommand)? [a-z0-9+/=]{16}",
        r"\[(?:system\.)?(?:convert|text\.encoding|io\.file|reflection\.assembly|diagnostics\.process|scriptblock|net\.\w+)\]::",
        r"[&.]\s?\(\s?['\"][a-z-]{1,12}['\"]\s?\+",
    ),
    "option": (
        r"-oproxycommand",
        r"-wrapper",
        r"--(?:exec|upload-pack|receive-pack|use-compress-program|checkpoint-action|open-files-in-pager|to-command|post-file|output-document|os-shell|os-cmd)[= ]",
        r"ext::",
        r"-opermitlocal",
        r"\x1e-(?:exec|execdir|ok|okdir) ",
        r"\x1e-ccore\.(?:pager|sshcommand|editor|gitproxy|hookspath)|\x1e--(?:gpu-launcher|rsh|renderer-cmd-prefix)=|\x1e-soutputfile=|\x1e-agentpath:",
    ),
}  # fmt: skip

TRIGGERS = tuple(expression for group in GROUPS.values() for expression in group)
GROUP_OF = tuple(name for name, group in GROUPS.items() for _ in group)
"""Trigger number → its group."""
