"""Cards: equations, sizes and counts are those of real layers; each variant has one."""

import re

import pytest
import torch

import glasscell
from glasscell.cells import VARIANTS, spec
from glasscell.errors import InputError
from glasscell.explaining import CARDS, Code, Equation, Prose, Table, card, listed
from glasscell.explaining.cards.shown import runs_on
from glasscell.explaining.cards.sizes import is_square, parameters, sizes


def layer_of(name, I, H):
    return glasscell.Recurrent(H if is_square(VARIANTS[name]) else I, H, cell=name)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize(("I", "H"), [(7, 5), (128, 128)])
def test_weights_are_counted_as_a_layer_counts_them(name, I, H):
    layer = layer_of(name, I, H)
    count = parameters(layer.cell)
    assert count(H, layer.input_size) == sum(p.numel() for p in layer.parameters())
    numbers = {"HI": H * layer.input_size, "H^2": H * H, "H": H}
    total = 0
    for term in count.latex.split(" + "):
        found = re.fullmatch(r"(\d*)(HI|H\^2|H)", term)
        assert found is not None, count.latex
        total += int(found[1] or 1) * numbers[found[2]]
    assert total == count(H, layer.input_size)


@pytest.mark.parametrize("name", VARIANTS)
def test_sizes_and_names_are_those_of_the_state_dict(name):
    I, H = 7, 5
    layer = layer_of(name, I, H)
    state = {key: tuple(v.shape) for key, v in layer.state_dict().items() if v.numel()}
    told = {}
    for size in sizes(layer.cell):
        shape = size.shape.strip("(),").split(", ")
        told[f"{size.name}_l0"] = tuple(
            int(n.rstrip("HI") or 1)
            * (H if n[-1] == "H" else layer.input_size if n[-1] == "I" else 1)
            for n in shape
        )
    assert told == state


@pytest.mark.parametrize("name", VARIANTS)
def test_a_card_in_every_form(name):
    found = card(name)
    for width in (60, 80, 120):
        lines = found.text(width).splitlines()
        prose = [line for line in lines if line[:1].isalpha()]
        assert max(map(len, lines)) <= max(width, 80)
        assert max(map(len, prose)) <= width
    assert found.title == f"`{name}`: {CARDS[name].title}"
    assert Prose(CARDS[name].differs) in found.pieces
    assert "<math" in found.html()
    assert "$$\n\\begin{aligned}" in found.markdown()


@pytest.mark.parametrize("name", VARIANTS)
def test_its_code_makes_it(name):
    code = next(p for p in card(name).pieces if isinstance(p, Code))
    names: dict = {}
    exec(code.text, names)
    assert names["layer"].cell == VARIANTS[name]
    assert max(map(len, code.text.splitlines())) <= 100
    if spec.line_of(VARIANTS[name]) != name:
        assert names["same"].cell == VARIANTS[name]


def test_what_runs_it_is_asked_of_the_engines():
    layer = glasscell.LSTM(3, 4, cell="fgr")
    chosen = glasscell.explain_engine(layer, torch.randn(5, 2, 3))
    assert runs_on(layer.cell).keys() == chosen.refusals.keys()
    table = card("fgr").pieces
    rows = {row[0]: row[1] for p in table if isinstance(p, Table) for row in p.rows}
    assert rows["reference"] == "yes"
    assert rows["torch"] == "no: PyTorch has no fused operation for this cell"


def test_a_cell_without_a_name_has_a_card_too():
    found = card("lstm(forget_gate=None, output_gate=None)")
    equations = [p.latex for p in found.pieces if isinstance(p, Equation)]
    assert "c_t &= c_{t-1} + i_t \\odot g_t" in equations[0]
    assert "There is no forget gate: all of the memory stays." in found.text(200)
    code = next(p for p in found.pieces if isinstance(p, Code))
    names: dict = {}
    exec(code.text, names)
    assert names["layer"].cell.gates == (spec.named("lstm").gates[0], spec.named("lstm").gates[2])


def test_a_card_takes_no_random_number():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    card("janet")
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_no_cell_is_refused():
    with pytest.raises(InputError, match=r"no variant 'jannet'; did you mean janet"):
        card("jannet")
    with pytest.raises(InputError, match="cell: expected a line such as lstm"):
        card("lstm(no=1)")


def test_every_variant_is_listed_and_no_other_has_a_card():
    table = next(p for p in listed().pieces if isinstance(p, Table))
    assert [row[0].strip("`") for row in table.rows] == list(VARIANTS) == list(CARDS)
    for brief in (each.brief for each in CARDS.values()):
        assert brief.endswith(".")
        assert len(brief) < 60
    assert len({each.title for each in CARDS.values()}) == len(CARDS)


@pytest.mark.parametrize("name", CARDS)
def test_sources_are_whole(name):
    for source in CARDS[name].sources:
        assert 1990 <= source.year <= 2024
        assert str(source).startswith(f"{source.authors} ({source.year}): ")
        assert source.where
    assert CARDS[name].sources or name == "hard_lstm"
