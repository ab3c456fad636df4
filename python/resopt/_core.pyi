"""The compiled core of resopt: typed surface, documented here."""

from typing import Any, final

__all__ = ["UNICODE_VERSION", "KeySpace", "RequestShape", "__version__", "fold", "fold_unicode", "is_plain_question"]

__version__: str

UNICODE_VERSION: str
"""Versions of the Unicode data behind NFKC and case folding; part of every folded key."""

def fold(text: str, /) -> str:
    """The question of a text, for keys only: `"What  is Python?"` and `"what is python"` are one question.

    NFKC, full case folding, blanks folded to single spaces and trimmed, closing `.?!` dropped (`5!` keeps its mark). In
    text with small letters, words that are another word in capitals (`US`, `IT`, `WHO`, …) keep their case. Requests
    fold only what `is_plain_question`.

    Raises:
        UnkeyableError: the text holds a lone surrogate.
    """

def fold_unicode(text: str, /) -> str:
    """`" ".join(unicodedata.normalize("NFKC", text).casefold().split())`, without the rules that `fold` adds.

    Raises:
        UnkeyableError: the text holds a lone surrogate.
    """

def is_plain_question(text: str, /) -> bool:
    """Whether a text is one short line in which case and blanks carry no meaning.

    Not so: nothing at all, several lines, a code fence, braces, more than 512 characters, and raised or lowered figures
    (`2³` is not `23`, which NFKC makes of it). Blanks around the text do not count.
    """

@final
class KeySpace:
    """A set of keys of its own: the same value in another space has an unrelated key.

    Keys are the same in every process and release that share the namespace and secret.

    Args:
        namespace: separates the keys of one use from those of another.
        secret: bytes without which nobody can compute or test a key; None for keys that anyone can compute.

    Raises:
        ConfigurationError: the secret is empty.
    """

    def __new__(cls, namespace: str = "", secret: bytes | None = None) -> KeySpace: ...
    def key(self, value: Any, /) -> bytes:
        """The 16 bytes that identify a value of plain data; see `resopt.key.key`.

        Raises:
            UnkeyableError: the value holds something that is not plain data; the message names the path to it.
        """

    def request(
        self,
        shape: RequestShape,
        body: dict[str, Any],
        namespace: str,
        tenant: str | None,
        user: str | None,
        policy: Any,
        folded: bool,
        /,
    ) -> bytes:
        """The 16 bytes that identify a request; `resopt.key.RequestKey` is the way to call this.

        Args:
            shape: which fields of the body count.
            body: the caller's request body.
            namespace: the scope's namespace.
            tenant: whose answers may be shared, or None.
            user: for whom alone the answer is, or None.
            policy: versions of policies, any plain data.
            folded: whether a plain question in the last message is folded.

        Raises:
            UnkeyableError: the body holds something that is not plain data; the message names the path to it.
        """

@final
class RequestShape:
    """Which fields of an API's body determine the answer.

    Args:
        api: name of the API; part of every key.
        messages: the field that holds the conversation, or None: nothing is folded then.
        ignored: fields that are left out of keys.
    """

    def __new__(cls, api: str, messages: str | None = None, ignored: list[str] = ...) -> RequestShape: ...
