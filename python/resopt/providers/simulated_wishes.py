"""What a request asks of the simulator: faults and special answers, by header or in the text of its last message.

Both are a list like `tools=2, gzip`: names with commas between, a number behind `=` where one is meant. The header is
`x-simulate`; in a message it is written `[simulate: tools=2, gzip]`, for clients that cannot send headers.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec

from resopt.errors import ConfigurationError
from resopt.providers.simulated_answers import FAULTS, Fault

_MARKER = re.compile(r"\[simulate: ([^\]]*)\]")

Count = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]


class Wishes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request's wishes; seconds are never scaled.

    Attributes:
        fault: one of `FAULTS`.
        tools: call so many of the request's tools.
        text: answer with text before the tool calls too.
        refusal: the model declines.
        blank: an answer without text.
        reasoning: think aloud before the answer.
        cached: so many prompt tokens were cached.
        status: an error with this HTTP status.
        retry_after: seconds to send as `Retry-After` with an error.
        error_body: an error body with status 200.
        die: close the connection after so many events of the stream.
        cut: end the body in good order after so many events.
        unended: leave out the stream's last event, the one that says that it is complete.
        error_event: an error event after so many events, and no more.
        stall: pause so long, once, in the middle of the stream.
        stall_at: pause after so many events instead.
        gzip: compress the reply when the client accepts that.
        first_byte: wait so long before the reply starts.
        pace: wait so long before each event.
        twice: in a batch, write the row twice.
    """

    fault: Fault | None = None
    tools: Count = 0
    text: bool = False
    refusal: bool = False
    blank: bool = False
    reasoning: bool = False
    cached: Count | None = None
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None
    retry_after: Seconds | None = None
    error_body: bool = False
    die: Count | None = None
    cut: Count | None = None
    unended: bool = False
    error_event: Count | None = None
    stall: Seconds = 0.0
    stall_at: Count | None = None
    gzip: bool = False
    first_byte: Seconds = 0.0
    pace: Seconds = 0.0
    twice: bool = False

    @property
    def names(self) -> list[str]:
        """The names of all that is wished for, a fault by its own."""
        given = [field.name for field in msgspec.structs.fields(self) if getattr(self, field.name) != field.default]
        return [str(self.fault) if name == "fault" else name for name in given]


def parse_wishes(written: str) -> Wishes:
    """The wishes of a header, a marker or a script.

    Raises:
        ConfigurationError: a name is unknown or a number out of range; names it.
    """
    fields: dict[str, Any] = {}
    for entry in filter(None, (part.strip() for part in written.split(","))):
        name, _, value = entry.partition("=")
        if name in FAULTS:
            fields["fault"] = name
        elif name == "fault":
            raise ConfigurationError(f"write a fault by its name alone: {value}")
        else:
            fields[name] = value or "1"
    try:
        return msgspec.convert(fields, Wishes, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join((*FAULTS, *Wishes.__struct_fields__[1:]))
        raise ConfigurationError(f"cannot simulate {written!r}: {error}; there are: {known}") from error


def marked_wishes(text: str) -> str:
    """What the markers in a message ask for, as one list."""
    return ",".join(_MARKER.findall(text))
