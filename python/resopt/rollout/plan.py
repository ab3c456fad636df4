"""How many answers a comparison needs, to be asked before it is begun.

Normal approximations of a one-sided non-inferiority test (Blackwelder 1982): `n = (z1 + z2)² σ² / margin²`, with
`σ² = 2p(1-p)` for two arms and, for pairs, the share of pairs on which the two disagree.
"""

from __future__ import annotations

import math
from typing import Any

from resopt.errors import ConfigurationError


def per_arm_needed(margin: float, rate: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Answers per arm of an A/B test that is to show that quality falls by less than `margin`.

    Args:
        margin: the largest loss that may go unnoticed, such as 0.02 for two points.
        rate: the share of good answers in both arms, such as 0.8.
        alpha: chance to call a treatment good enough that loses `margin`.
        power: chance to call one good enough that loses nothing.

    Raises:
        ConfigurationError: an argument does not lie between 0 and 1.
    """
    _check(margin=margin, rate=rate, alpha=alpha, power=power)
    return _needed(2 * rate * (1 - rate), margin, alpha, power)


def pairs_needed(margin: float, disagreement: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Pairs of a shadow comparison that is to show the same: about a third of an A/B test's answers.

    Args:
        margin: the largest loss that may go unnoticed.
        disagreement: the share of questions on which one answer is good and the other is not, such as 0.1.
        alpha: chance to call a treatment good enough that loses `margin`.
        power: chance to call one good enough that loses nothing.

    Raises:
        ConfigurationError: an argument does not lie between 0 and 1.
    """
    _check(margin=margin, disagreement=disagreement, alpha=alpha, power=power)
    return _needed(disagreement, margin, alpha, power)


def _needed(variance: float, margin: float, alpha: float, power: float) -> int:
    from statistics import NormalDist

    normal = NormalDist()
    return math.ceil((normal.inv_cdf(1 - alpha) + normal.inv_cdf(power)) ** 2 * variance / margin**2)


def _check(**shares: Any) -> None:
    for name, value in shares.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
            raise ConfigurationError(f"{name} must lie between 0 and 1, not {value!r}")
