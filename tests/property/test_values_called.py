"""Values that may have to be judged are found among many: none that calls when it is asked about alone is left out."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from patterns import prefilter
from sallygate.controls.injection.judges.registry import JUDGES
from sallygate.controls.injection.pipeline.judging import Judging
from sallygate.controls.injection.pipeline.values import Value, together

JUDGING = Judging(JUDGES, prefilter())
ATTACKS = ["1' union select a,b from users-- ", "<script>alert(1)</script>", "; cat /etc/passwd", "../../etc/passwd", "{{7*7}}",
           "' or '1'='1", "${jndi:ldap://a.example/x}", "$(id)", "x' or", "order by"]  # fmt: skip
PLAIN = [
    "hello",
    "a",
    "",
    "shoes and boots",
    "2026-12-01T00:00:00Z",
    "https://shop.example/p/1?ref=2",
    "7f1c",
    "it's",
    "a\x1eb",
]
WAYS = [
    str,
    quote,
    lambda text: quote(quote(text)),
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: json.dumps({"text": text, "n": 1}),
    lambda text: json.dumps([json.dumps({"b": base64.b64encode(text.encode()).decode()})]),
    lambda text: "".join(f"\\u{ord(one):04x}" for one in text),
]
TEXTS = st.one_of(
    st.sampled_from(PLAIN),
    st.builds(lambda way, text: way(text), st.sampled_from(WAYS), st.sampled_from(ATTACKS)),
    st.text(max_size=20),
    st.from_regex(r"[a-z '\"{}<>;|&$()=%\\-]{0,30}", fullmatch=True),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(TEXTS, max_size=90))
def test_none_that_calls_alone_is_left_out(texts: list[str]) -> None:
    values = [Value(f"body:/{number}", text, "body") for number, text in enumerate(texts)]
    called = {value.where for value in JUDGING.called(values)}
    missed = [value.text for value in values if value.where not in called and JUDGING.calls(together([value.text]))]
    assert missed == []
