import codecs
import csv
import random
import unicodedata
from io import StringIO
from pathlib import Path

import pytest

from sketch2video.errors import UserError
from sketch2video.inputs.names import name_on_disk
from sketch2video.inputs.tables import read_table
from sketch2video.inputs.texts import brief, one_line

VIDEO_AND_CAPTION = ("path_to_video", "caption")


def table(folder, content, required=VIDEO_AND_CAPTION, **more):
    path = folder / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, required, **more)


def captions(found):
    return {row.line: row.values["caption"] for row in found.rows if not row.fault}


def faults(found):
    return {row.line: row.fault for row in found.rows if row.fault}


def refused(folder, content, **more):
    with pytest.raises(UserError) as error:
        table(folder, content, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-32-le", codecs.BOM_UTF32_LE),
    ],
)
def test_every_unicode_encoding_is_read(tmp_path, encoding, mark):
    text = "path_to_video,caption\na.mp4,café — дом\nb.mp4,dog\n"
    assert captions(table(tmp_path, mark + text.encode(encoding))) == {2: "café — дом", 3: "dog"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "path_to_video,caption\na.mp4,x\nb.mp4,café ’\n".encode("cp1252"),
            r"row 3 has the byte 0xe9, as in Windows-1252",
        ),
        ("path_to_video,caption\na.mp4,コップ\n".encode("shift-jis"), "row 2 has the byte 0x83"),
        (b"PK\x03\x04\x14\0\x06\0", "an Excel workbook"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" * 9, "a binary file"),
        (b"\xff\xfe\x00", "UTF-16 that is cut off"),
    ],
)
def test_other_encodings_are_named_with_the_fix(tmp_path, content, words):
    message = refused(tmp_path, content)
    assert words in message
    assert "UTF-8" in message


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("first", ["", "sep={}\n", '"sep={}"\r\n', "\n\n"])
def test_separators_are_recognised(tmp_path, separator, first):
    rows = [["path_to_video", "caption"], ["a.mp4", f'"one{separator} two"'], ["b.mp4", "1,5 km; or | so"]]
    rows[2][1] = rows[2][1].replace(separator, "/")
    text = first.format(separator) + "".join(f"{separator.join(row)}\r\n" for row in rows)
    found = table(tmp_path, text)
    assert list(captions(found).values()) == [f"one{separator} two", rows[2][1]]
    assert not faults(found)


@pytest.mark.parametrize("seed", range(20))
def test_what_programs_write_is_read_again(tmp_path, seed):
    rng = random.Random(seed)
    texts = ["a man", "a man, walking", 'a "big" man', "two\nlines", '12" nail', "x; y\tz | w", "#", "é", "'", '"', ","]
    rows = [[f"v{number}.mp4", rng.choice(texts), rng.choice(["", *texts])] for number in range(30)]
    order = rng.sample(range(3), 3)
    out = StringIO()
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
    writer = csv.writer(out, delimiter=rng.choice(",;\t|"), quoting=quoting, lineterminator=rng.choice(["\n", "\r\n"]))
    writer.writerows([row[place] for place in order] for row in [["path_to_video", "caption", "label"], *rows])
    encoding = rng.choice(["utf-8", "utf-8-sig", "utf-16"])
    found = table(tmp_path, out.getvalue().encode(encoding), optional=["label"])
    assert not faults(found)
    assert [[row.values[name] for name in ("path_to_video", "caption", "label")] for row in found.rows] == rows


@pytest.mark.parametrize("seed", range(30))
def test_a_stray_quote_loses_no_row_without_a_word(tmp_path, seed):
    rng = random.Random(seed)
    lines = [f"v{n}.mp4,{rng.choice(['a man', 'x y', chr(34) + 'a, b' + chr(34)])},red\n" for n in range(8)]
    body = "".join(lines)
    place = rng.randrange(len(body))
    found = table(tmp_path, f'path_to_video,caption,label\n{body[:place]}"{body[place:]}', optional=["label"])
    assert [row.line for row in found.rows] == list(range(2, 10)) or faults(found)
    for row in found.rows:
        others = [number for number in range(8) if f"v{number}.mp4" in " ".join(row.values.values())]
        assert row.fault or len(others) <= 1


def test_a_separator_that_is_named_is_believed(tmp_path):
    assert captions(table(tmp_path, "sep=:\npath_to_video:caption\na.mp4:x, y\n")) == {3: "x, y"}
    assert "has no column" in refused(tmp_path, "sep=:\npath_to_video,caption\na.mp4,x\n")


def test_headers_are_read_as_people_type_them(tmp_path):
    found = table(
        tmp_path,
        "\ufeff\ufeff Path to Video , CAPTION\xa0,Label.Hair,SPLIT,More of it,\na.mp4, a cat,red,test,x,\n",
        optional=("split",),
        prefix="label.",
    )
    assert found.columns == ("path_to_video", "caption", "label.Hair", "split", "More of it")
    assert found.rows[0].values == dict(zip(found.columns, ("a.mp4", "a cat", "red", "test", "x"), strict=True))


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("path_to_video,caption,caption", "caption"),
        ("path_to_video,caption, Caption ", "caption"),
        ("path_to_video,path-to-video,caption", "path_to_video"),
        ("path_to_video,caption,notes,Notes", "notes"),
    ],
)
def test_a_column_twice_is_refused(tmp_path, header, name):
    assert f"has several columns {name}; keep one" in refused(tmp_path, f"{header}\na.mp4,a,b,c\n")


def test_labels_that_differ_in_case_are_two(tmp_path):
    found = table(tmp_path, "path_to_video,caption,label.a,label.A\na.mp4,x,1,2\n", prefix="label.")
    assert found.rows[0].values["label.A"] == "2"


def test_cells_beyond_the_header_are_a_fault_of_their_row(tmp_path):
    found = table(
        tmp_path,
        'path_to_video,caption\na.mp4,a man, walking\nb.mp4,a dog\nc.mp4,"a man, walking"\nd.mp4, "a, b"\n',
    )
    assert captions(found) == {3: "a dog", 4: "a man, walking", 5: "a, b"}
    assert faults(found).keys() == {2}
    assert "more cells than columns (3 instead of 2)" in faults(found)[2]
    with pytest.raises(UserError, match=r"table\.csv row 2: more cells than columns"):
        found.whole()


def test_empty_cells_do_not_hide_a_comma_in_a_caption(tmp_path):
    found = table(
        tmp_path, "path_to_video,caption,label\na.mp4,a man, walking,\nb.mp4,a dog,\nc.mp4,a cat\n", optional=["label"]
    )
    assert faults(found).keys() == {2}
    assert [row.values["label"] for row in found.rows if not row.fault] == ["", ""]


def test_cells_below_nameless_columns_behind_the_last_name_are_too_many(tmp_path):
    assert faults(table(tmp_path, "path_to_video,caption,\na.mp4,a man, walking\nb.mp4,a dog,\n")).keys() == {2}
    assert captions(table(tmp_path, ",path_to_video,caption\n0,a.mp4,a man\n")) == {2: "a man"}


@pytest.mark.parametrize(
    ("rows", "good", "bad"),
    [
        ('a.mp4,"a man\nb.mp4,a dog\nc.mp4,a cat\n', {3: "a dog", 4: "a cat"}, {2}),
        ('a.mp4,"a man\nb.mp4,"a dog"\nc.mp4,a cat\n', {3: "a dog", 4: "a cat"}, {2}),
        ('a.mp4,"a man\nb.mp4,"a dog\nc.mp4,a cat\n', {4: "a cat"}, {2, 3}),
        ('a.mp4,"a man" walks\nb.mp4,a dog\n', {3: "a dog"}, {2}),
        ('a.mp4,"a "big" man"\nb.mp4,a dog\n', {3: "a dog"}, {2}),
        ('a.mp4,a man\nb.mp4,a dog"\nc.mp4,a 5" nail\n', {2: "a man", 3: 'a dog"', 4: 'a 5" nail'}, set()),
        ('a.mp4,"a man\nb.mp4,a dog"\nc.mp4,a cat\n', {4: "a cat"}, {2}),
        ('"a.mp4,a man\nb.mp4",a dog\nc.mp4,a cat\n', {4: "a cat"}, {2}),
        ('a.mp4,"a ""big"" man\nwalks"\nb.mp4,a dog\n', {2: 'a "big" man\nwalks', 4: "a dog"}, set()),
        ('"a.mp4,a man\nb.mp4,a dog\n', {3: "a dog"}, {2}),
        ('a.mp4,"a man\r\nb.mp4,a dog\r\n', {3: "a dog"}, {2}),
        ('a.mp4,a man\nb.mp4,"', {2: "a man"}, {3}),
        (f"a.mp4,a man\nb.mp4,{'x' * 200_000}\nc.mp4,a cat\n", {2: "a man", 4: "a cat"}, {3}),
        ("a.mp4,a\0man\nb.mp4,a dog\n", {3: "a dog"}, {2}),
    ],
)
def test_a_broken_quote_costs_its_own_row_alone(tmp_path, rows, good, bad):
    found = table(tmp_path, f"path_to_video,caption\n{rows}")
    assert captions(found) == good
    assert faults(found).keys() == bad
    assert all(row.values["path_to_video"].startswith("a.mp4") for row in found.rows if row.line == 2)


def test_a_header_that_is_no_csv_is_named(tmp_path):
    assert "row 1: not a CSV row" in refused(tmp_path, '"path_to_video,caption\na.mp4,x\n')
    assert "no column path_to_video, caption" in refused(tmp_path, "")
    assert "it is a b" in refused(tmp_path, "a b\n")


def test_rows_end_at_line_ends_alone(tmp_path):
    text = "path_to_video,caption\r\na.mp4,one\u2028two\x0cthree\x85four\r\nb.mp4,x\r\n"
    assert captions(table(tmp_path, text)) == {2: "one\u2028two\x0cthree\x85four", 3: "x"}


@pytest.mark.parametrize(("written", "listed"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")])
def test_names_are_found_in_either_normal_form(tmp_path, written, listed):
    on_disk = unicodedata.normalize(written, "Müßig/Café ạ̈.mp4")
    (tmp_path / on_disk).parent.mkdir()
    (tmp_path / on_disk).touch()
    assert name_on_disk(tmp_path, unicodedata.normalize(listed, on_disk)) == on_disk


def test_names_that_nothing_has_stay(tmp_path):
    for name in ("é.mp4", "é/../é.mp4", "é\0.mp4", "é" * 400, "../é.mp4", "/é.mp4", ""):
        assert name_on_disk(tmp_path, name) == name
    for form in ("NFC", "NFD"):
        (tmp_path / unicodedata.normalize(form, "é.mp4")).touch()
    for form in ("NFC", "NFD"):
        assert name_on_disk(tmp_path, unicodedata.normalize(form, "é.mp4")) == unicodedata.normalize(form, "é.mp4")


def test_messages_show_values_on_one_short_line():
    assert brief("a\nb\ud83d\x1b") == r"a b\ud83d\x1b"
    assert len(brief("9" * 5000)) == 80
    long = brief(Path("folder/" * 50) / "list.csv")
    assert long.endswith("folder/list.csv"), "the end of a path names the file"
    assert len(long) == 80
    assert one_line("\ufeffa\u2028b \x85c ") == "a b c"
