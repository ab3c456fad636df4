"""Integrations without the libraries they are for: importing one says what to install."""

import pytest

from resopt.errors import MissingExtraError
from test_layers import in_a_fresh_interpreter


@pytest.mark.parametrize(
    ("name", "library", "install"),
    [
        ("langchain", "langchain_core", "langchain-core"),
        ("pydantic_ai", "pydantic_ai", "pydantic-ai-slim"),
        ("litellm", "litellm", "litellm[proxy]"),
    ],
)
def test_importing_one_says_what_to_install(name, library, install):
    said = in_a_fresh_interpreter(
        f"sys.modules[{library!r}] = None\n"  # as if it were not installed
        f"try:\n    import resopt.integrations.{name}\n"
        "except ImportError as error:\n    print(type(error).__name__, str(error))"
    )
    assert said[0] == MissingExtraError.__name__
    assert install in " ".join(said)
