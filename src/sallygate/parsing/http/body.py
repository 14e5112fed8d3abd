"""A body's bytes to its tree, by the plan made at the head: one door for JSON, forms, multipart and text.

It does not know operations or schemas. What cannot be read in one way is a finding with status 400.
"""

from __future__ import annotations

from msgspec import Struct

from sallygate.model.finding import Finding
from sallygate.model.request import EMPTY_BODY, Body, BodyPlan
from sallygate.parsing import json_text as jsontext
from sallygate.parsing.http import forms, multipart


class BodyLimits(Struct, frozen=True, gc=False):
    """Bounds of the parsers; each default has its reason where it is defined."""

    json_depth_max: int = jsontext.DEPTH_MAX
    form_pairs_max: int = forms.PAIRS_MAX
    parts_max: int = multipart.PARTS_MAX
    part_header_bytes_max: int = multipart.HEADER_BYTES_MAX


LIMITS = BodyLimits()


def parse_body(plan: BodyPlan, raw: bytes, limits: BodyLimits = LIMITS) -> Body | Finding:
    """The body as its kind reads it, or why it cannot be read. A stream is never parsed: its tree is None."""
    kind = plan.kind
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
        return _finding("body.form", "form", error.detail)
    except multipart.MultipartError as error:
        return _finding("body.multipart", error.rule, error.detail)
    except UnicodeDecodeError:
        return _finding("body.text", "utf8", "the text is not UTF-8")


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
