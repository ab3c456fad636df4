"""Drop-in surfaces: a client of a client library with resopt in front; `resopt.wrap(client)` calls this module."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """`resopt.wrap` names the function; importing anything of this package would hide it behind the package."""

    def __call__(self, client: Any, **settings: Any) -> Any:
        from resopt.wrap.wrapping import wrap

        return wrap(client, **settings)


sys.modules[__name__].__class__ = _Callable
