"""Zoneout, recurrent masks and stochastic gates of the published equations."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from tests.cells import published
from tests.cells.published import Noise
from tests.cells.published_lstm import slstm
from tests.cells.published_setting import B, H, T, close, setting
from tests.cells.published_terms import sigmoid


def test_zoneout_keeps_what_its_masks_say():
    x, before, w = setting("lstm")
    plain = published.step("lstm", x[0], before, w)
    keep = np.random.default_rng(1).integers(0, 2, (B, H)).astype(float)
    found = published.step("lstm", x[0], before, w, Noise(keep_h=1 - keep, keep_c=keep))
    close(found["c"], np.where(keep == 1, before["c"], plain["c"]))
    close(found["h"], np.where(keep == 1, plain["h"], before["h"]))
    mean = published.step("lstm", x[0], before, w, Noise(keep_c=0.25))
    close(mean["c"], 0.25 * before["c"] + 0.75 * plain["c"])
    close(mean["h"], plain["h"])


@pytest.mark.parametrize("name", ["lstm", "gru", "gru_reset_before", "mut1", "mut2", "mut3", "rnn"])
def test_a_mask_scales_the_columns_of_the_products(name):
    """Of every product, and of nothing else: U diag(mask) h, one sequence at a time."""
    x, before, w = setting(name, I=H)
    mask = 2.0 * np.random.default_rng(1).integers(0, 2, (B, H))
    found = published.run(name, x, before, w, Noise(mask=mask))
    for b in range(B):
        alone = {k: s[b : b + 1] for k, s in before.items()}
        masked = w | {"U": w["U"] * mask[b]}
        expected = published.run(name, x[:, b : b + 1], alone, masked)
        close(found["h"][:, b : b + 1], expected["h"])


def test_stochastic_gates_are_drawn():
    x, before, w = setting("lstm")
    uniform = np.random.default_rng(1).uniform(size=(B, H))
    plain = published.step("lstm", x[0], before, w)
    found = published.step("lstm", x[0], before, w, Noise(uniform={"f": uniform}))
    assert set(np.unique(found["f"])) == {0.0, 1.0}
    assert ((uniform < plain["f"]) == (found["f"] == 1)).all()
    close(found["c"], found["f"] * before["c"] + plain["i"] * plain["g"])


def test_a_gate_that_cannot_be_drawn_is_refused():
    x, before, w = setting("min_lstm")
    with pytest.raises(AssertionError, match="no stochastic i"):
        published.step("min_lstm", x[0], before, w, Noise(uniform={"i": np.zeros((B, H))}))


@pytest.mark.parametrize("forgetting", ["sigmoid", "exponential"])
@pytest.mark.parametrize("keep", ["drawn", 0.3])
def test_an_slstm_holds_what_is_stored_in_whatever_scale(keep, forgetting):
    """Without a stabilizer: C = c exp(m) and N = n exp(m) are what zoneout holds."""
    x, before, w = setting("slstm")
    before["n"] = np.abs(before["n"]) + 0.1
    generator = np.random.default_rng(1)
    keeps = [keep] * T
    if keep == "drawn":
        keeps = [generator.integers(0, 2, (B, H)).astype(float) for _ in range(T)]
    cell = replace(
        published.VARIANTS["slstm"],
        equations=partial(slstm, exponential_forget=forgetting == "exponential"),
    )
    found = published.run(cell, x, before, w, [Noise(keep_c=k) for k in keeps])
    C, N = (before[s] * np.exp(before["m"]) for s in "cn")
    h = before["h"]
    for s, (x_t, k) in enumerate(zip(x, keeps, strict=True)):
        pre = np.split(x_t @ w["W"].T + w["b_x"] + h @ w["U"].T + w["b_h"], 4, -1)
        i, f, o = np.exp(pre[0]), np.exp(pre[1]), sigmoid(pre[3])
        f = f if forgetting == "exponential" else f / (1 + f)
        C_new, N_new = f * C + i * np.tanh(pre[2]), f * N + i
        h = o * C_new / N_new
        C, N = k * C + (1 - k) * C_new, k * N + (1 - k) * N_new
        close(found["h"][s], h, 1e-12)
        close(found["c"][s] * np.exp(found["m"][s]), C, 1e-12)
        close(found["n"][s] * np.exp(found["m"][s]), N, 1e-12)
