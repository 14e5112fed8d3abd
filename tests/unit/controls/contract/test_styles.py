"""Every style, exploded and not, for scalars, arrays and objects, in every place; values that fit and values
that do not."""

from __future__ import annotations

from typing import Any

import pytest

from contract_harness import Api, one_body, one_parameter

SCALAR = {"type": "integer"}
ARRAY = {"type": "array", "items": {"type": "integer"}, "maxItems": 3}
OBJECT = {
    "type": "object",
    "properties": {"R": {"type": "integer"}, "G": {"type": "integer"}},
    "required": ["R"],
    "additionalProperties": False,
}
TEXTS = {"type": "array", "items": {"type": "string", "maxLength": 5}, "minItems": 2, "maxItems": 2}

# place, style, explode, schema, texts that fit, texts that do not: a path segment, a query, a header or a cookie value
CASES: list[tuple[str, str, bool, dict[str, Any], list[str], list[str]]] = [
    ("path", "simple", False, SCALAR, ["5", "-5"], ["x", "5,6", "05", "%205"]),
    ("path", "simple", True, SCALAR, ["5"], ["p=5"]),
    ("path", "simple", False, ARRAY, ["1,2,3", "1"], ["1,2,3,4", "1,x", "1%2C2", "1.2"]),
    ("path", "simple", True, ARRAY, ["1,2"], ["1,2,x"]),
    ("path", "simple", False, OBJECT, ["R,1,G,2", "R,1"], ["R,1,G", "G,2", "R,1,B,3", "R=1"]),
    ("path", "simple", True, OBJECT, ["R=1,G=2"], ["R,1", "R=x", "R=1,R=2", "R=1,B=3"]),
    ("path", "simple", False, TEXTS, ["a%2Cb,c"], ["a,b,c", "a%2Cb"]),
    ("path", "label", False, SCALAR, [".5"], ["5", ".x", "..5"]),
    ("path", "label", True, SCALAR, [".5"], [";5"]),
    ("path", "label", False, ARRAY, [".1,2"], ["1,2", ".1.2"]),
    ("path", "label", True, ARRAY, [".1.2"], [".1,2", "1.2", ".1.x"]),
    ("path", "label", False, OBJECT, [".R,1,G,2"], [".R=1", "R,1"]),
    ("path", "label", True, OBJECT, [".R=1.G=2"], [".R=1.R=2", ".R,1"]),
    ("path", "matrix", False, SCALAR, [";p=5"], ["5", ";q=5", ";p=x", ";p"]),
    ("path", "matrix", True, SCALAR, [";p=5"], [";p=5;p=6"]),
    ("path", "matrix", False, ARRAY, [";p=1,2"], [";p=1;p=2", "1,2"]),
    ("path", "matrix", True, ARRAY, [";p=1;p=2"], [";p=1;q=2", ";p=1,2"]),
    ("path", "matrix", False, OBJECT, [";p=R,1,G,2"], [";R=1", ";p=R,1,G"]),
    ("path", "matrix", True, OBJECT, [";R=1;G=2"], [";p=R,1", ";R=1;B=2"]),
    ("query", "form", True, SCALAR, ["p=5", "", "p=-0"], ["p=x", "p=", "p=5&p=6", "p=+5", "p=5%20"]),
    ("query", "form", False, SCALAR, ["p=5"], ["p=1,2"]),
    ("query", "form", True, ARRAY, ["p=1&p=2", "p=1"], ["p=1,2", "p=1&p=x", "p=1&p=2&p=3&p=4"]),
    ("query", "form", False, ARRAY, ["p=1,2", "p=1", "p=1%2C2"], ["p=1&p=2", "p=1%2Cx", "p=1,x", "p=1,"]),
    ("query", "form", False, TEXTS, ["p=a%2Cb,c", "p=a+b,c", "p=a%2Cb"], ["p=a%2Cb%2Cc", "p=a,b,c"]),
    ("query", "form", True, OBJECT, ["R=1&G=2", "R=1", ""], ["R=x", "G=1", "R=1&R=2", "R=1&B=2", "p=1"]),
    ("query", "form", False, OBJECT, ["p=R,1,G,2"], ["p=R,1,G", "R=1", "p=R,1,B,2", "p=R%2C1"]),
    ("query", "spaceDelimited", False, ARRAY, ["p=1%202", "p=1+2"], ["p=1,2", "p=1%202%203%204"]),
    ("query", "spaceDelimited", True, ARRAY, ["p=1&p=2"], ["p=1%202"]),
    ("query", "spaceDelimited", False, OBJECT, ["p=R%201%20G%202"], ["p=R%201%20G", "p=R,1"]),
    ("query", "pipeDelimited", False, ARRAY, ["p=1|2", "p=1%7C2"], ["p=1,2", "p=1|x"]),
    ("query", "pipeDelimited", True, ARRAY, ["p=1&p=2"], ["p=1|2"]),
    ("query", "pipeDelimited", False, OBJECT, ["p=R|1|G|2"], ["p=R|1|G", "p=R|1|B|2"]),
    ("query", "deepObject", True, OBJECT, ["p[R]=1&p[G]=2", "p%5BR%5D=1", ""], ["p[R]=x", "p[B]=1&p[R]=1", "p=1", "p[R]=1&p[R]=2"]),
    ("query", "deepObject", True, OBJECT, ["p[R]=1"], ["p[R=1", "p]R[=1", "p[]=1", "p[R][x]=1"]),
    ("header", "simple", False, SCALAR, ["5"], ["x", "5, 6"]),
    ("header", "simple", True, SCALAR, ["5"], ["5 6"]),
    ("header", "simple", False, ARRAY, ["1,2", "1, 2"], ["1 2", "1,2,3,4"]),
    ("header", "simple", True, ARRAY, ["1, 2"], ["1, x"]),
    ("header", "simple", False, OBJECT, ["R,1,G,2"], ["R=1", "R,1,G"]),
    ("header", "simple", True, OBJECT, ["R=1, G=2"], ["R,1", "R=1,B=2"]),
    ("cookie", "form", False, SCALAR, ["p=5", "q=x"], ["p=x", "p=1; p=2"]),
    ("cookie", "form", True, SCALAR, ["p=5; other=1"], ["p=5x"]),
    ("cookie", "form", False, ARRAY, ["p=1,2"], ["p=1,x", "p=1%2C2"]),
    ("cookie", "form", True, ARRAY, ["p=1; p=2"], ["p=1,2"]),
    ("cookie", "form", False, OBJECT, ["p=R,1,G,2"], ["p=R,1,G"]),
    ("cookie", "form", True, OBJECT, ["R=1; G=2; session=abc"], ["R=x", "R=1; R=2"]),
]  # fmt: skip


def ask(api: Api, place: str, text: str) -> list[str]:
    if place == "path":
        return api.get("/x/" + text)
    if place == "query":
        return api.get("/x?" + text if text else "/x")
    return api.get("/x", {"p" if place == "header" else "cookie": text})


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
@pytest.mark.parametrize(
    "place, style, explode, schema, good, bad", CASES, ids=[f"{c[0]}-{c[1]}-{c[2]}-{c[3]['type']}" for c in CASES]
)
def test_a_style_reads_what_it_describes_and_nothing_else(
    version: str, place: str, style: str, explode: bool, schema: dict[str, Any], good: list[str], bad: list[str]
) -> None:
    parameter = {"name": "p", "in": place, "style": style, "explode": explode, "schema": schema}
    api = Api(one_parameter({**parameter, "required": place == "path"}, version))
    assert {text: ask(api, place, text) for text in good} == {text: [] for text in good}
    accepted = [text for text in bad if not ask(api, place, text)]
    assert accepted == []


def test_the_table_covers_every_combination() -> None:
    shapes = {"integer": "scalar", "array": "array", "object": "object"}
    covered = {(place, style, explode, shapes[schema["type"]]) for place, style, explode, schema, _, _ in CASES}
    wanted = {
        *(("path", s, e, k) for s in ("simple", "label", "matrix") for e in (False, True) for k in shapes.values()),
        *(("query", "form", e, k) for e in (False, True) for k in shapes.values()),
        *(("query", s, False, k) for s in ("spaceDelimited", "pipeDelimited") for k in ("array", "object")),
        *(("query", s, True, "array") for s in ("spaceDelimited", "pipeDelimited")),
        ("query", "deepObject", True, "object"),
        *(("header", "simple", e, k) for e in (False, True) for k in shapes.values()),
        *(("cookie", "form", e, k) for e in (False, True) for k in shapes.values()),
    }
    assert wanted <= covered
    assert len(CASES) == 46
    assert sum(len(good) + len(bad) for *_, good, bad in CASES) == 171


def test_defaults_are_those_of_the_specification() -> None:
    for place, good, bad in (("path", "1,2", "1.2"), ("query", "p=1&p=2", "p=1,2"), ("header", "1,2", "1 2"), ("cookie", "p=1; p=2", "p=1,2")):  # fmt: skip
        api = Api(one_parameter({"name": "p", "in": place, "required": place == "path", "schema": ARRAY}))
        assert ask(api, place, good) == []
        assert ask(api, place, bad) != []


def test_a_required_parameter_that_is_missing() -> None:
    for place in ("query", "header", "cookie"):
        api = Api(one_parameter({"name": "p", "in": place, "required": True, "schema": SCALAR}))
        assert api.get("/x") == [f"parameter {place}:p required"]


def test_a_required_object_spread_over_the_query() -> None:
    parameter = {"name": "p", "in": "query", "required": True, "schema": OBJECT}
    assert Api(one_parameter(parameter)).get("/x?G=2") == ["parameter query:p required"]
    assert Api(one_parameter(parameter)).get("/x") == ["parameter query:p required"]


def test_json_in_a_parameter() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    api = Api(one_parameter({"name": "p", "in": "query", "content": {"application/json": {"schema": schema}}}))
    assert api.get('/x?p={"a":1}') == []
    assert api.get("/x?p=%7B%22a%22%3A1%7D") == []
    assert api.get('/x?p={"a":"1"}') == ["parameter query:p type"]
    assert api.get('/x?p={"a":1,"b":2}') == ["parameter query:p additionalProperties"]
    assert api.get('/x?p={"a":1,"a":2}') == ["parameter query:p content"]
    assert api.get("/x?p=1&p=2")[0] == "parameter_repeated query:p repeated"


def test_names_that_only_an_open_object_could_declare_are_taken() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    api = Api(one_parameter({"name": "p", "in": "query", "schema": schema}))
    assert api.get("/x?anything=1&else=2") == []
    assert api.get("/x?anything=x") == ["parameter query:p type"]


def test_unknown_names_can_be_let_through() -> None:
    described = one_parameter({"name": "p", "in": "query", "schema": SCALAR})
    assert Api(described).get("/x?q=1") == ["query_unknown query:q unknown"]
    assert Api(described, unknown_query="ignore").get("/x?q=1&p=2") == []
    assert Api(described, unknown_query="ignore").get("/x?q=1&p=x") == ["parameter query:p type"]


def test_an_api_key_in_the_query_is_for_another_control_to_judge() -> None:
    schemes = {"key": {"type": "apiKey", "in": "query", "name": "api_key"}}
    described = one_parameter({"name": "p", "in": "query", "schema": SCALAR}, components={"securitySchemes": schemes})
    assert Api(described).get("/x?api_key=abc") == []


def test_an_empty_value_where_the_document_allows_it() -> None:
    parameter = {"name": "p", "in": "query", "schema": SCALAR, "allowEmptyValue": True}
    assert Api(one_parameter(parameter)).get("/x?p=") == []
    assert Api(one_parameter(parameter)).get("/x?p") == []
    assert Api(one_parameter({**parameter, "allowEmptyValue": False})).get("/x?p=") == ["parameter query:p type"]


def test_headers_of_the_message_are_no_parameters() -> None:
    for name in ("Accept", "Content-Type", "Authorization"):
        api = Api(one_parameter({"name": name, "in": "header", "required": True, "schema": SCALAR}))
        assert api.get("/x", {name: "text/html"}) == []


def test_types_are_found_through_references_and_compositions() -> None:
    schemas = {"N": {"type": "integer"}, "M": {"allOf": [{"$ref": "#/components/schemas/N"}, {"minimum": 2}]}}
    for schema in (
        {"$ref": "#/components/schemas/M"},
        {"allOf": [{"$ref": "#/components/schemas/N"}], "minimum": 2},
        {"anyOf": [{"type": "integer", "minimum": 2}, {"type": "null"}]},
        {"oneOf": [{"$ref": "#/components/schemas/M"}]},
        {"type": ["integer", "null"], "minimum": 2},
        {"enum": [2, 3]},
        {"const": 2},
    ):
        api = Api(one_parameter({"name": "p", "in": "query", "schema": schema}, components={"schemas": schemas}))
        assert api.get("/x?p=2") == [], schema
        assert api.get("/x?p=1") != [], schema
        assert api.get("/x?p=x") != [], schema


def test_a_number_or_a_word() -> None:
    schema = {"anyOf": [{"type": "integer", "minimum": 10}, {"type": "string", "enum": ["all", "5"]}]}
    api = Api(one_parameter({"name": "p", "in": "query", "schema": schema}))
    assert [api.get(f"/x?p={text}") == [] for text in ("10", "all", "5", "6", "none")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_nested_brackets_as_public_apis_write_them() -> None:
    schema = {
        "type": "object",
        "properties": {
            "created": {"type": "object", "properties": {"gt": {"type": "integer"}}},
            "expand": {"type": "array", "items": {"type": "string"}},
            "lines": {"type": "array", "items": {"type": "object", "properties": {"qty": {"type": "integer"}}}},
        },
    }
    api = Api(one_parameter({"name": "f", "in": "query", "style": "deepObject", "schema": schema}))
    assert api.get("/x?f[created][gt]=5&f[expand][]=a&f[expand][]=b&f[lines][0][qty]=1&f[lines][1][qty]=2") == []
    assert api.get("/x?f[created][gt]=x") == ["parameter query:f type"]
    assert api.get("/x?f[created][lt]=5") == ["parameter query:f additionalProperties"]
    assert api.get("/x?f[lines][1][qty]=1") == ["parameter query:f type"]
    assert api.get("/x?f[created]=1&f[created][gt]=2")[0] == "parameter query:f style"
    assert api.get("/x?f" + "[a]" * 9 + "=1") == ["parameter query:f style"]


def test_at_most_ten_findings() -> None:
    api = Api(one_parameter({"name": "p", "in": "query", "schema": SCALAR}))
    assert len(api.get("/x?" + "&".join(f"a{n}=1" for n in range(100)))) == 10


def test_a_name_the_client_chose_is_bounded_and_printable() -> None:
    api = Api(one_parameter({"name": "p", "in": "query", "schema": SCALAR}))
    assert api.get("/x?" + "%0d%0aSet-Cookie:%20" + "a" * 100 + "=1") == [
        "query_unknown query:??Set-Cookie: " + "a" * 50 + " unknown"
    ]


# commas that clients encode --------------------------------------------------------------------------------------------

IDS = {"name": "ids", "in": "query", "explode": False, "schema": {"type": "array", "items": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("query", "passes"),
    [("ids=12,21", True), ("ids=12%2C21", True), ("ids=12%2c21", True), ("ids=12%2Cx", False), ("ids=12%252C21", False),
     ("ids=12%2C", False), ("ids=1,2%2C3", False)],
)  # fmt: skip
def test_a_list_whose_commas_are_encoded(query: str, passes: bool) -> None:
    assert (not Api(one_parameter(IDS)).get(f"/x?{query}")) == passes


def test_an_encoded_comma_may_still_be_data() -> None:
    names = {**IDS, "schema": {"type": "array", "maxItems": 1, "items": {"enum": ["Smith, John", "x"]}}}
    assert not Api(one_parameter(names)).get("/x?ids=Smith%2C%20John")
    assert Api(one_parameter(names)).get("/x?ids=Smith%2CJohn")


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("^.{0,262144}$", ["", "a" * 262144], ["a" * 262145, "a\nb"]),
        ("^.{3}$", ["abc"], ["ab", "abcd"]),
        ("^[a-z]{2,}$", ["ab", "a" * 5000], ["a", "a1"]),
        (r"^\d{1,9000}$", ["1", "1" * 9000], ["", "1" * 9001, "a"]),
    ],
)
def test_a_pattern_that_only_counts(pattern: str, good: list[str], bad: list[str]) -> None:
    api = Api(one_body({"type": "object", "properties": {"v": {"type": "string", "pattern": pattern}}}))
    assert not any(api.post({"v": value}) for value in good)
    assert all(api.post({"v": value}) for value in bad)
