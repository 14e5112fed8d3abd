"""Cache of compiled patterns: what another user could have written, replaced or linked is never loaded."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sallygate.security import kept_patterns
from sallygate.security.kept_patterns import KEPT_MAX, PatternCache, cache_directory

SIGNATURE = "0123456789abcdef"
OTHER_USER = 4242


def kept(directory: Path, name: str = "a") -> Path:
    with PatternCache(directory) as cache:
        assert cache.problem == ""
        cache.keep(name, SIGNATURE, b"compiled")
        assert cache.load(name, SIGNATURE) == b"compiled"
    return directory / f"patterns-{name}.bin"


def loaded(directory: Path, name: str = "a", signature: str = SIGNATURE) -> bytes | None:
    with PatternCache(directory) as cache:
        return cache.load(name, signature)


@pytest.mark.parametrize(
    ("environment", "directory"),
    [
        ({"CACHE_DIRECTORY": "/var/cache/a:/var/cache/b", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/var/cache/a"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/sallygate"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/sallygate"),
        ({"XDG_CACHE_HOME": "", "HOME": ""}, None),
        ({"HOME": "~"}, None),
        ({}, None),
    ],
)
def test_where_it_is(environment: dict[str, str], directory: str | None) -> None:
    found = cache_directory(environment)
    assert (str(found) if found is not None else None) == directory


def test_what_is_kept_comes_back_whole_and_for_its_user_alone(tmp_path: Path) -> None:
    directory = tmp_path / ".cache" / "sallygate"
    file = kept(directory)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for made in (directory, directory.parent):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert loaded(directory, "b") is None and loaded(directory, signature="f" * 16) is None
    whole = file.read_bytes()
    for changed in (whole[:-1] + b"x", whole[:-1], b"x" + whole[1:], b""):
        file.write_bytes(changed)
        assert loaded(directory) is None
    kept(directory)
    assert sorted(one.name for one in directory.iterdir()) == ["patterns-a.bin"], "no parts are left"


def _file_for_group(file: Path) -> None:
    file.chmod(0o620)


def _file_for_all(file: Path) -> None:
    file.chmod(0o602)


def _directory_for_group(file: Path) -> None:
    file.parent.chmod(0o770)


def _directory_for_all(file: Path) -> None:
    file.parent.chmod(0o1777)


def _parent_for_all(file: Path) -> None:
    file.parent.parent.chmod(0o777)


def _link(file: Path) -> None:
    moved = file.rename(file.parent / "elsewhere")
    file.symlink_to(moved)


def _directory_link(file: Path) -> None:
    moved = file.parent.rename(file.parent.with_name("elsewhere"))
    file.parent.symlink_to(moved)


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


CHANGES: list[Callable[[Path], None]] = [
    _file_for_group, _file_for_all, _directory_for_group, _directory_for_all, _parent_for_all, _link, _directory_link, _pipe,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_others_may_write_or_replace_is_not_loaded(tmp_path: Path, change: Callable[[Path], None]) -> None:
    directory = tmp_path / "cache" / "sallygate"
    change(kept(directory))
    assert loaded(directory) is None


@pytest.mark.parametrize("change", [_directory_for_group, _directory_for_all, _parent_for_all, _directory_link])
def test_a_cache_that_is_not_trusted_says_why_and_takes_nothing(tmp_path: Path, change: Callable[[Path], None]) -> None:
    directory = tmp_path / "cache" / "sallygate"
    change(kept(directory))
    with PatternCache(directory) as cache, cache.locked(lambda: None) as alone:
        assert cache.problem and not alone
        with pytest.raises(OSError):
            cache.keep("b", SIGNATURE, b"compiled")


@pytest.fixture
def another_user(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process as one of a user who owns none of the files here; root's directories above stay root's."""
    if os.geteuid() != 0:
        pytest.skip("files of another user can be made as root alone")
    yield
    monkeypatch.undo()


@pytest.mark.usefixtures("another_user")
@pytest.mark.parametrize("of", ["file", "directory", "parent"])
def test_what_another_user_owns_is_not_loaded(tmp_path: Path, of: str) -> None:
    directory = tmp_path / "cache" / "sallygate"
    file = kept(directory)
    owned = {"file": file, "directory": directory, "parent": directory.parent}[of]
    os.chown(owned, OTHER_USER, OTHER_USER)
    assert loaded(directory) is None


def test_a_cache_below_a_sticky_directory_is_used(tmp_path: Path) -> None:
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    assert kept(shared / "sallygate").exists()


def test_no_home_and_a_home_that_is_a_file_have_no_cache(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    missing = tmp_path / "missing"
    for home in (tmp_path / "home", missing, Path("/proc/self")):
        with PatternCache(home / ".cache" / "sallygate") as cache:
            assert cache.problem
    assert not missing.exists(), "a home directory is not made"
    for directory in (None, tmp_path / "home" / "sallygate"):
        with PatternCache(directory) as cache:
            assert cache.problem
            assert cache.load("a", SIGNATURE) is None


def test_only_the_files_used_last_stay(tmp_path: Path) -> None:
    directory = tmp_path / "sallygate"
    files = [kept(directory, f"{number}") for number in range(KEPT_MAX)]
    for age, file in enumerate(files):
        os.utime(file, (1000 + age, 1000 + age))
    (directory / ".patterns-killed.part").write_bytes(b"x")
    assert loaded(directory, "0") == b"compiled"
    kept(directory, "new")
    left = {file.name for file in directory.iterdir()}
    assert left == {"patterns-0.bin", "patterns-2.bin", "patterns-3.bin", "patterns-new.bin"}


def test_one_process_compiles_and_another_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_patterns, "WAIT_S", 0.0)
    waited: list[None] = []
    with PatternCache(tmp_path / "a") as one, PatternCache(tmp_path / "a") as other:
        with one.locked(lambda: None) as alone:
            assert alone
            with other.locked(lambda: waited.append(None)) as both:
                assert not both, "nobody waits for ever"
        with other.locked(lambda: None) as alone:
            assert alone
