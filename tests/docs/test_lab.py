"""Every module of the lab can be imported: figures are measured with what is there now."""

from __future__ import annotations

import importlib
import pkgutil
import re

import lab
from lab.injection.evaluate import Count
from lab.injection.report import PAGE, RECORDED, Part, Row, _page


def test_every_module_of_the_lab_can_be_imported() -> None:
    names = [found.name for found in pkgutil.walk_packages(lab.__path__, "lab.") if not found.name.endswith("__main__")]
    for name in names:
        importlib.import_module(name)
    assert len(names) >= 30


ID_SHAPES = (r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-", r"\d{6,}", r"[0-9a-f]{16,}", r"@[\w-]+\.\w", r"[?&]\w+=(?!\\u2026|…)",
             r"/(?=[^/ ?]*\d)(?!\.)[\w-]{5,}[/ ?]")  # fmt: skip


def test_no_id_of_a_recorded_person_is_published() -> None:
    recorded = [line for line in PAGE.read_text().splitlines() if line.startswith(RECORDED)]
    assert len(recorded) >= 10
    assert [line for line in recorded for shape in ID_SHAPES if re.search(shape, line.partition(": ")[2])] == []


def test_the_report_redacts_what_it_writes() -> None:
    example = (
        "shop POST /u/4842632323731456/0b2f5b1e-7c1d-4f1e-9d2a-0a1b2c3d4e5f/cart?UserId=4842632323731456&SessionId=a9&PageI"
        " → injection.sql x at body:/a (score 5, characters 7 to 14: 'user 991234567 a.b@example.org')"
    )
    count = Count()
    count.wrong.append(example)
    page = "\n".join(_page([Part("t", "e", [Row(f"{RECORDED}, all sites", count)])], {}, []))
    (line,) = [line for line in page.splitlines() if line.startswith(RECORDED)]
    assert line == (
        f"{RECORDED}, all sites: shop POST /u/…/…/cart?UserId=…&SessionId=…&… → injection.sql x at body:/a "
        "(score 5, characters 7 to 14: 'user … …')"
    ).replace("…", "\\u2026").replace("→", "\\u2192")
