"""Loader of the injection prefilter: stored compiled patterns, or compiled now, which takes seconds."""

from __future__ import annotations

from pathlib import Path

from sallygate.controls.injection import Prefilter, compile_patterns, make_prefilter, patterns_signature
from sallygate.ports import StoreError
from sallygate.security.state_directory import Installation, patterns_ahead
from sallygate.telemetry.log import Log


def compiled_prefilter(installation: Installation, log: Log) -> Prefilter:
    """Compiled at the first start of a version on a machine, kept for the next ones. All policies of a
    process use the one that is loaded."""
    signature = patterns_signature()
    kept = installation.patterns(signature)
    if kept is not None:
        return make_prefilter(kept)
    log.info("compiling the patterns of injection; the next start finds them made")
    patterns = compile_patterns()
    try:
        installation.keep_patterns(signature, patterns)
    except StoreError as error:
        log.warning("the compiled patterns are not kept; every start compiles them", why=str(error))
    return make_prefilter(patterns)


def prefilter_of(state_dir: Path) -> Prefilter | None:
    """From the compiled patterns of the installation there, or those made ahead; None where there are none."""
    signature = patterns_signature()
    if (state_dir / "secrets").is_dir():
        patterns = Installation(state_dir, create=False).patterns(signature)
    else:
        patterns = patterns_ahead(signature)
    return None if patterns is None else make_prefilter(patterns)
