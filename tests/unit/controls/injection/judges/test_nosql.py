"""Operators, JavaScript and commands of stores without SQL are found; keys and code that only look so pass."""

from __future__ import annotations

import re

import pytest

from sallygate.controls.injection.judges import nosql
from sallygate.controls.injection.pipeline.evidence import ODD, Evidence

EDGE = "\x1e"
TRIGGERS = [re.compile(trigger, re.IGNORECASE | re.DOTALL) for trigger in nosql.JUDGE.triggers]

ATTACKS: list[tuple[str, str]] = [
    ("$gte", "operator"),
    ("login[$ne]", "operator"),
    ("filter[0][$regex]", "operator"),
    ("ids[$in][]", "operator"),
    ("[$lte]7", "operator"),
    ('{"pin":{"$gt":0}}', "operator"),
    ("{'$or':[{},{'b':1}]}", "operator"),
    ("{ $nin: [1] }", "operator"),
    ("7, $where: '2 == 2'", "operator"),
    ("$where: '2 == 2'", "operator"),
    ("', $or: [ {}, { 'k':'k", "operator"),
    ("' } ], $comment:'done'", "operator"),
    ('[{"$lookup":{"from":"users"}}]', "operator"),
    ('{\\"pin\\":{\\"$ne\\":1}}', "operator"),
    ('{"&exists":true}', "operator"),
    ("';return true;//", "javascript-return"),
    ("\";return(true);var q='z", "javascript-return"),
    ("9;return false", "javascript-return"),
    ("function(){ return true }", "javascript-return"),
    ("';sleep(900);'", "javascript-sleep"),
    ("x'; a=new Date();do{b=new Date();}while(b-a<900);", "javascript-loop"),
    ("1;for(t=Date.now();Date.now()-t<900;);", "javascript-loop"),
    ("' && this.token.match(/^a/)//", "javascript-this"),
    ("bob' || this.role[0]=='a", "javascript-this"),
    ("this.token.match(/^a.*/)", "javascript-this"),
    ("' || 'b'=='b", "javascript-logic"),
    ("|| 3==3", "javascript-logic"),
    ("toys'||1||'", "javascript-logic"),
    ("'\"`{", "javascript-probe"),
    ("'});tojson(this);//", "javascript-dump"),
    ("db.users.drop()", "shell"),
    ("';db.getCollectionNames();//", "shell"),
    ("mapReduce(function(){", "shell"),
    ("a\r\nFLUSHALL\r\n", "redis"),
    ("*1\r\n$4\r\nPING", "redis"),
    ("k\r\nSET a b\r\nSAVE", "redis"),
    ("redis.call('get', 'x')", "redis"),
    ("../_all_dbs", "couchdb"),
    ('{"script_fields":{"a":{"script":"java.lang.Math.class.forName(1)"}}}', "elasticsearch"),
    (
        '{"query":{"x":1},"script_fields":{"a":{"script":{"lang":"painless","source":"def x = new Thing(); x.run()"}}}}',
        "elasticsearch",
    ),
    ("x' ALLOW FILTERING; --", "cassandra"),
    ("'}) MATCH (n) DETACH DELETE n //", "cypher"),
]

HONEST = r"""
$set
$browser
$current_url
$schema
$ref
$id
$type
$filter
{"$set":{"email":"a@b.example"},"$groups":{}}
{"$schema":"http://json-schema.org/draft-07/schema#","$comment":"none"}
{"$ref":"#/definitions/a"}
$5, $or 7?
costs $9, $in: maybe
$filter=price gt 5 and name eq 'x'
$('.menu').find('a')
$x = $map[$regex];
{$in: ids}
return true;
Anna's; return policy
a || b
if(a&&b==1){return c}
var a="x";return a||this.b;
rock 'n' roll && blues
O'Neill || O'Brien
sleep(8) hours
new Date()
function(){return this.x}
typeof a=="x"||b==c
how to use 'where' to allow filtering
"x" match (b)
https://photos.example/_cat/photos
db.find
"""


def judged(text: str) -> Evidence | None:
    hits = [number for number, trigger in enumerate(TRIGGERS) if trigger.search(f"{EDGE}{text}{EDGE}")]
    return nosql.JUDGE.judge(text, hits) if hits else None


@pytest.mark.parametrize(("text", "rule"), ATTACKS)
def test_attack_is_found_by_its_rule(text: str, rule: str) -> None:
    found = judged(text)
    assert found is not None and found.family == "nosql"
    assert found.rule == rule and found.score >= 5
    assert 0 <= found.start < found.end <= len(text)


def test_honest_texts_pass() -> None:
    texts = HONEST.strip().splitlines()
    assert len(texts) == 32
    assert {text: found for text in texts if (found := judged(text)) is not None} == {}


def test_number_of_attacks() -> None:
    assert len(ATTACKS) == 42
    assert {rule for _, rule in ATTACKS} == {idiom.rule for idiom in nosql.IDIOMS}


@pytest.mark.parametrize("text", ["filters[slug][$eq]", '{"slug":{"$eq":"a"}}', "$eq"])
def test_equality_is_odd(text: str) -> None:
    found = judged(text)
    assert found is not None and found.score == ODD


def test_span_is_the_operator() -> None:
    found = judged('{"pin": {"$gt": 0}}')
    assert found is not None
    assert (found.start, found.end) == (8, 15)


@pytest.mark.parametrize("unit", ["{ ", ", ", "$ne{ ", "new date(while(-", "[a][a", "do{new ", "'\"", "\x1e"])
def test_long_texts_of_beginnings_return(unit: str) -> None:
    nosql.JUDGE.judge((unit * 8192)[:8192], list(range(len(nosql.IDIOMS))))
