"""The page: what was measured stands in it, and nothing else."""

import re
import warnings

from tests.comparing.made_up import BITS, made_up, run

from glasscell.comparing.comparison_of import comparison_of
from glasscell.explaining import Table

LSTM = [1.90, 1.92, 1.91, 1.93, 1.90]
WORSE = [2.10, 2.14, 2.11, 2.12, 2.13]


def tables(found):
    return [piece for piece in found.explanation(figures=False).pieces if isinstance(piece, Table)]


def test_numbers_of_the_tables():
    found = made_up({"lstm": LSTM, "no_forget_gate": WORSE})
    scores, differences, costs = tables(found)
    assert scores.rows[0][:2] == ("lstm", "1.912")
    assert scores.rows[0][2] == "1.896 to 1.928"
    assert scores.rows[1][3] == "2.100, 2.140, 2.110, 2.120, 2.130"
    assert "Student's t" in scores.caption
    assert differences.rows[0][:2] == ("no_forget_gate − lstm", "+0.208")
    # by SciPy: 0.208 ± t.ppf(0.975, 4) * sem([0.20, 0.22, 0.20, 0.19, 0.23])
    assert differences.rows[0][2] == "+0.188 to +0.228"
    assert differences.rows[0][3:] == ("< 0.001", "0.062 (0.062)", "helps")
    assert costs.rows[0][1:6] == ("64", "20,000", "", "100", "100,000")


def test_text_html_and_notebook():
    found = made_up({"lstm": LSTM, "no_forget_gate": WORSE, "rnn": [2.0, None, 2.1, 2.0, 2.2]})
    text = str(found)
    assert "• The forget gate: yes, worth 0.208 bits a character (" in text
    assert "rnn, seed 1: diverged: the loss became nan at step 7" in text
    assert "(counting: 2.400)" in " ".join(text.split())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = found.explanation().html()
    assert page.count("<figure>") == 3
    assert "http" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL).replace(
        "http://www.w3.org/1998/Math/MathML", ""
    )
    assert "Which cell this data needs: book.txt" in page
    assert found._repr_html_().startswith("<style>")


def test_pages_of_little():
    for scores in ({"lstm": [1.9]}, {"lstm": [None], "gru": [None]}, {"lstm": LSTM}):
        found = made_up(scores)
        assert found.explanation().html()
        assert str(found)
        assert found.as_dict()["cells"]
    assert "nothing to compare it with" in str(made_up({"lstm": LSTM}))
    assert "No training was done" in str(made_up({"lstm": [None], "gru": [None]}))


def test_curves_are_over_updates_where_all_made_as_many():
    same = made_up({"lstm": LSTM, "gru": WORSE}).explanation()
    assert same.figures[1].figure.layout.xaxis.title.text == "updates"
    runs = [run("lstm", 0, 1.9), run("gru", 0, 2.0, updates=50)]
    timed = comparison_of(runs, cells=["lstm", "gru"], title="", measure=BITS).explanation()
    assert timed.figures[1].figure.layout.xaxis.title.text.startswith("seconds of processor time")
