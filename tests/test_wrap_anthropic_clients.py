"""Whose answers a wrapped Anthropic client serves, how each call says what it wants, and whose errors come out."""

import threading

import anyio
import pytest

import resopt
from claude import BODY, TALK, Claude, anthropic, calls, dumped, face, running, server
from provider_faces import drive
from resopt.errors import CacheMissError
from resopt.providers.simulated import SimulatedServer
from test_simulated_sdks import simulate

TESTED_WITH = ("Anthropic", "anthropic")
__all__ = ["face", "running", "server"]


def outcome(made):
    return resopt.last(made).outcome


async def asked(*claudes, **body):
    """What became of one call of each."""
    return [outcome(await claude.create(**body)) for claude in claudes]


def test_options_of_a_call(face):
    async def test(wrapped, bare):
        cache = wrapped.client.resopt
        for ask in (wrapped.create, wrapped.events):
            face.server.reset()
            cache.invalidate(model=BODY["model"])
            with resopt.options(cache="only"), pytest.raises(CacheMissError):
                await ask()
            with resopt.options(cache="bypass"):
                await ask()
                await ask()
            assert (calls(face.server), cache.stats.entries) == (2, 0)
            await ask()
            with resopt.options(cache="only"):
                await ask()
            assert calls(face.server) == 3
            with resopt.options(cache="refresh"):
                new = await ask()
            assert dumped(await ask()) == dumped(new)
            assert calls(face.server) == 4

    face.run(test)


def test_tags_times_tenants_and_users_of_a_call(face):
    async def test(wrapped, bare):
        clock = resopt.ManualClock()
        wrapped = Claude(resopt.wrap(bare.client, cache=resopt.ResponseCache(clock=clock)))
        with resopt.options(tags=("a",), ttl=10):
            await wrapped.events()
        assert await asked(wrapped) == ["hit"]
        clock.advance(9)
        assert await asked(wrapped) == ["hit"]
        clock.advance(1)
        with resopt.options(tags=("b",)):
            assert await asked(wrapped) == ["miss"]
        assert wrapped.client.resopt.invalidate(tag="a") == 0
        assert wrapped.client.resopt.invalidate(tag="b") == 1
        assert await asked(wrapped) == ["miss"]
        for tenant in ("one", "two"):
            with resopt.options(tenant=tenant):
                assert await asked(wrapped, wrapped) == ["miss", "hit"]
        mine = {"messages": [{"role": "user", "content": "What is my order?"}]}
        for user in ("one", "two"):
            with resopt.options(user=user):
                assert await asked(wrapped, wrapped, **mine) == ["miss", "hit"]
        assert await asked(wrapped, metadata={"user_id": "one"}, **mine) == ["hit"]
        assert await asked(wrapped, wrapped, metadata={"user_id": "three"}, **mine) == ["miss", "hit"]

    face.run(test)


OWNERS = {
    "key": {"api_key": "other"},
    "token": {"api_key": None, "auth_token": "k"},
    "workspace": {"default_headers": {"anthropic-workspace-id": "wrkspc_2"}},
    "profile": {"default_headers": {"anthropic-user-profile-id": "two"}},
    "beta": {"default_headers": {"anthropic-beta": "new"}},
    "query": {"default_query": {"a": "b"}},
}


@pytest.mark.parametrize("owner", OWNERS)
def test_two_owners_never_meet(face, owner):
    async def test(wrapped, bare):
        cache = resopt.ResponseCache()
        one, other = face.bare(), face.bare(**OWNERS[owner])
        clients = [Claude(resopt.wrap(client, cache=cache)) for client in (one, face.bare(), other)]
        assert await asked(*clients, *clients) == ["miss", "hit", "miss", "hit", "hit", "hit"]
        if owner != "token":  # releases before 2 keep the key beside it
            copied = Claude(clients[0].client.with_options(**OWNERS[owner]))
            assert await asked(copied) == ["hit"]
        assert calls(face.server) == 2
        if owner in ("key", "token", "workspace"):
            with resopt.options(tenant="t"):
                assert await asked(*clients) == ["miss", "hit", "hit"]

    face.run(test)


@pytest.mark.parametrize("beta", [False, True], ids=["", "beta"])
def test_a_call_may_be_for_another_workspace(face, beta):
    async def test(wrapped, bare):
        wrapped = Claude(wrapped.client, beta=beta)
        for headers in (
            {"anthropic-workspace-id": "a"},
            {"anthropic-workspace-id": "b"},
            {"authorization": "Bearer x"},
        ):
            assert await asked(wrapped, wrapped, extra_headers=headers) == ["miss", "hit"]
        assert await asked(wrapped, wrapped, workspace_id="a") == ["hit", "hit"]
        assert await asked(wrapped, wrapped, user_profile_id="a") == ["miss", "hit"]
        assert await asked(wrapped, wrapped, extra_query={"a": "1"}) == ["miss", "hit"]
        assert await asked(wrapped, wrapped, extra_body={"top_k": 3}) == ["miss", "hit"]
        assert b'"top_k":3' in face.server.last_request().body
        assert await asked(wrapped, wrapped, timeout=7) == ["miss", "hit"]

    face.run(test)


def test_a_changed_key_is_another_owner(face):
    async def test(wrapped, bare):
        assert await asked(wrapped, wrapped) == ["miss", "hit"]
        wrapped.client.api_key = "other"
        assert await asked(wrapped, wrapped) == ["miss", "hit"]
        wrapped.client.api_key = "k"
        assert await asked(wrapped) == ["hit"]

    face.run(test)


class Tokens:
    """A source of tokens that gives each token for one use."""

    def __init__(self):
        self.given = 0

    def __call__(self, *, force_refresh=False):
        self.given += 1
        return anthropic.AccessToken(token=f"token-{self.given}", expires_at=None)


def test_clients_that_renew_their_credential_are_told_apart(face):
    async def test(wrapped, bare):
        cache, tokens = resopt.ResponseCache(), Tokens()
        settings = {"api_key": None, "credentials": tokens}
        one, other = [Claude(resopt.wrap(face.bare(**settings), cache=cache)) for _ in range(2)]
        assert await asked(one, other, one, other) == ["miss", "miss", "hit", "hit"]
        assert face.server.last_request().headers["authorization"].startswith("Bearer token-")
        patient = Claude(one.client.with_options(timeout=9))
        assert patient.client.credentials is not None
        assert await asked(patient) == ["hit"]
        elsewhere = Claude(one.client.with_options(default_headers={"anthropic-workspace-id": "b"}))
        replaced = Claude(one.client.with_options(credentials=Tokens()))
        keyed = Claude(one.client.with_options(api_key="k"))
        assert await asked(elsewhere, replaced, keyed) == ["miss", "miss", "miss"]
        assert await asked(elsewhere, replaced, keyed, one) == ["hit", "hit", "hit", "hit"]

    face.run(test)


def test_copies_of_a_client_stay_wrapped(face):
    async def test(wrapped, bare):
        await wrapped.create()
        seen = []

        def watch(request, call_next):
            seen.append(request)
            return call_next(request)

        async def watch_async(request, call_next):
            seen.append(request)
            return await call_next(request)

        copies = [
            wrapped.client.with_options(timeout=3, max_retries=5),
            wrapped.client.copy().with_options(),
            wrapped.client.with_middleware(watch if face.blocking else watch_async),
        ]
        for copied in copies:
            assert type(copied) is type(wrapped.client)
            assert copied.resopt is wrapped.client.resopt
            assert await asked(Claude(copied)) == ["hit"]
        assert (copies[0].timeout, copies[0].max_retries, seen) == (3, 5, [])
        assert await asked(Claude(copies[2]), messages=[{"role": "user", "content": "New?"}]) == ["miss"]
        assert len(seen) == 1
        assert type(bare.client) is face.kind
        assert resopt.last(await bare.create()) is None

    face.run(test)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("wishes", "error"),
    [("429", "RateLimitError"), ("status=400", "BadRequestError"), ("500", "InternalServerError")],
)
def test_errors_are_the_sdks_own(face, wishes, error, stream):
    async def test(wrapped, bare):
        with pytest.raises(getattr(anthropic, error)) as expected:
            await bare.create(stream=stream, **simulate(wishes))
        for _ in range(2):
            with pytest.raises(getattr(anthropic, error)) as caught:
                await wrapped.create(stream=stream, **simulate(wishes))
            assert caught.value.body == expected.value.body
            assert caught.value.status_code == expected.value.status_code
        with pytest.raises(getattr(anthropic, error)):
            async with wrapped.helper(**simulate(wishes)):
                pass
        assert calls(face.server) == 4
        assert wrapped.client.resopt.stats.entries == 0

    face.run(test)


@pytest.mark.parametrize("stream", [False, True])
def test_all_who_wait_get_the_error(face, stream):
    """Each an error of their own."""

    async def test(wrapped, bare):
        caught = []

        async def ask():
            with pytest.raises(anthropic.RateLimitError) as error:
                await wrapped.create(stream=stream, **simulate("429, first_byte=0.3"))
            caught.append(error.value)

        if face.blocking:
            threads = [threading.Thread(target=lambda: drive(ask())) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        else:
            async with anyio.create_task_group() as group:
                for _ in range(8):
                    group.start_soon(ask)
        assert calls(face.server) == 1
        assert len(set(map(id, caught))) == 8
        assert {error.status_code for error in caught} == {429}
        assert all(error.response.headers["request-id"] == error.request_id for error in caught)

    face.run(test)


@pytest.mark.parametrize("stream", [False, True])
def test_retries_are_the_clients(face, stream):
    async def test(wrapped, bare):
        face.server.next_faults("500", "500", None)
        made = await wrapped.create(stream=stream)
        if stream:
            await wrapped.read(made)
        assert (outcome(made), calls(face.server)) == ("miss", 3)
        assert outcome(await wrapped.create()) == "hit"

    with SimulatedServer(time_scale=0) as own:
        face.server = own
        face.run(test, max_retries=2)


def test_arguments_that_the_sdk_refuses_are_refused_as_before(face):
    async def test(wrapped, bare):
        await wrapped.create()
        with pytest.raises(TypeError, match="max_tokens"):
            await wrapped.came(wrapped.messages.create(model=BODY["model"], messages=TALK))
        with pytest.raises(TypeError, match="surprise"):
            await wrapped.create(surprise=1)
        with pytest.raises(ValueError, match="treaming is"):
            await wrapped.create(max_tokens=10**6)

    face.run(test)
