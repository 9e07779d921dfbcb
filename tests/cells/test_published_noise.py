"""Zoneout, recurrent masks and stochastic gates of the published equations."""

import numpy as np
import pytest
from tests.cells import published
from tests.cells.published import Noise
from tests.cells.published_setting import B, H, close, setting


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
