"""Every work of the catalogue runs, at sizes too small to say anything of speed."""

import pytest

from glasscell.bench import GROUPS, WORKS, Scale, measure, works
from glasscell.errors import UserError

TINY = Scale(budget=0.0, rounds=1, T=6, few=True, divide=16)
# fresh processes, training runs, a compiler; a hundred rows
LONG = ("importing", "language", "compile", "variants")

pytestmark = pytest.mark.usefixtures("without_openvino")


def run(work):
    told = []
    outcome = measure(work, TINY, told.append)
    assert outcome.rows
    assert told == [row.case for row in outcome.rows]
    for row in outcome.rows:
        assert (row.wrong, row.left_out) == (None, {})
        assert all(times.median > 0 for times in row.times.values())
    return outcome


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(
            work,
            id=f"{work.group}: {work.name}",
            marks=[pytest.mark.slow] if work.group in LONG else [],
        )
        for work in WORKS
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")
def test_it_runs_and_everyone_agrees(work):
    outcome = run(work)
    if work.goal is not None:
        assert outcome.verdict is not None


def test_the_grid_that_no_shape_may_be_slow_in_is_large():
    from glasscell.bench.works.sweep import GRIDS

    full = Scale()
    shapes = {(T, *cell) for T, *axes in GRIDS for cell in full.grid(*axes)}
    assert 2 * len(shapes) >= 60


def test_groups():
    assert len(works()) == len(WORKS)
    assert [work.group for work in works(["ragged"])] == ["ragged", "ragged"]
    with pytest.raises(UserError, match="got 'rugged'"):
        works(["rugged"])
    assert len(set(GROUPS)) == len(GROUPS)
