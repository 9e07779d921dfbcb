"""Made-up epidemics, whose true state is known: SEIR over linked regions, reported as cases are.

In each region, of S, E, I and R people (Kermack and McKendrick 1927, with a latent stage), every
day by draws from binomial distributions

    S -> E  with odds 1 - exp(-beta_t sum_j M_rj I_j / n_j)     infected at home or elsewhere
    E -> I  with odds 1 - exp(-sigma)
    I -> R  with odds 1 - exp(-gamma)
    R -> S  with odds 1 - exp(-waning)                          so that outbreaks come again

beta_t has a season and falls while much is reported, as people keep away from each other. What is
reported of the new infections is a share, later by some days, fewer at weekends, with more noise
than a Poisson distribution has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glasscell.errors import InputError

if TYPE_CHECKING:
    import polars as pl

WEEK = (1.15, 1.2, 1.1, 1.05, 1.0, 0.8, 0.7)  # how much is reported of a day, Monday first
# odds that an infection is reported on the same day, the next, ...: 2 days and a Poisson's 2 more
DELAYS = np.array([0, 0] + [math.exp(-2) * 2.0**k / math.factorial(k) for k in range(12)])
DELAYS /= DELAYS.sum()
OVER = 0.1  # of a region's largest prevalence so far, below which its outbreak is over


@dataclass(frozen=True, eq=False)
class Outbreaks:
    """Epidemics in several regions.

    Attributes:
        cases: (R, T) reported.
        infected: (R, T) people that are infectious.
        susceptible: (R, T) people that can be infected.
        reproduction: (R, T) how many people one of them infects.
        is_over: (R, T) whether the region's outbreak is over: there was one, each infects fewer
            than one other, and few are left.
        population: (R,).
    """

    cases: np.ndarray
    infected: np.ndarray
    susceptible: np.ndarray
    reproduction: np.ndarray
    is_over: np.ndarray
    population: np.ndarray

    def frame(self, start: str = "2020-01-06") -> pl.DataFrame:
        """A long table: date, region, cases, population.

        Args:
            start: the first day, a Monday.
        """
        import polars as pl

        R, T = self.cases.shape
        days = np.datetime64(start) + np.arange(T).astype("timedelta64[D]")
        return pl.DataFrame({
            "date": np.tile(days, R),
            "region": np.repeat([f"region {r + 1}" for r in range(R)], T),
            "cases": self.cases.ravel(),
            "population": np.repeat(self.population, T),
        })  # fmt: skip


def outbreaks(
    regions: int = 12,
    days: int = 730,
    *,
    seed: int = 0,
    contagion: float = 0.45,
    latency: float = 3.0,
    duration: float = 5.0,
    immunity: float = 240.0,
    reported: float = 0.3,
    links: float = 0.02,
) -> Outbreaks:
    """Epidemics that begin in one region and travel.

    Args:
        regions: R.
        days: T.
        seed: of everything.
        contagion: beta, infections a day by one infectious person among none but susceptible ones.
        latency, duration: days from infection to infectiousness, and of infectiousness.
        immunity: days until who has recovered can be infected again.
        reported: share of the infections.
        links: share of infections that come from other regions, the nearer the more.

    Raises:
        InputError: a number that cannot be.
    """
    for name, value, least in (("regions", regions, 1), ("days", days, 1)):
        if value < least:
            raise InputError(f"{name}: expected at least {least}, got {value}")
    for name, value in (("reported", reported), ("links", links)):
        if not 0 <= value <= 1:
            raise InputError(f"{name}: expected 0 to 1, got {value}")
    for name, value in (("latency", latency), ("duration", duration), ("immunity", immunity)):
        if not value > 0:
            raise InputError(f"{name}: expected more than 0 days, got {value}")
    draw = np.random.default_rng(seed)
    population = np.round(np.exp(draw.normal(np.log(2e5), 0.8, regions))).astype(np.int64)
    places = draw.uniform(0, 1, (regions, 2))
    near = np.exp(-6 * np.linalg.norm(places[:, None] - places[None], axis=-1))
    np.fill_diagonal(near, 0)
    total = near.sum(-1, keepdims=True)
    mixing = np.eye(regions) * (1 - links) + links * near / np.where(total > 0, total, 1)
    phase, own = draw.uniform(0, 365), draw.uniform(0.85, 1.15, regions)

    S, E, I, R = (np.zeros(regions, np.int64) for _ in range(4))
    I[0] = 20
    S[:] = population - I
    wary = np.zeros(regions)  # how much is kept away, from what has been reported lately
    found = {name: np.zeros((regions, days)) for name in ("cases", "I", "S", "rate")}
    # infections by the day on which they are reported
    waiting = np.zeros((regions, days + len(DELAYS)))
    for t in range(days):
        season = 1 + 0.25 * np.cos(2 * np.pi * (t - phase) / 365)
        beta = contagion * season * own * np.exp(-wary)
        force = beta * (mixing @ (I / population))
        infected = draw.binomial(S, -np.expm1(-force))
        sick = draw.binomial(E, -np.expm1(-1 / latency))
        well = draw.binomial(I, -np.expm1(-1 / duration))
        open_ = draw.binomial(R, -np.expm1(-1 / immunity))
        # now and then somebody brings it in from outside
        brought = np.minimum(draw.poisson(2e-7 * population), S - infected)
        S, E = S - infected - brought + open_, E + infected + brought - sick
        I, R = I + sick - well, R + well - open_
        waiting[:, t : t + len(DELAYS)] += draw.multinomial(infected, DELAYS)
        expected = reported * waiting[:, t] * WEEK[t % 7]
        gamma = draw.gamma(12.0, np.maximum(expected, 1e-9) / 12.0)  # more noise than a Poisson's
        cases = draw.poisson(gamma)
        wary = 0.93 * wary + 0.07 * 120 * cases / population
        found["cases"][:, t], found["I"][:, t], found["S"][:, t] = cases, I, S
        found["rate"][:, t] = beta * duration * S / population
    most = np.maximum.accumulate(found["I"], -1)
    is_over = (most > 1e-3 * population[:, None]) & (found["I"] < OVER * most) & (found["rate"] < 1)
    return Outbreaks(
        cases=found["cases"].astype(np.int64),
        infected=found["I"].astype(np.int64),
        susceptible=found["S"].astype(np.int64),
        reproduction=found["rate"],
        is_over=is_over,
        population=population,
    )
