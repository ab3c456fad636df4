"""The compiled core of resopt: typed surface, documented here."""

from typing import Any, final

__version__: str

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
        """The 16 bytes that identify a value of plain data.

        Raises:
            UnkeyableError: the value holds something that is not plain data; the message names the path to it.
        """
