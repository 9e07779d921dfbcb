"""Student's t against SciPy's."""

import math

import pytest
from scipy import stats

from glasscell.statistics import student

DOFS = (0.5, 1, 2, 3, 4, 9, 30, 1000)


@pytest.mark.parametrize("dof", DOFS)
@pytest.mark.parametrize("t", [0.0, 1e-3, 0.5, 1.0, 2.776, 10.0, 300.0, -2.0])
def test_two_sided_p(dof, t):
    assert student.two_sided_p(t, dof) == pytest.approx(2 * stats.t.sf(abs(t), dof), rel=1e-9)


@pytest.mark.parametrize("dof", DOFS)
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99, 0.9999])
def test_quantile(dof, confidence):
    ours = student.quantile(confidence, dof)
    assert ours == pytest.approx(stats.t.ppf(0.5 + confidence / 2, dof), rel=1e-9)


def test_ends():
    assert student.two_sided_p(math.inf, 3) == 0
    assert student.two_sided_p(-math.inf, 3) == 0
    assert math.isnan(student.two_sided_p(math.nan, 3))
