"""Values that end one filter and begin another are found; formulas, smileys and whole filters pass."""

from __future__ import annotations

import re

import pytest

from sallygate.controls.injection.judges import ldap
from sallygate.controls.injection.pipeline.evidence import ATTACK, LIKELY, ODD, Evidence

EDGE = "\x1e"
TRIGGERS = [re.compile(trigger, re.IGNORECASE | re.DOTALL) for trigger in ldap.JUDGE.triggers]

ATTACKS: list[tuple[str, int]] = [
    ("*)(cn=*))(|(cn=*", ATTACK),
    ("root*)((|userPassword=*)", ATTACK),
    ("bob)(&)", ATTACK),
    ("bob)(!(&(|", ATTACK),
    ("bob))(|(|", ATTACK),
    ("x)(|(objectClass=*)", ATTACK),
    ("x))(&(objectClass=*", ATTACK),
    ("x)(sn~=smith", ATTACK),
    ("x)(age<=100", ATTACK),
    ("x)&(cn=root", ATTACK),
    ("x)!(cn=*", ATTACK),
    ("x) ( & ", ATTACK),
    ("x)\t(\t|", ATTACK),
    ("session=v)(uid=*", ATTACK),
    ("*(|(objectclass=*))", ATTACK),
    ("(&(uid=root)(!(&(2=0)(userPassword=x))))", ATTACK),
    ("(&(sn=root)(password=*))", ATTACK),
    ("userPassword:2.5.13.17:=1", ATTACK),
    (")(cn=))\x00", ATTACK),
    ("*))%00", ATTACK),
    ("(password=any", LIKELY),
    ("*)(&", ATTACK),
    ("*()|&'", LIKELY),
    ("*|", LIKELY),
    ("@*", LIKELY),
    ("//*", LIKELY),
    ("%28", LIKELY),
    ("%7c", LIKELY),
    ("%21", LIKELY),
    ("(", ODD),
    ("!", ODD),
    ("admin*", ODD),
]

HONEST = r"""
(a=b)
f(x)(y=2)
1) first (a=1) 2) second (b=3)
:) (b=3)
a) one (x=1) b) two
((a|b)&c)
/^(a|b)*$/
a*(b+c)
(a+b)*c
call +44 (0) 123
(see note)(a)
/* x */
**bold**
*.txt
\(^o^)/
haha :)
(!(a==b))
if (!(a&&b)) {
:-)(-:
(&(objectCategory=computer)(userAccountControl:1.2.840.113556.1.4.803:=8192))
(objectSID=S-1-5-21-73586283)
text/html,*/*;q=0.8
100%28
%20
%28 a
%2F
foo|bar
/
//
* *
"""


def judged(text: str) -> Evidence | None:
    hits = [number for number, trigger in enumerate(TRIGGERS) if trigger.search(f"{EDGE}{text}{EDGE}")]
    return ldap.JUDGE.judge(text, hits) if hits else None


@pytest.mark.parametrize(("text", "score"), ATTACKS)
def test_attack_is_found(text: str, score: int) -> None:
    found = judged(text)
    assert found is not None and found.family == "ldap"
    assert found.score == score
    assert 0 <= found.start < found.end <= len(text)


def test_number_of_attacks() -> None:
    assert len(ATTACKS) == 32


def test_honest_texts_pass() -> None:
    texts = HONEST.strip().splitlines()
    assert len(texts) == 30
    assert {text: found for text in texts if (found := judged(text)) is not None} == {}


@pytest.mark.parametrize("text", ["(*)", "(!)", "(&)", "*|*", "*/*", ")))", "*)"])
def test_marks_honest_texts_consist_of_are_odd_at_most(text: str) -> None:
    found = judged(text)
    assert found is None or found.score == ODD


@pytest.mark.parametrize("unit", ["(", ")(", "(&", "(a)", "(|(a)", "(a=\x1e", "a:1.", "*)", "\x1e"])
def test_long_texts_of_beginnings_return(unit: str) -> None:
    ldap.JUDGE.judge((unit * 8192)[:8192], list(range(len(ldap.IDIOMS))))
