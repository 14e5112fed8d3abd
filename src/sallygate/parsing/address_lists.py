"""Reader of address files: one address or prefix a line, `#` begins a comment. One bad line refuses the file, by
number."""

from __future__ import annotations

from collections.abc import Iterator

from sallygate.parsing.addresses import Prefixes, parse_prefix, prefixes_of

LIST_BYTES_MAX = 64 << 20
"""Three million lines: a list of every host of a very large provider."""
BAD_SHOWN = 20
"""Most bad lines that are reported; a file of another kind has thousands."""


class AddressListError(Exception):
    """`problems` are (line, what is wrong)."""

    def __init__(self, problems: list[tuple[int, str]]) -> None:
        super().__init__(f"line {problems[0][0]}: {problems[0][1]}")
        self.problems = problems


def read_address_list(data: bytes) -> Prefixes:
    """The prefixes of a list, each parsed once: a million lines take 5 s beside requests. Raises `AddressListError`."""
    if len(data) > LIST_BYTES_MAX:
        raise AddressListError([(0, f"the list is larger than {LIST_BYTES_MAX >> 20} MiB")])
    found, problems = [], []
    for number, entry in _entries(data):
        try:
            found.append(parse_prefix(entry))
        except ValueError as error:
            problems.append((number, str(error)))
            if len(problems) == BAD_SHOWN:
                break
    if problems:
        raise AddressListError(problems)
    return prefixes_of(found)


def _entries(data: bytes) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(data.decode("utf-8-sig", "backslashreplace").splitlines(), 1):
        if entry := line.partition("#")[0].strip():
            yield number, entry
