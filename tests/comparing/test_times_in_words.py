"""Lengths of time, as people write them and as they are told."""

import pytest

from glasscell.comparing.times_in_words import in_words, seconds_of
from glasscell.errors import UserError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400), (" 2 m ", 120), ("45", 45),
     (12.5, 12.5), ("1m 30s", 90), ("10M", 600)],
)  # fmt: skip
def test_times_as_people_write_them(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "10x", "ten minutes", "-5s", "0", "nan", "inf", "1m30"])
def test_what_is_no_time(text):
    with pytest.raises(UserError, match="budget: expected"):
        seconds_of(text, "budget")


def test_times_that_are_told():
    assert [in_words(s) for s in (0.42, 48.2, 60, 200, 3600, 3900)] == [
        "0.4 s", "48 s", "1 min", "3 min 20 s", "1 h", "1 h 5 min"
    ]  # fmt: skip
