import base64
import json
import math
import re

import numpy as np
import pytest
import torch

import glasscell
from glasscell.plots import language_report
from glasscell.plots.report import content
from glasscell.plots.report.numbers import quantised

LETTERS = list("abc\n")


def data_of(page: str) -> dict:
    (found,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', page, flags=re.DOTALL
    )
    return json.loads(found)


def decoded(stored: dict) -> np.ndarray:
    """(T, H) values as the page reads them."""

    def numbers(name: str, dtype: str) -> np.ndarray:
        return np.frombuffer(base64.b64decode(stored[name]), dtype)

    codes = numbers("codes", "<u1").reshape(stored["units"], -1)
    values = numbers("low", "<f4")[:, None] + numbers("step", "<f4")[:, None] * codes
    return np.where(codes == 255, np.nan, values).T


def test_values_survive_to_1_part_in_508_of_each_units_range():
    torch.manual_seed(0)
    values = torch.randn(200, 5) * torch.tensor([0.01, 1, 100, 5, 1])
    span = (values.max(0).values - values.min(0).values).numpy()
    error = np.abs(decoded(quantised(values)) - values.numpy()).max(0)
    assert (error <= span / 508 + 1e-6 * span).all()


def test_what_is_no_number_stays_none():
    values = torch.tensor([[1.0, math.nan], [math.inf, math.nan], [3.0, math.nan]])
    shown = decoded(quantised(values))
    np.testing.assert_allclose(shown[:, 0], [1, np.nan, 3], atol=1e-5)
    assert np.isnan(shown[:, 1]).all()


def test_constant_units_are_kept():
    np.testing.assert_allclose(decoded(quantised(torch.full((3, 2), 0.25))), 0.25)


def test_the_page_carries_every_layer_quantity_and_unit(read):
    seen = read(LETTERS, [0, 1, 2, 3, 0], num_layers=2)
    data = data_of(language_report(*seen))
    assert [layer["name"] for layer in data["layers"]] == ["l0", "l1"]
    assert data["text"]["tokens"] == ["a", "b", "c", "\n", "a"]
    for stored in data["layers"]:
        layer = seen.trace[stored["name"]]
        assert tuple(stored["quantities"]) == layer.quantities
        for quantity, values in stored["quantities"].items():
            np.testing.assert_allclose(decoded(values), layer.sequence(quantity), atol=0.005)


@pytest.mark.parametrize("kind", [glasscell.GRU, glasscell.RNN, torch.nn.LSTM])
def test_every_cell_has_its_page(read, kind):
    seen = read(LETTERS, [0, 1, 2, 3, 0], kind)
    (layer,) = data_of(language_report(*seen))["layers"]
    has_memory = kind is not glasscell.RNN
    assert bool(layer["memory"]) == has_memory
    assert bool(layer["saturation"]) == has_memory


def test_both_directions_are_one_layer_in_the_heading(read):
    page = language_report(*read(LETTERS, [0, 1, 2], bidirectional=True))
    assert "<dt>Layers</dt><dd>1</dd>" in page
    assert [layer["name"] for layer in data_of(page)["layers"]] == ["l0", "l0_reverse"]


def test_the_page_asks_for_nothing_from_elsewhere(read):
    page = language_report(*read(LETTERS, [0]))
    ours = re.sub(r"<script>/\*\*\n\* plotly\.js.*?</script>", "", page, flags=re.DOTALL)
    assert len(ours) < 200_000
    assert not re.search(r"https?://|@import|url\(|\ssrc=|\shref=", ours)


def test_hostile_text_is_escaped_everywhere(read):
    evil = "</script><script>alert(1)</script>"
    seen = read([evil, '"', "{{script}}", "\ud83d"], [0, 1, 2, 3])
    page = language_report(*seen, title=evil, facts={evil: evil}, token="<i>")
    assert evil not in page
    assert data_of(page)["text"]["tokens"] == [evil, '"', "{{script}}", "\ud83d"]


def test_a_page_with_too_much_on_it_shows_the_first_steps_only(read, monkeypatch):
    seen = read(LETTERS, [0, 1, 2, 3] * 5)
    monkeypatch.setattr(content, "MOST_VALUES", 8 * 6 * 6)  # 6 units, 6 quantities: 8 steps
    text = data_of(language_report(*seen))["text"]
    assert (len(text["tokens"]), text["total"], text["upcoming"]) == (8, 20, "a")


def test_a_unit_that_never_forgets_is_carried_without_infinity(read):
    seen = read(LETTERS, [0, 1, 2])
    layer = seen.trace["l0"]
    gates = layer.record.gates
    assert gates is not None
    gates[:, 1, 4] = 1.0
    memory = data_of(language_report(layer, *seen[1:]))["layers"][0]["memory"]
    assert memory[0] == [4, None]


def test_what_does_not_belong_together_is_refused(read):
    seen = read(LETTERS, [0, 1, 2])
    with pytest.raises(ValueError, match="trace: expected 2 steps, one a token; l0 has 3"):
        language_report(seen.trace, seen.ids[:2], seen.logits[:2], LETTERS)
    with pytest.raises(ValueError, match="vocabulary: expected 4 tokens, got 3"):
        language_report(seen.trace, seen.ids, seen.logits, LETTERS[:3])
    with pytest.raises(ValueError, match="at least one layer and one token"):
        language_report(seen.trace, seen.ids[:0], seen.logits[:0], LETTERS)
