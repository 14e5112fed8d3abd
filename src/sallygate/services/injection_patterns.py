"""The compiled patterns of injection: taken from where they are kept, or compiled and kept. It takes seconds."""

from __future__ import annotations

from pathlib import Path

from sallygate.controls.injection import compile_patterns, patterns_signature
from sallygate.ports import StoreError
from sallygate.security.state_directory import Installation, patterns_ahead
from sallygate.telemetry.log import Log


def compiled_patterns(installation: Installation, log: Log) -> bytes:
    """Compiled at the first start of a version on a machine, kept for the next ones."""
    signature = patterns_signature()
    kept = installation.patterns(signature)
    if kept is not None:
        return kept
    log.info("compiling the patterns of injection; the next start finds them made")
    patterns = compile_patterns()
    try:
        installation.keep_patterns(signature, patterns)
    except StoreError as error:
        log.warning("the compiled patterns are not kept; every start compiles them", why=str(error))
    return patterns


def patterns_of(state_dir: Path) -> bytes | None:
    """The compiled patterns of the installation there, or those made ahead; None where there are none."""
    signature = patterns_signature()
    if not (state_dir / "secrets").is_dir():
        return patterns_ahead(signature)
    return Installation(state_dir, create=False).patterns(signature)
