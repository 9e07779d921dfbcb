"""Tables are read as they stand, or what is wrong with them is said where it is."""

from datetime import date, datetime

import numpy as np
import polars as pl
import pytest

from glasscell.errors import UserError
from glasscell.tasks.series.columns import Columns
from glasscell.tasks.series.frequency import Frequency
from glasscell.tasks.series.panel import panel_of
from glasscell.tasks.series.table import SERIES, TARGET, TIME, read_table
from glasscell.tasks.series.times import read_times

HALF = 500_000  # microseconds


@pytest.fixture
def table(tmp_path):
    """`table(text, **columns)`: what is read of a file with that text."""

    def read(text: str | bytes, **columns):
        path = tmp_path / "file.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_table(path, Columns.of(**{"target": "y", "time": "t", **columns}))

    return read


def test_long_files_out_of_order(table):
    found = table("t,g,y\n2024-01-02,b,1\n2024-01-01,b,2\n2024-01-01,a,NA\n", group="g")
    assert found.rows[SERIES].to_list() == ["a", "b", "b"]
    assert found.rows[TIME].to_list() == [date(2024, 1, 1), date(2024, 1, 1), date(2024, 1, 2)]
    assert found.rows[TARGET].to_list() == [None, 2.0, 1.0]
    assert not found.was_sorted
    assert table("t,y\n2024-01-01,2\n2024-01-02,1\n").was_sorted


def test_wide_files(table):
    found = table("t,a,b,note\n2024-01-01,1,2,x\n2024-01-02,3,4,y\n", target="*")
    assert found.rows[SERIES].to_list() == ["a", "a", "b", "b"]
    assert found.rows[TARGET].to_list() == [1, 3, 2, 4]
    assert found.columns.target == ("a", "b")
    several = table("t,a,b\n2024-01-01,1,2\n", target="a, b")
    assert several.rows[SERIES].to_list() == ["a", "b"]


def test_without_times(table):
    found = table("y\n3\n1\n", time=None)
    assert found.rows[TIME].to_list() == [0, 1]
    with pytest.raises(UserError, match="time: name the column that says when"):
        table("g,y\na,3\n", time=None, group="g")


@pytest.mark.parametrize(("mark", "point"), [(",", "."), (";", ","), ("\t", "."), ("|", ".")])
def test_separators_and_decimal_commas(table, mark, point):
    text = f"t{mark}y\n2024-01-01{mark}1{point}5\n"
    assert table(text).rows[TARGET].to_list() == [1.5]


def test_frames():
    polars = pl.DataFrame({"t": [date(2024, 1, 1)], "y": [1]})
    pandas = pytest.importorskip("pandas")
    columns = Columns.of("y", "t")
    index = pandas.DatetimeIndex(["2024-01-01", "2024-01-02"], name="t")
    frame = pandas.DataFrame({"y": [1.0, None]}, index=index)
    assert read_table(polars, columns).rows[TARGET].to_list() == [1.0]
    assert read_table(frame, columns).rows[TARGET].to_list() == [1.0, None]
    assert read_table(polars.lazy(), columns).rows[TARGET].to_list() == [1.0]
    zoned = frame.tz_localize("Europe/Berlin")
    assert read_table(zoned, columns).rows[TIME][0] == datetime.fromisoformat(
        "2023-12-31T23:00:00+00:00"
    )
    with pytest.raises(UserError, match="expected a CSV file or a frame of polars or pandas, got"):
        read_table([1, 2], columns)


@pytest.mark.parametrize(
    ("text", "columns", "says"),
    [
        ("", {}, "is empty"),
        ("t,y\n", {}, "has no rows"),
        ("t,yy\n1,2\n", {}, "target: .* has no column 'y'; did you mean yy"),
        ("t,cases\n1,2\n", {}, "has no column 'y'; it has t, cases"),
        ("t,y\n2024-01-01,abc\n", {}, "y: expected a number in row 1, got 'abc'"),
        ('t,y\n1,1\n2,"1,234"\n', {}, "row 2, got '1,234' .write 1234.5, without thousands"),
        ("t,y\n1,1\n2,inf\n", {}, "y: expected a finite number in row 2, got inf"),
        ("t,y\n1,\n2,NaN\n", {}, "y is missing in every row"),
        ("t,y\n1,1\n1,2\n", {}, "the time 1.0 is given twice, in rows 1 and 2; of several series"),
        ("t,g,y\n1,a,1\n1,a,2\n1,a,3\n", {"group": "g"}, "of 'a' is given twice, .* .2 such rows"),
        ("t,y\n,1\n", {}, "t: expected a time in row 1, got nothing"),
        ("t,y\n2024-01-01,1\nsoon,2\n", {}, "expected a time in row 2, such as .*, got 'soon'"),
        ("t,y\n1,1\n", {"known": "y"}, "known: 'y' is the target already"),
        ("t,y\n1,1\n", {"target": ""}, "name the column to forecast"),
    ],
)
def test_what_cannot_be_read(table, text, columns, says):
    with pytest.raises(UserError, match=says):
        table(text, **columns)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        read_table(tmp_path / "none.csv", Columns.of("y", "t"))


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (["2024-03-31", "2024-04-01"], date(2024, 3, 31)),
        (["20240331", "20240401"], date(2024, 3, 31)),
        (["31.03.2024", "01.04.2024"], date(2024, 3, 31)),
        (["03/31/2024", "04/01/2024"], date(2024, 3, 31)),
        (["2024-03", "2024-04"], date(2024, 3, 1)),
        (["2024-03-31 14:30", "2024-03-31 15:00"], datetime(2024, 3, 31, 14, 30)),
        (["2024-03-31T14:30:00.5", "2024-03-31T15:00:00"], datetime(2024, 3, 31, 14, 30, 0, HALF)),
        (["1700", "1701"], 1700.0),
    ],
)  # fmt: skip
def test_times(texts, first):
    assert read_times(pl.Series(texts), "f, t")[0] == first


def test_times_with_offsets_become_utc():
    found = read_times(pl.Series(["2024-03-31T14:00:00+02:00", "2024-03-31 13:00:00Z"]), "f, t")
    assert [str(each) for each in found] == [
        "2024-03-31 12:00:00+00:00",
        "2024-03-31 13:00:00+00:00",
    ]


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["2024-03-31T14:00Z", "2024-03-31T15:00"], "mixed time zones: row 1 has an offset"),
        (["01/02/2024", "03/04/2024"], "day or with the month first; write times as 2024-03-31"),
        (["2024-02-30"], "expected a time in row 1"),
    ],
)
def test_times_that_are_not_clear(texts, says):
    with pytest.raises(UserError, match=says):
        read_times(pl.Series(texts), "f, t")


# Panels


def panel(table, text, **columns):
    return panel_of(table(text, **columns))


def test_a_panel_has_a_row_for_every_step(table):
    rows = ["01,a,1,0", "04,a,2,1", "05,a,,0", "02,b,7,1", "03,b,7,1"]
    text = "t,g,y,h\n" + "".join(f"2024-01-{row}\n" for row in rows)
    found = panel(table, text, group="g", known="h")
    np.testing.assert_array_equal(found.target, [1, np.nan, np.nan, 2, np.nan, 7, 7])
    np.testing.assert_array_equal(found.known[:, 0], [0, 0, 0, 1, 0, 1, 1])  # carried on
    assert found.lengths.tolist() == [4, 2]  # the rest is known of the future
    assert (found.report.inserted, found.report.missing, found.report.constant) == (2, 0, ("b",))
    assert found.times(found.first).to_list() == [date(2024, 1, 1), date(2024, 1, 2)]
    other = found.subset(np.array([1]))
    assert (other.names, other.target.tolist()) == (("b",), [7, 7])


def test_words_become_columns(table):
    text = "t,y,h,w\n1,1,x,5\n2,2,z,\n3,3,x,4\n"
    found = panel(table, text, known="h", observed="w")
    assert found.features.known == ("h=x", "h=z")
    np.testing.assert_array_equal(found.known, [[1, 0], [0, 1], [1, 0]])
    np.testing.assert_array_equal(found.observed[:, 0], [5, np.nan, 4])
    later = table("t,y,h,w\n4,1,q,5\n", known="h", observed="w")
    with pytest.raises(UserError, match="row 1 has 'q', which was not there in training"):
        panel_of(later, frequency=found.frequency, features=found.features)


@pytest.mark.parametrize(
    ("text", "columns", "says"),
    [
        ("t,y,h\n1,1,5\n2,2,\n3,3,1\n", {"known": "h"}, "h: expected a value in row 2"),
        ("t,g,y,p\n1,a,1,5\n2,a,2,6\n", {"group": "g", "static": "p"}, "it changes in row 2"),
        ("t,y,h\n1,1,inf\n2,2,1\n", {"observed": "h"}, "h: expected a finite number in row 1"),
        ("t,y\n1,1\n", {}, "at least two times"),
    ],
)
def test_panels_that_cannot_be(table, text, columns, says):
    with pytest.raises(UserError, match=says):
        panel(table, text, **columns)


def test_times_that_are_taken_as_the_step_they_lie_in(table):
    text = "t,y\n2024-01-01 00:07,1\n2024-01-01 01:59,2\n2024-01-01 04:00,3\n"
    found = panel_of(table(text), frequency=Frequency.read("1h"), rounded=True)
    np.testing.assert_array_equal(found.target, [1, 2, np.nan, np.nan, 3])
    assert found.times(found.first)[0] == datetime(2024, 1, 1)
    with pytest.raises(UserError, match="00:07:00 and 2024-01-01 01:59:00 lie in the same step of"):
        panel_of(table(text), frequency=Frequency.read("2h"), rounded=True)
    days = "t,y\n2024-01-31,1\n2024-02-14,2\n2024-04-01,3\n"
    months = panel_of(table(days), frequency=Frequency.read("1mo"), rounded=True)
    np.testing.assert_array_equal(months.target, [1, 2, np.nan, 3])
    assert months.times(months.first)[0] == date(2024, 1, 1)
