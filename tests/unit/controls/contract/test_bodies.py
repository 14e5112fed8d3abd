"""Planning how a body is read, and judging JSON, forms, multipart and text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contract_harness import Api, document, make_head, one_body, said
from sallygate.controls.contract.schemas import THIN_FEW
from sallygate.model.finding import Finding
from sallygate.model.request import NO_BODY, BodyPlan

ORDER = {
    "type": "object",
    "properties": {
        "qty": {"type": "integer", "minimum": 1},
        "gift": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}},
        "to": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "integer"}}},
    },
    "required": ["qty"],
}


def described(*media: str, required: bool = False, schema: Any = ORDER) -> dict[str, Any]:
    content = {name: {"schema": schema} for name in media}
    return document({"/x": {"get": {}, "post": {"requestBody": {"required": required, "content": content}}}})


def planned(api: Api, headers: dict[str, str], method: str = "POST") -> BodyPlan | str:
    plan = api.plan(make_head(method, "/x", headers))
    return f"{plan.status} {plan.code}" if isinstance(plan, Finding) else plan


# Content-Type sent, what the document lists, what is planned
PLANS: list[tuple[str, tuple[str, ...], str]] = [
    ("application/json", ("application/json",), "whole json application/json"),
    ("application/json; charset=utf-8", ("application/json",), "whole json application/json"),
    ("Application/JSON;charset=UTF-8", ("application/json",), "whole json application/json"),
    ('application/json; charset="utf-8"', ("application/json",), "whole json application/json"),
    ("application/json; charset=utf-16", ("application/json",), "415 body.charset"),
    ("application/json; charset=latin1", ("application/json",), "415 body.charset"),
    ("application/json, text/plain", ("application/json",), "415 contract.content_type"),
    ("application/json; charset=utf-8; charset=utf-16", ("application/json",), "415 contract.content_type"),
    ("application/json;;", ("application/json",), "whole json application/json"),
    ("application/json;,", ("application/json",), "415 contract.content_type"),
    ("application", ("application/json",), "415 contract.content_type"),
    ("", ("application/json",), "415 contract.content_type"),
    ("text/plain", ("application/json",), "415 contract.content_type"),
    ("application/vnd.a+json", ("application/*",), "whole json application/*"),
    ("application/merge-patch+json", ("application/json", "application/merge-patch+json"), "whole json application/merge-patch+json"),
    ("application/x-www-form-urlencoded", ("application/x-www-form-urlencoded",), "whole form application/x-www-form-urlencoded"),
    ("multipart/form-data; boundary=x", ("multipart/form-data",), "whole multipart multipart/form-data"),
    ("text/csv", ("text/*",), "whole text text/*"),
    ("image/png", ("image/*",), "stream binary image/*"),
    ("application/octet-stream", ("*/*",), "stream binary */*"),
    ("application/json", ("*/*",), "whole json */*"),
    ("application/xml", ("application/xml",), "stream binary application/xml"),
    ("multipart/mixed; boundary=x", ("multipart/mixed",), "stream binary multipart/mixed"),
]  # fmt: skip


@pytest.mark.parametrize("sent, listed, wanted", PLANS)
def test_how_a_body_is_read_follows_from_its_type(sent: str, listed: tuple[str, ...], wanted: str) -> None:
    plan = planned(Api(described(*listed)), {"content-type": sent, "content-length": "10"})
    assert (plan if isinstance(plan, str) else f"{plan.mode} {plan.kind} {plan.declared}") == wanted


def test_bodies_that_are_missing_unexpected_or_too_large() -> None:
    api = Api(described("application/json", required=True))
    json_type = {"content-type": "application/json"}
    assert planned(api, json_type) == "400 contract.body_missing"
    assert planned(api, {**json_type, "content-length": "0"}) == "400 contract.body_missing"
    assert planned(Api(described("application/json")), {}) == NO_BODY
    assert planned(api, {**json_type, "content-length": str(2**20 + 1)}) == "413 contract.body_size"
    assert planned(api, {**json_type, "content-length": "9" * 5000}) == "413 contract.body_size"
    assert isinstance(planned(api, {**json_type, "content-length": str(2**20)}), BodyPlan)
    assert isinstance(planned(api, {**json_type, "transfer-encoding": "chunked"}), BodyPlan)
    assert planned(api, {"content-length": "5"}, "GET") == "415 contract.body_unexpected"
    assert planned(api, {"transfer-encoding": "chunked"}, "GET") == "415 contract.body_unexpected"
    assert planned(api, {"content-length": "0"}, "GET") == NO_BODY


def test_content_nobody_declared_can_be_let_through_unread() -> None:
    api = Api(described("application/json"), undeclared_content="ignore")
    for headers, method in (
        ({"content-type": "text/plain", "content-length": "5"}, "POST"),
        ({"content-length": "5"}, "GET"),
    ):
        plan = planned(api, headers, method)
        assert isinstance(plan, BodyPlan) and (plan.mode, plan.kind) == ("stream", "binary")
    assert planned(api, {"content-type": "a/b, c/d", "content-length": "5"}) == "415 contract.content_type"


def test_json() -> None:
    api = Api(described("application/json"))
    assert api.post({"qty": 1, "gift": True, "tags": ["a"], "to": {"city": "c"}}) == []
    assert api.post({"qty": 0, "tags": ["a", "long"]}) == ["body body:/qty minimum", "body body:/tags/1 maxLength"]
    assert api.post({"qty": "1"}) == ["body body:/qty type"]
    assert api.post({}) == ["body body:/ required"]
    (broken,) = api.ask("POST", "/x", (), b'{"qty":1', "application/json")
    assert (broken.status, broken.code, broken.rule) == (400, "body.json", "syntax")
    (wrong,) = api.ask("POST", "/x", (), b'{"qty":"secret"}', "application/json")
    assert wrong.status == 422 and "secret" not in repr(wrong)


def test_a_large_body_is_refused_without_gathering_every_error() -> None:
    schema = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}
    api = Api(one_body(schema))
    assert api.post(list(range(100)))[0] == "body body:/0 type"
    assert api.post(list(range(5000)))[0] == "body body:/0 type"
    assert api.post(["a"] * 4999 + [1]) == ["body body:/ schema"]
    plain = Api(one_body({"type": "array", "items": {"type": "string"}}))
    assert len(plain.post(list(range(100)))) == 10
    assert plain.post(list(range(5000))) == [f"body body:/{at} type" for at in range(THIN_FEW)]
    assert plain.post(["a"] * 4999 + [1]) == ["body body:/4999 type"]


FORM = "application/x-www-form-urlencoded"


def test_forms() -> None:
    api = Api(described(FORM))
    assert api.post(b"qty=1&gift=true&tags=a&tags=b&to=%7B%22city%22%3A%22c%22%7D", media=FORM) == []
    assert api.post(b"qty=1&tags=a+b", media=FORM) == []
    assert api.post(b"qty=0", media=FORM) == ["body body:/qty minimum"]
    assert api.post(b"qty=1e1", media=FORM) == ["body body:/qty type"]
    assert api.post(b"qty=1&qty=2", media=FORM) == ["body body:/qty repeated"]
    assert api.post(b"qty=1&admin=1", media=FORM) == ["body body:/admin additionalProperties"]
    assert api.post(b"qty=1&to=x", media=FORM) == ["body body:/to content"]
    assert api.post(b"gift=true", media=FORM) == ["body body:/ required"]
    assert api.post(b"qty=%zz", media=FORM) == ["body.form body: form"]
    assert api.post(b"qty=%ff", media=FORM) == ["body.form body: form"]
    assert api.post(b"&".join([b"tags=a"] * 1001), media=FORM) == ["body.form body: limits.form_fields"]


def test_forms_with_styles() -> None:
    encoding = {"tags": {"style": "form", "explode": False}, "to": {"style": "deepObject", "explode": True}}
    api = Api(one_body(ORDER, FORM, encoding=encoding))
    assert api.post(b"qty=1&tags=a,b&to[city]=c&to[zip]=5", media=FORM) == []
    assert api.post(b"qty=1&tags=a%2Cbcd", media=FORM) == ["body body:/tags/0 maxLength"]
    assert api.post(b"qty=1&to[zip]=x", media=FORM) == ["body body:/to/zip type"]
    assert api.post(b"qty=1&to[x]=1", media=FORM) == ["body body:/to/x additionalProperties"]


UPLOAD = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 5},
        "count": {"type": "integer"},
        "file": {"type": "string", "format": "binary"},
        "small": {"type": "string", "format": "binary", "maxLength": 4},
        "more": {"type": "array", "items": {"type": "string", "format": "binary"}, "maxItems": 2},
        "meta": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
    "required": ["file"],
}


def part(name: str, data: bytes, filename: str | None = None, media: str | None = None) -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"'
    head += f'; filename="{filename}"' if filename is not None else ""
    head += f"\r\nContent-Type: {media}" if media else ""
    return b"--B\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n"


def multipart(api: Api, *parts: bytes) -> list[str]:
    return api.post(b"".join(parts) + b"--B--\r\n", media="multipart/form-data; boundary=B")


def test_an_array_of_objects_in_parts() -> None:
    item = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"items": {"type": "array", "maxItems": 3, "items": item}}}
    api = Api(one_body(schema, "multipart/form-data"))

    def json_part(text: str) -> bytes:
        return part("items", text.encode(), None, "application/json")

    assert multipart(api, json_part('{"a":1}'), json_part('{"a":2}')) == []
    assert multipart(api, json_part('{"a":1}')) == [] == multipart(api, json_part('[{"a":1},{"a":2}]'))
    assert multipart(api, json_part('{"a":1}'), json_part('{"a":"x"}')) == ["body body:/items/1/a type"]
    assert multipart(api, *[json_part('{"a":1}')] * 4) == ["body body:/items maxItems"]
    assert multipart(api, json_part("[]"), json_part('{"a":1}')) == ["body body:/items repeated"]
    assert multipart(api, json_part('{"a":1}'), json_part('[{"a":1}]')) == ["body body:/items repeated"]


def test_multipart() -> None:
    api = Api(one_body(UPLOAD, "multipart/form-data", encoding={"file": {"contentType": "image/png, image/*"}}))
    file = part("file", b"\x89PNG\x00\xff", "a.png", "image/png")
    assert multipart(api, file) == []
    assert multipart(api, file, part("title", "tëxt".encode()), part("count", b"5"), part("meta", b'{"a":1}')) == []
    assert multipart(api, file, part("meta", b'{"a":1}', "blob", "application/json")) == []
    assert multipart(api, file, part("more", b"\xff", "1", "a/b"), part("more", b"\xfe", "2", "a/b")) == []
    assert multipart(api, file, *[part("more", b"", "1", "a/b")] * 3) == ["body body:/more maxItems"]
    assert multipart(api, file, part("small", b"\xff" * 4, "s")) == []
    assert multipart(api, file, part("small", b"\xff" * 5, "s")) == ["body body:/small maxLength"]
    assert multipart(api, file, file) == ["body body:/file repeated"]
    assert multipart(api, part("title", b"t")) == ["body body:/ required"]
    assert multipart(api, file, part("title", b"too long")) == ["body body:/title maxLength"]
    assert multipart(api, file, part("title", b"\xff")) == ["body body:/title encoding"]
    assert multipart(api, file, part("title", b"t", "t.txt")) == ["body body:/title filename"]
    assert multipart(api, file, part("count", b"0x5")) == ["body body:/count type"]
    assert multipart(api, file, part("meta", b'{"a":1,"a":2}')) == ["body body:/meta content"]
    assert multipart(api, file, part("meta", b'{"b":1}')) == ["body body:/meta/b additionalProperties"]
    assert multipart(api, file, part("admin", b"1")) == ["body body:/admin additionalProperties"]
    assert "body body:/file contentType" in multipart(api, part("file", b"MZ", "a.exe", "application/x-dosexec"))


def test_files_as_3_1_describes_them() -> None:
    schema = {"type": "object", "properties": {"file": {}, "photo": {"contentMediaType": "image/png"}}}
    api = Api(one_body(schema, "multipart/form-data"))
    assert (
        multipart(
            api, part("file", b"\x00\xff", "a", "application/octet-stream"), part("photo", b"\xff", "p", "image/png")
        )
        == []
    )


def test_text() -> None:
    api = Api(one_body({"type": "string", "maxLength": 3}, "text/plain"))
    assert api.post("äöü".encode(), media="text/plain") == []
    assert api.post(b"long", media="text/plain") == ["body body:/ maxLength"]
    assert api.post(b"\xff", media="text/plain") == ["body.text body: utf8"]
    assert Api(one_body({"type": "integer"}, "text/plain")).post(b"12", media="text/plain") == []


def test_parameters_come_before_the_body_and_ten_findings_are_all() -> None:
    item = {
        "post": {
            "parameters": [{"name": "p", "in": "query", "required": True, "schema": {}}],
            "requestBody": {
                "content": {"application/json": {"schema": {"type": "array", "items": {"type": "string"}}}}
            },
        }
    }
    api = Api(document({"/x": item}))
    found = said(api.ask("POST", "/x", (), json.dumps([1] * 50).encode(), "application/json"))
    assert found[0] == "parameter query:p required"
    assert len(found) == 10
