"""`python -m lab.injection [PART…] [--data FOLDER] [--no-write]`: detection rates of injection, and false findings on honest traffic."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lab.injection import data, evasion, peer, profiles, report, suites
from lab.injection.evaluate import POLICY, Count, Evaluation
from lab.injection.report import Part, Row
from lab.injection.requests import prompt
from lab.speed.servers import Missing

PARTS = ("honest", "texts", "profiles", "attacks", "suites", "evasion")
HONEST_MAX, SUITE_HONEST_MAX = 0.003, 0.03
MAIN_MIN, OTHER_MIN, CRS_MIN, GOTESTWAF_MIN = 0.995, 0.97, 0.92, 0.95
LOST_MAX = 0.02
MAIN_FAMILIES = ("sql", "xss", "traversal")
HONEST_REQUESTS = 102_965
MODERN, SECTIONS, CVE = (
    "benign/modern_api.jsonl.gz", "benign/markdown_sections.jsonl.gz", "attacks/cve_requests.jsonl.gz",
)  # fmt: skip
SECTIONS_MAX, CVE_MIN, WRAPPED_MIN, GONE_MIN = 0.003, 0.97, 0.99, 0.8
TEXTS = "{field: 'body:*', kind: text}, {field: 'body:*', kind: query}"
"""What a policy says of bodies whose fields hold prompts and queries on purpose."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lab.injection", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all when left out")
    parser.add_argument("--data", type=Path, default=data.DEFAULT, help="the folder of the data")
    parser.add_argument("--every", type=int, default=1, help="only every so manieth request and attack; not written")
    parser.add_argument("--no-write", action="store_true", help="show only")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    names = [name for name in PARTS if not asked.parts or name in asked.parts]
    console = Console()
    try:
        kept, removed = data.payloads(asked.data)
        evaluation = Evaluation(asked.data)
        with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                      console=console) as progress:  # fmt: skip
            parts = [
                part for name in names for part in _RUN[name](evaluation, kept[:: asked.every], progress, asked.every)
            ]
    except data.MissingData as missing:
        console.print(f"[red]{missing}[/]")
        raise SystemExit(2) from None
    report.show(console, parts)
    if len(names) == len(PARTS) and asked.every == 1 and not asked.no_write:
        facts = {
            "date": datetime.now(UTC).date().isoformat(),
            "policy": "default sensitivity, nothing excluded, no contract",
        }
        report.write(parts, facts, [f"{one.family}: {one.value}" for one in removed])
        console.print("written: docs/injection-evaluation.md, lab/results/injection.json")


def _honest(evaluation: Evaluation, _: list[data.Payload], progress: Progress, every: int) -> list[Part]:
    task = progress.add_task("honest requests", total=HONEST_REQUESTS)
    requests = evaluation.honest_requests(lambda n: progress.update(task, advance=n), every)
    for code, number in evaluation.reasons.most_common():
        progress.console.print(f"  {code}: {number}")
    values, texts = data.honest_values(evaluation.root)[::every], data.honest_texts(evaluation.root)
    task = progress.add_task("honest values", total=len(values) + len(texts))
    by_location = evaluation.honest_texts(values, lambda n: progress.update(task, advance=n))
    sentences = evaluation.honest_texts(texts, lambda n: progress.update(task, advance=n))
    rows = [Row(f"{report.RECORDED}, {name}", count, HONEST_MAX) for name, count in requests.items()]
    rows += [Row(f"values, in {name}", count, HONEST_MAX) for name, count in by_location.items()]
    rows += [Row(f"sentences, in {name}", count, 0.0) for name, count in sentences.items()]
    return [Part("Honest traffic", "Whatever is refused here is refused wrongly.", rows)]


def _texts(evaluation: Evaluation, _: list[data.Payload], progress: Progress, every: int) -> list[Part]:
    task = progress.add_task("texts that show code", total=None)
    kinds = Evaluation(evaluation.root, POLICY.replace("{mode: enforce}", f"{{mode: enforce, kinds: [{TEXTS}]}}"))
    modern = list(data.recorded(evaluation.root, MODERN))
    sections = [one["text"] for one in data.lines(data.find(evaluation.root, SECTIONS))]
    known = list(data.recorded(evaluation.root, CVE))
    rows = [
        Row("modern API requests", evaluation.requests(modern, right_refused=False), 0.0),
        Row("… where all fields have the kind text", kinds.requests(modern, right_refused=False), 0.0),
        Row("sections of documentation, as prompts", evaluation.prompts(sections), SECTIONS_MAX),
        Row("… where the field has the kind text", kinds.prompts(sections), 0.0),
        Row(
            "attacks wrapped in text, written blind",
            evaluation.requests(
                ((f"wrapped attack {one['id']}", prompt(one["value"])) for one in data.wrapped_attacks()),
                right_refused=True,
            ),
            WRAPPED_MIN,
            "at least",
        ),
        Row("exploit requests of known CVEs", evaluation.requests(known, right_refused=True), CVE_MIN, "at least"),
    ]
    progress.update(task, total=1, completed=1)
    return [Part("Texts that show code, and known exploits", "Requests as API clients send them today (prompts, telemetry, "
                 "webhooks, dashboards), and README sections as prompts. The wrapped attacks stand in Markdown, traces, quotes and "
                 "prose, and work where the whole value is put into a statement, shell or page; their author had not read "
                 "the detectors. Five exploit requests carry no injection: the name of a function beside a placeholder (CVE-2022-35914), a header "
                 "that names a user (CVE-2023-28121), a default password and a plain address (CVE-2023-33617), a hidden "
                 "account (CVE-2024-3273).", rows)]  # fmt: skip


def _profiles(evaluation: Evaluation, payloads: list[data.Payload], progress: Progress, every: int) -> list[Part]:
    task = progress.add_task("profiles", total=None)
    sections = [one["text"] for one in data.lines(data.find(evaluation.root, SECTIONS))]
    found = profiles.measure(sections, payloads)
    progress.update(task, total=1, completed=1)
    rows = [
        Row("code blocks, without a profile", found.honest_before, 1.0),
        Row(
            "code blocks, with what 20 callers taught",
            found.honest_after,
            found.honest_before.share * (1 - GONE_MIN) + 1e-9,
        ),
        Row("attacks in that field, with the same", found.attacks_after, OTHER_MIN, "at least"),
        Row("verdicts that 3 poisoners of 20 changed", found.changed, 0.0),
    ]
    return [Part("Profiles", "A field of code after 1,000 honest requests of 20 callers (`injection.profiles: apply`): values that "
                 "were not among them, attacks, and a field to which 3 of 20 callers sent attacks alone.", rows)]  # fmt: skip


def _attacks(evaluation: Evaluation, payloads: list[data.Payload], progress: Progress, every: int) -> list[Part]:
    task = progress.add_task("attacks", total=len(payloads))
    counts = evaluation.attacks(payloads, lambda n: progress.update(task, advance=n))
    rows = []
    for family in sorted(counts):
        least = MAIN_MIN if family in MAIN_FAMILIES else OTHER_MIN
        by_location = counts[family]
        rows += [
            Row(f"{family}, in {name}", by_location[name], least, "at least")
            for name in ("query", "form", "multipart", "JSON")
        ]
        rows.append(Row(f"{family}, held out", by_location["held out"], least, "at least"))
    return [Part("Attacks", "Each line in a query value, a form field, a multipart field and a JSON string. Held out: lines "
                 "of sources, or a fifth by checksum, that nothing was tuned on; refused in all four places.", rows)]  # fmt: skip


def _suites(evaluation: Evaluation, _: list[data.Payload], progress: Progress, every: int) -> list[Part]:
    crs, gotestwaf = list(suites.core_rule_set(evaluation.root)), list(suites.gotestwaf(evaluation.root))
    task = progress.add_task("suites", total=len(crs) + len(gotestwaf))
    first = evaluation.suite(crs, lambda n: progress.update(task, advance=n))
    second = evaluation.suite(gotestwaf, lambda n: progress.update(task, advance=n))
    beside, note = _beside(evaluation, [case for case in crs if not case.attack], progress)
    rows = [
        Row("Core Rule Set, positive", first["attacks"], CRS_MIN, "at least"),
        Row("Core Rule Set, negative", first["honest"], SUITE_HONEST_MAX),
        *beside,
        Row("GoTestWAF, attacks", second["attacks"], GOTESTWAF_MIN, "at least"),
        Row("GoTestWAF, honest", second["honest"], 0.0),
    ]
    return [Part("Other people's suites", "The Core Rule Set's own tests of paranoia level 1, families 930 to 944: a test "
                 "is positive when its rule is expected to match, negative when it is expected not to. GoTestWAF: payload × "
                 "encoder × placeholder, without gRPC. " + note, rows)]  # fmt: skip


def _beside(evaluation: Evaluation, negative: list[suites.Case], progress: Progress) -> tuple[list[Row], str]:
    """What another protection refuses of the negative cases, where it is installed; and what is to be said of it."""
    task = progress.add_task(peer.NAME, total=len(negative))
    try:
        theirs = peer.refused(negative, lambda n: progress.update(task, advance=n))
    except Missing as missing:
        return [], f"What the rule set as a whole refuses of the negative cases was not asked: {missing}."
    of_all, of_ours = Count(), Count()
    for case in negative:
        count = case.name in theirs
        of_all.add(count, right=True, example="")
        if evaluation.decide(case.request):
            of_ours.add(count, right=True, example="")
    rows = [Row(f"… of those refused, by {peer.NAME}", of_ours), Row(f"… of all negative, by {peer.NAME}", of_all)]
    return rows, (
        "A negative case says what one rule lets through, not what the set does: the two rows below it count what the "
        "rule set as a whole, as Debian installs it (an older version than the tests are of), answers with 403 over "
        "loopback. They are no target of ours."
    )


def _evasion(evaluation: Evaluation, payloads: list[data.Payload], progress: Progress, every: int) -> list[Part]:
    task = progress.add_task("evasion", total=len(evasion.MUTATIONS))
    counts = evaluation.evasions(payloads, lambda n: progress.update(task, advance=n))
    together = Count(sum(count.refused for count in counts.values()), sum(count.total for count in counts.values()))
    rows = [Row("together", together, 1 - LOST_MAX, "at least")]
    rows += [Row(name, count) for name, count in counts.items()]
    return [
        Part(
            "Evasion", "Attacks that are refused in the open, disguised. A sample drawn evenly over the families.", rows
        )
    ]


_RUN = {
    "honest": _honest,
    "texts": _texts,
    "profiles": _profiles,
    "attacks": _attacks,
    "suites": _suites,
    "evasion": _evasion,
}

if __name__ == "__main__":
    main()
