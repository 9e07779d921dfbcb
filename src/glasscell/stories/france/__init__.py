"""France: what a small LSTM remembers of a sentence, and how to make it think of Italy."""

from glasscell.explaining import Explanation
from glasscell.stories.france import findings, telling
from glasscell.stories.france.forgetting import joint_gates, trails
from glasscell.stories.france.knowing import around_but, known
from glasscell.stories.france.moving import edited_example
from glasscell.stories.france.reading import Trained, read, trained
from glasscell.stories.france.switching import Switch, switch
from glasscell.stories.france.walking import walk
from glasscell.stories.waiting import waiting
from glasscell.tasks.france import COUNTRIES, EXAMPLE

__all__ = ["Switch", "Trained", "france", "read", "switch", "tell", "trained"]


def france(seed: int = 1, steps: int = 2500, sentences: int = 30_000) -> Explanation:
    """Trains a small LSTM on sentences about food in six countries, and looks into it.

    What the gates do, word by word; which units know the country, the gender, the number; what
    "but" makes it forget; and how few units have to be changed by hand to move a sentence from
    France to Italy. All of it is measured in the run, on sentences that were held out.

    Args:
        seed: of the model's weights and of the order of the sentences. With another, other units
            do the work.
        steps: updates of the weights.
        sentences: how many are drawn to train on.

    Returns:
        The story. It takes some ten seconds of processor time.
    """
    with waiting() as say:
        say("training")
        model = trained(seed, steps, sentences)
        say("measuring")
        return tell(model)


def tell(trained: Trained) -> Explanation:
    """The story of a model that is trained already."""
    seen = read(trained.model, [EXAMPLE.words])
    words = walk(seen)
    knows = known(trained)
    found = switch(trained)
    edited = edited_example(trained.model, found.units, COUNTRIES[1])
    return Explanation(
        "In France, Mary ate her croissant",
        [
            *telling.about_the_language(trained),
            *telling.about_the_training(trained),
            *telling.the_walk(seen, words),
            *findings.what_is_known(knows, seen, [each.word for each in words]),
            *findings.what_but_does(
                joint_gates(trained), trails(trained), around_but(trained), knows
            ),
            *findings.the_switch(found, edited, trained),
        ],
    )
