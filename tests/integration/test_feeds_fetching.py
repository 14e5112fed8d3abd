"""Feeds fetched from real servers: when they are asked, what is merged, and what a server that is down, slow or hostile
changes."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

from feeds_harness import (
    NOW,
    FeedHouse,
    attribute,
    bundle,
    fetched,
    indicator,
    ip,
    misp_event,
    misp_files,
    run,
    serving,
    taxii_server,
)
from sallygate.parsing.addresses import parse_address


def test_a_list_is_fetched_when_it_is_due_and_asked_whether_it_has_changed(tmp_path: Path) -> None:
    with serving({"/list.txt": b"# bad\n198.51.100.7\n203.0.113.0/24 ; SBL1\n"}) as (url, served):
        house = FeedHouse(tmp_path, f"{{name: bad, url: '{url}/list.txt', every: 1h, expiry: 1d}}", apart=True)

        async def story() -> None:
            await house.settle()
            assert house.names("198.51.100.7") == ["198.51.100.7"] and house.names("203.0.113.9") == ["203.0.113.0/24"]
            assert (house.only.indicators, house.only.confirmed_at, house.only.failing) == (2, NOW, False)
            await house.settle()
            assert len(served.asked) == 1
            house.now += 3601
            await house.settle()
            assert len(served.asked) == 2 and served.asked[1].values(b"if-none-match")
            assert house.only.confirmed_at == house.now, "it was said to be as it is"
            served.files["/list.txt"] = b"198.51.100.8\n203.0.113.0/24\n"
            house.now += 3601
            await house.settle()
            assert house.names("198.51.100.7") == [] and house.names("198.51.100.8") == ["198.51.100.8"]
            (kept,) = house.state.feeds.find(parse_address("203.0.113.9"), house.now)
            (new,) = house.state.feeds.find(parse_address("198.51.100.8"), house.now)
            assert (kept.since, new.since) == (NOW, house.now), "what was there before is as old as it is"
            assert not house.told

        run(house, story)


def test_a_server_that_is_down_leaves_the_last_good_state_which_ends_when_it_is_too_old(tmp_path: Path) -> None:
    with serving({"/list.txt": b"198.51.100.7\n"}) as (url, served):
        feeds = f"{{name: bad, url: '{url}/list.txt?key=s3cret', every: 1h, expiry: 1d}}"
        house = FeedHouse(tmp_path, feeds)

        async def story() -> None:
            await house.settle()
            served.down = True
            house.now += 3601
            await house.settle()
            assert house.names("198.51.100.7") == ["198.51.100.7"]
            (told,) = house.told
            assert "answers 503" in told and "its state of 1.0 h ago stays in force" in told and "s3cret" not in told
            assert house.only.failing and house.only.failures == 1 and "s3cret" not in str(house.only)
            await house.settle()
            assert len(served.asked) == 2, "not before half a minute is over"
            house.now += 31
            await house.settle()
            assert len(served.asked) == 3
            house.now += 86400
            assert house.names("198.51.100.7") == []
            assert "503" in house.only.said
            served.down = False
            await house.settle()
            assert house.names("198.51.100.7") and not house.only.failing

        run(house, story)
        served.down = True
        again = FeedHouse(tmp_path, feeds)
        assert again.names("198.51.100.7") == ["198.51.100.7"], "kept over a restart"
        assert FeedHouse(tmp_path, "{name: bad, url: 'http://127.0.0.1:9/'}").names("198.51.100.7") == [], (
            "of elsewhere"
        )
        FeedHouse(tmp_path, "{name: other, url: 'http://127.0.0.1:9/'}")
        assert not (tmp_path / "state" / "feeds" / "bad").exists(), "nothing is kept of a feed that is gone"


def test_a_file_is_read_again_when_it_changes_and_is_as_old_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "feed.stix.json"
    file.write_bytes(bundle(indicator(ip("198.51.100.7")), indicator(ip("2001:db8::7"), confidence=80)))
    os.utime(file, (NOW - 60, NOW - 60))
    house = FeedHouse(tmp_path, "{name: own, file: feed.stix.json, act: deny}")

    async def story() -> None:
        await house.settle()
        assert house.names("198.51.100.7") and house.names("2001:db8::7") and house.only.confirmed_at == NOW - 60
        file.write_bytes(bundle(indicator(ip("198.51.100.8"))))
        await house.settle()
        assert house.names("198.51.100.8") and not house.names("198.51.100.7")
        file.write_bytes(b"{rubbish")
        await house.settle()
        assert house.names("198.51.100.8") and house.only.failing
        file.unlink()
        house.now += 31
        await house.settle()
        assert house.names("198.51.100.8") and "No such file" in house.only.said

    run(house, story)


def test_a_collection_is_read_page_by_page_and_then_only_what_was_added(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret:x\n")
    with taxii_server(page=3) as taxii:
        taxii.add(*[indicator(ip(f"198.51.100.{number}"), number=number) for number in range(1, 9)])
        taxii.add({**indicator("x", number=99), "type": "malware", "id": f"malware--{uuid.UUID(int=99)}", "name": "m",
                   "is_family": False})  # fmt: skip
        feed = f"{{name: shared, taxii: '{taxii.collection}', username: reader, password: password, every: 15m}}"
        house = FeedHouse(tmp_path, feed)

        async def story() -> None:
            await house.settle()
            assert house.only.indicators == 8, (house.told, house.only)
            assert all(house.names(f"198.51.100.{number}") for number in range(1, 9))
            pages = [path for path in taxii.asked if "/objects/" in path]
            assert len(pages) == 3 and "next=" in pages[1] and "added_after" not in pages[0]
            taxii.add(
                indicator(ip("198.51.100.20"), number=20),
                indicator(ip("198.51.100.99"), NOW - 3600, number=2),  # a later version of one there is
                indicator(ip("198.51.100.3"), NOW - 3600, number=3, revoked=True),
            )
            house.now += 901
            await house.settle()
            again = [path for path in taxii.asked if "/objects/" in path][3:]
            assert len(again) == 1 and "added_after=" in again[0]
            assert house.names("198.51.100.20") and house.names("198.51.100.99") and house.names("198.51.100.1")
            assert not house.names("198.51.100.2") and not house.names("198.51.100.3")
            house.now += 901
            before = house.state.feeds.get("shared").compiled
            await house.settle()
            assert house.state.feeds.get("shared").compiled is before and house.only.confirmed_at == house.now
            taxii.add(indicator(ip("198.51.100.3"), NOW - 7200, number=3, name="older"))
            house.now += 901
            await house.settle()
            assert not house.names("198.51.100.3"), "an older version does not bring a revoked one back"
            assert not house.told

        run(house, story)
        assert fetched(FeedHouse(tmp_path, feed)).names("198.51.100.20"), "kept, and gone on from, over a restart"
        objects = tmp_path / "state" / "feeds" / "shared" / "objects"
        objects.write_bytes(objects.read_bytes().replace(b"198.51.100.20", b"198.51.100.21"))
        taxii.add(indicator(ip("198.51.100.30"), number=30))
        house = FeedHouse(tmp_path, feed)
        house.now += 5000
        fetched(house)
        assert house.names("198.51.100.30") and house.names("198.51.100.20") and not house.names("198.51.100.21"), (
            "objects that were changed are fetched anew"
        )


def test_what_is_wrong_with_a_collection_is_said(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret:x\n")
    (tmp_path / "wrong").write_text("wrong\n")
    with taxii_server(can_read=False) as taxii:
        found = {}
        for name, url in {
            "discovery": f"{taxii.url}/taxii2", "root": f"{taxii.url}/api1/", "list": f"{taxii.url}/api1/collections",
            "closed": taxii.collection, "missing": taxii.collection.replace("91a7", "0000"),
        }.items():  # fmt: skip
            section = f"{{name: {name}, taxii: '{url}', username: reader, password: password}}"
            found[name] = fetched(FeedHouse(tmp_path, section)).only.said
        assert "is a server's discovery; name a collection" in found["discovery"]
        assert "is an API root; name a collection of it" in found["root"]
        assert "is the list of collections; name one of them" in found["list"]
        assert "may not be read" in found["closed"] and "answers 404" in found["missing"]
        section = f"{{name: wrong, taxii: '{taxii.collection}', username: reader, password: wrong}}"
        assert "answers 401; check `username` and `password`" in fetched(FeedHouse(tmp_path, section)).only.said


def test_of_a_misp_feed_only_changed_events_are_fetched_and_lost_ones_forgotten(tmp_path: Path) -> None:
    first = misp_event(attribute("198.51.100.1"), attribute("evil.example", "domain"), number=1)
    second = misp_event(attribute("198.51.100.2|443", "ip-dst|port"), attribute("198.51.100.3", to_ids=False), number=2)
    with serving(misp_files(first, second)) as (url, served):
        house = FeedHouse(tmp_path, f"{{name: misp, misp: '{url}/feed/', act: score}}")

        async def story() -> None:
            await house.settle()
            assert house.names("198.51.100.1") and house.names("198.51.100.2") and not house.names("198.51.100.3")
            assert house.only.unused == {"attribute: another type": 1, "not for detection (`to_ids`)": 1}
            assert len(served.asked) == 3
            house.now += 3601
            await house.settle()
            assert len(served.asked) == 4, "the manifest alone"
            third = misp_event(attribute("198.51.100.4"), at=NOW - 60, number=2)
            served.files = misp_files(third)
            house.now += 3601
            await house.settle()
            assert served.paths[4:] == ["/feed/manifest.json", f"/feed/{uuid.UUID(int=2)}.json"]
            assert house.names("198.51.100.4") and not house.names("198.51.100.1") and not house.names("198.51.100.2")
            assert not house.told

        run(house, story)


def test_events_that_are_listed_and_not_there_do_not_keep_the_others_out(tmp_path: Path) -> None:
    events = [
        misp_event(*[attribute(f"198.51.{number}.{last}") for last in range(1, 30)], number=number) for number in (1, 2)
    ]
    files = misp_files(*events)
    del files[f"/feed/{uuid.UUID(int=2)}.json"]
    with serving(files) as (url, _):
        house = fetched(FeedHouse(tmp_path, f"{{name: misp, misp: '{url}/feed/'}}"))
        assert house.names("198.51.1.7") and not house.only.failing
        assert house.only.bad_said == (f"event {uuid.UUID(int=2)}: is listed and not there",)


def test_an_event_cannot_speak_for_another(tmp_path: Path) -> None:
    first, second = misp_event(attribute("198.51.100.1"), number=1), misp_event(attribute("198.51.100.2"), number=2)
    files = misp_files(first, second)
    files[f"/feed/{uuid.UUID(int=2)}.json"] = json.dumps(
        {**second, "Event": {**second["Event"], "uuid": str(uuid.UUID(int=1))}}
    ).encode()
    with serving(files) as (url, _):
        house = fetched(FeedHouse(tmp_path, f"{{name: misp, misp: '{url}/feed'}}"))
        assert house.names("198.51.100.1") and house.names("198.51.100.2")


def test_a_reload_keeps_what_still_holds_and_reads_anew_what_is_read_otherwise(tmp_path: Path) -> None:
    with serving({"/list.txt": b"198.51.100.7\n"}) as (url, served):
        house = FeedHouse(tmp_path, f"{{name: bad, url: '{url}/list.txt'}}")

        async def story() -> None:
            await house.settle()
            house.reload(f"{{name: bad, url: '{url}/list.txt', act: deny}}")
            assert house.names("198.51.100.7") and house.only.act == "deny"
            house.reload(f"{{name: bad, url: '{url}/list.txt', confidence: 90}}")
            assert house.names("198.51.100.7")
            await house.settle()
            assert not served.asked[-1].values(b"if-none-match"), "all of it, whether it has changed or not"
            (match,) = house.state.feeds.find(parse_address("198.51.100.7"), house.now)
            assert match.confidence == 90
            house.reload(f"{{name: bad, url: '{url}/other.txt'}}")
            assert not house.names("198.51.100.7")

        run(house, story)


def test_a_feed_that_a_reload_names_again_counts_though_its_server_is_down(tmp_path: Path) -> None:
    with serving({"/list.txt": b"198.51.100.7\n"}) as (url, served):
        feed = f"{{name: bad, url: '{url}/list.txt'}}"
        house = FeedHouse(tmp_path, feed)

        async def story() -> None:
            await house.settle()
            house.reload("")
            assert not house.names("198.51.100.7")
            house.reload(feed)
            await house.settle()
            assert house.names("198.51.100.7"), "though the server says that it has not changed"
            house.reload("")
            served.down = True
            house.reload(feed)
            await house.settle()
            assert house.names("198.51.100.7") and house.only.failing

        run(house, story)


def test_an_indicator_that_begins_later_counts_from_then_on(tmp_path: Path) -> None:
    later = indicator(ip("198.51.100.7"), valid_from="2026-12-01T00:00:00Z")
    with serving({"/feed.json": bundle(later, indicator(ip("198.51.100.8")))}) as (url, _):
        house = FeedHouse(tmp_path, f"{{name: a, url: '{url}/feed.json', expiry: 60d}}")

        async def story() -> None:
            await house.settle()
            assert not house.names("198.51.100.7") and house.only.unused == {"not yet true": 1}
            house.now = NOW + 20 * 86400
            await house.settle()
            assert house.names("198.51.100.7"), "though the server said that nothing has changed"

        run(house, story)


def test_an_indicator_of_a_file_that_begins_later_counts_though_the_file_stays_as_it_is(tmp_path: Path) -> None:
    later = indicator(ip("198.51.100.7"), valid_from="2026-12-01T00:00:00Z")
    (tmp_path / "feed.stix.json").write_bytes(bundle(later, indicator(ip("198.51.100.8"))))
    house = FeedHouse(tmp_path, "{name: a, file: feed.stix.json, expiry: 60d}")

    async def story() -> None:
        await house.settle()
        assert not house.names("198.51.100.7") and house.only.unused == {"not yet true": 1}
        house.now = NOW + 20 * 86400
        await house.settle()
        assert house.names("198.51.100.7")

    run(house, story)


def test_a_bad_object_among_few_new_ones_does_not_keep_a_collection_from_going_on(tmp_path: Path) -> None:
    """Whoever may add to it would blind the gate by one; of the whole collection it is a small share."""
    (tmp_path / "password").write_text("s3cret:x")
    with taxii_server(page=50) as server:
        server.add(*(indicator(ip(f"198.51.100.{number}"), number=number) for number in range(1, 30)))
        house = FeedHouse(
            tmp_path, f"{{name: shared, taxii: '{server.collection}', username: reader, password: password}}"
        )

        async def story() -> None:
            await house.settle()
            assert house.names("198.51.100.29")
            server.add(indicator("[rubbish", number=30), indicator(ip("203.0.113.1"), number=31))
            house.now += 3601
            await house.settle()
            assert house.names("203.0.113.1") and not house.only.failing and house.only.bad == 1
            server.add(*(indicator("[rubbish", number=number) for number in range(40, 50)))
            house.now += 3601
            await house.settle()
            assert house.only.failing and "more than `bad_max`" in house.only.said and house.names("203.0.113.1")

        run(house, story)


def test_a_refresh_that_is_wanted_is_made(tmp_path: Path) -> None:
    with serving({"/list.txt": b"198.51.100.7\n"}) as (url, served):
        house = FeedHouse(tmp_path, f"{{name: bad, url: '{url}/list.txt'}}")

        async def story() -> None:
            await house.settle(2)
            assert len(served.asked) == 1
            (tmp_path / "state" / "feeds" / "bad" / "refresh").touch()
            await house.settle(2)
            assert len(served.asked) == 2

        run(house, story)
