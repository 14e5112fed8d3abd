"""Logins as an attacker tries them: each story is a way in that must not be one."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from logins_harness import LOGINS, PASSWORD, Answer, LoginHouse, basic, cheap, house, run
from sallygate.admin.keys import Administration
from sallygate.controls.identity import IdentityControl
from sallygate.model.work import VerifyPassword
from sallygate.ports import StoreError
from sallygate.security import passwords
from sallygate.security.key_ring import KeyRing

pytestmark = pytest.mark.usefixtures("cheap")
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"
__all__ = ["cheap"]


def same_to_a_client(answers: list[Answer]) -> bool:
    """Status, body and headers, but for the id of the request."""
    shown = []
    for answer in answers:
        body = {name: value for name, value in answer.body.items() if name != "request_id"}
        headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
        shown.append((answer.status, body, headers))
    return all(one == shown[0] for one in shown)


def test_every_wrong_login_looks_alike(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as gate:
            gate.accounts.create("nopassword", "large")
            gate.accounts.create("locked", "large", password=PASSWORD)
            gate.accounts.lock("locked")
            await gate.synced()
            tried = [("alice", "wrong one"), ("nobody", PASSWORD), ("nopassword", PASSWORD), ("locked", PASSWORD),
                     ("no:body", PASSWORD), ("", PASSWORD), ("alice", ""), ("ALICE", PASSWORD), ("alice", "a" * 1025)]  # fmt: skip
            answers = [await gate.ask(name, password, f"203.0.113.{n}") for n, (name, password) in enumerate(tried)]
            assert answers[0].status == 401 and answers[0].code == "identity.invalid"
            assert same_to_a_client(answers)
            assert gate.rules == ["wrong password", "unknown account", "no password set", "locked", "unknown account",
                                  "no account name", "no password", "unknown account", "no password"]  # fmt: skip
            assert gate.reached == 0

    run(story())


@pytest.mark.parametrize(
    "name", ["Alice", "ALICE", "\u0430lice", "al\u0131ce", "\uff41lice", "alice\0", " alice", "alice ", "a" * 5000, "alice\n", "alic\u0435", "", "account:alice"],
)  # fmt: skip
def test_another_spelling_of_the_name_is_another_name(tmp_path: Path, name: str) -> None:
    async def story() -> None:
        async with house(tmp_path) as gate:
            assert (await gate.ask(name)).status == 401
            assert gate.reached == 0
            # ... and nobody can have an account that looks like hers
            with pytest.raises(ValueError):
                gate.accounts.create(name, "large")

    run(story())


def test_a_colon_in_a_password_is_the_passwords(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as gate:
            gate.accounts.create("bob", "large", password="with:colons:in it")
            await gate.synced()
            assert (await gate.ask("bob", "with:colons:in it")).status == 200
            assert (await gate.ask("bob:with", "colons:in it")).status == 200  # the same bytes
            assert (await gate.ask("bob", "with")).status == 401

    run(story())


@pytest.mark.parametrize("raw", [
    "Basic", "Basic ", "Basic !!!!", "Basic " + base64.b64encode(b"alice").decode(), "Basic " + "A" * 9000,
    "Basic " + base64.b64encode(b"alice:\xff\xfe").decode(), "Bearer " + PASSWORD, "Digest username=alice",
    basic("alice", PASSWORD) + ", Basic x", "alice:" + PASSWORD,
])  # fmt: skip
def test_what_is_no_basic_authentication_is_nobody(tmp_path: Path, raw: str) -> None:
    async def story() -> None:
        async with house(tmp_path) as gate:
            answer = await gate.ask(raw=raw)
            assert answer.status == 401 and gate.reached == 0

    run(story())


def test_a_megabyte_of_password_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as gate:
            hashed = count_hashes(gate)
            assert (await gate.ask("alice", "a" * 1_000_000)).status in (401, 431)
            assert (await gate.ask("alice", "\u00e9" * 1024)).status == 401
            assert len(hashed) <= 1  # 1,024 characters are looked at, 2,048 bytes hashed by nobody

    run(story())


def count_hashes(gate: LoginHouse) -> list[str]:
    hashed: list[str] = []
    compare = gate.runtime.logins.hashing._compare

    def counted(password: str, stored: str):  # type: ignore[no-untyped-def]
        hashed.append(password)
        return compare(password, stored)

    gate.runtime.logins.hashing._compare = counted  # type: ignore[method-assign]
    return hashed


def test_a_thousand_guesses_at_once_are_no_more_than_one_after_another(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as gate:
            hashed = count_hashes(gate)
            answers = await asyncio.gather(*(gate.ask("alice", f"guess {n}", ELSEWHERE) for n in range(300)))
            assert {answer.status for answer in answers} == {401, 429}
            assert sum(answer.status == 401 for answer in answers) == len(hashed) == 5
            refused = [answer for answer in answers if answer.status == 429]
            assert same_to_a_client(refused) and int(refused[0].headers["retry-after"]) >= 1
            assert gate.runtime.state.slots._taken == {}

    run(story())


def test_guesses_from_many_addresses_are_the_accounts(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as gate:
            hashed = count_hashes(gate)
            for number in range(60):
                await gate.ask("alice", f"guess {number}", f"203.0.{number}.9")
            assert len(hashed) == 5
            answer = await gate.ask("alice", PASSWORD, "203.0.200.9")
            assert answer.status == 429  # right, and not tried

    run(story())


def test_nobody_locks_the_owner_out(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as gate:
            assert (await gate.ask(address=HOME)).status == 200
            for number in range(100):
                await gate.ask("alice", f"guess {number}", f"203.0.{number}.9")
            gate.runtime.state.verified._until.clear()  # what was remembered of the password has ended
            assert (await gate.ask("alice", PASSWORD, ELSEWHERE)).status == 429
            assert (await gate.ask("alice", PASSWORD, "192.0.2.77")).status == 200  # the same /24
            assert (await gate.ask("alice", "wrong one", HOME)).status == 401

    run(story())


def test_the_owners_network_has_a_limit_of_its_own(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as gate:
            assert (await gate.ask(address=HOME)).status == 200
            hashed = count_hashes(gate)
            for number in range(40):
                await gate.ask("alice", f"guess {number}", f"192.0.2.{number}")
            assert len(hashed) == 10

    run(story())


def test_a_place_is_known_for_the_account_that_logged_in_there_alone(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as gate:
            gate.accounts.create("mallory", "large", password="mallorys own one")
            await gate.synced()
            assert (await gate.ask("mallory", "mallorys own one", ELSEWHERE)).status == 200
            hashed = count_hashes(gate)
            for number in range(30):
                await gate.ask("alice", f"guess {number}", ELSEWHERE)
            assert len(hashed) == 5

    run(story())


def test_one_password_over_many_accounts_from_one_address(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as gate:
            hashed = count_hashes(gate)
            answers = [await gate.ask(f"user{number}", "Summer2026!", ELSEWHERE) for number in range(60)]
            assert len(hashed) == 10 and answers[-1].status == 429
            assert gate.rules[-1] == "guesses:spraying"

    run(story())


def test_one_password_over_many_accounts_from_one_address_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, accounts=", waiting: 200") as gate:
            hashed = count_hashes(gate)
            await asyncio.gather(*(gate.ask(f"user{number}", "Summer2026!", ELSEWHERE) for number in range(60)))
            assert len(hashed) == 10
            many = (gate.ask(f"other{n}", "Summer2026!", f"10.{n >> 8}.{n & 255}.1") for n in range(150))
            await asyncio.gather(*many)
            assert len(hashed) <= 20 + 2  # overall, and what has been given back in the seconds of the test

    run(story())


def test_one_password_over_many_accounts_from_many_addresses(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as gate:
            hashed = count_hashes(gate)
            many = (gate.ask(f"user{n}", "Summer2026!", f"10.{n >> 8}.{n & 255}.1") for n in range(400))
            answers = await asyncio.gather(*many)
            # What may wait is bounded, and so is what may fail.
            assert len(hashed) <= 20
            assert {answer.status for answer in answers} <= {401, 429, 503}
            assert gate.runtime.state.slots._taken == {}

    run(story())


def test_a_flood_of_guesses_fills_no_memory(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, logins="{answer_every: 50ms, overall: 1000000/s burst 1000000}") as gate:
            control = gate.runtime.gate.engine.controls.get(IdentityControl)
            assert control is not None
            now = gate.clock.now()
            for number in range(200_000):
                guess = control.guesses.look(f"u{number}", f"n{number}", f"p{number}", False, now)
                for charge in guess.charges:
                    gate.runtime.state.tables[charge.table].take(charge.subject, now, 1)
            sizes = {name: len(table.subjects()) for name, table in gate.runtime.state.tables.items()}
            assert sizes["guesses:account"] == sizes["guesses:address"] == sizes["guesses:pair"] == 100_000

    run(story())


def test_who_leaves_before_the_answer_has_guessed_all_the_same(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as gate:
            hashed = count_hashes(gate)
            for number in range(12):
                task = asyncio.create_task(gate.ask("alice", f"guess {number}", ELSEWHERE))
                while len(hashed) <= number and not task.done():  # until it is being computed, or was refused
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            assert len(hashed) == 5
            assert gate.runtime.state.slots._taken == {}

    run(story())


def test_a_remembered_password_is_the_accounts_alone_and_ends_with_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as gate:
            gate.accounts.create("bob", "large", password="bobs own password")
            await gate.synced()
            hashed = count_hashes(gate)
            for _ in range(5):
                assert (await gate.ask()).status == 200
            assert len(hashed) == 1
            assert (await gate.ask("bob", PASSWORD)).status == 401
            assert (await gate.ask("alice", PASSWORD + " ")).status == 401
            gate.accounts.lock("alice")
            await gate.synced()
            assert (await gate.ask()).status == 401
            gate.accounts.unlock("alice")
            gate.accounts.reset("alice", "quite another one")
            await gate.synced()
            assert (await gate.ask()).status == 401
            assert (await gate.ask("alice", "quite another one")).status == 200
            gate.accounts.reset("alice")
            await gate.synced()
            assert (await gate.ask("alice", "quite another one")).status == 401
            assert gate.rules[-1] == "no password set"

    run(story())


def test_a_right_password_for_a_record_that_changed_meanwhile_counts_for_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as gate:
            verify = gate.runtime.logins.verify

            async def slow(work: VerifyPassword):  # type: ignore[no-untyped-def]
                done = await verify(work)
                if gate.accounts.account("alice").locked_at is None:
                    gate.accounts.lock("alice")
                    await gate.synced()
                return done

            gate.runtime.logins.verify = slow  # type: ignore[method-assign]
            answer = await gate.ask()
            assert answer.status == 401 and gate.reached == 0

    run(story())


def test_a_locked_accounts_keys_are_locked_too(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, identity=", api_keys: {basic: true}") as gate:
            admin = Administration(gate.store, KeyRing(gate.runtime.installation.pepper()), "test")
            _, key = admin.create_key("alice", "large")
            _, other = admin.create_key("nobody", "large")
            await gate.synced()
            assert (await gate.send([(b"host", b"a"), (b"x-api-key", key.encode())])).status == 200
            gate.accounts.lock("alice")
            await gate.synced()
            refused = await gate.send([(b"host", b"a"), (b"x-api-key", key.encode())])
            assert refused.status == 401 and gate.rules[-1] == "locked"
            assert (await gate.send([(b"host", b"a"), (b"x-api-key", other.encode())])).status == 200
            gate.accounts.unlock("alice")
            await gate.synced()
            assert (await gate.ask(key, "")).status == 200

    run(story())


def test_a_key_and_a_password_are_two_credentials(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, identity=", api_keys: {basic: true}") as gate:
            admin = Administration(gate.store, KeyRing(gate.runtime.installation.pepper()), "test")
            _, key = admin.create_key("alice", "large")
            await gate.synced()
            assert (await gate.ask("alice", PASSWORD, x_api_key=key)).code == "identity.ambiguous"
            # Whoever means a key has no account's password tried in its place, and the other way round.
            assert (await gate.ask("alice", key)).status == 200
            assert gate.exchanges[-1].principal is not None and gate.exchanges[-1].principal.credential == "api_key"
            broken = key[:-1] + ("A" if key[-1] != "A" else "B")
            assert (await gate.ask("alice", broken)).status == 401
            assert (await gate.ask()).status == 200
            assert gate.exchanges[-1].principal.id == "account:alice"  # type: ignore[union-attr]

    run(story())


def test_a_store_that_is_gone_is_never_a_yes(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as gate:
            gate.accounts.create("late", "large", password=PASSWORD)  # not taken over yet

            def fail(*_: object) -> None:
                raise StoreError("gone")

            gate.runtime.store.account = fail  # type: ignore[method-assign,assignment]
            answer = await gate.ask("late")
            assert answer.status == 503 and answer.code == "identity.unavailable"
            assert (await gate.ask()).status == 200  # memory has her
            assert gate.runtime.failures.counts["accounts"] == 1

    run(story())


def test_a_full_disk_refuses_new_passwords_and_verifies_the_old(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as gate:
            imported = passwords.hash("imported from elsewhere", "for-tests")
            old = passwords.argon2.PasswordHasher(2, 64, 1).hash("an old password")
            gate.accounts.create("old", "large", imported=old)
            await gate.synced()
            for store in (gate.store, gate.runtime.store):
                (pages,) = store._database._connection.execute("PRAGMA page_count").fetchone()
                store._database._connection.execute(f"PRAGMA max_page_count = {pages}")
            with pytest.raises(StoreError):
                for number in range(2000):
                    gate.accounts.create(f"new{number}", "large", imported=imported, note="n" * 400)

            def full(*_: object) -> None:
                raise StoreError("database or disk is full")

            gate.runtime.store.put_account = full  # type: ignore[method-assign,assignment]
            for times in (1, 2):
                assert (await gate.ask("old", "an old password")).status == 200
                await asyncio.gather(*gate.runtime.logins._rehashing.values())
                assert gate.runtime.failures.counts["rehash"] == times
                gate.clock.ahead_s += 61
            assert gate.accounts.account("old").password == old

    run(story())


def test_a_stored_hash_that_costs_gigabytes_is_not_computed(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as gate:
            for dear in ("$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$" + "A" * 43, "$2b$31$" + "A" * 53,
                         "$argon2id$v=19$m=1048576,t=1,p=1$c2FsdHNhbHQ$" + "A" * 43):  # fmt: skip
                with pytest.raises(ValueError):
                    gate.accounts.create("dear", "large", imported=dear)

    run(story())


def test_a_password_is_in_no_log_event_or_representation(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    secret = "swordfish-9274-zebra"
    work = VerifyPassword("alice", secret, "stored-hash-text", b"t", 0.0, "192.0.2.0/24", False)
    assert secret not in repr(work) + str(work) + f"{work!r:>80}" + repr(work.__rich_repr__())
    assert "stored-hash-text" not in repr(work)

    async def story() -> str:
        async with house(tmp_path) as gate:
            gate.accounts.create("bob", "large", password=secret)
            await gate.synced()
            await gate.ask("bob", secret)
            await gate.ask("bob", secret + "x")
            await gate.ask(secret, "typed into the wrong field")
            gate.runtime.failed("hashing", RuntimeError("boom"))
            return repr(gate.exchanges[-1].decision) + repr(gate.exchanges[0].decision)

    said = run(story())
    out = capfd.readouterr()
    kept = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert secret.encode() not in kept and base64.b64encode(f"bob:{secret}".encode()) not in kept
    assert secret not in said + out.out + out.err


def test_imported_hashes_are_made_anew_once_and_on_record(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, logins=LOGINS) as gate:
            old = passwords.argon2.PasswordHasher(2, 64, 1).hash("an old password")
            gate.accounts.create("old", "large", imported=old)
            await gate.synced()
            await asyncio.gather(*(gate.ask("old", "an old password") for _ in range(3)))
            for task in list(gate.runtime.logins._rehashing.values()):
                await task
            now = gate.accounts.account("old").password
            assert now != old and not passwords.needs_rehash(now)
            assert [act.act for act in gate.runtime.store.acts() if act.subject == "old"] == [
                "account.create",
                "account.rehash",
            ]
            assert (await gate.ask("old", "an old password")).status == 200

    run(story())
