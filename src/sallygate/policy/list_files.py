"""Reader of the address lists and geography files that a policy names; checked with the policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import maxminddb

from sallygate.parsing.address_lists import LIST_BYTES_MAX, AddressListError, read_address_list
from sallygate.parsing.addresses import Prefixes
from sallygate.policy.errors import Problem
from sallygate.policy.intelligence import check_intelligence
from sallygate.policy.issuers import Say
from sallygate.policy.network import AddressFile, Network, Reach
from sallygate.security.regular_files import open_regular

BESIDE = "write a path relative to the policy file"


def list_files(network: Network | None) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where in the policy each list is named, and its name."""
    if network is None:
        return
    sections: list[tuple[tuple[str | int, ...], Reach]] = [(("network",), network)]
    sections += [(("network", "rules", number), rule) for number, rule in enumerate(network.rules)]
    for path, section in sections:
        for field in ("allow", "deny", "only"):
            for number, entry in enumerate(getattr(section, field)):
                if isinstance(entry, AddressFile):
                    yield (*path, field, number, "file"), entry.file


def read_list(file: Path) -> Prefixes:
    """Raises `AddressListError` or `OSError`."""
    with open_regular(file) as stream:
        return read_address_list(stream.read(LIST_BYTES_MAX + 1))


def read_lists(
    say: Say, problems: list[Problem], network: Network | None, beside: Callable[[str], Path]
) -> dict[str, Prefixes]:
    """Every list the policy names, by its name there. What is wrong is said with the line of the list."""
    lists: dict[str, Prefixes] = {}
    for path, name in list_files(network):
        if name in lists:
            continue
        try:
            lists[name] = read_list(beside(name))
        except OSError as error:
            say(
                path,
                "file",
                f"the list `{name}` cannot be read: {error.strerror}",
                BESIDE,
            )
        except AddressListError as error:
            problems += [
                Problem(str(beside(name)), line, "policy.list", message, "write for example 192.0.2.0/24")
                for line, message in error.problems
            ]
    return lists


def check_network(
    say: Say, network: Network | None, plans: set[str], operations: set[str], beside: Callable[[str], Path]
) -> None:
    """Report every problem of `network` and its files through `say`; `beside` resolves a path relative to the policy."""
    if network is None:
        return
    check_intelligence(say, network.intelligence, beside)
    for number, name in enumerate(network.databases):
        try:
            maxminddb.open_database(beside(name)).close()
        except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
            why = getattr(error, "strerror", None) or str(error)
            say(("network", "databases", number), "file", f"`{name}` is not a readable MMDB file: {why}", BESIDE)
    for number, rule in enumerate(network.rules):
        path = ("network", "rules", number)
        for plan in sorted(set(rule.plans) - plans):
            say(
                (*path, "plans"),
                "reference",
                f"the policy has no plan `{plan}`",
                f"write one of: {', '.join(sorted(plans))}",
            )
        for name in sorted(set(rule.operations) - operations):
            say(
                (*path, "operations"),
                "reference",
                f"the contract has no operation `{name}`",
                "use an operationId of the contract",
            )
