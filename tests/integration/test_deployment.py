"""The files for running it: the unit, the container's conditions, the dashboard. Each is tried, as far as it goes here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lab.dashboard import OUT, dashboard

from patience import patient
from sallygate.model.finding import Finding
from sallygate.telemetry.exposition import render
from sallygate.telemetry.metrics import Metrics
from support import Upstream, held_port, make_key, running_gateway, write_policy

ROOT = Path(__file__).resolve().parents[2]
EXPOSURE_MAX = 2.0
"""Of 10, as systemd-analyze counts it; most services have 9."""


def analyze(*words: str) -> str:
    done = subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=patient(60))
    return done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_the_unit_is_right_and_hardened(tmp_path: Path) -> None:
    for name in ("sallygate.service", "sallygate.socket"):
        text = (ROOT / "deploy" / name).read_text().replace("/opt/sallygate/.venv/bin/sallygate", "/bin/true")
        (tmp_path / name).write_text(text)
    said = analyze("verify", "--man=no", str(tmp_path / "sallygate.service"), str(tmp_path / "sallygate.socket"))
    assert not [line for line in said.splitlines() if "sallygate" in line], said
    found = re.search(
        r"Overall exposure level for sallygate.service: ([\d.]+)",
        analyze("security", "--offline=true", str(tmp_path / "sallygate.service")),
    )
    assert found is not None and float(found[1]) <= EXPOSURE_MAX


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root to leave it, and unshare")
def test_it_runs_without_root_and_without_a_file_system_to_write(tmp_path: Path) -> None:
    """As the unit and the container have it: another user, no capability but to read (this Python may lie where only root
    may look), no executable memory made, all but the state read-only."""
    nobody = 65534
    with Upstream() as upstream:
        policy = write_policy(tmp_path, "operations: {}", upstream=upstream.url)
        key = make_key(policy)
        for folder, _, names in os.walk(tmp_path / "state"):
            for name in (".", *names):
                os.chown(Path(folder) / name, nobody, nobody)
        for parent in (tmp_path, *tmp_path.parents):
            if parent.stat().st_uid == os.geteuid() and "pytest" in str(parent):
                parent.chmod(0o755)
        port = held_port()
        policy.write_text(policy.read_text() + f"listen: {{https: 127.0.0.1:{port}}}\n")
        wrapper = tmp_path / "python"
        state = tmp_path / "state"
        wrapper.write_text(
            "#!/bin/sh\nexec unshare --mount --propagation private sh -c '"
            f"mount --bind {state} {state} && mount -o remount,bind,ro / && "
            f"for m in /tmp /work /dev/shm; do mountpoint -q $m && mount -o remount,bind,ro $m; done; "
            "exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --inh-caps=-all,+dac_read_search "
            "--ambient-caps=-all,+dac_read_search --bounding-set=-all,+dac_read_search "
            f'{sys.executable} -c "import ctypes,os,sys; assert not ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) or True; '
            'os.execv(sys.executable, [sys.executable, *sys.argv[1:]])" "$@"\' sh "$@"\n'
        )
        wrapper.chmod(0o755)
        probe = [str(wrapper), "-c", "import os; print(os.getuid(), os.access(os.path.expanduser('/etc'), os.W_OK))"]
        said = subprocess.run(probe, capture_output=True, text=True, timeout=patient(30))
        if said.returncode != 0:
            pytest.skip(f"mounts or users cannot be changed here: {said.stderr.strip()[-200:]}")
        assert said.stdout.split() == [str(nobody), "False"]
        with running_gateway(policy, python=str(wrapper)) as running:
            assert running.get("/things", key)[0] == 200
            assert running.get("/things")[0] == 401


def test_the_container_file_names_what_there_is() -> None:
    text = (ROOT / "deploy" / "Containerfile").read_text()
    ignored = (ROOT / ".containerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M):
        for name in line.split():
            assert (ROOT / name).exists(), name
            assert f"!{name}" in ignored, name
    assert re.search(r"^USER \d+:\d+$", text, re.M), "by number, so that Kubernetes can see it is not root"


def test_the_dashboard_shows_what_is_exposed() -> None:
    assert json.loads(OUT.read_text()) == dashboard(), "run: python -m lab.dashboard"
    from tests.unit.telemetry.test_metrics import STATUS, exchange

    metrics = Metrics()
    metrics.observe(exchange(findings=(Finding("limits.rate", ""),)))
    exposed = render(metrics.snapshot(), STATUS, "")[0].decode()
    asked = {name for panel in dashboard()["panels"] for target in panel["targets"]
             for name in re.findall(r"\b((?:sallygate|http|process)_[a-z_]+)", target["expr"])}  # fmt: skip
    asked -= {"http_route", "http_response_status_code"}
    assert len(asked) > 15
    missing = [name for name in asked if f"\n{name}" not in exposed]
    assert not missing
