"""The recurrences once more, step by step in plain autograd, as an oracle for gradients."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Unrolled:
    """Every state and gate of one sequence, each with a gradient of its own, in visited order."""

    h: list[Tensor]
    c: list[Tensor]
    gates: list[dict[str, Tensor]]
    W: Tensor
    U: Tensor

    def gradients(self, loss: Tensor, of: list[Tensor]) -> Tensor:
        """(T, H) dL/d(each), zeros where the loss does not reach."""
        found = torch.autograd.grad(loss, of, retain_graph=True, allow_unused=True)
        pairs = zip(found, of, strict=True)
        return torch.stack([torch.zeros_like(t) if d is None else d for d, t in pairs])

    def of_gate(self, loss: Tensor, name: str) -> Tensor:
        return self.gradients(loss, [gates[name] for gates in self.gates])


def unroll(
    module: nn.Module,
    x: Tensor,
    suffix: str = "l0",
    reverse: bool = False,
    hx: tuple[Tensor, ...] | None = None,
    forget: float | None = None,
) -> Unrolled:
    """One layer over one sequence (T, I).

    Args:
        hx: (H,) initial states.
        forget: what the forget gate is held at.
    """
    weights = dict(module.named_parameters())

    def weight(name: str) -> Tensor:
        return weights[f"{name}_{suffix}"].detach().double().requires_grad_()

    W, U, b_x, b_h = (weight(n) for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    V = weight("weight_hr") if f"weight_hr_{suffix}" in weights else None
    kind = type(module).__name__
    H = module.hidden_size
    assert isinstance(H, int)
    h, *rest = (torch.zeros(U.shape[1]).double(), torch.zeros(H).double()) if hx is None else hx
    c = rest[0] if rest else h
    found = Unrolled([], [], [], W, U)
    for x_t in x.flip(0) if reverse else x:
        a, u = W @ x_t.double() + b_x, U @ h + b_h
        if kind == "LSTM":
            i, f, g, o = (a + u).view(4, -1)
            gates = {
                "input_gate": i.sigmoid(),
                "forget_gate": f.sigmoid() if forget is None else torch.full_like(f, forget),
                "candidate": g.tanh(),
                "output_gate": o.sigmoid(),
            }
            gates = {k: v.requires_grad_() for k, v in gates.items()}
            c = gates["forget_gate"] * c + gates["input_gate"] * gates["candidate"]
            h = gates["output_gate"] * c.tanh()
            h = h if V is None else V @ h
        elif kind == "GRU":
            (a_r, a_z, a_n), (u_r, u_z, u_n) = a.view(3, -1), u.view(3, -1)
            r, z = (a_r + u_r).sigmoid(), (a_z + u_z).sigmoid()
            n = (a_n + r * u_n).tanh()
            h = (1 - z) * n + z * h
            gates = {"reset_gate": r, "update_gate": z, "candidate": n}
        else:
            h = torch.tanh(a + u)
            gates = {"hidden": h}
        found.h.append(h)
        found.c.append(c)
        found.gates.append(gates)
    return found
