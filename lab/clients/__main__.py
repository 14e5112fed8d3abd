"""`python -m lab.clients [PRODUCT …] [--home DIR]`: products' own clients behind the gate, from shadow to enforce.

Exit code 1 where a client got other answers, or a refusal, or `tune` still had something to propose.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lab.clients.convergence import Outcome, run
from lab.clients.products import PRODUCTS
from lab.speed.servers import Missing


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.clients", description=__doc__)
    parser.add_argument("products", nargs="*", metavar="PRODUCT", help=", ".join(one.name for one in PRODUCTS))
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "sallygate-lab"
    parser.add_argument("--home", type=Path, default=cache, help="where products are installed")
    parser.add_argument("--keep", type=Path, help="directory to leave policies, logs and events in")
    asked = parser.parse_args(arguments)
    console = Console()
    if unknown := set(asked.products) - {one.name for one in PRODUCTS}:
        console.print(f"There is no product {', '.join(sorted(unknown))}")
        return 2
    outcomes: list[Outcome] = []
    missing: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        for product in PRODUCTS:
            if asked.products and product.name not in asked.products:
                continue
            try:
                with console.status(f"{product.name}: installing"):
                    product.install(asked.home / product.name)
                with console.status(f"{product.name}: its client behind the gate"):
                    place = (asked.keep or Path(temporary)) / product.name
                    outcomes.append(run(product, asked.home / product.name, place))
            except Missing as error:
                missing.append(f"{product.name}: {error}")
    table = Table("product", "requests", "changes by round", "refused", "different answers", "WebSockets not carried")
    for one in outcomes:
        differences, refused = len(one.differences), sum(one.refused.values())
        numbers = (one.requests, ", ".join(map(str, one.changes)), refused, differences, one.sockets)
        table.add_row(one.product, *map(str, numbers))
    console.print(table)
    for one in outcomes:
        for line in (*(f"{count} × {reason}" for reason, count in one.refused.items()), *one.differences):
            console.print(f"{one.product}: {line}", markup=False, highlight=False)
    for line in missing:
        console.print(f"not run: {line}", markup=False, highlight=False)
    return 0 if outcomes and all(one.good for one in outcomes) and not missing else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
