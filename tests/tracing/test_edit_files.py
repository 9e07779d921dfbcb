"""Edits as JSON: what is written is read again, and what is no list of edits is refused."""

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import glasscell
from glasscell.errors import InputError

whole = st.integers(-(2**31), 2**31)
indices = st.one_of(
    st.none(),
    whole,
    st.lists(whole, max_size=4),
    st.builds(slice, *[st.one_of(st.none(), whole)] * 2, st.one_of(st.none(), st.just(2))),
)
numbers = st.floats(allow_nan=False)
values = st.one_of(
    numbers,
    st.lists(numbers, min_size=1, max_size=4).map(lambda v: torch.tensor(v, dtype=torch.float64)),
    st.just(torch.arange(6.0).reshape(1, 2, 3)),
)


@given(
    st.text(),
    st.text(),
    indices,
    indices,
    indices,
    st.sampled_from(("set", "scale", "add")),
    values,
)
def test_round_trip(tmp_path_factory, layer, quantity, units, steps, batch, way, value):
    edit = glasscell.Edit(layer, quantity, units, steps, batch, **{way: value})
    path = tmp_path_factory.mktemp("edits") / "edits.json"
    glasscell.save_edits([edit, edit], path)
    again = glasscell.load_edits(path)
    assert again == [edit, edit]
    assert hash(again[0]) == hash(edit)
    assert torch.equal(torch.as_tensor(again[0].value).double(), torch.as_tensor(value).double())
    for name in ("units", "steps", "batch"):
        assert getattr(again[0], name) == getattr(edit, name)


def test_what_is_not_finite_has_a_name(tmp_path):
    path = tmp_path / "edits.json"
    edit = glasscell.Edit("l0", "cell", set=torch.tensor([math.inf, -math.inf, math.nan, 1.0]))
    glasscell.save_edits([edit], path)
    json.loads(path.read_text(), parse_constant=pytest.fail)  # strict JSON
    (again,) = glasscell.load_edits(path)
    assert isinstance(again.value, torch.Tensor)
    assert again.value.tolist()[:2] == [math.inf, -math.inf]
    assert math.isnan(again.value[2])


def test_played_again_they_do_the_same(tmp_path):
    lstm = glasscell.LSTM(3, 4)
    x = torch.randn(6, 2, 3)
    with glasscell.trace(lstm) as other:
        lstm(torch.randn(6, 2, 3))
    editing = glasscell.edit(
        lstm, "l0", "cell", steps=slice(2, 4), units=[1], set=other["l0"].cell.detach()
    )
    with editing:
        wanted = lstm(x)[0]
    glasscell.save_edits(editing.edits, tmp_path / "edits.json")
    with glasscell.edit(lstm, glasscell.load_edits(tmp_path / "edits.json")):
        assert torch.equal(lstm(x)[0], wanted)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        "\xff",
        '{"format": "glasscell edits 2", "edits": []}',
        '{"format": "glasscell edits 1", "edits": {}}',
        *(
            f'{{"format": "glasscell edits 1", "edits": [{edit}]}}'
            for edit in (
                "3",
                '{"layer": "l0"}',
                '{"layer": "l0", "quantity": "cell"}',
                '{"layer": 1, "quantity": "cell", "set": 1}',
                '{"layer": "l0", "quantity": "cell", "set": "x"}',
                '{"layer": "l0", "quantity": "cell", "set": [[1], [1, 2]]}',
                '{"layer": "l0", "quantity": "cell", "put": 1}',
                '{"layer": "l0", "quantity": "cell", "set": 1, "units": "a"}',
                '{"layer": "l0", "quantity": "cell", "set": 1, "steps": {"start": []}}',
            )
        ),
    ],
)
def test_what_is_no_list_of_edits(content, tmp_path):
    path = tmp_path / "edits.json"
    path.write_text(content, "latin-1")
    with pytest.raises(InputError, match="not a list of edits"):
        glasscell.load_edits(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        glasscell.load_edits(tmp_path / "edits.json")
