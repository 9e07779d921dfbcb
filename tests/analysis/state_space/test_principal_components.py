"""Paths in principal components, and fixed points among them."""

import pytest
import torch
from sklearn.decomposition import PCA
from tests.tolerances import assert_close

import glasscell
from glasscell.analysis import fixed_points, principal_components
from glasscell.errors import InputError

I, H = 3, 4


def noise(*shape):
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("quantity", ["state", "cell", "hidden", "forget_gate"])
@pytest.mark.parametrize("T", [2, 40])
def test_components_are_those_of_scikit_learn(quantity, T):
    lstm = glasscell.LSTM(I, H, dtype=torch.float64)
    lengths = [T, max(1, T // 2), T]
    with torch.no_grad(), glasscell.trace(lstm) as trace:
        lstm(noise(T, 3, I), lengths=lengths)
    layer = trace["l0"]
    names = ("hidden", "cell") if quantity == "state" else (quantity,)
    paths = [torch.cat([layer.sequence(n, b) for n in names], -1) for b in range(3)]
    k = 2
    found = principal_components(layer, k, quantity=quantity)
    theirs = PCA(k).fit(torch.cat(paths).numpy())
    torch.testing.assert_close(found.variance, torch.from_numpy(theirs.explained_variance_))
    torch.testing.assert_close(found.share, torch.from_numpy(theirs.explained_variance_ratio_))
    torch.testing.assert_close(found.mean, torch.from_numpy(theirs.mean_))
    signs = (found.directions * torch.from_numpy(theirs.components_)).sum(-1)
    torch.testing.assert_close(signs.abs(), torch.ones(k).double())
    largest = found.directions.abs().argmax(-1, keepdim=True)
    assert bool((found.directions.gather(1, largest) > 0).all())
    for b, path in enumerate(paths):
        expected = torch.from_numpy(theirs.transform(path.numpy())) * signs.sign()
        torch.testing.assert_close(found.sequence(layer, b), expected)
        torch.testing.assert_close(found.project(path), expected)


def test_all_components_give_the_states_back_and_fixed_points_lie_among_them():
    gru = glasscell.GRU(I, H, dtype=torch.float64)
    with torch.no_grad(), glasscell.trace(gru) as trace:
        gru(noise(3, 1, I))
    layer = trace["l0"]  # fewer steps than units
    found = principal_components(layer, H)
    assert_close(found.directions @ found.directions.T, torch.eye(H).double())
    back = found.sequence(layer) @ found.directions + found.mean
    assert_close(back, layer.sequence("hidden"))
    assert float(found.share.sum()) == pytest.approx(1)
    points = fixed_points(gru, starts=layer)
    assert_close(found.project(points) @ found.directions + found.mean, points.states)


def test_components_that_are_not_there_are_refused():
    gru = glasscell.GRU(I, H)
    with torch.no_grad(), glasscell.trace(gru) as trace:
        gru(torch.randn(5, 1, I))
    with pytest.raises(InputError, match=r"k: expected a whole number, 1 to 4, got 2\.0"):
        principal_components(trace["l0"], 2.0)  # type: ignore[arg-type]
    for k in (0, 5):
        with pytest.raises(InputError, match=f"k: expected 1 to 4, got {k}"):
            principal_components(trace["l0"], k)
    with pytest.raises(InputError, match="quantity: expected one of"):
        principal_components(trace["l0"], quantity="cell")
    with pytest.raises(InputError, match=r"points: expected \(..., 4\), got \(2, 3\)"):
        principal_components(trace["l0"]).project(torch.zeros(2, 3))
    with torch.no_grad(), glasscell.trace(gru) as trace:
        gru(torch.randn(1, 1, I))
    with pytest.raises(InputError, match="expected at least 2 steps"):
        principal_components(trace["l0"])
