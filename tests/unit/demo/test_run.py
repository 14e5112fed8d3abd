"""The demonstration without what its sample API needs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from sallygate.demo import run
from sallygate.ports import StoreError


@pytest.mark.parametrize("missing", run.SAMPLE_API_NEEDS)
def test_it_says_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run, "find_spec", lambda name: None if name == missing else find_spec(name))
    with pytest.raises(StoreError, match=r"pip install 'sallygate\[demo\]'"):
        run.run_demo(tmp_path, 8443, json=True)
    assert not list(tmp_path.iterdir())
