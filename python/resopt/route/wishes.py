"""What a caller wishes of the router: a context variable, set for a `with` block, safe across tasks and threads."""

from __future__ import annotations

import contextvars
from collections.abc import Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

Mode = Literal["fast", "balanced", "accurate"]
"""`fast` sends fewer requests up, `accurate` more; `balanced` as the policy says."""

_MODES = get_args(Mode)


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What is wished for; the defaults wish for nothing.

    Attributes:
        mode: how far the choice leans to the cheap or to the able side.
        min_tier: no tier below this one.
        max_tier: no tier above this one.
        allow: only these tiers or models; empty for all.
        deny: none of these tiers or models.
        critical: the most able tier that may be asked, whatever the score says.
        pin: the model asked for, untouched.
        session: the conversation that the call belongs to; None to tell it by how the conversation began.
    """

    mode: Mode = "balanced"
    min_tier: str | None = None
    max_tier: str | None = None
    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()
    critical: bool = False
    pin: bool = False
    session: str | None = None

    @property
    def vary(self) -> str:
        """What of it can change the answer, for keys; empty when nothing is wished for."""
        if self.is_plain:
            return ""
        parts = (
            self.mode,
            self.min_tier,
            self.max_tier,
            sorted(self.allow),
            sorted(self.deny),
            self.critical,
            self.pin,
        )
        return msgspec.json.encode(parts).decode()

    @property
    def is_plain(self) -> bool:
        """Whether nothing is wished for that changes which model is asked."""
        return self == NO_WISHES or msgspec.structs.replace(self, session=None) == NO_WISHES


NO_WISHES = Wishes()

current: contextvars.ContextVar[Wishes] = contextvars.ContextVar("resopt_route", default=NO_WISHES)
"""The wishes of the running code."""


@contextmanager
def routing(
    *,
    mode: Mode | None = None,
    min_tier: str | None = None,
    max_tier: str | None = None,
    allow: Iterable[str] | None = None,
    deny: Iterable[str] | None = None,
    critical: bool | None = None,
    pin: bool | None = None,
    session: str | None = None,
    **unknown: Any,
) -> Iterator[None]:
    """Say how the calls made inside the `with` block may be routed; what is not given stays as it is outside.

    Args:
        mode: `fast` sends fewer requests to able tiers, `accurate` more.
        min_tier: name of the lowest tier that may be asked.
        max_tier: name of the highest one.
        allow: names of tiers or models; no others may be asked.
        deny: names of tiers or models that may not; they add to those of an outer block.
        critical: ask the most able tier that may be asked.
        pin: ask the model that the request names.
        session: name of the conversation: its calls change the model only for a reason.
        **unknown: refused.

    Raises:
        ConfigurationError: a value is of the wrong type or unknown.
    """
    if unknown:
        known = ", ".join(Wishes.__struct_fields__)
        raise ConfigurationError(f"nothing to wish for is called {', '.join(unknown)}; there is {known}")
    outer = current.get()
    inner = Wishes(
        mode=outer.mode if mode is None else mode,
        min_tier=outer.min_tier if min_tier is None else min_tier,
        max_tier=outer.max_tier if max_tier is None else max_tier,
        allow=outer.allow if allow is None else _names("allow", allow),
        deny=outer.deny if deny is None else outer.deny | _names("deny", deny),
        critical=outer.critical if critical is None else critical,
        pin=outer.pin if pin is None else pin,
        session=outer.session if session is None else session,
    )
    check_wishes(inner)
    token = current.set(inner)
    try:
        yield
    finally:
        current.reset(token)


def check_wishes(wishes: Wishes) -> Wishes:
    """The wishes as they are.

    Raises:
        ConfigurationError: a value is of the wrong type or unknown.
    """
    mode: object = wishes.mode
    if not isinstance(mode, str) or mode not in _MODES:
        raise ConfigurationError(f"mode must be one of {', '.join(_MODES)}, not {wishes.mode!r}")
    for name in ("min_tier", "max_tier", "session"):
        value = getattr(wishes, name)
        if value is not None and (not isinstance(value, str) or not value):
            raise ConfigurationError(f"{name} must be a str that is not empty, not {value!r}")
    for name in ("critical", "pin"):
        if not isinstance(getattr(wishes, name), bool):
            raise ConfigurationError(f"{name} must be True or False, not {getattr(wishes, name)!r}")
    return wishes


def _names(what: str, names: Any) -> frozenset[str]:
    if isinstance(names, str):
        raise ConfigurationError(f'{what} must be several names, such as ["{names}"], not a str')
    found = list(names) if isinstance(names, Iterable) else [names]
    if not isinstance(names, Iterable) or not all(_is_name(name) for name in found):
        raise ConfigurationError(f"{what} must be several names of tiers or models, not {names!r}")
    return frozenset(found)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)
