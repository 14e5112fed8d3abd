r"""Judge of XPath injection: values that leave their string or predicate, or ask a document for its structure.

**Threat.** `x' or name()='username' or 'x'='y`, `'] | //user/*[contains(*,'`, `count(/child::node())`,
`doc('http://…')` (XPath 1.0 to 3.1; CWE-643; MITRE T1190).

**Evidence.** `injection.xpath` with what was recognised.

**How.** Each is one expression (`idiom_judge`). Paths alone are honest: analytics send the one of every clicked element,
testers send predicates with `contains(@class,'x')`. What tells is a quote or bracket closed that the value never
opened, followed by XPath; and functions that measure or cut what stands at an absolute path, as blind extraction does.

**Refuses to know** quotes with plain comparisons (`' or '1'='1`): the `sql` family knows them.

**Known bypasses.** A path of its own where the application takes whole paths. Extraction with functions over relative
paths and no broken-out quote.

**Cost.** Only the expressions that were hit are searched; each is linear."""

from __future__ import annotations

from sallygate.controls.injection.pipeline.evidence import ATTACK, LIKELY
from sallygate.controls.injection.pipeline.idiom_judge import Idiom, IdiomJudge
from sallygate.controls.injection.pipeline.judge_interface import Judge

_S = r"[\s+]{0,4}"
_AXIS = r"(?:ancestor|ancestor-or-self|attribute|child|descendant|descendant-or-self|following|following-sibling|namespace|parent|preceding|preceding-sibling|self)::"
_FUNCTION = (
    r"(?:name|local-name|namespace-uri|position|last|count|contains|starts-with|ends-with|string-length|substring|substring-before|"
    r"substring-after|normalize-space|translate|text|node|true|boolean|number|matches|doc|doc-available|lower-case|upper-case|string-to-codepoints)"
)
_MEASURES = r"(?:count|string-length|substring|substring-before|substring-after|name|local-name|translate|upper-case|lower-case|string-to-codepoints|encode-for-uri|boolean)"
_PATH = r"(?://?(?:[a-z_@.(]|\*\s{0,2}[)\[/,=])|(?:local-)?name\s{0,2}\(\s{0,2}(?:/|\.\.|\*)|(?:child|parent|descendant)::(?:node|\*|text))"
_ARGUMENT = r"(?:[)(/.*@'\"0-9]|[a-z:_-]{3,40}[,()/=:\[])"
"""What a function is given; `name(s)` of prose is not called."""
_LEFT = r"\x1e[^'\"\[\x1e]{0,60}"
"""The beginning of a text up to its first quote, with no predicate opened."""

IDIOMS: tuple[Idiom, ...] = (
    Idiom("xpath", "measures", ATTACK, rf"\b{_MEASURES}\s{{0,3}}\(\s{{0,3}}\(?\s{{0,3}}{_PATH}", 1000),
    Idiom("xpath", "measures", ATTACK, rf"[\x1e\s'\")+](?:and|or)[\s+]{{1,4}}(?:not{_S}\({_S})?(?:string-length|substring|substring-before|starts-with|string-to-codepoints){_S}\({_S}(?:[a-z@._*/:-]{{1,60}}|name\(\)|text\(\)|[a-z]{{1,30}}/text\(\))[^)\x1e]{{0,40}}\){_S}[=<>!]", 400),
    Idiom("xpath", "codepoints", ATTACK, r"\b(?:codepoints-to-string|string-to-codepoints)\s{0,3}\("),
    Idiom("xpath", "quote-left", ATTACK, rf"{_LEFT}['\"]{_S}[)\]]{{0,3}}{_S}(?:or|and)[\s+]{{1,4}}(?:not{_S}\({_S})?(?:/{{0,2}}(?:[a-z]{{1,20}}/)?(?:{_FUNCTION}{_S}\({_S}{_ARGUMENT}|{_AXIS})|//?[a-z*]|\.\./)", 600),
    Idiom("xpath", "position", ATTACK, rf"\x1e[^\[\x1e]{{0,60}}[\s+'\")](?:or|and)[\s+]{{1,4}}(?:position|last|name|local-name|true|text){_S}\({_S}\){_S}(?:[=<>!]|\x1e|or\b|and\b)", 400),
    Idiom("xpath", "bracket-left", ATTACK, rf"\x1e[^\[\x1e]{{0,60}}\]{_S}\|{_S}(?://?[*a-z@(.]|\.\.?/|{_AXIS}|[a-z*]{{1,20}}[/\[])", 600),
    Idiom("xpath", "bracket-left", ATTACK, rf"{_LEFT}['\"]{_S}\)?{_S}\]{_S}/{{1,2}}(?:\.\.|\*|[a-z]{{1,30}}[/\[]|{_AXIS}|(?:text|node)\()", 600),
    Idiom("xpath", "bracket-left", ATTACK, rf"\x1e[^\[\x1e]{{0,80}}\]{_S}/{{1,2}}(?:\.\.[/\x1e]|{_AXIS}(?:node\(|\*|[a-z]{{1,30}}))", 600),
    Idiom("xpath", "union", ATTACK, r"\x1e[^\[\]/\x1e]{0,40}['\")]\s{0,4}\|\s{0,4}//(?:\*|[a-z]{1,30})", 400),
    Idiom("xpath", "fetch", ATTACK, r"\bdoc(?:-available|ument)?\s{0,3}\(\s{0,3}(?:concat\s{0,3}\(\s{0,3})?['\"](?:https?:|ftp:|file:|//)|\bunparsed-text(?:-available|-lines)?\s{0,3}\(", 2000),
    Idiom("xpath", "path", LIKELY, r"\x1e//?(?:[a-z*]{1,30}/){0,4}(?:text|node|comment)\(\)\x1e|\x1e//[a-z*]{1,30}\[\s{0,2}(?:[a-z]{1,30}/)?text\(\)\s{0,2}=", 200),
    Idiom("xpath", "root", LIKELY, rf"\x1e\s{{0,3}}(?:\.\./|/){{1,3}}{_AXIS}(?:node\(\)|\*)|/{_AXIS}node\(\)\s{{0,3}}[\])\x1e]", 200,
          trigger=rf"/{_AXIS}(?:node\(\)|\*)"),
)  # fmt: skip

JUDGE: Judge = IdiomJudge("xpath", IDIOMS, cost=0.3)
