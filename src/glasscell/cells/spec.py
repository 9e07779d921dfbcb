"""A cell as one readable line, and back: how a saved graph names the cell that it runs.

The line holds the kind, and what differs from the kind's default:

    lstm
    rnn(hidden=gate(squash=relu))
    lstm(forget_gate=gate(reads=('x', 'h', 'c_prev')), output_squash=relu)

It follows from the fields of the cell and of its gate maps: a new kind, field or squash needs
nothing here. Functions are named, never written, so a squash must be one of `SQUASHES`.
"""

import ast
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

from glasscell.cells.cell import Cell
from glasscell.cells.gates import SQUASHES, GateMap, Squash
from glasscell.cells.kinds import KINDS
from glasscell.cells.variants import name_of, variant

NO_FORM = "it is no name(field=value, ...)"


def named(cell: Cell | str) -> Cell:
    """The cell that a person asks for: by a variant's name, in one line, or as it is.

    Args:
        cell: "peephole", or any name in `VARIANTS`; a line such as "lstm(forget_gate=None)"; or a
            `Cell`.

    Raises:
        ValueError: no such variant, or a line that says no cell.
        TypeError: something else.
    """
    if isinstance(cell, Cell):
        return cell
    if not isinstance(cell, str):
        raise TypeError(
            f"cell: expected a variant's name, a line or a Cell, got {type(cell).__name__}"
        )
    return read(cell) if "(" in cell or cell in KINDS else variant(cell)


def write(cell: Cell) -> str:
    """The cell in one line, which `read` turns back into an equal cell.

    Raises:
        ValueError: a kind or squash that is not registered, so that no reader could know it.
    """
    if KINDS.get(cell.kind) is not type(cell):
        raise ValueError(
            f"cell: expected one of {_listed(KINDS)}, got {type(cell).__name__}, which no line says"
        )
    return _write_fields(cell.kind, cell, KINDS[cell.kind]())


def line_of(cell: Cell) -> str | None:
    """What `write` writes, or None for a cell it cannot write."""
    try:
        return write(cell)
    except ValueError:
        return None


def shortest(cell: Cell) -> str:
    """What a person calls the cell: its name in `VARIANTS`, else its line; the kind of one that no
    line says, such as a step of one's own."""
    return name_of(cell) or line_of(cell) or cell.kind


@lru_cache
def read(text: str) -> Cell:
    """The cell that `write` wrote as `text`.

    Raises:
        ValueError: text that names no cell, field or squash known here.
    """
    try:
        node = ast.parse(text, mode="eval").body
        name, given = _name_and_fields(node)
        if name not in KINDS:
            raise ValueError(f"the kinds are {_listed(KINDS)}")
        return _read_fields(KINDS[name](), given)
    except SyntaxError:
        missing = text.count("(") - text.count(")")
        why = NO_FORM if missing == 0 else "its parentheses do not match"
        raise ValueError(f"cell: expected a line such as lstm, got {text!r}: {why}") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"cell: expected a line such as lstm, got {text!r}: {error}") from None


def _write_fields(name: str, value: Any, default: Any) -> str:
    """`name(field=value, ...)` with what differs from the default; all that has none if None."""
    parts = []
    for field in fields(value):
        mine = getattr(value, field.name)
        usual = field.default if default is None else getattr(default, field.name)
        if mine != usual:
            parts.append(f"{field.name}={_write_value(mine, usual)}")
    return f"{name}({', '.join(parts)})" if parts else name


def _write_value(value: Any, usual: Any) -> str:
    if isinstance(value, GateMap):
        return _write_fields("gate", value, usual if isinstance(usual, GateMap) else None)
    if isinstance(value, Squash):
        if SQUASHES.get(value.name) is not value or not value.name.isidentifier():
            raise ValueError(
                f"squash: expected one of {_listed(SQUASHES)}, got {value.name!r}. "
                "To name another, put it into glasscell.cells.SQUASHES under its name"
            )
        return value.name
    return repr(value)


def _read_fields(default: Any, given: dict[str, ast.expr]) -> Any:
    usual = {field.name: getattr(default, field.name) for field in fields(default)}
    if unknown := given.keys() - usual:
        raise ValueError(f"there is no {_listed(unknown)}, but {', '.join(usual)}")
    read = {name: _read_value(node, usual[name]) for name, node in given.items()}
    for name, value in read.items():
        if isinstance(usual[name], GateMap) and not isinstance(value, GateMap | None):
            raise ValueError(f"{name}: expected gate(...) or None, got {value!r}")
    return replace(default, **read)


def _read_value(node: ast.expr, usual: Any) -> Any:
    if isinstance(node, ast.Name):
        if node.id not in SQUASHES:
            raise ValueError(f"the squashes are {_listed(SQUASHES)}, not {node.id}")
        return SQUASHES[node.id]
    if isinstance(node, ast.Call):
        name, given = _name_and_fields(node)
        if name != "gate":
            raise ValueError(f"there is no {name}(...)")
        if isinstance(usual, GateMap):
            return _read_fields(usual, given)
        return GateMap(**{field: _read_value(each, None) for field, each in given.items()})
    return ast.literal_eval(node)


def _name_and_fields(node: ast.expr) -> tuple[str, dict[str, ast.expr]]:
    if isinstance(node, ast.Name):
        return node.id, {}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args:
        return node.func.id, {str(word.arg): word.value for word in node.keywords}
    raise ValueError(NO_FORM)


def _listed(names: Any) -> str:
    return ", ".join(sorted(names))
