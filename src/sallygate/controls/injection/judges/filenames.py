r"""Judge of file names: uploads that a server would run, or take for its own configuration.

**Threat.** `shell.php`, `x.jsp..`, `a.php%00.jpg`, `.htaccess` (CWE-434; MITRE T1505.003). **Evidence.** `injection.code` with
`script-file`, `injection.traversal` with `secret-file`. **Known bypasses.** What a server runs by another ending; what a file
holds is for the guard on uploads. **Cost.** One expression, in names of files alone."""

from __future__ import annotations

from sallygate.controls.injection.pipeline.evidence import ATTACK
from sallygate.controls.injection.pipeline.idiom_judge import Idiom, IdiomJudge
from sallygate.controls.injection.pipeline.judge_interface import Judge
from sallygate.controls.injection.pipeline.values import FILE_MARK, Kind

_SCRIPT = (
    r"\.\s{0,3}(?:php[0-9]{0,4}|phps|phtml?|pht|phar|inc|jspx?f?|jhtml|jsw|jsv|aspx?|ascx|ashx|asmx|asa|cer|cfml?|cfc|cgi|pl|pm|shtml?|stm|war|jar|"
    r"htaccess|htpasswd|user\.ini|exe|dll|bat|cmd|com|ps1|vbs|scr|hta|sh)(?:[\x00\x1e;:/.%\s]|\.(?:jpe?g|png|gif|txt|pdf))"
)
_KEPT = (
    r"(?:\x1e|[/\\])(?:wp-config|settings|config|configuration|localsettings|database|parameters|secrets|credentials|\.env|\.git|\.ssh|\.aws|"
    r"\.boto|id_rsa|web|php|my|mtrr|acpi|passwd|shadow|authorized_keys)[._ -]{0,2}\s{0,2}(?:php|ya?ml|ini|conf|config|bak|old|txt|save|swp|cnf|rb|py|"
    r"json|xml|inc|~)?[._ -]{0,3}(?:bak|txt|old|php|save)?\s{0,4}\x1e"
)
IDIOMS: tuple[Idiom, ...] = (
    Idiom("code", "script-file", ATTACK, _SCRIPT, trigger=FILE_MARK),
    Idiom("traversal", "secret-file", ATTACK, _KEPT, trigger=FILE_MARK + r"[^\x1e]"),
)  # fmt: skip

_FILES: frozenset[Kind] = frozenset(("file",))
JUDGE: Judge = IdiomJudge("filenames", IDIOMS, _FILES, cost=0.2)
