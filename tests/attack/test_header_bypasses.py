"""How a header field that the policy removes, or sets, might reach a client all the same."""

from __future__ import annotations

from typing import Any

import pytest

from gatehouse import House, Request, policy_text

POLICY = policy_text(headers="remove: [X-Debug-Token], set: {Cache-Control: no-store}")
STORIES: dict[str, list[tuple[bytes, bytes]]] = {
    "in capitals, as an application inside the process may write it": [(b"X-DEBUG-TOKEN", b"s3cret")],
    "twice": [(b"x-debug-token", b"no"), (b"x-debug-token", b"s3cret")],
    "its own word on caching, last": [(b"cache-control", b"public"), (b"Cache-Control", b"max-age=9")],
}


class Answering(House):
    """A house whose application answers with given fields."""

    fields: list[tuple[bytes, bytes]]
    messages: tuple[dict[str, Any], ...] = ({"type": "http.response.body", "body": b"ok"},)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached += 1
        await send({"type": "http.response.start", "status": 200, "headers": self.fields})
        for message in self.messages:
            await send(message)


@pytest.mark.parametrize("story", STORIES)
def test_a_field_in_another_spelling(story: str) -> None:
    house = Answering(POLICY)
    house.fields = STORIES[story]
    assert house.passes(Request(key="large"))
    sent = [(name.lower(), value) for name, value in house.said[0]["headers"]]
    assert b"s3cret" not in dict(sent).values()
    assert [value for name, value in sent if name == b"cache-control"] == [b"no-store"]


def test_a_field_after_the_body() -> None:
    """Trailers are merged into the header by some clients."""
    house = Answering(POLICY)
    house.fields = [(b"trailer", b"x-debug-token")]
    house.messages = (
        {"type": "http.response.body", "body": b"ok", "more_body": True},
        {"type": "http.response.trailers", "headers": [(b"x-debug-token", b"s3cret")]},
    )
    with pytest.raises(RuntimeError, match="trailers"):
        house.passes(Request(key="large"))
    assert b"s3cret" not in repr(house.said).encode()
    scope = {**Request(key="large").scope(), "extensions": {"http.response.trailers": {}}}
    with pytest.raises(RuntimeError, match="trailers"):
        house.passes(scope)  # before the body has ended
    house.messages = ({"type": "http.response.body", "body": b"ok"}, *house.messages[1:])
    assert house.passes(scope)
    assert house.said[-1]["headers"] == [] and b"s3cret" not in repr(house.said).encode()
