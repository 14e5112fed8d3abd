"""Look-up of the accounts that passwords and tokens belong to."""

from __future__ import annotations

from collections.abc import Mapping

from sallygate.controls.identity.failure import invalid, plan_gone, unavailable
from sallygate.controls.identity.keys import PRINCIPALS_MAX
from sallygate.controls.identity.scopes import granted
from sallygate.model.account import Account
from sallygate.model.finding import Finding
from sallygate.model.principal import Principal
from sallygate.model.work import AccountLoaded, LoadAccount, WorkDone
from sallygate.state.state import State


class AccountHolders:
    """Look-up of accounts in memory, and of the principals they stand for."""

    def __init__(self, plan_scopes: Mapping[str, frozenset[str]], state: State) -> None:
        self._plan_scopes, self._state = plan_scopes, state
        self._principals: dict[str, tuple[Account, Principal]] = {}

    def known(self, name: str, done: tuple[WorkDone, ...]) -> Account | None:
        """Account from memory or from answered work; None if it has to be loaded or does not exist."""
        account = self._state.accounts.get(name)
        if account is not None:
            return account
        # Let go for want of room since it was loaded for this request.
        return next((one.account for one in done if isinstance(one, AccountLoaded) and one.name == name), None)

    def holder(self, name: str, now: float, done: tuple[WorkDone, ...]) -> Principal | Finding | LoadAccount:
        """Whom a token of the account stands for, while the account is open."""
        account = self.known(name, done)
        if account is None:
            loaded = next((one for one in done if isinstance(one, AccountLoaded) and one.name == name), None)
            if loaded is not None and loaded.failed:
                return unavailable("Accounts")
            if loaded is None and not self._state.accounts.is_missing(name, now):
                return LoadAccount(name)
            return invalid("unknown account")
        if account.locked_at is not None:
            return invalid("locked", f"account {name}")
        return self.principal_of(account)

    def principal_of(self, account: Account) -> Principal | Finding:
        """Principal of an account, or the finding that the policy lacks its plan."""
        made = self._principals.get(account.name)
        if made is not None and made[0] is account:
            return made[1]
        offered = self._plan_scopes.get(account.plan)
        if offered is None:
            return plan_gone(f"plan {account.plan} of account {account.name}")
        scopes = granted(offered, account.scopes)
        principal = Principal(f"account:{account.name}", account.name, account.plan, scopes, "password")
        if len(self._principals) >= PRINCIPALS_MAX:
            self._principals.clear()
        self._principals[account.name] = (account, principal)
        return principal
