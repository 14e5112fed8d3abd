"""Loader of the injection prefilter: compiled patterns that were kept, or compiled now, which takes some ten seconds.

In this order: the file that `SALLYGATE_PATTERNS_FILE` names, the user's cache, the state directory. What is compiled is
kept in the cache, and in the state directory if there is no cache that can be trusted.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from sallygate.controls.injection import (
    Prefilter,
    compile_patterns,
    load_prefilter,
    patterns_signature,
    processor,
)
from sallygate.engine.order import SECTIONS
from sallygate.policy.load import Loaded
from sallygate.ports import StoreError
from sallygate.security.kept_patterns import PATTERNS_VARIABLE, PatternCache, cache_directory, patterns_ahead
from sallygate.security.state_directory import Installation
from sallygate.state.parts import sections_in_force
from sallygate.telemetry.compilation import Compilation, Say, on_standard_error

POLL_S = 0.1
"""Between two looks at the thread that compiles."""


def needs_patterns(loaded: Loaded) -> bool:
    """Whether a policy's injection control is in force: without it nothing is compiled or loaded."""
    return "injection" in sections_in_force(loaded, SECTIONS)


def user_cache() -> PatternCache:
    """The cache of this user on this machine; it says itself if it cannot be used."""
    return PatternCache(cache_directory(os.environ))


def kept_prefilter(installation: Installation | None) -> Prefilter | None:
    """From patterns that were compiled before for this version and processor; None where there are none."""
    with user_cache() as cache:
        return _kept(cache, installation)


def compiled_prefilter(loaded: Loaded, installation: Installation, say: Say) -> Prefilter | None:
    """The prefilter of a gate; None if the policy's injection control is off. All policies of a process use it."""
    return _prefilter(installation, say, keeps_in_state=True) if needs_patterns(loaded) else None


def offline_prefilter(loaded: Loaded, state_dir: Path) -> Prefilter | None:
    """The prefilter of a command that decides without serving: it writes into the user's cache alone."""
    if not needs_patterns(loaded):
        return None
    installation = Installation(state_dir, create=False) if (state_dir / "secrets").is_dir() else None
    return _prefilter(installation, on_standard_error, keeps_in_state=False)


def problem_ahead() -> str:
    """Why the file that `SALLYGATE_PATTERNS_FILE` names is not used; empty if it is, or if none is named."""
    named = os.environ.get(PATTERNS_VARIABLE)
    if not named:
        return ""
    patterns = patterns_ahead(patterns_signature())
    if patterns is None:
        return f"{named}: there is no file of this version that only root or this user can change"
    return "" if load_prefilter(patterns) is not None else f"{named}: compiled for another kind of processor"


def fill_cache(say: Say) -> tuple[str, bool]:
    """The file of this version in the user's cache, and whether it was compiled now. Raises `StoreError` without a
    usable cache."""
    with user_cache() as cache:
        if _from_cache(cache) is not None:
            return cache.file(_name()), False
        if not cache.problem:
            _fill(cache, say)
        if _from_cache(cache) is None:
            raise StoreError(f"no cache for compiled patterns: {cache.problem}; name a file: `sallygate patterns FILE`")
        return cache.file(_name()), True


def compile_with_progress(progress: Compilation) -> bytes:
    """Compiles in a thread of its own, so that Ctrl-C ends the process at once and the progress is shown."""
    results: list[bytes] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(compile_patterns(progress.reached))
        except BaseException as error:  # raised where it was asked for
            failures.append(error)

    thread = threading.Thread(target=run, name="sallygate-patterns", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(POLL_S)
        progress.tick()
    if failures:
        raise failures[0]
    return results[0]


def _name() -> str:
    return f"{patterns_signature()}-{processor()}"


def _prefilter(installation: Installation | None, say: Say, *, keeps_in_state: bool) -> Prefilter:
    if problem := problem_ahead():
        say(f"{PATTERNS_VARIABLE} is not used", why=problem)
    with user_cache() as cache:
        found = _kept(cache, installation)
        return found or _compiled(cache, installation, say, keeps_in_state=keeps_in_state)


def _from_cache(cache: PatternCache) -> Prefilter | None:
    patterns = cache.load(_name(), patterns_signature())
    return None if patterns is None else load_prefilter(patterns)


def _fill(cache: PatternCache, say: Say) -> None:
    signature = patterns_signature()
    with Compilation(say) as progress, cache.locked(progress.waiting) as alone:
        if not alone:
            cache.problem = cache.problem or "another process that compiles them does not end"
        elif _from_cache(cache) is None:
            patterns = patterns_ahead(signature)
            if patterns is None or load_prefilter(patterns) is None:
                patterns = compile_with_progress(progress)
            try:
                cache.keep(_name(), signature, patterns)
            except OSError as error:
                cache.problem = f"{cache.directory}: {error.strerror or error}"


def _kept(cache: PatternCache, installation: Installation | None) -> Prefilter | None:
    signature = patterns_signature()
    sources: tuple[Callable[[], bytes | None], ...] = (
        lambda: patterns_ahead(signature),
        lambda: cache.load(_name(), signature),
        lambda: installation.patterns(signature) if installation is not None else None,
    )
    for load in sources:
        if (patterns := load()) is not None and (prefilter := load_prefilter(patterns)) is not None:
            return prefilter
    return None


def _compiled(cache: PatternCache, installation: Installation | None, say: Say, *, keeps_in_state: bool) -> Prefilter:
    state = installation if keeps_in_state else None
    with Compilation(say) as progress, _locked(cache, state, progress) as alone:
        found = _kept(cache, installation)  # another process compiled them meanwhile
        if found is not None:
            return found
        patterns = compile_with_progress(progress)
        if alone:
            _keep(cache, state, patterns, say)
    prefilter = load_prefilter(patterns)
    assert prefilter is not None, "compiled by this process"
    return prefilter


def _locked(cache: PatternCache, state: Installation | None, progress: Compilation) -> AbstractContextManager[bool]:
    if not cache.problem:
        return cache.locked(progress.waiting)
    return state.patterns_lock(progress.waiting) if state is not None else nullcontext(True)


def _keep(cache: PatternCache, state: Installation | None, patterns: bytes, say: Say) -> None:
    signature = patterns_signature()
    try:
        cache.keep(_name(), signature, patterns)
        return
    except OSError as error:
        cache.problem = cache.problem or f"{cache.directory}: {error.strerror or error}"
    if state is None:
        say("the compiled patterns are not kept; every command compiles them", why=cache.problem)
        return
    try:
        state.keep_patterns(signature, patterns)
        say("the compiled patterns are kept in the state directory alone", why=cache.problem)
    except StoreError as error:
        say("the compiled patterns are not kept; every start compiles them", why=str(error))
