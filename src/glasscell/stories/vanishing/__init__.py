"""Vanishing: what arrives of a gradient after many steps, and what can be learned from it."""

from glasscell.explaining import Explanation
from glasscell.stories.vanishing import telling
from glasscell.stories.vanishing.trials import QUICK, Budget, Trial, flows, trials
from glasscell.stories.waiting import waiting

__all__ = ["QUICK", "Budget", "Trial", "trials", "vanishing"]


def vanishing(budget: Budget | None = None, *, quick: bool = False) -> Explanation:
    """RNN against LSTM where the answer lies 50 to 400 steps back, gradient and score side by side.

    Args:
        budget: lengths, updates and seeds; the defaults, which take two or three minutes of
            processor time, if absent.
        quick: a budget of seconds, on short sequences, instead.

    Returns:
        The story; what it says follows from what came out.

    Raises:
        InputError: a learning rate at which a training falls apart.
    """
    budget = budget or (QUICK if quick else Budget())
    with waiting() as say:
        found = trials(budget, say)
        before = flows(budget.longest, budget.hidden, budget.seeds[0])
    return Explanation(
        "Vanishing gradients: RNN against LSTM",
        [
            *telling.the_question(budget),
            *telling.what_arrives(before, budget),
            *telling.what_is_learned(found, budget),
            *telling.does_it_explain(found),
            *telling.the_bill(found, budget),
        ],
    )
