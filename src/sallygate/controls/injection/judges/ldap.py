r"""Judge of LDAP injection: values that end the filter they were put into and begin another.

**Threat.** `*)(uid=*))(|(uid=*`, `admin)(&)`, `*))\x00` in a search filter (RFC 4515; CWE-90; MITRE T1190).

**Evidence.** `injection.ldap` with what the value does to the filter.

**How.** Each is one expression (`idiom_judge`). What tells is the order: a parenthesis closed that the value never opened,
and a filter opened right behind it; a comparison that is always true or asks for a password. A whole filter is no
evidence by itself: tools for directories send them. Values of nothing but the filter's own marks are probes when they
close and open, or put a `*` beside another mark. Prose, formulas and smileys open before they close, or open no
filter.

**Refuses to know** which single mark is a probe (`*`, `|`, `(`): honest values consist of one, and are at most odd. One
that is still encoded when the value was decoded (`%28` and nothing else) was meant for a second decoder.

**Known bypasses.** A wildcard within an honest value (`a*`), which changes what is found but not the filter.

**Cost.** Only the expressions that were hit are searched; each is linear."""

from __future__ import annotations

from sallygate.controls.injection.pipeline.evidence import ATTACK, LIKELY, ODD
from sallygate.controls.injection.pipeline.idiom_judge import Idiom, IdiomJudge
from sallygate.controls.injection.pipeline.judge_interface import Judge

_NAME = r"[a-z0-9][a-z0-9;._-]{0,40}(?::[a-z0-9.:]{1,40})?"
_COMPARED = rf"{_NAME}\s{{0,3}}[<>~:]?=(?:[^=\x1e]|\x1e)"
_OPENED = rf"(?:\(\s{{0,3}}(?:[&|!]\s{{0,3}}(?:[()\x1e]|{_NAME}[<>~]?=)|{_COMPARED})|[&|!]\s{{0,3}}\(\s{{0,3}}(?:[&|!]|{_COMPARED}))"
"""A filter, or a list of filters, begins."""
_BEFORE = r"\x1e[^()\x1e\n]{0,80}"
"""Up to the first parenthesis of the text."""
_ATTRIBUTE = (
    r"(?:objectclass|objectcategory|userpassword|uid|cn|sn|mail|samaccountname|userprincipalname|memberof|givenname|"
    r"password|unicodepwd|distinguishedname|useraccountcontrol|displayname|department|description|login|username|user)"
)

IDIOMS: tuple[Idiom, ...] = (
    Idiom("ldap", "closes-and-opens", ATTACK, rf"{_BEFORE}\)(?:\s{{0,2}}\)){{0,4}}{_OPENED}", 1000),
    Idiom("ldap", "closes-and-opens", ATTACK, rf"{_BEFORE}\)(?:\s{{0,2}}\)){{0,4}}\s{{1,4}}(?:\(\s{{0,4}}{_ATTRIBUTE}[<>~:]?=|\(\s{{0,4}}[&|!]\s{{0,4}}[()\x1e]|[&|!]\s{{0,4}}\(\s{{0,4}}{_ATTRIBUTE}\s{{0,2}}[<>~:]?=)", 1000),
    Idiom("ldap", "closes-and-opens", ATTACK, r"\*\){1,4}\({1,2}[&|!](?:[()\x1e]|[a-z]{1,30}=)", 1000),
    Idiom("ldap", "opens", ATTACK, rf"\x1e[a-z0-9@._*-]{{0,40}}\*\s{{0,3}}\(\s{{0,3}}[&|!]\s{{0,3}}\(\s{{0,3}}{_COMPARED}", 1000),
    Idiom("ldap", "opens", LIKELY, r"\x1e\((?:user)?(?:password|uid|cn|objectclass)=[^()=\s\x1e]{1,60}\x1e"),
    Idiom("ldap", "always", ATTACK, r"\([&|!]\s{0,3}(?:\([^()\x1e]{1,80}\)\s{0,3}|\(?[&|!]\s{0,3}){0,6}\(\s{0,3}(?:[0-9]{1,4}\s{0,3}=\s{0,3}[0-9*]|(?:userpassword|unicodepwd|password)\s{0,3}[<>~:]?=)", 2000,
          trigger=r"\(\s{0,3}(?:[0-9]{1,4}\s{0,3}=\s{0,3}[0-9*]|(?:userpassword|unicodepwd|password)\s{0,3}[<>~:]?=)"),
    Idiom("ldap", "any-value", ATTACK, rf"\(\s{{0,3}}{_ATTRIBUTE}\s{{0,3}}[<>~]?=\s{{0,3}}\*\s{{0,3}}(?:\)|\x1e)", 400),
    Idiom("ldap", "matching-rule", ATTACK, r"\b[a-z][a-z0-9-]{0,40}(?::dn)?:2\.5\.13\.[0-9]{1,3}:="),
    Idiom("ldap", "cut-off", ATTACK, r"(?:\x1e[^()\x1e]{0,60}|\))\){1,4}(?:\x00|%00|\\00|\\x00)", 400),
    Idiom("ldap", "cut-off", LIKELY, r"\x1e\*\){2,4}\x1e"),
    Idiom("ldap", "cut-off", ODD, r"\x1e[a-z0-9@._-]{0,40}\*\){1,4}\s{0,2}\x1e", 100),
    Idiom("ldap", "marks", LIKELY, r"\x1e\*(?:\)[&|!(]|\([()&|!]|&|\||\|[()&|!'])(?:[()&|!'\\=][()&|!*'\\=]{0,8})?\x1e"),
    Idiom("ldap", "marks", LIKELY, r"\x1e(?:[|&]{1,3}|\)[()&|!]{0,6}|\([&|!])\*[()&|!*'\\=]{0,8}\x1e"),
    Idiom("ldap", "marks", LIKELY, r"\x1e(?:\){1,3}\({1,3}[&|!]|\([&|!]\()[()&|!]{0,8}\x1e"),
    Idiom("ldap", "marks", LIKELY, r"\x1e(?:@\*|//\*)\x1e"),
    Idiom("ldap", "marks", LIKELY, r"\x1e%(?:2[1689]|7c)\x1e"),
    Idiom("ldap", "marks", ODD, r"\x1e(?:[()&|!]|admin\*|root\*)\x1e"),
)  # fmt: skip

JUDGE: Judge = IdiomJudge("ldap", IDIOMS, cost=0.3)
