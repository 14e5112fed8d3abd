"""What of XML would run in a page is found in its tags; documents with vocabularies of their own pass."""

from __future__ import annotations

import pytest

from injection_harness import post, said
from sallygate.controls.injection.judges.html import xml_page_judge
from sallygate.controls.injection.pipeline.evidence import LIKELY
from sallygate.controls.injection.pipeline.prefilter import Prefilter

PREFILTER = Prefilter([xml_page_judge.JUDGE.triggers])

ATTACKS = (
    "<IMG SRC=x ONERROR=go()>",
    "<svg xmlns='http://www.w3.org/2000/svg' onload='go()'/>",
    "<a><b onclick=go() /></a>",
    '<img alt=">" onerror=go()>',
    "<a href=javascript:go()>x</a>",
    '<a xlink:href = "javascript:go(1)">x</a>',
    "<script src=//evil.example/x.js></script>",
    "<svg:script xlink:href='//evil.example/x'/>",
    "<x onfocus={go()}>",
)
HONEST = (
    '<order><timer onTime="5"/><light onStart="true"/></order>',
    '<a online="true" onSale="yes" once="x"/>',
    '<a href="javascript:void(0)">x</a>',
    "<p>set onload=go() in the page</p>",
    "<p>javascript: the good parts</p>",
    "<script>inline</script>",
    '<build><script language="x" name="y"/></build>',
    '<rss><channel><title>On error = off</title><link href="https://a.example/"/></channel></rss>',
)


def score_of(text: str) -> int:
    found = xml_page_judge.JUDGE.judge(text, []) if PREFILTER.hits(text) else None
    return found.score if found is not None else 0


def test_what_runs_is_found() -> None:
    assert [text for text in ATTACKS if score_of(text) < LIKELY] == []


def test_documents_with_words_of_their_own_pass() -> None:
    assert {text: score for text in HONEST if (score := score_of(text))} == {}
    assert score_of('<a onTime="1"/>' * 60) == 0


def test_more_handlers_than_any_document_has_are_refused_for_that() -> None:
    assert score_of('<a onTime="1"/>' * 70) == LIKELY


@pytest.mark.parametrize("media", ["application/xml", "text/xml", "image/svg+xml", "application/soap+xml"])
def test_the_gate_refuses_them_as_bodies(media: str) -> None:
    assert [finding.partition(" ")[0] for finding in said(post(ATTACKS[0], media))] == ["xss"]
    assert said(post(HONEST[0], media)) == []


def test_a_section_is_judged_as_the_markup_it_holds() -> None:
    assert said(post("<r><![CDATA[<img src=x onerror=go()>]]></r>", "application/xml")) != []
    assert said(post("<r><![CDATA[a]<b>]]]]></r>", "application/xml")) == []
    assert said(post("<r><![CDATA[<p>formatted <b>text</b></p>]]></r>", "application/xml")) == []


@pytest.mark.parametrize(
    "shape", ["<", " on", " onload=", "<a onload=", "=javascript:", "<script ", '"', ">", "<a b='", "on\x00load="]
)
def test_hostile_shapes_of_a_whole_window_return(shape: str) -> None:
    for lead in ("", "<a ", "<a b='"):
        text = (lead + shape * 8192)[:8192]
        found = xml_page_judge.JUDGE.judge(text, [])
        assert found is None or 0 <= found.start <= found.end <= len(text)
