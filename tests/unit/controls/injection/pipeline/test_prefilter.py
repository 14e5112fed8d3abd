"""The one scan: which judges are called for, from several threads, from a compiled database or a broken one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from sallygate.controls.injection import compile_patterns, patterns_signature
from sallygate.controls.injection.judges import registry
from sallygate.controls.injection.judges.registry import JUDGES
from sallygate.controls.injection.pipeline.judge_interface import TEXTS
from sallygate.controls.injection.pipeline.prefilter import Prefilter, signature
from sallygate.controls.injection.pipeline.values import BETWEEN

TRIGGERS = (("abc", "x.?y"), (r"\x1estart", r"end\x1e"))


def test_hits_say_judge_and_trigger() -> None:
    prefilter = Prefilter(TRIGGERS)
    assert prefilter.hits("nothing") == {}
    assert prefilter.hits("ABC xzy abc") == {0: [0, 1]}
    assert prefilter.hits("start") == {1: [0]} and prefilter.hits("the end") == {1: [1]}
    assert prefilter.hits("a start") == {}
    assert prefilter.hits(f"a{BETWEEN}start{BETWEEN}b") == {1: [0]}
    assert prefilter.hits("\ud800abc") == {0: [0]}, "half a surrogate is no error"


def test_a_kept_database_scans_alike_and_a_broken_one_is_made_anew() -> None:
    kept = Prefilter(TRIGGERS).dump()
    for compiled in (kept, kept[:50], b"nonsense", b""):
        assert Prefilter(TRIGGERS, compiled).hits("abc") == {0: [0]}


def test_documents_are_scanned_for_their_judges_alone() -> None:
    kept = Prefilter(TRIGGERS, documents=(1,)).dump()
    for compiled in (kept, kept[:50], Prefilter(TRIGGERS).dump(), None):
        prefilter = Prefilter(TRIGGERS, compiled, documents=(1,))
        assert prefilter.hits("start abc") == {0: [0], 1: [0]}
        assert prefilter.hits("start abc", document=True) == {1: [0]}
    assert Prefilter(TRIGGERS).hits("start abc", document=True) == {0: [0], 1: [0]}


def test_threads_do_not_share_working_memory() -> None:
    prefilter = registry.make_prefilter(compile_patterns())
    texts = [f"{word} ' or 1=1-- <script>" * 200 for word in ("a", "b", "c", "d")]
    alone = [prefilter.hits(text) for text in texts]
    barrier = threading.Barrier(4)

    def scan(text: str) -> list[dict[int, list[int]]]:
        barrier.wait()
        return [prefilter.hits(text) for _ in range(50)]

    with ThreadPoolExecutor(4) as pool:
        for wanted, found in zip(alone, pool.map(scan, texts), strict=True):
            assert all(
                {k: sorted(v) for k, v in one.items()} == {k: sorted(v) for k, v in wanted.items()} for one in found
            )


def test_the_signature_follows_the_triggers() -> None:
    assert signature(TRIGGERS) == signature(TRIGGERS) != signature((("abc",), TRIGGERS[1]))
    assert signature((("a", "b"),)) != signature((("a",), ("b",)))
    assert signature(TRIGGERS, (1,)) != signature(TRIGGERS)
    assert len(patterns_signature()) == 16


def test_every_judge_is_asked_about_something() -> None:
    assert len(JUDGES) == 18 and len({judge.name for judge in JUDGES}) == 18
    for judge in JUDGES:
        assert judge.triggers and judge.kinds and judge.cost > 0
        assert judge.kinds & (TEXTS | {"xml", "json", "hop"})
