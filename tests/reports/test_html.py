"""What all pages share: names and tables in markdown, which show what is there and do nothing."""

from __future__ import annotations

import pytest

from forecasting.reports.html import as_code, markdown_table, plain


@pytest.mark.parametrize(
    "name",
    ["last_close", "BRK_B", "BRK.B", "RDS-A", "M&M.NS", "^GSPC", "EURUSD=X", "600519.SH", "茅台", "2:1 on 2005-02-28"],
)
def test_common_names_stay_as_they_are_so_that_they_are_found(name):
    assert plain(name) == name


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("_A_", r"\_A\_"),
        ("a|b", r"a\|b"),
        ("<b>x", "&lt;b&gt;x"),
        ("&#95;", "&amp;#95;"),
        ("![x](http://x.org/x.png)", r"!\[x\](http\://x.org/x.png)"),
        ("WWW.example.org", r"WWW\.example.org"),
        ("a@b.org", r"a\@b.org"),
        ("*b* `c` ~~d~~ \\", r"\*b\* \`c\` \~\~d\~\~ \\"),
        ("# a", r"\# a"),
        ("- a", r"\- a"),
        ("1. a", r"1\. a"),
        ("    a", "a"),
        ("a\nb", r"a\\nb"),
    ],
)
def test_what_would_be_markup_is_only_text(text, written):
    assert plain(text) == written


def test_a_path_is_written_to_be_copied():
    assert as_code("/a_b/*.html") == "`/a_b/*.html`"
    assert as_code("/a`b``c") == "``` /a`b``c ```"


def test_a_table_has_words_to_the_left_and_numbers_to_the_right():
    table = markdown_table(("name", "n", "why"), [("a|b", 1, "x"), ("c", 2, "y")], text=("why",))
    assert table.splitlines() == [
        "| name | n | why |",
        "| --- | ---: | --- |",
        r"| a\|b | 1 | x |",
        "| c | 2 | y |",
    ]
