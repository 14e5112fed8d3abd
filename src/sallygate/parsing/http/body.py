"""Body reader: bytes to a tree, by the plan made at the head, for JSON, forms, multipart and text.

It does not know operations or schemas. What cannot be read in one way is a finding with status 400.
"""

from __future__ import annotations

import re

from msgspec import Struct
from msgspec.structs import replace

from sallygate.model.finding import Finding
from sallygate.model.request import EMPTY_BODY, Body, BodyPlan, RequestHead
from sallygate.parsing import json_text as jsontext
from sallygate.parsing.http import forms, multipart
from sallygate.parsing.http.codings import READABLE, CodingError, undo_coding
from sallygate.parsing.http.media_types import other_charset


class BodyLimits(Struct, frozen=True, gc=False):
    """Bounds of the parsers; each default has its reason where it is defined."""

    json_depth_max: int = jsontext.DEPTH_MAX
    form_pairs_max: int = forms.PAIRS_MAX
    parts_max: int = multipart.PARTS_MAX
    part_header_bytes_max: int = multipart.HEADER_BYTES_MAX


_NOT_ASCII = re.compile(rb"%[89A-Fa-f]").search
LIMITS = BodyLimits()
STREAM_BYTES_MAX = 16 << 20
"""Largest request body where nothing says less."""


def with_coding(plan: BodyPlan, head: RequestHead) -> BodyPlan | Finding:
    """The plan with the content coding that is undone before the body is read, or why it cannot be."""
    if (coding := head.fields.get("content-encoding", "").strip().lower()) in ("", "identity"):
        return plan
    if plan.mode in ("stream", "spool") or coding not in READABLE:
        return _coded(Finding("body.coding", "Bodies of this content coding are not accepted.", 415))
    return replace(plan, coding=coding)


def plain_body(plan: BodyPlan, raw: bytes) -> bytes | Finding:
    """The body with its content coding undone, or why it cannot be."""
    if not plan.coding:
        return raw
    try:
        return undo_coding(raw, plan.coding, plan.bytes_max)
    except CodingError as error:
        return _coded(Finding("body.coding", f"The body is {error.detail}.", 413 if error.too_large else 400))


def _coded(finding: Finding) -> Finding:
    return replace(finding, where="header:content-encoding", owasp="API4")


def parse_body(plan: BodyPlan, raw: bytes, limits: BodyLimits = LIMITS) -> Body | Finding:
    """The body as its kind reads it, or why it cannot be read. A stream is never parsed: its tree is None."""
    kind = plan.kind
    if plan.ascii and not _is_ascii(plan, raw):
        return other_charset()
    if kind == "json":
        try:
            tree = jsontext.parse_json(raw, limits.json_depth_max)
        except jsontext.JsonError as error:
            return _finding("body.json", error.code.partition(".")[2], error.detail, error.status)
        return Body(raw, kind, plan.media, tree, plan.declared)
    if plan.mode == "none":
        return EMPTY_BODY
    try:
        return Body(raw, kind, plan.media, _parsed(plan, raw, limits), plan.declared)
    except forms.FormError as error:
        return _finding("body.form", error.rule, error.detail)
    except multipart.MultipartError as error:
        return _finding("body.multipart", error.rule, error.detail)
    except UnicodeDecodeError:
        return _finding("body.text", "utf8", "the text is not UTF-8")


def _is_ascii(plan: BodyPlan, raw: bytes) -> bool:
    """Whether text reads the same in every charset: of a form after decoding, since `%E9` is a byte, too."""
    return raw.isascii() and not (plan.kind == "form" and _NOT_ASCII(raw))


def _parsed(plan: BodyPlan, raw: bytes, limits: BodyLimits) -> object:
    if plan.kind == "form":
        return forms.decode_pairs(raw, limits.form_pairs_max)
    if plan.kind == "multipart":
        return multipart.parse_multipart(raw, plan.boundary, limits.parts_max, limits.part_header_bytes_max)
    if plan.kind == "text":
        return raw.decode("utf-8")
    return None


def _finding(code: str, rule: str, detail: str, status: int = 400) -> Finding:
    return Finding(code, detail, status, where="body:", rule=rule, owasp="API8")
