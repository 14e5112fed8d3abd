"""What somebody who can write a feed, stand in for its server, or write into the state directory would try: to shut
everybody out, to blind the gate, to bring it down, or to reach other servers through it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from feeds_harness import NOW, FeedHouse, bundle, fetched, indicator, ip, misp_files, run, serving
from sallygate.services.feeds import http as asking
from sallygate.services.feeds import schedule as sources
from sallygate.services.feeds import worker as work
from sallygate.services.feeds.cache import TAG_BYTES, Kept
from sallygate.services.feeds.schedule import task_of
from sallygate.services.feeds.task import Task
from support import Upstream, held_port, until

GOOD = b"198.51.100.7\n198.51.100.8\n"


def by_url(url: str, more: str = "") -> str:
    return f"{{name: bad, url: '{url}/list.txt', act: deny{more}}}"


def poisoned(tmp_path: Path, answer: bytes, more: str = "") -> FeedHouse:
    """A feed that was good and then answers otherwise."""
    with serving({"/list.txt": GOOD}) as (url, served):
        house = FeedHouse(tmp_path, by_url(url, more))

        async def story() -> None:
            await house.settle()
            assert house.names("198.51.100.7")
            served.files["/list.txt"] = answer
            house.now += 3601
            await house.settle()

        run(house, story)
    return house


def test_a_feed_that_names_everybody_is_refused_whole(tmp_path: Path) -> None:
    for number, answer in enumerate(
        (b"0.0.0.0/0\n", b"1.0.0.0-223.255.255.255\n", b"2a00::/12\n", b"128.0.0.0/2\n0.0.0.0/2\n")
    ):
        house = poisoned(tmp_path / str(number), GOOD + answer)
        assert house.names("198.51.100.7") and not house.names("8.8.8.8") and not house.names("2a00::1")
        assert "more than `share_max`" in house.only.said and house.only.failing


def test_the_whole_of_it_in_small_pieces_is_refused_too(tmp_path: Path) -> None:
    pieces = "".join(f"{a}.{b}.0.0/16\n" for a in (11, 12, 13) for b in range(256))
    house = poisoned(tmp_path, pieces.encode())
    assert "covers 1.35" in house.only.said and not house.names("11.1.1.1") and house.names("198.51.100.7")


def test_private_addresses_and_our_own_partner_are_not_shut_out(tmp_path: Path) -> None:
    house = poisoned(tmp_path, b"10.0.0.0/8\n127.0.0.1\n::1\n169.254.0.0/16\nfd00::/8\n192.168.0.0/16\n198.51.100.9\n")
    assert house.only.unused == {"private or reserved addresses": 6} and house.only.indicators == 1
    for text in ("10.0.0.1", "127.0.0.1", "::1", "192.168.0.1", "fd00::1"):
        assert not house.names(text)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"", "is empty"),
        (b"<html><body>Maintenance</body></html>\n" * 3, "cannot be read"),
        (b"\x1f\x8b\x08\x00" + b"\0" * 1000, "is gzip"),
        (b"PK\x03\x04" + b"\0" * 1000, "is a zip archive"),
        (b"\xff\xfe1\x009\x008\x00", "cannot be read"),
        (b"x" * 100_000, "longer than 64 KiB"),
        (b"\x1b]0;owned\x07\n" * 3, "cannot be read"),
        (b'{"type":"bundle","objects":' + b"[" * 100_000, "cannot be read|longer than"),
    ],
)
def test_an_answer_that_is_no_list_leaves_the_last_good_one(tmp_path: Path, answer: bytes, told: str) -> None:
    import re

    house = poisoned(tmp_path, answer)
    assert house.names("198.51.100.7") and re.search(told, house.only.said), house.only.said
    assert house.only.said.isprintable() and all(one.isprintable() for one in house.told)


def test_one_bad_line_does_not_blind_the_gate_and_is_told(tmp_path: Path) -> None:
    lines = b"".join(b"198.51.%d.%d\n" % (number >> 8, number & 255) for number in range(1000))
    house = poisoned(tmp_path, lines + b"198.51.100.\x1b[31m7\n")
    assert house.names("198.51.3.7") and (house.only.indicators, house.only.bad, house.only.read) == (1000, 1, 1001)
    assert house.only.bad_said == ("line 1001: not an address, prefix or range",) and "line 1001" in house.told[0]


def test_many_bad_lines_do_not_thin_a_feed_out(tmp_path: Path) -> None:
    house = poisoned(tmp_path, GOOD + b"x\n", ", bad_max: 0.3")
    assert house.only.failing and "1 of 3 lines or objects cannot be read" in house.only.said


def test_redirects_lead_nowhere(tmp_path: Path) -> None:
    met: list[bytes] = []
    with Upstream(lambda request, client: met.append(request.line)) as inner:

        def elsewhere(request, client) -> None:
            where = f"http://127.0.0.1:{inner.port}/latest/meta-data"
            client.sendall(f"HTTP/1.1 302 Found\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode())

        with serving({"/list.txt": elsewhere, "/feed/manifest.json": elsewhere}) as (url, _):
            house = fetched(FeedHouse(tmp_path / "a", by_url(url)))
            assert "a redirect, which is not followed" in house.only.said and "meta-data" not in house.only.said
            house = fetched(FeedHouse(tmp_path / "b", f"{{name: misp, misp: '{url}/feed/'}}"))
            assert "a redirect" in house.only.said
    assert not met


def test_ids_of_events_do_not_lead_to_other_paths(tmp_path: Path) -> None:
    with serving({"/feed/manifest.json": b'{"../../secret": {"timestamp": "1"}}', "/secret.json": b"{}"}) as (
        url,
        served,
    ):
        house = fetched(FeedHouse(tmp_path, f"{{name: misp, misp: '{url}/feed/'}}"))
        assert "whose id is no UUID" in house.only.said and served.paths == ["/feed/manifest.json"]


def test_an_answer_larger_than_a_feed_is_not_read_to_its_end(tmp_path: Path) -> None:
    sent = [0]

    def endless(request, client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        part = b"198.51.100.7\n" * 80_000
        while sent[0] < 600 << 20:
            client.sendall(part)
            sent[0] += len(part)

    with serving({"/list.txt": endless}) as (url, _):
        house = fetched(FeedHouse(tmp_path, by_url(url), apart=True))
    assert "answers with more than 256 MiB" in house.only.said
    assert sent[0] < 400 << 20


def test_a_body_that_claims_to_be_compressed_is_refused(tmp_path: Path) -> None:
    with serving({"/list.txt": GOOD}) as (url, served):
        served.headers = "Content-Encoding: gzip\r\n"
        assert "compressed, which was not asked for" in fetched(FeedHouse(tmp_path, by_url(url))).only.said


def test_an_answer_of_not_modified_that_nobody_asked_for_empties_nothing(tmp_path: Path) -> None:
    def unchanged(request, client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 304 Not Modified\r\n\r\n")

    with serving({"/list.txt": GOOD, "/c/": unchanged, "/feed/manifest.json": unchanged}) as (url, served):
        house = FeedHouse(tmp_path / "a", by_url(url))

        async def story() -> None:
            await house.settle()
            served.files["/list.txt"] = unchanged
            house.reload(by_url(url, ", confidence: 90"))
            await house.settle()

        run(house, story)
        assert house.names("198.51.100.7") and "answers 304" in house.only.said
        for kind, path in (("taxii", "/c/"), ("misp", "/feed/")):
            other = fetched(FeedHouse(tmp_path / kind, f"{{name: a, {kind}: '{url}{path}'}}"))
            assert "answers 304" in other.only.said and not other.only.confirmed_at


def test_a_server_that_never_ends_does_not_hold_the_other_feeds_up(tmp_path: Path) -> None:
    met: list[bytes] = []

    def hanging(request, client: socket.socket) -> None:
        met.append(request.line)
        client.recv(1)

    async def story() -> None:
        import asyncio

        await house.sources.step()
        while not met or not house.names("198.51.100.7"):
            await asyncio.sleep(0.05)
            await house.sources.step()
        assert "slow" in house.sources._tasks

    with serving({"/list.txt": GOOD, "/slow.txt": hanging}) as (url, _):
        house = FeedHouse(tmp_path, f"{{name: slow, url: '{url}/slow.txt'}}, {by_url(url)}", apart=True)
        run(house, story)
    assert not [one for one in house.told if "slow" in one], "ended with the gate, it has not failed"


def test_a_service_that_may_not_change_its_limits_reads_feeds_all_the_same(tmp_path: Path) -> None:
    """As under `SystemCallFilter=~@resources`: the calls are refused."""
    house = FeedHouse(tmp_path, by_url("http://127.0.0.1:9"))
    script = (
        "import os, resource\n"
        "def refuse(*_): raise PermissionError(1, 'Operation not permitted')\n"
        "os.nice = resource.setrlimit = refuse\n"
        "from sallygate.services.feeds import worker\n"
        "worker.main()"
    )
    with serving({"/list.txt": GOOD}) as (url, _):
        task = msgspec.json.encode(msgspec.structs.replace(_task(house), locator=f"{url}/list.txt"))
        process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(task + b"\n")
        process.stdin.flush()
        done = msgspec.json.decode(process.stdout.readline(), type=work.Done)
        process.kill()
        process.wait()
    assert done.outcome == "compiled"


def test_a_fault_of_ours_is_told_and_repeats_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(task: Task, known: object) -> None:
        raise RuntimeError("s3cret")

    monkeypatch.setattr(work, "gather", faulty)
    done = work.work(_task(FeedHouse(tmp_path, by_url("http://127.0.0.1:9"))))
    assert done.outcome == "failed" and "RuntimeError" in done.said and "s3cret" not in done.said


def test_an_answer_that_is_cut_short_or_never_ends_is_no_feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    def short(request, client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + GOOD)
        client.shutdown(socket.SHUT_RDWR)

    def slow(request, client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + GOOD)
        client.recv(1)

    monkeypatch.setattr(asking, "SILENCE_S", 0.2)
    with serving({"/short": short, "/slow": slow}) as (url, _):

        async def ask(path: str) -> str:
            async with asking.Asking("", "", "") as one:
                try:
                    await one.get(f"{url}{path}?key=s3cret", "*/*")
                except asking.FetchError as error:
                    return str(error)
            return ""

        assert asyncio.run(ask("/short")) == f"{url}/short?…: the answer was cut short"
        assert asyncio.run(ask("/slow")).startswith(f"{url}/slow?…: no whole answer within")


def test_a_collection_that_says_there_is_more_for_ever_ends(tmp_path: Path) -> None:
    page = b'{"more": true, "next": "n", "objects": []}'
    with serving({"/c/": b'{"id": "x", "can_read": true}', "/c/objects/": page}) as (url, served):
        house = fetched(FeedHouse(tmp_path, f"{{name: t, taxii: '{url}/c/'}}"))
        assert "says there is more, and not where" in house.only.said and len(served.asked) == 2


def test_a_deep_bundle_and_one_of_bombs(tmp_path: Path) -> None:
    bomb = indicator("[ipv4-addr:value IN ('" + "','".join(["0.0.0.1-255.255.255.254"] * 2000) + "')]")
    with serving(
        {
            "/a.json": b'{"type":"bundle","objects":[' + b'{"a":' * 200_000,
            "/b.json": bundle(bomb, indicator(ip("198.51.100.7"))),
        }
    ) as (url, _):
        deep = fetched(FeedHouse(tmp_path / "a", f"{{name: a, url: '{url}/a.json', format: stix}}"))
        assert "is not a STIX bundle" in deep.only.said
        wide = fetched(FeedHouse(tmp_path / "b", f"{{name: b, url: '{url}/b.json', act: deny, expiry: 60d}}"))
        assert "more than `share_max`" in wide.only.said


# the state directory -------------------------------------------------------------------------------------------------


def kept(tmp_path: Path) -> tuple[Path, str]:
    """Where a compiled feed lies, and the section it is of, whose server is gone."""
    feeds = by_url(f"http://127.0.0.1:{held_port()}")
    (tmp_path / "sallygate.yaml").parent.mkdir(exist_ok=True, parents=True)
    house = FeedHouse(tmp_path, feeds)
    with serving({"/list.txt": GOOD}) as (url, _):
        task = _task(house)
        done = work.work(msgspec.structs.replace(task, locator=f"{url}/list.txt"))
        assert done.outcome == "compiled", done
        Kept(Path(task.directory), ()).take_over(Path(done.compiled), None, NOW)
    assert FeedHouse(tmp_path, feeds).names("198.51.100.7")
    return tmp_path / "state" / "feeds" / "bad" / "compiled", feeds


def _task(house: FeedHouse) -> Task:
    (section,) = sources.sections_of(house.loaded)
    keys = house.installation.feed_keys()
    return task_of(section, house.loaded, Kept(house.installation.feeds / section.name, keys), keys, NOW)


def test_what_was_cut_or_changed_on_disk_does_not_count(tmp_path: Path) -> None:
    file, feeds = kept(tmp_path)
    whole = file.read_bytes()
    changed = whole[:-30] + bytes([whole[-30] ^ 1]) + whole[-29:]
    for data in (
        whole[:-1],
        whole[: TAG_BYTES + 20],
        b"",
        changed,
        os.urandom(TAG_BYTES) + whole[TAG_BYTES:],
        whole + b"x",
    ):
        file.write_bytes(data)
        house = FeedHouse(tmp_path, feeds)
        assert not house.names("198.51.100.7") and any("is not as it was written" in one for one in house.told), len(
            data
        )
    file.write_bytes(whole)
    assert FeedHouse(tmp_path, feeds).names("198.51.100.7")


def test_a_feed_compiled_under_another_pepper_does_not_count(tmp_path: Path) -> None:
    file, feeds = kept(tmp_path)
    (tmp_path / "other").mkdir()
    other, _ = kept(tmp_path / "other")
    file.write_bytes(other.read_bytes())
    assert not FeedHouse(tmp_path, feeds).names("198.51.100.7")


def test_a_kept_feed_is_for_its_owner_alone(tmp_path: Path) -> None:
    file, _ = kept(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700


def test_a_disk_that_cannot_be_written_leaves_the_last_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, feeds = kept(tmp_path)
    before = file.read_bytes()
    house = FeedHouse(tmp_path, feeds)
    with serving({"/list.txt": GOOD + b"198.51.100.9\n"}) as (url, _):

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        done = work.work(msgspec.structs.replace(_task(house), locator=f"{url}/list.txt"))
    assert done.outcome == "failed" and "cannot be written: No space left on device" in done.said
    assert file.read_bytes() == before and [one.name for one in file.parent.iterdir()] == ["compiled"]


def test_work_that_is_killed_midway_leaves_the_last_good_one(tmp_path: Path) -> None:
    file, feeds = kept(tmp_path)
    before = file.read_bytes()
    met: list[bytes] = []

    def hanging(request, client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + GOOD)
        met.append(request.line)
        client.recv(1)

    house = FeedHouse(tmp_path, feeds)
    with serving({"/list.txt": hanging}) as (url, _):

        def kill(process: subprocess.Popen[bytes]) -> None:
            import threading

            def later() -> None:
                until(lambda: met)
                (file.parent / "compiled.cut.part").write_bytes(b"half")
                os.utime(file.parent / "compiled.cut.part", (1.0, 1.0))
                process.kill()

            threading.Thread(target=later, daemon=True).start()

        with pytest.raises(sources.FeedError, match="was ended"):
            sources.run(msgspec.structs.replace(_task(house), locator=f"{url}/list.txt"), kill)
    assert file.read_bytes() == before and FeedHouse(tmp_path, feeds).names("198.51.100.7")
    fetched(FeedHouse(tmp_path, "{name: bad, url: 'http://127.0.0.1:9/list.txt', act: deny}"))
    assert not list(file.parent.glob("*.part")), "what was left is removed"


def test_when_the_gate_is_killed_the_work_ends_with_it(tmp_path: Path) -> None:
    _, feeds = kept(tmp_path)
    met: list[bytes] = []

    def hanging(request, client: socket.socket) -> None:
        met.append(request.line)
        client.recv(1)
        client.recv(1)

    with serving({"/list.txt": hanging}) as (url, _):
        task = msgspec.structs.replace(_task(FeedHouse(tmp_path, feeds)), locator=f"{url}/list.txt")
        script = (
            "import sys, msgspec; from sallygate.services.feeds import schedule; from sallygate.services.feeds.task import Task\n"
            "schedule.run(msgspec.json.decode(sys.stdin.readline(), type=Task), lambda process: print(process.pid, flush=True))"
        )
        gate = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert gate.stdin is not None and gate.stdout is not None
        gate.stdin.write(msgspec.json.encode(task) + b"\n")
        gate.stdin.flush()
        child = int(gate.stdout.readline())
        until(lambda: met, 20)
        gate.send_signal(signal.SIGKILL)
        gate.wait()
        until(lambda: not _is_alive(child), 10)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def test_work_that_takes_more_memory_than_a_feed_may_is_ended_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = FeedHouse(tmp_path, by_url("http://127.0.0.1:9"))

    def hungry(task: Task, found: object) -> None:
        raise MemoryError

    monkeypatch.setattr(work, "gather", hungry)
    assert "of memory to read" in work.work(_task(house)).said


def test_a_long_list_does_not_hold_the_gate_up(tmp_path: Path) -> None:
    """The loop goes on turning while they are fetched, read, compiled and put in force."""
    import asyncio

    lines = b"".join(
        b"%d.%d.%d.9\n" % (11 + (number >> 16), number >> 8 & 255, number & 255) for number in range(100_000)
    )
    with serving({"/list.txt": lines}) as (url, _):
        house = FeedHouse(tmp_path, by_url(url), apart=True)
        turns = [0]

        async def story() -> None:
            async def turn() -> None:
                while True:
                    await asyncio.sleep(0.005)
                    turns[0] += 1

            turning = asyncio.create_task(turn())
            await house.settle()
            turning.cancel()

        run(house, story)
    assert house.only.indicators == 100_000 and house.names("11.0.0.9")
    assert turns[0] > 20, "a loop that was held up would have turned a few times only"


def test_misp_files_that_are_not_events_count_as_bad(tmp_path: Path) -> None:
    from feeds_harness import attribute, misp_event

    files = misp_files(misp_event(attribute("198.51.100.1"), number=1), misp_event(attribute("198.51.100.2"), number=2))
    files[next(path for path in files if path.endswith("0002.json"))] = b"<html>"
    with serving(files) as (url, _):
        house = fetched(FeedHouse(tmp_path, f"{{name: misp, misp: '{url}/feed/'}}"))
        assert house.only.failing and "1 of 2" in house.only.said and "event 00000000" in house.only.said
