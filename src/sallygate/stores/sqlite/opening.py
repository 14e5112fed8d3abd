"""Opening of an installation's database: a database belongs to one installation, and one that is lost is not replaced
by an empty one."""

from __future__ import annotations

from sallygate.ports import StoreError
from sallygate.security.state_directory import Installation
from sallygate.stores.sqlite.store import SqliteStore


def open_store(installation: Installation, *, read_only: bool = False, api: str = "") -> SqliteStore:
    """The store of `installation`, made where the installation is new. Raises `StoreError` for a database that is
    missing, empty or of another installation where the state directory shows that there was one."""
    traces, known = installation.traces(), installation.identity()  # before the file: its maker makes these after it
    file = installation.database
    if traces and not (file.is_file() and file.stat().st_size):
        what = "is empty" if file.exists() else "is missing"
        raise StoreError(
            f"{file}: {what}, and {traces[0]} says that an installation's keys and restrictions were in it; bring them "
            "back with `sallygate restore BACKUP`, or name a new directory in the policy's `state` to begin without"
        )
    store = SqliteStore(file, read_only=read_only, create=not traces, identity=known, api=api)
    try:
        if not read_only:
            known = installation.keep_identity(store.identity())
        if known and store.identity() not in (known, ""):
            raise StoreError(
                f"{file}: belongs to another installation than {installation.identity_file}; bring the right one back "
                "with `sallygate restore BACKUP`"
            )
    except BaseException:
        store.close()
        raise
    return store
