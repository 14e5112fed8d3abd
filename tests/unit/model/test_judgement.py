"""How long a body may take: the more has come, the longer."""

from __future__ import annotations

import pytest

from sallygate.model.finding import Finding
from sallygate.model.judgement import NEVER_S, Pace

SLOW, LATE = Finding("flood.slow_body", "", 408), Finding("request.body_time", "", 408)


@pytest.mark.parametrize(
    ("size", "bytes_per_s", "passes"),
    [
        (5_000_000, 60_000, True),  # 83 s, and steady: a phone that uploads a picture
        (50_000_000, 25_000, True),
        (1_000_000, 60_000, True),
        (100_000, 1_000, False),  # 100 s for what fits into a few packets
        (5_000_000, 9_000, False),
        (12, 0.1, False),
    ],
)
def test_a_large_body_that_comes_steadily_is_not_late(size: int, bytes_per_s: float, passes: bool) -> None:
    pace = Pace(20.0, 500, SLOW, 60.0, LATE)
    took = [seconds for seconds in range(1, 3000) if (came := min(size, int(seconds * bytes_per_s))) < size
            and seconds > pace.whole_within_s(came)]  # fmt: skip
    assert (not took) == passes


def test_a_pace_without_bounds_waits_for_ever() -> None:
    pace = Pace(20.0, 0, SLOW)
    assert pace.sent_within_s(10) == pace.whole_within_s(10) == NEVER_S
