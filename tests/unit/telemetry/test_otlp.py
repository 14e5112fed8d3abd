"""Which exchanges become spans."""

from __future__ import annotations

import pytest

from gatehouse import NOW, House, Request

otlp = pytest.importorskip("sallygate.telemetry.otlp", reason="needs the extra `otel`", exc_type=ImportError)
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("share", "sampled", "expected"), [(0.0, 1, False), (1e-9, 1, True), (1e-9, 0, False), (1.0, 0, True)]
)
def test_a_sampled_parent_is_a_span_at_any_share_above_0(share: float, sampled: int, expected: bool) -> None:
    export = otlp.OtlpExport("http://127.0.0.1:9", "gate", share, NOW, "instance", "1")
    parent = f"00-{TRACE}-b7ad6b7169203331-{sampled:02x}".encode()
    head = House().head(Request(headers=((b"traceparent", parent),)))
    assert export.sampled(head) == expected
