"""The one owner of retries: nested layers multiply (45 attempts for one 429 have been seen), so no other layer retries.

Sources: the OpenAI client's rules (408, 409, 429 and 5xx; 0.5 s doubling to 8 s; `retry-after-ms`, `Retry-After`,
`x-should-retry`), with a deadline over all attempts instead of a fixed limit on `Retry-After`.
"""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from resopt.gates import BILLED_ALL_THE_SAME, NEVER_SENT, TURNED_AWAY, one_more
from resopt.providers.checks import require_seconds, require_whole
from resopt.providers.transport import InterruptedAttemptError, Reply
from resopt.terms import current_terms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from resopt.providers.transport import Transport
    from resopt.terms import Attempts

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 8.0
_JITTER = 0.25


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how long to try.

    Attributes:
        max_attempts: requests sent at most, the first included.
        deadline: seconds for all attempts and the waits between them.
        first_delay: seconds before the second attempt; each further wait is twice as long, up to 8 s, less up to 25 %.
    """

    max_attempts: int = 3
    deadline: float = 600.0
    first_delay: float = _FIRST_DELAY

    def __post_init__(self) -> None:
        require_whole("max_attempts", self.max_attempts, least=1)
        for name in ("deadline", "first_delay"):
            require_seconds(name, getattr(self, name))

    def delay(self, attempts: int) -> float:
        """Seconds to wait after so many attempts, when the provider named none."""
        # The exponent stays small, so that no number of attempts can overflow.
        longest = min(self.first_delay * 2.0 ** min(attempts - 1, 30), max(_LONGEST_DELAY, self.first_delay))
        return longest * (1.0 - _JITTER * random.random())  # noqa: S311 - spreads load, guards nothing


class Attempted(NamedTuple):
    """How all attempts ended.

    Attributes:
        end: the last reply, or why there was none.
        attempts: requests sent.
        seconds: duration of the last attempt alone.
        gave_up: why no further attempt was made, when one would have been due; else empty.
        retry_after: seconds the provider asked to wait in its last reply, or None.
    """

    end: Reply | InterruptedAttemptError
    attempts: int
    seconds: float
    gave_up: str = ""
    retry_after: float | None = None


async def send(
    transport: Transport, content: bytes, policy: RetryPolicy, is_hopeless: Callable[[Reply], bool]
) -> Attempted:
    """Send `content` until a reply is worth keeping or no attempt is left.

    Args:
        transport: makes one attempt.
        content: the body of each attempt.
        policy: how often and how long.
        is_hopeless: tells the refusals with a retriable status that cannot succeed, such as a used-up quota.
    """
    start = time.monotonic()
    terms = current_terms()
    limits = terms.attempts
    deadline = min(policy.deadline, max(terms.seconds_left, 0.0))
    attempts = 0
    while True:
        attempts += 1
        began = time.perf_counter()
        try:
            # Never 0 or less: a socket would refuse such a timeout, and `_reason_to_stop` has ended what is over.
            left = max(deadline - (time.monotonic() - start), 0.001)
            end: Reply | InterruptedAttemptError = await transport.post(content, left)
        except InterruptedAttemptError as interruption:
            end = interruption
        seconds = time.perf_counter() - began
        asked = wait_asked_for(end.headers) if isinstance(end, Reply) else None
        if limits is not None:
            _tell(limits, end, asked)
        if isinstance(end, Reply) and end.status < 300:
            return Attempted(end, attempts, seconds)
        if not _is_retriable(end) or (isinstance(end, Reply) and is_hopeless(end)):
            return Attempted(end, attempts, seconds, "", asked)
        delay = policy.delay(attempts) if asked is None else asked
        gave_up = _reason_to_stop(policy, deadline, attempts, delay, asked, deadline - (time.monotonic() - start))
        if gave_up:
            return Attempted(end, attempts, seconds, gave_up, asked)
        await transport.sleep(delay)
        try:
            await _leave(limits, deadline - (time.monotonic() - start), billed=_may_be_billed(end))
        except TURNED_AWAY as error:
            return Attempted(end, attempts, seconds, f"{error}", asked)


async def _leave(limits: Attempts | None, seconds: float, *, billed: bool) -> None:
    """Wait for leave to make one more attempt, where the one before may be billed too.

    Raises:
        BudgetExceededError: there is no money for both.
        DeadlineError: there is no leave in time.
        QueueFullError: too many wait for leave.
    """
    beside = one_more() if billed else None
    try:
        if limits is not None:
            await limits.again(seconds)
    except BaseException:
        if beside is not None:
            beside.give_back()
        raise
    if beside is not None:
        beside.settle(None, None)


def _tell(limits: Attempts, end: Reply | InterruptedAttemptError, asked: float | None) -> None:
    if isinstance(end, Reply):
        limits.ended(end.status, end.headers, asked, timed_out=False)
    else:
        limits.ended(None, {}, None, timed_out=end.timed_out)


def _may_be_billed(end: Reply | InterruptedAttemptError) -> bool:
    """Whether an attempt may cost something, though no answer came of it."""
    if isinstance(end, InterruptedAttemptError):
        return type(end.__cause__).__name__ not in NEVER_SENT
    return end.status in BILLED_ALL_THE_SAME


def _reason_to_stop(
    policy: RetryPolicy, deadline: float, attempts: int, delay: float, asked: float | None, left: float
) -> str:
    if attempts >= policy.max_attempts:
        return f"{attempts} of {policy.max_attempts} attempts made"
    if delay >= left:
        who = "the provider asked to wait" if asked is not None else "the next attempt would wait"
        left = max(left, 0.0)
        return f"{who} {delay:.3g} s, beyond the {left:.3g} s left of the deadline of {deadline:.3g} s"
    return ""


def _is_retriable(end: Reply | InterruptedAttemptError) -> bool:
    """Whether sending the same request again may help.

    A timeout after sending is not retried: the provider may still be answering, and would bill both.
    """
    if isinstance(end, InterruptedAttemptError):
        return end.before_reply and not end.timed_out
    told = end.headers.get("x-should-retry")
    if told in ("true", "false"):
        return told == "true"
    return end.status in (408, 409, 429) or end.status >= 500


def wait_asked_for(headers: Mapping[str, str]) -> float | None:
    """Seconds the provider asks to wait: `retry-after-ms`, else `Retry-After` in seconds or as a date, else None."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000.0
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    """A finite number of 0 or more, or None."""
    try:
        number = float(value) if value is not None else -1.0
    except ValueError:
        return None
    return number if 0.0 <= number < math.inf else None
