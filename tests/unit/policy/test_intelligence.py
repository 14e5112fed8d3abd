"""What a policy may say of feeds, and what is told of what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from sallygate.policy.errors import PolicyError
from sallygate.policy.intelligence import FeedSection
from sallygate.policy.load import load_policy
from support import write_policy


def loaded(directory: Path, *feeds: str):
    (directory / "list.txt").write_text("198.51.100.7\n")
    (directory / "secret").write_text("s3cret\n")
    listed = "".join(f"    - {feed}\n" for feed in feeds)
    return load_policy(write_policy(directory, f"network:\n  intelligence:\n{listed}"))


def feeds(directory: Path, *sections: str) -> list[FeedSection]:
    network = loaded(directory, *sections).policy.network
    assert network is not None
    return network.intelligence


def test_feeds_from_everywhere(tmp_path: Path) -> None:
    own, url, taxii, misp = feeds(
        tmp_path,
        "{name: own, file: list.txt, act: deny}",
        "{name: list, url: 'https://feeds.example/list.txt?key=s3cret', format: plain, every: 2h, expiry: 7d, act: throttle, rate: 2/s burst 9}",
        "{name: shared, taxii: 'https://taxii.example/api1/collections/x/', username: me, password: secret, every: 15m}",
        "{name: misp, misp: 'https://misp.example/feed/', act: score, confidence_min: 75}",
    )
    assert [feed.kind for feed in (own, url, taxii, misp)] == ["file", "url", "taxii", "misp"]
    assert (url.every, url.expiry, url.allowed_rate) == (7200, 7 * 86400, (2.0, 9)) and taxii.act == "observe"
    assert url.shown == "url https://feeds.example/list.txt?…" and "s3cret" in url.source
    assert (own.expiry, own.share_max, own.confidence) == (30 * 86400, 0.01, 50), "finite and small when left out"


@pytest.mark.parametrize(
    ("feed", "code", "told"),
    [
        ("{name: a}", "value", "needs exactly one source"),
        ("{name: a, file: list.txt, url: 'https://a.example'}", "value", "needs exactly one source"),
        ("{name: a, file: nothing.txt}", "file", "there is no file `nothing.txt`"),
        ("{name: a, url: 'http://a.example/list'}", "unsafe", "would be fetched unencrypted"),
        ("{name: a, url: 'https://me:s3cret@a.example/list'}", "value", "has more than"),
        ("{name: a, url: 'file:///etc/passwd'}", "value", "is not an https URL"),
        ("{name: a, url: 'https://a.example/list#x'}", "value", "has more than"),
        ("{name: a, taxii: 'https://a.example/?a=b'}", "value", "has a query"),
        ("{name: a, taxii: 'https://a.example/', format: stix}", "value", "`format` does not apply to `taxii`"),
        ("{name: a, file: list.txt, format: xml}", "value", "plain"),
        ("{name: a, file: list.txt, format: plain, column: ip}", "value", "columns apply to tables only"),
        ("{name: a, file: list.txt, username: me, password: secret}", "value", "apply to URLs only"),
        ("{name: a, url: 'https://a.example/', username: me}", "value", "need each other"),
        ("{name: a, url: 'https://a.example/', username: 'a:b', password: secret}", "value", "username"),
        ("{name: a, url: 'https://a.example/', username: me, password: hunter2}", "file", "there is no such file"),
        ("{name: a, url: 'https://a.example/', ca: none.pem}", "file", "there is no file `none.pem`"),
        ("{name: a, file: list.txt, rate: 1/s}", "value", "`rate` applies to `act: throttle` only"),
        ("{name: a, file: list.txt, act: block}", "value", "observe"),
        ("{name: a, file: list.txt, every: 5s}", "value", "every"),
        ("{name: a, file: list.txt, expiry: 99y}", "value", "expiry"),
        ("{name: a, file: list.txt, confidence: 101}", "value", "confidence"),
        ("{name: a, file: list.txt, share_max: 2}", "value", "share_max"),
        ("{name: a, file: list.txt, bad_max: 1.5}", "value", "bad_max"),
        ('{name: "a\\e[31m", file: list.txt}', "value", "name"),
        ("{name: ../../etc, file: list.txt}", "value", "name"),
        ("{name: .., file: list.txt}", "value", "name"),
        ("{file: list.txt}", "missing", "name"),
        ("{name: a, file: list.txt, acct: deny}", "unknown_field", "did you mean `act`"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_without_secrets(
    tmp_path: Path, feed: str, code: str, told: str
) -> None:
    with pytest.raises(PolicyError) as raised:
        loaded(tmp_path, "{name: fine, file: list.txt}", feed)
    (problem,) = raised.value.problems
    lines = (tmp_path / "sallygate.yaml").read_text().splitlines()
    assert feed in lines[problem.line - 1] and problem.code == f"policy.{code}" and told in str(problem)
    assert "s3cret" not in str(problem) and "hunter2" not in str(problem)


def test_names_are_given_once(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="two feeds have the name `a`"):
        loaded(tmp_path, "{name: a, file: list.txt}", "{name: a, url: 'https://a.example/'}")


def test_more_feeds_than_memory_is_meant_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="50"):
        loaded(tmp_path, *[f"{{name: a{number}, file: list.txt}}" for number in range(51)])
