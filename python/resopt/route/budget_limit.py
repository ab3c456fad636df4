"""One limit of a budget: how much, for whom, in which window, and what becomes of a call that does not fit."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import msgspec

from resopt.errors import ConfigurationError
from resopt.route.budget_lines import Line, Window
from resopt.types import PICODOLLARS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resopt.types import Scope

Dollars: TypeAlias = str | int | float | Decimal
"""An amount in dollars. A float means the number it prints as."""

Over: TypeAlias = Literal["reject", "degrade", "stale"]
"""What becomes of a call that does not fit: an error, a cheaper model where one fits, a stored answer past its time."""

Per: TypeAlias = Literal["all", "request", "user", "tenant", "tag"]


class Limit(msgspec.Struct, frozen=True):
    """One amount that calls may cost together.

    Attributes:
        dollars: the amount.
        per: whose calls count together: everyone's, one request's, those of a user (within the tenant), of a tenant, or
            of a tag. Requests that name no user or tenant share one account.
        window: `minute`, `day` or `month` (UTC), after which it begins anew; None for an amount that is given once.
        name: the one user, tenant or tag that it is for; None for each of them.
        over: what becomes of a call that does not fit.

    Raises:
        ConfigurationError: a field makes no sense.
    """

    dollars: Dollars
    per: Per = "all"
    window: Window | None = None
    name: str | None = None
    over: Over = "reject"

    def __post_init__(self) -> None:
        for field, allowed in (("per", Per), ("over", Over)):
            if getattr(self, field) not in get_args(allowed):
                raise ConfigurationError(
                    f"{field} must be one of {', '.join(get_args(allowed))}, not {getattr(self, field)!r}"
                )
        if self.window is not None and self.window not in get_args(Window):
            raise ConfigurationError(f"window must be minute, day, month or None, not {self.window!r}")
        if self.per == "request" and self.window is not None:
            raise ConfigurationError("a limit per request has no window")
        name: object = self.name
        if name is not None and (not isinstance(name, str) or self.per in ("all", "request")):
            raise ConfigurationError("name is the str of one user, tenant or tag: say per='user', 'tenant' or 'tag'")
        picodollars(self.dollars)

    def __str__(self) -> str:
        whose = {"all": "in all", "request": "per request"}.get(self.per, f"for the {self.per} {self.name}")
        whose = f"per {self.per}" if self.per not in ("all", "request") and self.name is None else whose
        return f"${self.dollars} {whose}" + (f" a {self.window}" if self.window else "")

    def lines(self, scope: Scope, tags: Sequence[str]) -> list[Line]:
        """The accounts that a call of this scope and with these tags must fit."""
        subjects = [""]
        if self.per == "tag":
            subjects = [tag for tag in dict.fromkeys(tags) if self.name in (None, tag)]
        elif self.per in ("user", "tenant"):
            own = scope.user if self.per == "user" else scope.tenant
            subjects = [_subject(scope, self.per)] if self.name in (None, own) else []
        place = f"{self.window or 'ever'} {self.per} {plain(self.name or '')}"
        return [Line((place, plain(subject)), self.window, picodollars(self.dollars)) for subject in subjects]


def picodollars(dollars: Any) -> int:
    """Dollars as picodollars, rounded down: a limit is never more than was said.

    Raises:
        ConfigurationError: they are no finite number from 0 up.
    """
    if isinstance(dollars, bool) or not isinstance(dollars, str | int | float | Decimal):
        raise ConfigurationError(f"a budget is a number of dollars, not {type(dollars).__name__}")
    try:
        amount = Decimal(repr(dollars) if isinstance(dollars, float) else dollars)
    except InvalidOperation:
        raise ConfigurationError(f"a budget is a number of dollars, not {dollars!r}") from None
    if not amount.is_finite() or amount < 0:
        raise ConfigurationError(f"a budget is a number of dollars from 0 up, not {dollars!r}")
    return int((amount * PICODOLLARS).to_integral_value(ROUND_FLOOR))


def _subject(scope: Scope, per: Per) -> str:
    """Whose account it is; a user is one only within the tenant, and nobody's requests share one account."""
    parts = (scope.tenant,) if per == "tenant" else (scope.tenant, scope.user)
    return msgspec.json.encode([part if part is None else plain(part) for part in parts]).decode()


def plain(text: str) -> str:
    """A text that can be written down: lone surrogates, which have no bytes, by their numbers."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
