"""Documents that explore or exhaust are found; clients' own documents, and what is no GraphQL, pass."""

from __future__ import annotations

import re

import pytest

from sallygate.controls.injection.judges import graphql
from sallygate.controls.injection.pipeline.evidence import ATTACK, LIKELY, Evidence

EDGE = "\x1e"
TRIGGERS = [re.compile(trigger, re.IGNORECASE | re.DOTALL) for trigger in graphql.JUDGE.triggers]


def batch(count: int) -> str:
    return "[" + ",".join(['{"id": 1, "query": "query Q { me { id } }"}'] * count) + "]"


def aliased(count: int) -> str:
    return "mutation {" + " ".join(f'a{n}: login(pin: "{n}") {{ ok }}' for n in range(count)) + "}"


def many(count: int) -> str:
    return "{ me {" + ",".join(f"f{n}" for n in range(count)) + "} }"


ATTACKS: list[tuple[str, str, int]] = [
    ("{__schema{types{name}}}", "introspection", LIKELY),
    ("query Q {\n  __schema\n  {\n    queryType { name } } }", "introspection", LIKELY),
    ("{ __schema, # why\n , { types { name } } }", "introspection", LIKELY),
    ("{ a: __schema @include(if: true) { types { name } } }", "introspection", LIKELY),
    ("{ __schema" + "\n# no" * 60 + "\n{ types { name } } }", "introspection", LIKELY),
    ("Query{__schema {queryType { name }", "introspection", LIKELY),
    ('{"query": "{__schema {types {name}}}"}', "introspection", LIKELY),
    ("{" + "a {" * 20, "depth", ATTACK),
    ("{" + "... on T { a {" * 10, "depth", ATTACK),
    ("{ a(b: " + "[" * 40, "depth", ATTACK),
    (aliased(60), "aliases", ATTACK),
    (many(400), "fields", ATTACK),
    ("{" + "...F " * 400, "same-field", ATTACK),
    ("query Q { " + "me " * 150 + "}", "same-field", ATTACK),
    ("{ me " + "@a " * 30 + "}", "directives", ATTACK),
    ("{ me " + "@skip(if: false)" * 30 + "}", "directives", ATTACK),
    (" ".join(f"query Q{n} {{ me }}" for n in range(12)), "operations", ATTACK),
    (batch(12), "batch", ATTACK),
    ("query {...A} fragment A on T {...B} fragment B on T { id ...A }", "circular-fragments", ATTACK),
    ("fragment A on T { ...A }", "circular-fragments", ATTACK),
]

HONEST: list[str] = [
    "query ($id: ID! = \"x\", $in: [In!]) @cached { user(id: $id, at: {a: [1, 2]}) { name ...F __typename } } "
    "fragment F on User { posts(first: 3) { edges { node { title author { id } } } } }",
    "{ me { __typename id } }",
    '{ __type (name: "User") { fields { name } } }',
    "mutation M { login(u: \"a { b {\", t: \"\"\" } \" } \"\"\") { token } }",
    "subscription { added { ... on Post { id } ... @include(if: true) { at } } }",
    "fragment A on T { ...B } fragment B on T { id } query { a { ...A ...B } }",
    aliased(20),
    many(100),
    batch(10),
    "{" + "a {" * 8 + "b" + "}" * 9,
    '[{"query": "shoes"}, {"query": "query letters"}]',
    "{ color: red; margin: 0 }",
    "{" + "a {" * 20 + "color: red; }",
    "{a: 1, b: {c: 2}}",
    "{" * 200,
    "{{name}} {user}",
    "{3f2504e0-4f89-11d3-9a0c-0305e82c3301}",
    "query strings and their fragment",
    "subscription: monthly",
    '{"__type": "x", "__schema": {"a": 1}}',
    '{"data": {"__typename": "Query"}}',
    "def __type(name): pass",
    "the __schema field",
    "# title\nquery me",
    "",
]  # fmt: skip


def judged(text: str) -> Evidence | None:
    return graphql.JUDGE.judge(text, []) if any(trigger.search(f"{EDGE}{text}{EDGE}") for trigger in TRIGGERS) else None


@pytest.mark.parametrize(("text", "rule", "score"), ATTACKS)
def test_attack_is_found_by_its_rule(text: str, rule: str, score: int) -> None:
    found = judged(text)
    assert found is not None and found.family == "graphql"
    assert (found.rule, found.score) == (rule, score)
    assert 0 <= found.start < found.end <= len(text)


def test_number_of_attacks() -> None:
    assert len(ATTACKS) == 20


def test_honest_texts_pass() -> None:
    assert len(HONEST) == 25
    assert {text: found for text in HONEST if (found := judged(text)) is not None} == {}


def test_honest_texts_pass_without_the_triggers_too() -> None:
    assert {text: found for text in HONEST if (found := graphql.JUDGE.judge(text, [])) is not None} == {}


@pytest.mark.parametrize("measure", ["depth", "aliases", "fields"])
def test_the_limit_itself_passes(measure: str) -> None:
    texts = {
        "depth": ("{a" * graphql.DEPTH_MAX, "{a" * (graphql.DEPTH_MAX + 1)),
        "aliases": (aliased(graphql.ALIASES_MAX), aliased(graphql.ALIASES_MAX + 1)),
        "fields": (many(graphql.FIELDS_MAX), many(graphql.FIELDS_MAX + 1)),
    }
    within, beyond = texts[measure]
    assert graphql.exceeded(within) is None
    assert graphql.exceeded(beyond) == measure


@pytest.mark.parametrize("end", range(1, 120))
def test_every_beginning_of_a_document_is_read(end: int) -> None:
    graphql.JUDGE.judge(HONEST[0][:end], [])
    assert graphql.exceeded(HONEST[0][:end]) is None


@pytest.mark.parametrize(
    "unit", ["{", "{#", "{\n#", "{,", '"', '"""', "__type(#\n", "a{b}", "(a:", "\\n{", "}{", "..", "\x1e"]
)
def test_long_texts_of_beginnings_return(unit: str) -> None:
    for start in ("", "{", "query(", "[", "{__schema"):
        graphql.JUDGE.judge((start + unit * 8192)[:8192], [])
