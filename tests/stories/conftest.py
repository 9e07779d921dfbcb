"""The model of the France story, trained once."""

import pytest

from glasscell.stories.france import Trained, trained


@pytest.fixture(scope="session")
def story() -> Trained:
    return trained(seed=1)
