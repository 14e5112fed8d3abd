"""Expressions of template engines are found; placeholders of one name pass."""

from __future__ import annotations

import pytest

from sallygate.controls.injection.judges import template
from sallygate.controls.injection.pipeline.evidence import LIKELY, Evidence
from sallygate.controls.injection.pipeline.prefilter import Prefilter

PREFILTER = Prefilter([template.JUDGE.triggers])

ATTACKS = r"""
{{7*7}}
{{ 9 * 9 }}
{{7*'7'}}
${7*7}
${ 1337*3 }
#{7*7}
*{7*7}
@{7*7}
<%= 7*7 %>
<%=7*7%>
${{7*7}}
{7*7}
@(7*7)
{{=7*7}}
{{config}} {{config.items()}}
{{config.SECRET_KEY}}
{{self.__init__}}
{{''.__class__.__mro__}}
{{ [].class.base.subclasses() }}
{{request.application.__globals__}}
{{request|attr('x')}}
{{cycler.__init__}}
{{lipsum.__globals__}}
{{get_flashed_messages.__globals__}}
{{ 'x'|upper|list }}
{{_self.env.setCache("x")}}
{{['id']|filter('system')}}
{{dump(app)}}
{{app.request.server.all|join(',')}}
{{range.constructor("return 1")()}}
{{constructor.constructor('x')()}}
{% import os %}
{% for x in y %}a{% endfor %}
{% if 1 %}a{% endif %}
{%set x=1%}
{% include '/srv/x' %}
<#assign ex="x">
${"freemarker.template.utility.Execute"?new()("id")}
#set($x=1) $x
#set($x = 'a')
$class.inspect("java.lang.Runtime")
#include("/srv/x")
{php}echo 1;{/php}
{system('id')}
{$smarty.version}
@{ var x = 1; }
@System.DateTime.Now
<%= File.open('/srv/x').read %>
<%= system('id') %>
#{root.process}
#{ global.process.mainModule }
__${T(java.lang.Runtime).getRuntime()}__::.x
*{T(java.lang.Runtime)}
th:text="x"
${self.module.cache}
<%import os%>
${pageContext.request}
${param.x}
${T(java.lang.System).getenv()}
{{#with "x" as |s|}}{{/with}}
[[7*7]]
{{"a"~"b"}}
{{ printf "x" }}
{{define "x"}}y{{end}}
${pageContext}
${applicationScope}
${.data_model}
${#context}
#if(1==1)x#end
{Smarty_Internal_X::write("x")}
{{self}}
{{ request }}
{{- lipsum -}}
""".strip().split("\n")

HONEST = r"""
{{name}}
{{ name }}
{{first_name}} {{last_name}}
Hello {{ user }}, welcome
{{user.name}}
{{ order.id }}
{{this}}
{{config}}
{{request_id}}
Your request: {{request}}
{{{name}}}
${name}
${GDPR}
${GDPR_CONSENT_755}
${USER_ID}/x
${order.id}
#{name}
#{id}
#1
#hashtag
*{margin:0}
*{box-sizing:border-box}
[[id]]
[[First Name]]
%%TTL%%
%%CACHEBUSTER%%
__NAME__
{id}
{0} of {1}
{"a":{"b":{"c":1}}}
{{}}
{ }
{a: {b: 1}}
{{1}}
{7}
$7
$7*7
7*7
7*7=49
a{7}
[a-z]{2,4}
\d{3}-\d{4}
x^{2}+y^{2}
\frac{a}{b}
$x_{1}+x_{2}$
\begin{equation}
CREATE {x}
@media print{a{color:red}}
.a{width:calc(100% - 7px)}
a{b:c}d{e:f}
@name
@(home)
me@a.example
<% %>
< % 5
5% < 7%
100%
<b>7*7</b>
#main .x > a
#section-2
#5: set the table
#include <stdio.h>
if (x) { y }
function() { return {}; }
var a = {b: {c: 1}};
(a) => ({ b: a })
`text`
${
{{
}}
{%
price: ${amount}
US${5}
$5.00
$class
@import url(a.css)
{php
{if}
[=
=)
[[1, 2], [3, 4]]
matrix [[1*2]]
{{ index }}
{{ define your own }}
{{html}}
${page}
${session}
${pageTitle}
#if (DEBUG) x #endif
std::vector<int>
{ Foo::bar }
""".strip().split("\n")


def judged(text: str) -> Evidence | None:
    hits = PREFILTER.hits(text).get(0)
    return template.JUDGE.judge(text, hits) if hits else None


def score_of(text: str) -> int:
    found = judged(text)
    return found.score if found is not None else 0


def test_expressions_are_found() -> None:
    assert len(ATTACKS) == 73
    assert [text for text in ATTACKS if score_of(text) < LIKELY] == []


def test_placeholders_pass() -> None:
    assert len(HONEST) == 91
    assert {text: score for text in HONEST if (score := score_of(text)) >= LIKELY} == {}


@pytest.mark.parametrize(
    ("text", "rule", "span"),
    [
        ("a {{7*7}}", "computes", "{{7*7"),
        ("a {%set x=1%} b", "statement", "{%set x=1%}"),
        ("x <#assign y=1>", "freemarker", "<#assign"),
    ],
)
def test_spans_hold_what_was_found(text: str, rule: str, span: str) -> None:
    found = judged(text)
    assert found is not None
    assert (found.family, found.rule, text[found.start : found.end]) == ("template", rule, span)


@pytest.mark.parametrize("shape", ["{{", "{{a", "{{a.", "{{a(", "{%", "{%a", "${", "${a", "${'", "#{", "*{", "<%", "<%=", "{{1", "{{1*", "{{'", "#set(", "$class.", "{php", "{if ", "@(", "@{ ", "{{#if a", "{{{", "__${", "|${", "th:", "?new(", "<#", "\x1e#", "\ud800{{"])  # fmt: skip
def test_hostile_shapes_of_a_whole_window_return(shape: str) -> None:
    text = (shape * 8192)[:8192]
    found = template.JUDGE.judge(text, list(range(len(template.JUDGE.triggers))))
    assert found is None or 0 <= found.start <= found.end <= len(text)
