"""The check at start-up: whatever would go around resopt is found, and nothing else."""

import httpx
import httpx2
import pytest

from resopt import ConfigurationError
from resopt.providers.simulated import SimulatedServer
from resopt.wrap.transport import AsyncTransport, SyncTransport, check, middleware
from test_wrap_transport_sdks import library
from transports import BODIES, MODULES, Client, drive, module

openai = pytest.importorskip("openai")
anthropic = pytest.importorskip("anthropic")
TESTED_WITH = ("transports", "httpx2", "httpx", "openai", "anthropic")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
__all__ = ["module"]

OTHER = {"httpx": httpx2, "httpx2": httpx}


@pytest.fixture(scope="module")
def running():
    with SimulatedServer(time_scale=0) as server:
        yield server


@pytest.fixture(params=["openai", "anthropic"])
def sdk(request):
    return openai if request.param == "openai" else anthropic


def client_of(sdk, http):
    kind = sdk.OpenAI if sdk is openai else sdk.Anthropic
    return kind(api_key="k", http_client=http)


def async_client_of(sdk, http):
    kind = sdk.AsyncOpenAI if sdk is openai else sdk.AsyncAnthropic
    return kind(api_key="k", http_client=http)


def test_what_reaches_resopt_passes(sdk):
    own = MODULES[library(sdk)]
    for transport in (SyncTransport(), SyncTransport(own.HTTPTransport()), SyncTransport(module=own)):
        check(client_of(sdk, own.Client(transport=transport)))
    check(client_of(sdk, sdk.DefaultHttpxClient(transport=SyncTransport())))
    check(async_client_of(sdk, own.AsyncClient(transport=AsyncTransport())))
    check(client_of(sdk, own.Client(transport=SyncTransport(), mounts={"https://elsewhere": own.HTTPTransport()})))


def test_bare_http_clients_pass_too(module):
    check(module.Client(transport=SyncTransport()))
    check(module.AsyncClient(transport=AsyncTransport()))


def test_a_transport_of_ours_within_another_passes(sdk):
    own = MODULES[library(sdk)]

    class Logging(own.BaseTransport):
        def __init__(self, below):
            self.below = below

        def handle_request(self, request):
            return self.below.handle_request(request)

    check(client_of(sdk, own.Client(transport=Logging(Logging(SyncTransport())))))
    with pytest.raises(ConfigurationError, match="goes through"):
        check(client_of(sdk, own.Client(transport=Logging(own.HTTPTransport()))))


def test_azures_client_passes():
    own = MODULES[library(openai)]
    settings = {"api_key": "k", "api_version": "2024-10-21", "azure_endpoint": "https://x.openai.azure.com"}
    check(openai.AzureOpenAI(**settings, http_client=own.Client(transport=SyncTransport())))
    with pytest.raises(ConfigurationError, match=r"x\.openai\.azure\.com"):
        check(openai.AzureOpenAI(**settings))


def test_a_client_without_the_transport_is_found(sdk):
    with pytest.raises(ConfigurationError, match="around resopt"):
        check(client_of(sdk, None))
    with pytest.raises(ConfigurationError, match=r"resopt\.transport\.AsyncTransport"):
        check(async_client_of(sdk, None))


@pytest.mark.parametrize("pattern", ["all://", "https://", "https://api.openai.com", "https://api.anthropic.com"])
def test_a_mount_around_the_transport_is_found(sdk, pattern):
    own = MODULES[library(sdk)]
    client = client_of(sdk, own.Client(transport=SyncTransport(), mounts={pattern: own.HTTPTransport()}))
    if "api" in pattern and sdk.__name__ not in pattern:
        check(client)
    else:
        with pytest.raises(ConfigurationError, match="no proxy or mount"):
            check(client)


def test_a_mount_of_a_bare_client_is_found(module):
    with pytest.raises(ConfigurationError, match="https://api"):
        check(module.Client(transport=SyncTransport(), mounts={"https://api": module.HTTPTransport()}))
    check(module.Client(transport=SyncTransport(), mounts={"https://api": SyncTransport()}))


def test_a_proxy_around_the_transport_is_found(sdk):
    own = MODULES[library(sdk)]
    with pytest.raises(ConfigurationError, match="around resopt"):
        check(client_of(sdk, own.Client(proxy="http://127.0.0.1:9", transport=SyncTransport())))


def test_a_transport_of_the_other_library_is_found(sdk):
    own, other = MODULES[library(sdk)], OTHER[library(sdk)]
    for transport in (SyncTransport(other.HTTPTransport()), SyncTransport(module=other)):
        with pytest.raises(ConfigurationError, match=f"made for {other.__name__}"):
            check(client_of(sdk, own.Client(transport=transport)))


def test_a_transport_of_the_other_library_is_found_when_it_is_asked(module, server):
    other = OTHER[module.__name__]
    with (
        module.Client(transport=SyncTransport(other.HTTPTransport())) as http,
        pytest.raises(ConfigurationError, match=f"made for {other.__name__}"),
    ):
        drive(Client(http, server).post("/v1/chat/completions", BODIES["/v1/chat/completions"]))
    with pytest.raises(ConfigurationError, match="is of"):
        SyncTransport(other.HTTPTransport(), module=module)


def test_a_transport_of_the_other_kind_is_found(sdk):
    own = MODULES[library(sdk)]
    with pytest.raises(ConfigurationError, match=r"needs a resopt\.transport\.SyncTransport"):
        check(client_of(sdk, own.Client(transport=AsyncTransport())))
    with pytest.raises(ConfigurationError, match=r"needs a resopt\.transport\.AsyncTransport"):
        check(async_client_of(sdk, own.AsyncClient(transport=SyncTransport())))


def test_an_aiohttp_client_is_found(sdk):
    own = MODULES[library(sdk)]

    class Aiohttp(own.AsyncClient):
        """Does as the SDKs' `DefaultAioHttpClient`, which makes a transport of its own whatever it is given."""

        def _init_transport(self, **_):
            return own.AsyncHTTPTransport()

    with pytest.raises(ConfigurationError, match="around resopt"):
        check(async_client_of(sdk, Aiohttp(transport=AsyncTransport())))


def test_middleware_counts(server):
    hook = middleware()
    check(anthropic.Anthropic(api_key="k", middleware=[hook]))
    check(anthropic.AsyncAnthropic(api_key="k", middleware=[hook]))
    with pytest.raises(ConfigurationError, match="around resopt"):
        check(anthropic.Anthropic(api_key="k", middleware=[lambda request, call_next: call_next(request)]))


@pytest.mark.parametrize("wrong", [None, 3, object()])
def test_what_is_no_client_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="cannot tell how"):
        check(wrong)
