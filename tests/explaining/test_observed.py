"""Steps of layers and models that ran: ours and torch.nn's, in every layout."""

import numpy as np
import pytest
import torch
from torch import nn

import glasscell
from glasscell.errors import InputError
from glasscell.explaining import Heading, Vector

T, B, I, H = 6, 3, 4, 5
LENGTHS = [6, 2, 4]
MAKERS = {
    "lstm": lambda **o: glasscell.LSTM(I, H, **o),
    "gru": lambda **o: glasscell.GRU(I, H, **o),
    "rnn": lambda **o: glasscell.RNN(I, H, **o),
    "torch lstm": lambda **o: nn.LSTM(I, H, **o),
    "torch gru": lambda **o: nn.GRU(I, H, **o),
    "torch rnn": lambda **o: nn.RNN(I, H, nonlinearity="relu", **o),
}


def vectors(told) -> dict[str, np.ndarray]:
    return {p.name: p.values for p in told.pieces if isinstance(p, Vector)}


def same(found, expected) -> None:
    np.testing.assert_allclose(found, expected.detach().double().numpy(), atol=3e-7)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("layer", ["l0", "l0_reverse", "l1", "l1_reverse"])
def test_a_step_of_a_layer_is_the_one_that_was_traced(name, layer):
    module = MAKERS[name](num_layers=2, bidirectional=True, batch_first=True)
    x = torch.randn(B, T, I)
    with torch.no_grad(), glasscell.trace(module) as trace:
        module(x)
    seen = trace[layer]
    for t in (0, 3, T - 1):
        told = glasscell.explain(module, x, step=t, b=1, layer=layer)
        found = vectors(told)
        same(found["h_t"], seen.hidden[1, t])
        for gate in seen.gate_maps:
            same(found[f"{gate.letter}_t"], seen[gate.name][1, t])
        before = t + 1 if layer.endswith("reverse") else t - 1
        inside = 0 <= before < T
        same(found["h_{t-1}"], seen.hidden[1, before] if inside else torch.zeros(H))
        if layer.startswith("l0"):
            same(found["x_t"], x[1, t])
        else:
            below = [trace["l0"].hidden[1, t], trace["l0_reverse"].hidden[1, t]]
            same(found["x_t"], torch.cat(below))
        assert all(check.holds for check in told.checks)
        assert any("model's own run gave" in check.text for check in told.checks)
        assert told.title.startswith(f"Step {t} of `{layer}`")


def test_the_check_of_the_run_can_fail(monkeypatch):
    """A layer that gives out something else than its equations is found out."""
    module = glasscell.LSTM(I, H, engine="reference")
    step = type(module.cell).step

    def wrong(self, x, h, c, w, *rest):
        found = step(self, x, h, c, w, *rest)
        return (
            found
            if x.dtype == torch.float64
            else type(found)(found.pre, found.gates, found.h + 0.01, found.c)
        )

    monkeypatch.setattr(type(module.cell), "step", wrong)
    told = glasscell.explain(module, torch.randn(T, B, I))
    assert [c.text[:20] for c in told.checks if not c.holds] == ["$h_t$ and $c_t$ are "]


def test_an_edited_run_says_so():
    module = glasscell.LSTM(I, H)
    x = torch.randn(T, B, I)
    with torch.no_grad(), glasscell.edit(module, "l0", "forget_gate", set=1.0):
        told = glasscell.explain(module, x, step=2)
        with glasscell.trace(module) as trace:
            module(x)
    record = glasscell.explain(trace["l0"], step=2)
    same(vectors(told)["c_{t-1}"], trace["l0"].cell[1, 0])
    assert (vectors(told)["f_t"] < 1).all()
    assert (vectors(record)["f_t"] == 1).all()
    for each in (told, record):
        assert "The run was edited at this layer" in each.text()
        assert all(check.holds for check in each.checks)


def test_states_that_are_given_are_those_before_the_first_step():
    module = glasscell.LSTM(I, H)
    h, c = torch.randn(1, B, H), torch.randn(1, B, H)
    told = glasscell.explain(module, torch.randn(T, B, I), h, c, step=0, b=2)
    same(vectors(told)["h_{t-1}"], h[0, 2])
    same(vectors(told)["c_{t-1}"], c[0, 2])
    assert "the cell state that the sequence started from" in told.text().replace("\n    ", " ")
    only_c = vectors(glasscell.explain(module, torch.randn(T, B, I), c=c, step=0, b=2))
    same(only_c["c_{t-1}"], c[0, 2])
    assert not only_c["h_{t-1}"].any()


def test_packed_sequences_and_steps_from_the_end():
    module = glasscell.LSTM(I, H)
    x = torch.randn(T, B, I)
    packed = nn.utils.rnn.pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
    told = glasscell.explain(module, packed, b=1)
    assert told.title.startswith("Step 1 of")
    same(vectors(told)["x_t"], x[1, 1])
    with pytest.raises(InputError, match="step: expected -2 to 1, the steps of sequence 1, got 2"):
        glasscell.explain(module, packed, step=2, b=1)


@pytest.mark.parametrize(
    "make", [glasscell.LSTMCell, glasscell.GRUCell, glasscell.RNNCell, nn.LSTMCell, nn.GRUCell,
             nn.RNNCell],
)  # fmt: skip
def test_one_step_cells(make):
    cell = make(I, H)
    x, h = torch.randn(I), torch.randn(H)
    c = torch.randn(H) if "LSTM" in make.__name__ else None
    with torch.no_grad():
        after = cell(x, h if c is None else (h, c))
    told = glasscell.explain(cell, x, h, c)
    same(vectors(told)["h_t"], after if c is None else after[0])
    assert told.title.startswith("One step of a")
    plain = glasscell.explain(cell, x.tolist(), h.tolist(), None if c is None else c.tolist())
    np.testing.assert_allclose(vectors(plain)["h_t"], vectors(told)["h_t"], atol=1e-7)
    batch = glasscell.explain(cell, torch.stack((x, -x)), b=1)
    same(vectors(batch)["x_t"], -x)


class Looped(nn.Module):
    """A model that calls a cell step by step, beside a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = glasscell.GRU(I, H)
        self.cell = nn.LSTMCell(H, H)

    def forward(self, x):
        state = None
        for h in self.encoder(x)[0]:
            state = self.cell(h, state)
        return state


def test_models_and_the_calls_of_a_cell():
    model, x = Looped(), torch.randn(T, B, I)
    with torch.no_grad(), glasscell.trace(model) as trace:
        model(x)
    told = glasscell.explain(model, x, step=4, b=1)
    same(vectors(told)["c_t"], trace["cell"].cell[4, 1])
    assert told.title == "Step 4 of `cell`, an LSTM"
    told = glasscell.explain(model, x, step=4, b=1, layer="encoder.l0")
    same(vectors(told)["h_t"], trace["encoder.l0"].hidden[4, 1])
    for short in ("l0", "0"):
        again = glasscell.explain(model, x, step=4, b=1, layer=short)
        assert again.text() == told.text()


def test_several_steps():
    told = glasscell.explain(glasscell.LSTM(I, H), torch.randn(T, B, I), step=[0, -1])
    assert told.title == "Steps 0 and 5 of `l0`"
    headings = [p.text for p in told.pieces if isinstance(p, Heading) and p.level == 2]
    assert headings == ["Step 0 of `l0`, an LSTM", "Step 5 of `l0`, an LSTM"]


@pytest.mark.parametrize("name", MAKERS)
def test_a_recorded_layer_is_explained_without_its_products(name):
    module = MAKERS[name]()
    with torch.no_grad(), glasscell.trace(module) as trace:
        module(torch.randn(T, B, I))
    seen = trace["l0"]
    told = glasscell.explain(seen, step=3, b=2)
    same(vectors(told)["h_t"], seen.hidden[3, 2])
    same(vectors(told)["h_{t-1}"], seen.hidden[2, 2])
    for gate in seen.gate_maps:
        same(vectors(told)[f"{gate.letter}_t^{{\\mathrm{{pre}}}}"], seen.pre[gate.name][3, 2])
    assert all(check.holds for check in told.checks)
    assert "no weights" in told.text().replace("\n", " ")


def test_a_recorded_projection_is_explained():
    module = glasscell.LSTM(I, H, proj_size=2)
    with torch.no_grad(), glasscell.trace(module) as trace:
        module(torch.randn(T, B, I))
    told = glasscell.explain(trace["l0"], step=3)
    same(vectors(told)["h_t"], trace["l0"].hidden[3, 0])
    assert all(check.holds for check in told.checks)
    assert "h_t = V m_t" in told.text()


def test_explaining_changes_nothing_but_random_numbers():
    module = glasscell.LSTM(I, H)
    x = torch.randn(T, B, I)
    before = module(x)[0]
    glasscell.explain(module, x)
    assert torch.equal(module(x)[0], before)
    assert module.training
    assert all(p.grad is None for p in module.parameters())


@pytest.mark.parametrize(
    ("arguments", "options", "part"),
    [
        (("gru", torch.zeros(T, B, I)), {"layer": "l3"}, "layer: expected one of l0, got 'l3'"),
        (("gru", torch.zeros(T, B, I)), {"step": 6}, "step: expected -6 to 5"),
        (("gru", torch.zeros(T, B, I)), {"step": []}, "step: expected some of -6 to 5, the steps"),
        (("gru", torch.zeros(T, B, I)), {"step": 0.5}, "step: expected"),
        (("gru", torch.zeros(T, B, I)), {"b": 3}, "b: expected a sequence of the batch"),
        (("gru", torch.zeros(T, B, I), None, torch.zeros(H)), {}, "c: a GRU has no cell state"),
        (("gru", torch.zeros(T, B, I + 1)), {}, "input: expected"),
        (("model", torch.zeros(T, B, I), torch.zeros(H)), {}, "h, c: expected none"),
        (("linear", torch.zeros(I)), {}, "no LSTM, GRU or RNN"),
        (("trace", torch.zeros(I)), {}, "x, h, c: a record has them already"),
    ],
)
def test_what_is_not_there_is_refused(arguments, options, part):
    gru = glasscell.GRU(I, H)
    with torch.no_grad(), glasscell.trace(gru) as trace:
        gru(torch.zeros(T, B, I))
    subjects = {"gru": gru, "model": Looped(), "linear": nn.Linear(I, I), "trace": trace["l0"]}
    with pytest.raises(InputError, match=part):
        glasscell.explain(subjects[arguments[0]], *arguments[1:], **options)


def test_a_layer_that_runs_twice_is_refused():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = glasscell.LSTM(I, I)

        def forward(self, x):
            return self.lstm(self.lstm(x)[0])

    with pytest.raises(InputError, match=r"runs once .* lstm.l0 ran 2 times"):
        glasscell.explain(Twice(), torch.zeros(T, B, I))


def test_other_things_are_no_subject():
    with pytest.raises(TypeError, match=r"subject: expected a layer.*, got str"):
        glasscell.explain("lstm", torch.zeros(1))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"example: expected one of forget-layer.*, got 'no'"):
        glasscell.explain(example="no")
    with pytest.raises(InputError, match="example: expected no subject"):
        glasscell.explain(glasscell.LSTM(1, 1), example="forget-layer")
