"""The run that most tests make: a tiny model on 6,000 characters, a fraction of a second."""

from typing import Any

from glasscell.tasks.language import default_corpus

TEXT = default_corpus()[:6000]

# 5,400 characters in 4 streams: 1,349 steps, 43 chunks of up to 32, so 43 steps an epoch.
SMALL: dict[str, Any] = {"hidden": 16, "layers": 2, "embedding": 8, "dropout": 0.3, "batch": 4}
SMALL |= {"chunk": 32, "epochs": 3, "progress": False}
PER_EPOCH = 43
