"""Concurrency limit of an API, adaptive, after TCP Vegas: it follows the latency. Time is an argument.

    window of samples ─▶ each by its operation's baseline ─▶ the median ─▶ what stands in the API's queue ─▶ limit

TCP Vegas (Brakmo and Peterson, 1995), as Netflix's concurrency-limits took it over: of `n` requests at an API that
takes `r` times as long as unloaded, `n · (1 - 1/r)` stand in a queue. The limit is kept where a few do.
What differs, and why:

- An operation is compared with itself: a slow one is not a loaded API. Its baseline is the median of what it took
  while half of the limit or less was used.
- No source speaks for more than a few shares of a window, and where callers in good standing have samples, theirs
  must agree: nobody shrinks the limit for others by what he asks for himself.
- Only what began after the last change counts, and not the first to come back, which are the fast ones.
- An unused limit is not known to be possible (RFC 7661): it falls back toward twice what was used.
- A limit reached for long dips now and then, since the API is never seen unloaded otherwise: what it takes then is what
  the baselines are corrected by, where the dip did not help. At the floor they follow what is seen.
- Failures that tell of overload (502, 503, 504, no connection), a quarter of a window: multiplicative decrease.
"""

from __future__ import annotations

WINDOW_S = 0.1
"""Of samples, at least; longer where they are few."""
WINDOW_S_MAX = 1.0
SAMPLES_MIN = 40
"""A median of fewer is chance: of times that vary by half, this many tell it within a tenth."""
SAMPLES_MAX = 256
"""Kept of a window; more would tell the same."""
SHARES_EACH = 2
"""No source speaks for more than so many equal shares of a window."""
KNOWN_MIN = 5
"""So many samples of callers in good standing must be slow, too, or fail, where a window has them."""
SLACK_S = 0.005
"""Longer than its baseline by this much is no queue yet: the gate's own loop is late by as much when it is busy."""
ALPHA, BETA = 0.05, 0.12
"""Shares of the limit that may stand in the API's queue: below the first it grows, above the second it falls."""
ALPHA_MIN, BETA_MIN = 0.7, 2.0
"""Requests: of a small limit a share is less than one."""
TRIED = 0.75
"""Of a limit of which a part is kept free for better callers, so much must have been used to say anything."""
STEP = 0.02
"""Of the limit, at least one request: how it grows near where the API last was too slow; twice as far each further time
without a queue, as CUBIC (RFC 9438) probes."""
GROWTH, FAST = 1.25, 1.5
"""How it grows well below that; and before that is known."""
NEAR = 0.7
"""Of the limit at which the API was too slow last: growth is slow from here."""
SHRINK_MIN = 0.7
"""It never falls by more than to this at once."""
HELPED = 0.87, 1.1
"""A limit that fell to `SHRINK_MIN` and leaves the median within these shares of what it was has not helped."""
FAILING = 0.25
"""Share of a window whose failures mean overload."""
FAILED_SHRINK = 0.8
SETTLE, TYPICAL_STEP = 2.0, 0.1
"""After a change, so many times what a request typically takes pass uncounted: of those that began after it, the fast
are the first to end, and would speak for all."""
DIP, DIP_EVERY_S, DIP_AGAIN_S = 0.7, 10.0, 2.0
"""How far a limit reached for long dips, and how often, and how soon again after a dip with a result: costs at most a
hundredth of the API's throughput."""
UNHELPED = 0.95
"""A dip that leaves the median above this share of what it was has not helped."""
COLD_ANSWERS, COLD_S = 20, 5.0
"""Before so many, and so long after the first, nothing is known of the API: before a restart its limit may
have been hundreds, and all callers return at once."""
COLD_S_MAX = 15.0
"""Nor is it longer than that after the first request: an API that does not answer gets the least limit."""
UNUSED_S = 60.0
"""The largest use in so many seconds is the known limit of the API."""
UNUSED_SHRINK = 0.9
STEP_MIN, LEARNING = 0.05, 20
"""A step is one over the samples seen, and at least this; the first so many count however loaded the API is."""
BELOW = 0.9
"""A window whose median is below this share of the baselines says that they are too high; less is chance."""
FLOOR_UP = 1.5
"""By which it follows a window's median up, at the floor."""
UNSEEN_S = 1.0
"""Taken for what an operation takes that nobody has waited for the answer of: one that is asked for and left each time
may be a slow one."""
CLOCK_S = 1e-6
"""No answer takes less: what the clock tells apart."""
BASELINES_MAX = 10_000
"""Operations with a baseline of their own; the largest contracts have a tenth of that."""

Sample = tuple[float, str, str]
"""How many times its baseline a request took (0: it failed), its operation, and whose it was."""


class ConcurrencyLimit:
    """The limit, and what it is judged from. `least`, `initial` and `most` are requests at once, times are seconds of
    a clock that never goes back."""

    def __init__(self, least: int = 5, initial: int = 10, most: int = 1000) -> None:
        self.limit = float(initial)
        self._least, self._initial, self._most = least, initial, most
        self._baselines: dict[str, tuple[float, int]] = {}
        """Seconds, and how many samples taught it."""
        self._congested_at = 0.0
        """The limit at which the API was too slow last; 0: not seen yet."""
        self._steps = 0
        """How often it has grown near there since."""
        self._changed_at = self._settled_at = 0.0
        self._typical_s = 0.0
        self._pressed = False
        """Somebody had to wait since it was last seen half unused."""
        self._shrunk_from: tuple[float, float] | None = None
        """The limit and the median when it began to shrink."""
        self._dip_at = 0.0
        self._dipped_from = self._before_dip = 0.0
        self._used = self._used_before = 0
        self._used_at: float | None = None
        self._peak, self._full = 0, False
        self._cold = 0
        """Answers still to come before anything is known, and one more until it was long enough; 0: it is known."""
        self._cold_at, self._rushed = 0.0, False
        self._restart(0.0)

    def configure(self, least: int, initial: int, most: int, cold: int = 0) -> None:
        """Other bounds; what was found out counts on. `cold`: so many at once, at least, until the first answers are
        there."""
        if not self._baselines:
            self._cold = COLD_ANSWERS + 1 if cold > initial else 0
            if initial != self._initial or self._cold:
                self.limit = float(max(initial, cold))
        self._least, self._initial, self._most = least, initial, most
        self.limit = min(max(self.limit, least), most)

    @property
    def cold(self) -> bool:
        """Whether nothing is known of the API yet."""
        return self._cold > 0

    @property
    def most(self) -> int:
        """Largest limit that the policy allows."""
        return self._most

    def baseline(self, operation: str) -> float:
        """Seconds the operation takes unloaded; 0: not known yet."""
        return self._baselines.get(operation, (0.0, 0))[0]

    def expected_s(self, operation: str) -> float:
        """What it takes at least, as far as it is known."""
        return self.baseline(operation) or max(self._typical_s, UNSEEN_S)

    def refuse(self, now: float) -> None:
        """Somebody has to wait for a place, or gets none."""
        self._full = True
        if not self._pressed:
            self._pressed = True
            self._count_from(now)

    def use(self, under_way: int, now: float) -> None:
        """So many are under way now."""
        if self._used_at is None:
            self._used_at = self._dip_at = now
        elif self._cold and now - self._used_at >= COLD_S_MAX:
            self._cold = 0
            self._set(float(self._initial), now)
        elif now - self._used_at >= UNUSED_S:
            self._used_before, self._used, self._used_at = self._used, 0, now
        self._peak = max(self._peak, under_way)
        self._used = max(self._used, under_way)

    def sample(
        self, operation: str, source: str, began_at: float, took_s: float, now: float, *, failed: bool, known: bool
    ) -> None:
        """One request was answered. `source` is whose it was; `known`: a caller in good standing."""
        if not failed:
            self._typical_s += TYPICAL_STEP * (took_s - self._typical_s)
        if self._cold:
            self._warm_up(operation, took_s, now, failed=failed, known=known)
            return
        if now < self._settled_at:
            return
        if began_at >= self._changed_at:
            samples = self._known if known else self._others
            if len(samples) < SAMPLES_MAX:
                samples.append((0.0 if failed else self._ratio(operation, took_s, known), operation, source))
        open_s = now - self._window_at
        if open_s >= WINDOW_S:
            self._close(open_s, now)

    def _warm_up(self, operation: str, took_s: float, now: float, *, failed: bool, known: bool) -> None:
        """What is under way in the second half, when those who waited for the gate are served, is what the API is known
        to handle."""
        if not failed:
            self._ratio(operation, took_s, known)
        if self._cold > COLD_ANSWERS:
            self._cold_at = now
        if not self._rushed and now - self._cold_at >= COLD_S / 2:
            self._rushed, self._peak = True, 0
        self._cold = max(self._cold - 1, 1)
        if self._cold == 1 and now - self._cold_at >= COLD_S:
            self._cold = 0
            self._set(float(max(self._initial, self._peak)), now)

    def _ratio(self, operation: str, took_s: float, known: bool) -> float:
        """How many times its baseline, which it teaches where the API is not loaded."""
        base, seen = self._baselines.get(operation, (0.0, 0))
        if not seen:
            if len(self._baselines) >= BASELINES_MAX:
                return 1.0
            base = max(took_s, CLOCK_S)
            self._baselines[operation] = base, 1
        elif (known or not self._known) and (
            seen < LEARNING or (self._peak <= self.limit / 2 and not self._dipped_from)
        ):
            step = max(STEP_MIN, 1 / (seen + 1)) / 2
            base *= 1 - step if took_s < base else 1 + step if took_s > base + SLACK_S else 1.0
            self._baselines[operation] = base, seen + 1
        return took_s / (base + SLACK_S) if took_s > base else max(took_s, CLOCK_S) / base

    def _close(self, open_s: float, now: float) -> None:
        """End the window when there is enough in it."""
        known, everyone = self._known, self._known + self._others
        if len(everyone) < SAMPLES_MIN and open_s < WINDOW_S_MAX:
            return
        samples = _fair(known if len(known) >= SAMPLES_MIN else everyone)
        answered = [sample for sample in samples if sample[0]]
        failed = len(samples) - len(answered)
        if failed >= 2 and failed >= FAILING * len(samples) and _failing(known):  # one failure is an accident
            self._shrink_to(self.limit * FAILED_SHRINK, now)
        elif answered:
            ratios = [_median(answered)]
            if len(known) >= KNOWN_MIN and (theirs := [sample for sample in _fair(known) if sample[0]]):
                ratios.append(_median(theirs))
            self._judge(answered, min(ratios), max(ratios), now)
        self._restart(now)

    def _restart(self, now: float) -> None:
        self._window_at = max(now, self._settled_at)
        self._known: list[Sample] = []
        self._others: list[Sample] = []
        self._peak = 0
        self._full = False

    def _judge(self, samples: list[Sample], ratio: float, slowest: float, now: float) -> None:
        """`ratio` is what all agree on, `slowest` what some see."""
        if self._dipped_from:
            # No faster with so much less under way: the baseline is too low. Faster than it: too high.
            if ratio < BELOW or ratio > max(1.0, UNHELPED * self._before_dip):
                self._move_baselines(samples, ratio)
                self._dip_at -= DIP_EVERY_S - DIP_AGAIN_S
            self._set(self._dipped_from, now)
            self._dipped_from = 0.0
            return
        limit, peak = self.limit, self._peak
        if peak < limit / 2 and not self._full:
            self._pressed = False
            self._forget_unused(now)
            return
        if peak < (TRIED * limit if self._full else limit - 1):
            return  # what has not been tried says nothing
        if ratio < BELOW:
            self._move_baselines(samples, ratio)
        if self._shrunk_from is not None and limit >= self._shrunk_from[0]:
            self._shrunk_from = None
        standing = min(peak, limit) * max(0.0, 1 - 1 / ratio)
        alpha, beta = max(ALPHA_MIN, ALPHA * limit), max(BETA_MIN, BETA * limit)
        if limit <= self._least and standing >= alpha:
            self._move_baselines(samples, min(FLOOR_UP, ratio))
            self._congested_at = 0.0
        elif standing > beta:
            if self._shrunk_from is None:
                self._shrunk_from = limit, ratio
            elif not self._helps(samples, ratio, now):
                return
            self._shrink_to(limit - standing + (alpha + beta) / 2, now)
        elif now - self._dip_at >= DIP_EVERY_S and limit > self._least:
            self._dip_at, self._dipped_from, self._before_dip = now, limit, ratio
            self._set(limit * DIP, now)
        elif min(peak, limit) * (1 - 1 / slowest) < alpha:
            self._grow(now)

    def _helps(self, samples: list[Sample], ratio: float, now: float) -> bool:
        """Whether what was taken from the limit has made the API faster, as far as it is known yet. It is given back
        where it has not: the API is not slow because of our requests, and its baseline is too low."""
        assert self._shrunk_from is not None
        limit, before = self._shrunk_from
        if self.limit > limit * SHRINK_MIN + 0.5:
            return True
        if not HELPED[0] < ratio / before < HELPED[1]:
            self._shrunk_from = self.limit, ratio  # it helps; or it becomes worse, which is another matter
            return True
        self._move_baselines(samples, ratio)
        self._shrunk_from, self._congested_at = None, 0.0
        self._set(limit, now)
        return False

    def _grow(self, now: float) -> None:
        limit = self.limit
        if not self._congested_at:
            grown = limit * FAST
        elif limit < NEAR * self._congested_at:
            grown = limit * GROWTH
        else:
            grown = min(limit + max(1.0, limit * STEP) * 2.0**self._steps, limit * GROWTH)
            self._steps += 1
        self._set(max(grown, limit + 1), now)

    def _shrink_to(self, limit: float, now: float) -> None:
        self._congested_at, self._steps = self.limit, 0
        self._dipped_from = 0.0
        self._set(max(limit, self.limit * SHRINK_MIN), now)

    def _forget_unused(self, now: float) -> None:
        self._dip_at = now  # it is seen unloaded as it is
        known = max(2.0 * max(self._used, self._used_before), min(self._initial, self._congested_at or self._initial))
        if self._used_before and self.limit > known:
            self.limit = max(known, self.limit * UNUSED_SHRINK)

    def _set(self, limit: float, now: float) -> None:
        self.limit = min(max(limit, self._least), self._most)
        self._count_from(now)

    def _count_from(self, now: float) -> None:
        """What began before tells of another load."""
        self._changed_at = now
        self._settled_at = now + SETTLE * self._typical_s
        self._restart(now)

    def _move_baselines(self, samples: list[Sample], factor: float) -> None:
        for operation in {operation for _, operation, _ in samples} & self._baselines.keys():
            base, seen = self._baselines[operation]
            self._baselines[operation] = base * factor, seen


def _median(samples: list[Sample]) -> float:
    return sorted(sample[0] for sample in samples)[(len(samples) - 1) // 2]


def _failing(known: list[Sample]) -> bool:
    """Whether callers in good standing see failures too, where there are enough of them to say."""
    return len(known) < KNOWN_MIN or sum(1 for sample in known if not sample[0]) >= FAILING * len(known)


def _fair(samples: list[Sample]) -> list[Sample]:
    """Of each source no more than its shares, the first ones."""
    sources = {source for _, _, source in samples}
    most = max(1, SHARES_EACH * len(samples) // max(len(sources), 1))
    counts = dict.fromkeys(sources, 0)
    kept = []
    for sample in samples:
        counts[sample[2]] += 1
        if counts[sample[2]] <= most:
            kept.append(sample)
    return kept
