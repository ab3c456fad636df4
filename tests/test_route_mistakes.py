"""Mistakes in a router's and a cascade's settings: one clear error each, at once."""

import hashlib

import msgspec
import pytest

from resopt import ConfigurationError, CostAwareRouter, ModelRouter, RoutePolicy, Tier, routing

TIERS = (Tier("fast", "mini"), Tier("powerful", "big"))


@pytest.mark.parametrize(
    ("mistake", "why"),
    [
        (lambda: ModelRouter(None), "tiers must be several"),
        (lambda: ModelRouter(5), "tiers must be several"),
        (lambda: ModelRouter("abc"), "tiers must be several"),
        (lambda: ModelRouter([]), "1 to 16 tiers"),
        (lambda: ModelRouter(TIERS, aliases=5), "aliases must be several"),
        (lambda: ModelRouter(TIERS, aliases="auto"), "aliases must be several"),
        (lambda: ModelRouter(TIERS, aliases=[5]), "aliases must be names"),
        (lambda: ModelRouter(TIERS, critical="yes"), "critical must be callable"),
        (lambda: ModelRouter(TIERS, health=5), "health must be a Health"),
        (lambda: ModelRouter(TIERS, gates=5), "gates must be several"),
        (lambda: ModelRouter(TIERS, policy=0.1), "policy must be a RoutePolicy"),
        (lambda: ModelRouter(TIERS).fit(None), "rows must be several"),
        (lambda: RoutePolicy.share([1, 2]), "shares must be a mapping"),
        (lambda: Tier("fast", "mini", tools="no"), "tools of tier 'fast' must be True or False"),
        (lambda: Tier("fast", "mini", vision=1), "vision of tier 'fast' must be True or False"),
        (lambda: ModelRouter(TIERS).route("hi", allow=5), "allow must be several names"),
        (lambda: ModelRouter(TIERS).route("hi", deny=[["fast"]]), "deny must be several names"),
        (lambda: ModelRouter(TIERS).route("hi", mode=["fast"]), "mode must be one of"),
        (lambda: ModelRouter(TIERS).route("hi", speed=3), "nothing to wish for is called speed; there is mode, "),
        (lambda: ModelRouter(TIERS).route_to_model("hi", speed=3), "nothing to wish for is called speed"),
        (lambda: routing(speed=3).__enter__(), "nothing to wish for is called speed"),
        (lambda: CostAwareRouter(tiers=5), "tiers must be several"),
        (lambda: CostAwareRouter(tiers=[]), "1 to 16 tiers"),
        (lambda: CostAwareRouter(checks=5), "checks must be several"),
        (lambda: CostAwareRouter(gates=5), "gates must be several"),
        (lambda: CostAwareRouter(router=5), "router must be a ModelRouter"),
    ],
)
def test_a_mistake_is_one_clear_error(mistake, why):
    with pytest.raises(ConfigurationError, match=why):
        mistake()


def test_an_error_of_the_rows_own_is_not_ours():
    with pytest.raises(ZeroDivisionError):
        ModelRouter(TIERS).fit(1 / 0 for _ in range(3))


def test_a_saved_count_below_nothing_is_a_cold_start(tmp_path):
    path = tmp_path / "route.bin"
    ModelRouter(TIERS).save(path)
    content = path.read_bytes()[:-16]
    magic = content[: content.index(b"\x02") + 1]
    state = msgspec.msgpack.decode(content[len(magic) :])
    content = magic + msgspec.msgpack.encode({**state, "counted": -5})
    path.write_bytes(content + hashlib.blake2b(content, digest_size=16).digest())
    with pytest.warns(RuntimeWarning, match="starts cold"):
        assert not ModelRouter(TIERS).load(path)
