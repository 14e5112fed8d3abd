"""Where compiled patterns come from and go to, and how often they are compiled."""

from __future__ import annotations

from pathlib import Path

import pytest

from sallygate.controls.injection import compile_patterns, patterns_signature
from sallygate.controls.injection.pipeline.pattern_scans import PLATFORM_END, unpack
from sallygate.policy.load import load_policy
from sallygate.ports import StoreError
from sallygate.security.kept_patterns import keep_patterns_ahead
from sallygate.security.state_directory import Installation
from sallygate.services import injection_patterns
from sallygate.services.injection_patterns import (
    compiled_prefilter,
    fill_cache,
    offline_prefilter,
    problem_ahead,
    user_cache,
)
from support import write_policy


class Said:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, line: str, **_: object) -> None:
        self.lines.append(line)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """One entry for each compilation, which gives what the suite compiled once; with a cache in `tmp_path`."""
    times: list[int] = []
    patterns = compile_patterns()

    def compile_now(*_: object) -> bytes:
        times.append(1)
        return patterns

    monkeypatch.setattr(injection_patterns, "compile_patterns", compile_now)
    monkeypatch.delenv("SALLYGATE_PATTERNS_FILE")
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return times


def test_two_state_directories_share_what_is_compiled_once(tmp_path: Path, compiled: list[int]) -> None:
    loaded, said = load_policy(write_policy(tmp_path), "gateway"), Said()
    for name in ("one", "two"):
        assert compiled_prefilter(loaded, Installation(tmp_path / name), said) is not None
        assert not list((tmp_path / name).glob("patterns-*.bin"))
    assert offline_prefilter(loaded, tmp_path / "none") is not None
    assert len(compiled) == 1
    assert [line for line in said.lines if "compiling" in line], "a first start is not silent"


def test_nothing_is_compiled_when_the_control_is_off(tmp_path: Path, compiled: list[int]) -> None:
    loaded = load_policy(write_policy(tmp_path, "injection: {mode: off}"), "gateway")
    assert compiled_prefilter(loaded, Installation(tmp_path / "state"), Said()) is None
    assert offline_prefilter(loaded, tmp_path / "state") is None
    assert compiled == [] and not (tmp_path / "cache").exists()


@pytest.mark.parametrize("home", ["missing", "a file", "of others"])
def test_without_a_cache_the_state_directory_keeps_them(
    tmp_path: Path, compiled: list[int], home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if home == "missing":
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.delenv("HOME", raising=False)
    elif home == "a file":
        (tmp_path / "cache").write_text("")
    else:
        (tmp_path / "cache" / "sallygate").mkdir(parents=True)
        (tmp_path / "cache" / "sallygate").chmod(0o777)
    loaded, said = load_policy(write_policy(tmp_path), "gateway"), Said()
    for _ in range(2):
        assert compiled_prefilter(loaded, Installation(tmp_path / "state"), said) is not None
    assert len(compiled) == 1 and len(list((tmp_path / "state").glob("patterns-*.bin"))) == 1
    assert "the compiled patterns are kept in the state directory alone" in said.lines
    with pytest.raises(StoreError, match="no cache"):
        fill_cache(said)


def test_a_damaged_file_and_one_of_another_processor_are_compiled_again(tmp_path: Path, compiled: list[int]) -> None:
    said = Said()
    name, new = fill_cache(said)
    assert new and fill_cache(said) == (name, False)
    Path(name).write_bytes(Path(name).read_bytes()[:-1])
    assert fill_cache(said) == (name, True)
    patterns = bytearray(compile_patterns())
    last = unpack(bytes(patterns))[-1]
    patterns[len(patterns) - len(last) + PLATFORM_END - 4] ^= 0xFF
    with user_cache() as cache:
        cache.keep(Path(name).stem.removeprefix("patterns-"), patterns_signature(), bytes(patterns))
    assert fill_cache(said) == (name, True)
    assert len(compiled) == 3


def test_the_cache_takes_what_was_made_ahead(
    tmp_path: Path, compiled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_patterns_ahead(tmp_path / "ahead.bin", patterns_signature(), compile_patterns())
    monkeypatch.setenv("SALLYGATE_PATTERNS_FILE", str(tmp_path / "ahead.bin"))
    name, new = fill_cache(Said())
    assert new and Path(name).is_file() and compiled == []


def test_a_named_file_that_is_not_used_is_reported(
    tmp_path: Path, compiled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, loaded = tmp_path / "ahead.bin", load_policy(write_policy(tmp_path), "gateway")
    keep_patterns_ahead(file, patterns_signature(), compile_patterns())
    monkeypatch.setenv("SALLYGATE_PATTERNS_FILE", str(file))
    said = Said()
    assert compiled_prefilter(loaded, Installation(tmp_path / "state"), said) is not None
    assert said.lines == [] and problem_ahead() == ""
    file.chmod(0o666)
    assert compiled_prefilter(loaded, Installation(tmp_path / "state"), said) is not None
    assert said.lines[0] == "SALLYGATE_PATTERNS_FILE is not used" and str(file) in problem_ahead()
    monkeypatch.setenv("SALLYGATE_PATTERNS_FILE", str(tmp_path / "missing"))
    assert "missing" in problem_ahead()


def test_a_gate_that_starts_is_seen(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    assert not installation.is_starting()
    with installation.starting():
        assert installation.is_starting()
    assert not installation.is_starting()
