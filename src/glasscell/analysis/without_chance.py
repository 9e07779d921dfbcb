"""Runs that chance had a part in, for those who would have to run them again without it."""

from glasscell.cells import Cell
from glasscell.engines.noise import RunNoise
from glasscell.errors import InputError


def expect_no_chance(name: str, cell: Cell, noise: RunNoise | None) -> None:
    """Refuses a run in which gates were drawn, or states held or left out by lot.

    Args:
        name: of the layer.
        noise: of the run; what zoneout is outside training, an expectation, is no chance.

    Raises:
        InputError: it is such a run.
    """
    if noise is not None and noise.training and noise.acts_on(cell):
        raise InputError(
            f"{name}: expected a run that leaves nothing to chance, got one in training, with "
            "zoneout, recurrent dropout or stochastic gates; call model.eval() first"
        )
