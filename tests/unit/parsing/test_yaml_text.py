"""YAML 1.2: words stay words, equal keys are refused, aliases and depth are bounded."""

from __future__ import annotations

import pytest

from sallygate.parsing.yaml_text import YamlError, read_strings, read_values

SCALARS = [
    ("off", "off"), ("NO", "NO"), ("yes", "yes"), ("on", "on"), ("y", "y"), ("true", True), ("False", False), ("TRUE", True),
    ("null", None), ("~", None), ("", None), ("NULL", None), ("12", 12), ("-3", -3), ("+3", 3), ("012", 12), ("0o17", 15), ("0x1F", 31),
    ("1_000", "1_000"), ("1:30", "1:30"), ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("-.inf", float("-inf")), ("2020-01-01", "2020-01-01"),
    ("'12'", "12"), ('"true"', "true"), ("0b1", "0b1"), ("1.2.3", "1.2.3"), (".", "."), ("-", [None]), ("=", "="),
]  # fmt: skip


@pytest.mark.parametrize("text, value", SCALARS)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    read = read_values(f"a: {text}\n" if text != "-" else "a:\n  -\n")
    assert read == {"a": value}
    assert type(read["a"]) is type(value)  # type: ignore[index]


def test_strings_stay_strings_and_every_place_has_its_line() -> None:
    value, lines = read_strings("version: 1\nplans:\n  free: {rate: 10/s, off: NO}\n  list:\n    - true\n    - a: ~\n")
    assert value == {"version": "1", "plans": {"free": {"rate": "10/s", "off": "NO"}, "list": ["true", {"a": None}]}}
    assert lines[("version",)] == 1
    assert lines[("plans", "free", "rate")] == 3
    assert lines[("plans", "list", 0)] == 5
    assert lines[("plans", "list", 1, "a")] == 6
    assert lines[()] == 1


def test_all_equal_keys_are_reported_at_once() -> None:
    with pytest.raises(YamlError) as caught:
        read_strings("a: 1\nb: {x: 1, x: 2}\na: 2\na: 3\n")
    assert [line for line, _ in caught.value.problems] == [2, 3, 4]
    assert caught.value.problems[1][1] == "key 'a' is already given on line 1"


def test_aliases_are_followed_within_bounds() -> None:
    assert read_values("a: &x [1, 2]\nb: *x\n") == {"a": [1, 2], "b": [1, 2]}
    laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )
    with pytest.raises(YamlError, match="more than 1000000 values"):
        read_values(laughs)
    with pytest.raises(YamlError):
        read_values("a: &a [*a]\n")


@pytest.mark.parametrize("text", [
    "[" * 50_000, "[" * 50_000 + "]" * 50_000, "- " * 50_000 + "x", "? " * 50_000 + "x", "{a: " * 50_000,
    "\n".join(" " * n + "a:" for n in range(3000)), "\n".join(["["] * 50_000),
])  # fmt: skip
def test_depth_is_refused_before_the_stack_is_gone(text: str) -> None:
    with pytest.raises(YamlError):
        read_values(text)


@pytest.mark.parametrize("text, line", [
    ("a: 1\nb: [\n", 3), ("a: 1\n---\nb: 2\n", 2), ("a: 1\n\tb: 2\n", 2), ("a: !!python/object:os.system x\n", 1),
    ("? [a]\n: 1\n", 1), ("x: &d {a: 1}\ny:\n  <<: *d\n", 3), ("a: \x00", 1), ("a: !!int 5\n", 1), ("a: *nowhere\n", 1),
])  # fmt: skip
def test_what_is_not_one_plain_document_is_refused_at_its_line(text: str, line: int) -> None:
    with pytest.raises(YamlError) as caught:
        read_values(text)
    assert caught.value.line == line


def test_nothing() -> None:
    assert read_values("") is None
    assert read_strings("# only a comment\n") == (None, {})
