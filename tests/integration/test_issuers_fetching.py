"""Keys fetched from a real server: when it is asked, how often, and what an issuer that is down, slow, or hostile changes."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sallygate.model.work import FetchKeys, KeysFetched
from sallygate.policy.load import load_policy
from sallygate.security.certificates import development_certificate
from sallygate.security.state_directory import Installation
from sallygate.services import issuer_http as fetching
from sallygate.services.issuer_http import discovery_urls
from sallygate.services.issuer_keys import Issuers, load_known
from sallygate.state.state import State
from support import write_policy
from tokens import KEY, NOW, Key, issuing, key_set

NEXT = Key("ES256", "k2")


class House:
    """Issuers over a state, with a clock that a test sets."""

    def __init__(self, directory: Path, section: str) -> None:
        self.now = NOW
        self.told: list[str] = []
        self.policy = write_policy(directory, f"identity: {{jwt: [{{{section}, audience: shop, plan: large}}]}}")
        self.loaded = load_policy(self.policy)
        self.issuer = self.loaded.policy.identity.jwt[0].issuer
        self.installation = Installation(directory / "state")
        self.state = State()
        self.issuers = Issuers(self.installation, self.state, lambda: self.now, self._failed, self.told.append)
        self.issuers.load(self.loaded)

    def _failed(self, what: str, error: BaseException) -> None:
        self.told.append(f"{what}: {error}")

    def kids(self) -> list[str | None]:
        keys = self.state.issuers.get(self.issuer)
        return [key.kid for key in keys.keys] if keys is not None else []

    async def ask(self, kid: str | None = "k1") -> KeysFetched:
        return await self.issuers.work(FetchKeys(self.issuer, kid))

    async def settle(self) -> None:
        await self.issuers.step()
        await asyncio.gather(*[source.task for source in self.issuers._sources.values() if source.task is not None])


def run(house: House, story: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        try:
            await story()
        finally:
            await house.issuers.stop()

    asyncio.run(whole())


def by_url(url: str) -> str:
    return f"issuer: 'https://id.example', jwks: '{url}/jwks.json'"


def test_a_hundred_who_wait_ask_once_and_a_flood_asks_every_ten_seconds(tmp_path: Path) -> None:
    with issuing(delay_s=0.1) as issuer:
        house = House(tmp_path, by_url(issuer.url))

        async def story() -> None:
            answers = await asyncio.gather(*[house.ask() for _ in range(100)])
            assert {answer.failed for answer in answers} == {False} and house.kids() == ["k1"]
            assert len(issuer.asked) == 1
            for number in range(100):
                assert not (await house.ask(f"unknown-{number}")).failed
            assert len(issuer.asked) == 1
            issuer.keys.append(NEXT)
            house.now += 10.1
            await house.ask("k2")
            assert house.kids() == ["k1", "k2"] and len(issuer.asked) == 2
            house.now += 10.1
            await house.ask("nobody's")
            house.now += 10.1
            await house.ask("nobody's")
            assert len(issuer.asked) == 3, "a name that was not there a moment ago is not asked for again"

        run(house, story)


def test_an_issuer_that_is_down_leaves_the_last_keys_and_is_told(tmp_path: Path) -> None:
    with issuing() as issuer:
        house = House(tmp_path, by_url(issuer.url))

        async def story() -> None:
            await house.settle()
            assert house.kids() == ["k1"]
            issuer.down = True
            house.now += 601
            await house.settle()
            assert house.kids() == ["k1"] and house.state.issuers.is_failing(house.issuer)
            assert house.told == [f"keys of id.example: {issuer.url}/jwks.json: answers 503"]
            state = house.issuers.states()[0]
            assert (state.keys, state.failing, state.failures) == (1, True, 1)
            await house.settle()
            assert len(issuer.asked) == 2, "not before ten seconds are over"
            for _ in range(12):
                house.now += 301
                await house.settle()
            assert len(issuer.asked) == 14
            issuer.down = False
            house.now += 301
            await house.settle()
            assert not house.state.issuers.is_failing(house.issuer)

        run(house, story)
        assert House(tmp_path, by_url("http://127.0.0.1:9")).kids() == [], "what is kept is of another source"
        House(tmp_path, by_url(issuer.url).replace("id.example", "b.example"))
        assert not list((tmp_path / "state" / "issuers").iterdir()), "nothing is kept of who is trusted no more"


def test_a_restart_without_the_issuer_and_a_file_that_was_changed(tmp_path: Path) -> None:
    with issuing() as issuer:
        house = House(tmp_path, by_url(issuer.url))
        run(house, house.settle)
        file = next((tmp_path / "state" / "issuers").iterdir())
        assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
        issuer.down = True
        assert House(tmp_path, by_url(issuer.url)).kids() == ["k1"]
        keys = house.state.issuers.get(house.issuer)
        assert keys is not None and keys.good_until == NOW + 7 * 86400
        state = State()
        assert load_known(state, house.loaded, None) == {house.issuer: "nothing is kept of it"}
        data = file.read_bytes()
        file.write_bytes(data[:-40] + key_set(NEXT)[-40:])
        assert House(tmp_path, by_url(issuer.url)).kids() == [], "not as it was written"


def test_without_any_keys_nobody_is_let_in_and_nobody_called_a_forger(tmp_path: Path) -> None:
    with issuing(down=True) as issuer:
        house = House(tmp_path, by_url(issuer.url))

        async def story() -> None:
            assert (await house.ask()).failed and (await house.ask()).failed
            assert len(issuer.asked) == 1

        run(house, story)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((302, {"Location": "/elsewhere"}, b""), "answers 302"),
        ((200, {}, b"x" * (256 * 1024 + 1)), "more than 256 KiB"),
        ((200, {}, b"<html>"), "not a key set"),
        ((200, {}, json.dumps({"keys": [{"kty": "oct", "k": "AAAA"}]}).encode()), "holds a secret key"),
        ((200, {}, key_set(Key("RS256", "weak", bits=1024))), "RSA of 1024 bits"),
        ((200, {"Content-Encoding": "gzip"}, b"\x1f\x8b\x08\x00"), "not a key set"),
        ((204, {}, b""), "answers 204"),
    ],
    ids=["a redirect", "huge", "no JSON", "a shared secret", "a short key", "compressed", "nothing"],
)
def test_answers_that_are_not_believed(tmp_path: Path, answer: Any, why: str) -> None:
    with issuing() as issuer:
        house = House(tmp_path, by_url(issuer.url))

        async def story() -> None:
            await house.settle()
            issuer.paths = {"/jwks.json": answer, "/elsewhere": (200, {}, key_set(NEXT))}
            house.now += 601
            await house.settle()
            assert house.kids() == ["k1"], "the last good ones"
            assert "/elsewhere" not in issuer.asked
            assert len(house.told) == 1 and why in house.told[0], house.told

        run(house, story)


def test_a_slow_issuer_is_left_after_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "FETCH_S", 0.2)
    with issuing(delay_s=0.6) as issuer:
        house = House(tmp_path, by_url(issuer.url))

        async def story() -> None:
            assert (await house.ask()).failed
            assert "no whole answer within 0.2 s" in house.told[0]

        run(house, story)


def test_weak_keys_beside_good_ones_are_left_out_and_said_once(tmp_path: Path) -> None:
    with issuing(keys=[KEY, Key("RS256", "weak", bits=1024)]) as issuer:
        house = House(tmp_path, by_url(issuer.url))

        async def story() -> None:
            for _ in range(3):
                await house.settle()
                house.now += 3601
            assert house.kids() == ["k1"] and len(issuer.asked) == 3
            assert len(house.told) == 1 and "RSA of 1024 bits" in house.told[0]

        run(house, story)


@pytest.mark.parametrize(
    ("said", "renewed_after_s"), [("max-age=5", 60), ("public, max-age=120", 120), ("max-age=999999", 3600), ("", 600)]
)
def test_how_long_an_answer_is_good(tmp_path: Path, said: str, renewed_after_s: float) -> None:
    with issuing() as issuer:
        issuer.paths["/jwks.json"] = (200, {"Cache-Control": said}, key_set(KEY))
        house = House(tmp_path, by_url(issuer.url))

        async def story() -> None:
            await house.settle()
            house.now += renewed_after_s - 1
            await house.settle()
            assert len(issuer.asked) == 1
            house.now += 2
            await house.settle()
            assert len(issuer.asked) == 2

        run(house, story)


def test_discovery_finds_the_keys_and_believes_its_own_issuer_alone(tmp_path: Path) -> None:
    assert discovery_urls("https://id.example/realms/a/") == (
        "https://id.example/realms/a/.well-known/openid-configuration",
        "https://id.example/.well-known/oauth-authorization-server/realms/a",
    )
    with issuing() as issuer:
        house = House(tmp_path, f"issuer: '{issuer.url}', discovery: true")
        second = "/.well-known/oauth-authorization-server"

        async def story() -> None:
            for described, why in (
                ({"issuer": "https://evil.example", "jwks_uri": f"{issuer.url}/jwks.json"}, "describes another issuer"),
                ({"issuer": issuer.url, "jwks_uri": "http://evil.example/jwks.json"}, "unencrypted"),
                ({"issuer": issuer.url, "jwks_uri": "file:///etc/passwd"}, "is not an https URL"),
                ({"issuer": issuer.url}, "names no `jwks_uri`"),
            ):
                issuer.paths = {"/.well-known/openid-configuration": (200, {}, json.dumps(described).encode())}
                house.now += 301
                await house.settle()
                assert house.kids() == [] and why in house.told[-1], house.told
            good = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/jwks.json"}
            issuer.paths = {second: (200, {}, json.dumps(good).encode())}
            house.now += 301
            await house.settle()
            assert house.kids() == ["k1"]

        run(house, story)


def test_a_file_is_read_again_when_it_changes_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(key_set(KEY))
    house = House(tmp_path, "issuer: 'https://id.example', jwks: keys.json")

    async def story() -> None:
        assert house.kids() == ["k1"]
        for text, expected in ((key_set(KEY, NEXT), ["k1", "k2"]), (b"{", ["k1", "k2"]), (key_set(NEXT), ["k2"])):
            fresh = tmp_path / "fresh"
            fresh.write_bytes(text)
            os.replace(fresh, file)
            await house.settle()
            assert house.kids() == expected
        assert len(house.told) == 1 and "not a key set" in house.told[0]

    run(house, story)


def test_a_reload_drops_keys_whose_source_changed_and_keeps_the_others(tmp_path: Path) -> None:
    with issuing() as issuer:
        house = House(tmp_path, by_url(issuer.url))

        async def story() -> None:
            await house.settle()
            house.policy.write_text(house.policy.read_text().replace("plan: large", "plan: small"))
            house.issuers.configure(load_policy(house.policy))
            assert house.kids() == ["k1"]
            await house.settle()
            assert len(issuer.asked) == 1
            house.policy.write_text(house.policy.read_text().replace("/jwks.json", "/other.json"))
            house.issuers.configure(load_policy(house.policy))
            assert house.kids() == []
            house.policy.write_text(house.policy.read_text().replace("https://id.example", "https://b.example"))
            house.issuers.configure(load_policy(house.policy))
            assert house.kids() == [] and len(house.issuers.states()) == 1

        run(house, story)


def test_the_issuers_certificate_is_verified(tmp_path: Path) -> None:
    cert, key, authority = development_certificate(tmp_path / "c", "127.0.0.1", time.time())
    with issuing(certificate=(cert, key)) as issuer:
        for more, kids in (("", []), (f", ca: '{authority}'", ["k1"])):
            house = House(tmp_path, by_url(issuer.url) + more)
            run(house, house.settle)
            assert house.kids() == kids
            assert any("CERTIFICATE_VERIFY_FAILED" in line for line in house.told) == (not kids), house.told
