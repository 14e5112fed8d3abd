"""Pieces that were made for a page to go on with are found, whatever surrounds them; whole markup of their kind passes."""

from __future__ import annotations

import re

import pytest

from sallygate.controls.injection.judges.html import xss_judge
from sallygate.controls.injection.judges.html.page_fragments import CHARS_MAX
from sallygate.controls.injection.pipeline.evidence import LIKELY

PIECES: dict[str, str] = {
    "<svg": "svg-left",
    " <svg xmlns='a'": "svg-left",
    "see <svg:svg>": "svg-left",
    'b <svg:g id="foo"> ': "svg-left",
    '1 <svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">': "svg-left",
    'xmlns:svg="http://www.w3.org/2000/svg">': "namespace-left",
    '$("a.b").click();': "script-left",
    " $('#x').trigger('y')": "script-left",
    'PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciPg%3D%3D"/>': "encoded-left",
    "PHNjcmlwdD5nbygpPC9zY3JpcHQ+' >": "encoded-left",
    "<%": "tag-left",
    "a <img src=&#106;&#97;&#118;&#97; x>": "spelled-address",
    "a <img src='&#x6a&#x61&#x76&#x61'>": "spelled-address",
    "a *['<!--']{} b": "comment-opened",
    '<?xml:namespace prefix="t" ns="urn:x">': "timed-elements",
    "a <b xmlns:c='urn:schemas-microsoft-com:time'>": "timed-elements",
    'a <doc xmlns:html="http://www.w3.org/1999/xhtml">': "namespace-lent",
    'a <math><x xlink:href="//evil.example/">b': "foreign-link",
    'a <a xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="?">b': "foreign-link",
    '<x ev:event="load" ev:handler="a.evt#x"/>': "event-listened",
    "a <p style=content:url(a.svg)>b</p>": "loading-style",
    "<path d='M0,0' style='marker-start:url(a.svg#b)'/>": "loading-style",
    '@font-face {font-family: y; src: url("a.svg#x") format("svg");}': "loading-style",
    '<p style="background:url(http://a.example/b c/;color:red/*/d.jpg);">b</p>': "torn-style",
    "<p style=\"background:url('a&#1;;color:red;/*')\">b</p>": "torn-style",
    "<p style=\"font-family:'a&#10;;color:red;';\">b": "torn-style",
    '<p style="font-family:a}color=red;">b': "torn-style",
    '<p style="font-family:a{b;background:url(http://a.example/c};color:red/*/d.jpg);">e': "torn-style",
    r"""<p style="font-family:'a\27\2F\2A b'">c""": "spelled-style",
    r"""<p style="background:\0075\0072\006C\0028 x">c""": "spelled-style",
    "<style> #x{font-family:a[b;color:green;} </style>": "torn-style",
    "<style>@font-face {font-family: y; src: url('a.svg#x')}</style>b": "torn-style",
}

HONEST = r"""
a <svg/>
a <svg viewBox="0 0 1 1"/>
<svg viewBox="0 0 1 1"><use href="#a"/></svg>
data:image/svg+xml;utf8,<svg xmlns="http://www.w3.org/2000/svg" width="8">
a click on body > div > svg
the <svg element is cut off here: <p>a <svg wid
xmlns
xmlns: what is it
$(5)
$("a") costs
$('x') is jQuery's
PHN2ZyB4bWxucz0i
PHNjaGVtZQ
<% of sales
a[b='<!-']
<a xlink:href="https://a.example/">b</a>
<svg xmlns:xlink="http://www.w3.org/1999/xlink"><a xlink:href="https://a.example/"><text>b</text></a></svg>
a <math><mi>x</mi></math>
a <html xmlns="http://www.w3.org/1999/xhtml">b</html>
a <p class="a"><?xml:namespace prefix = o ns = "urn:schemas-microsoft-com:office:office" />b</p>
<img src="/a?b=1&amp;c=2&#38;d">
<a href="&#109;&#97;&#105;&#108;&#116;&#111;:a@b.example">c</a>
<p style="background:url(data:image/png;base64,iVBORw0KGgo=);color:red">a</p>
<p style="background:url('/a.png');color:red">a</p>
<p style="background: url(https://a.example/css?family=B:400;c:700)">a</p>
<p style="font-family:'Open Sans',&quot;Lato&quot;;color:red">a</p>
<p style="width:{{w}}px;color:{{c}}">a</p>
<p style="color:${c}">a</p>
<p style="width:100px\9;content:'\201C'">a</p>
<path style="fill:url(#a);clip-path:url(#b)"/>
<img style="content:url(data:image/png;base64,iVBORw0KGgo=)">
<style>.a{grid-template-columns:[b] 1fr [c] 2fr;color:red}</style>
<style>a[href="x"]{color:red} .b{font:c}</style>
<style>@font-face{font-family:a;src:url(a.eot);src:url("a.eot?#iefix") format("eot"),url("a.svg#a") format("svg")}</style>
""".strip().split("\n")


@pytest.mark.parametrize("text", PIECES)
def test_a_piece_is_found_by_its_rule(text: str) -> None:
    found = xss_judge.JUDGE.judge(text, [])
    assert found is not None and found.score >= LIKELY
    assert found.rule == PIECES[text] or found.rule == "fragment"
    assert 0 <= found.start < found.end <= len(text)


def test_most_pieces_are_told_by_these_rules_alone() -> None:
    rules = {found.rule for text in PIECES if (found := xss_judge.JUDGE.judge(text, [])) is not None}
    assert rules - {"fragment"} == set(PIECES.values())


@pytest.mark.parametrize("text", HONEST)
def test_whole_markup_and_words_pass(text: str) -> None:
    found = xss_judge.JUDGE.judge(text, [])
    assert found is None or found.score < LIKELY, found


def test_the_suite_holds_the_cases_it_claims() -> None:
    assert (len(PIECES), len(HONEST)) == (32, 34)


@pytest.mark.parametrize("text", PIECES)
def test_every_piece_is_one_the_prefilter_lets_through(text: str) -> None:
    assert any(re.search(trigger, f"\x1e{text}\x1e", re.IGNORECASE | re.DOTALL) for trigger in xss_judge.JUDGE.triggers)


def test_a_window_of_a_long_document_may_end_in_an_open_picture() -> None:
    text = "<p>a</p>" * (CHARS_MAX // 8) + '<svg viewBox="0 0 1 1">'
    found = xss_judge.JUDGE.judge(text, [])
    assert found is None or found.score < LIKELY


@pytest.mark.parametrize(
    "shape",
    ["<svg ", "xmlns:a='", "$('", "PHN2Zy", "<img src=&#106;", "['<!--", "<a xmlns:xlink ", "<math><a ", "<p style='", "url(;a:", "';a:", "\\27",
     "\\63 ", "<style>:[", "@font-face{", "a.svg#", "content:url(", "#required ", "<p style=\"a:'b;c:"],
)  # fmt: skip
def test_hostile_shapes_of_a_whole_window_return(shape: str) -> None:
    for text in (
        (shape * 8192)[:8192],
        (shape * 2048)[:2048],
        '<p style="' + (shape * 8192)[:8180],
        "<style>" + (shape * 2000)[:2000],
    ):
        found = xss_judge.JUDGE.judge(text, [])
        assert found is None or 0 <= found.start <= found.end <= len(text)
