from __future__ import annotations

import contextlib
import html
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.load.fields import Field, Upload, encoded, urlencoded
from prony.load.forms import Form, FormError, FormReader

READER = FormReader()


def read(source: str, selector: str = "form", charset: str = "utf-8") -> Form:
    return FormReader().read(source.encode(charset), selector, charset)


def sent(source: str, selector: str = "form", button: str | None = None, **values: Any) -> list[Any]:
    """What a form sends once it is filled in."""
    return read(source, selector).fill(values, button)[1]


def test_a_form_sends_what_stands_in_it() -> None:
    source = """<form method=POST action=" /buy?now=1 " enctype="multipart/form-data">
        <input type="hidden" name="csrf" value="a&amp;b"><input name=qty value=1><input name=empty>
        <input name=off value=1 disabled><input value=nameless><input type=file name=photo>
        <textarea name=note>\nOne\nTwo &lt;3</textarea></form>"""
    form = read(source)
    assert (form.action, form.method, form.kind) == ("/buy?now=1", "post", "multipart/form-data")
    assert form.fill({})[1] == [
        ("csrf", "a&b"),
        ("qty", "1"),
        ("empty", ""),
        ("photo", Upload("")),
        ("note", "One\r\nTwo <3"),
    ]


def test_what_is_put_in_takes_the_place_of_what_stood_there() -> None:
    source = "<form><input name=a value=1><input name=a value=2><input type=hidden name=h value=x><textarea name=t>"
    assert sent(source, a="9", h=7, t="x\ny") == [("a", "9"), ("a", "2"), ("h", "7"), ("t", "x\r\ny")]
    assert sent(source, a=["8", "9"], h=None) == [("a", "8"), ("a", "9"), ("t", "")]
    with pytest.raises(FormError, match='"a" offers no "3"'):
        sent(source, a=["1", "2", "3"])
    with pytest.raises(FormError, match='no field "b"; it has: a, h, t'):
        sent(source, b=1)


def test_boxes_are_ticked_by_true_or_by_their_values() -> None:
    source = """<form><input type=checkbox name=agree><input type=checkbox name=news value=yes checked>
        <input type=checkbox name=tag value=a checked><input type=checkbox name=tag value=b>
        <input type=radio name=pay value=card checked><input type=radio name=pay value=bank></form>"""
    assert sent(source) == [("news", "yes"), ("tag", "a"), ("pay", "card")]
    assert sent(source, agree=True, news=False, tag="b", pay="bank") == [("agree", "on"), ("tag", "b"), ("pay", "bank")]
    assert sent(source, news=None, tag=["a", "b"]) == [("tag", "a"), ("tag", "b"), ("pay", "card")]
    assert sent(source, news=None, tag=True) == [("tag", "a"), ("tag", "b"), ("pay", "card")]
    for wrong in ({"pay": "gold"}, {"tag": ["a", "c"]}):
        with pytest.raises(FormError, match="offers no"):
            sent(source, **wrong)


def test_choices_are_made_by_value_or_by_words() -> None:
    source = """<form><select name=size><option value="" disabled>Which?<option value=s>Small <b>one</b>
        <option>Large</select><select name=many multiple><option selected>a<option>b<option selected disabled>c
        </select><select name=last><option selected>x<option selected>y</select>
        <select name=grouped><optgroup disabled><option>p</optgroup><option>q</select><select name=none></select>"""
    first = [("size", "s"), ("many", "a"), ("last", "y"), ("grouped", "q")]
    assert sent(source) == first
    assert sent(source, size="Large", many=["a", "b"])[:3] == [("size", "Large"), ("many", "a"), ("many", "b")]
    assert sent(source, size="Small one")[0] == ("size", "s")
    assert sent(source, many=[])[1] == ("last", "y")
    for wrong in ({"size": "Huge"}, {"size": "Which?"}, {"grouped": "p"}, {"many": ["a", "z"]}):
        with pytest.raises(FormError, match="offers no"):
            sent(source, **wrong)


def test_the_first_button_is_pressed_unless_another_is_named() -> None:
    source = """<form action=/a><input name=q value=1><button type=button name=no value=0>No</button>
        <input type=submit name=save value=Save><button name=go value=2 formaction=/b formmethod=post>Go
        on</button><input type=image name=map></form>"""
    assert sent(source) == [("q", "1"), ("save", "Save")]
    for button in ("go", "2", "Go on"):
        form, fields = read(source).fill({}, button)
        assert fields == [("q", "1"), ("go", "2")]
        assert (form.action, form.method) == ("/b", "post")
    assert sent(source, button="map") == [("q", "1"), ("map.x", "1"), ("map.y", "1")]
    with pytest.raises(FormError, match='no button "no"'):
        sent(source, button="no")


def test_what_is_switched_off_around_a_control_switches_it_off() -> None:
    source = "<form><fieldset disabled><input name=a></fieldset><datalist><input name=b></datalist><input name=c>"
    assert sent(source) == [("c", "")]


def test_controls_that_stand_elsewhere_belong_to_the_form_they_name() -> None:
    source = """<form id=one><input name=a value=1><input name=b value=1 form=two></form>
        <input name=c value=1 form=one><form id=two></form>"""
    assert sent(source, "#one") == [("a", "1"), ("c", "1")]
    assert sent(source, "#two") == [("b", "1")]


def test_a_form_within_a_table_keeps_what_html_takes_to_be_its_own() -> None:
    source = "<table><form id=f><tr><td><input name=a value=1></td></tr></form></table><input name=b>"
    assert sent(source, "#f") == [("a", "1")]


HIDING = """<html><head><title><form id=x></title><script>"<form id=x>"</script></head><!-- <form id=x></form> -->
    <textarea><form id=x></textarea><template><form id=x></form></template>
    <form class="search small"><input name=q><textarea name=t></form></textarea><input name=z></form>
    <div class=main><FORM ID='x' data-a="</form>"><input type=password name=p><script>"</form>"</script><input name=r>
    </FORM></div>"""


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("form", ["q", "t", "z"]),
        ("form.search", ["q", "t", "z"]),
        (".small", ["q", "t", "z"]),
        ("form#x", ["p", "r"]),
        ("#x", ["p", "r"]),
        ("input[type=password]", ["p", "r"]),
        ("[name='r']", ["p", "r"]),
        (".main form", ["p", "r"]),
        ("div > form", ["p", "r"]),
        ("form:nth-of-type(1)", ["q", "t", "z"]),
        ("form.search input[name=z]", ["q", "t", "z"]),
    ],
)
def test_a_selector_finds_the_form_or_something_within_it(selector: str, names: list[str]) -> None:
    assert [name for name, _ in sent(HIDING, selector)] == names


@pytest.mark.parametrize("selector", ["form#y", "#none", "div.main p", "body", "html", "form[", "a::b(", ""])
def test_a_form_that_is_not_there_is_told(selector: str) -> None:
    with pytest.raises(FormError):
        read(HIDING, selector)


def test_a_form_that_is_never_closed_ends_with_the_page() -> None:
    assert sent("<p><form><input name=a>") == [("a", "")]
    assert sent("<form><input name=a><!-- ") == [("a", "")]


PAGE = """<nav><form class=out action=/out><input type=hidden name=csrf value={token}><button>Out</button></form></nav>
    <form id=add method=post><input type=hidden name=csrf value={token}><input type="hidden" name="at" value="{at}">
    <input name=qty value={qty}></form>"""
TOKENS = st.text("abcdefXYZ0123456789_-=", min_size=8, max_size=64)


@given(st.lists(st.tuples(TOKENS, TOKENS, st.integers(1, 3), st.booleans()), min_size=2, max_size=6))
def test_a_form_that_is_known_again_is_read_as_if_it_were_not(pages: list[tuple[str, str, int, bool]]) -> None:
    reader = FormReader()
    for token, at, qty, more in pages:
        source = PAGE.format(token=token, at=at, qty=qty)
        if more:
            source = source.replace("<input name=qty", "<input name=more><input name=qty")
        for selector in ("form#add", "form", "form[method=post]"):
            known = reader.read(source.encode(), selector, "utf-8", "page").fill({})
            assert known[1] == read(source, selector).fill({})[1]
            assert (known[0].action, known[0].method) == (read(source, selector).action, read(source, selector).method)


def test_a_form_is_not_taken_for_another_that_comes_before_it_now() -> None:
    reader = FormReader()
    one = "<form class=a><input type=hidden name=t value=0123456789></form>"
    assert reader.read(one.encode(), "form.a", page="p").fill({})[1] == [("t", "0123456789")]
    other = "<form class=a><input type=hidden name=u value=1></form>" + one
    assert reader.read(other.encode(), "form.a", page="p").fill({})[1] == [("u", "1")]
    escaped = one.replace("0123456789", "01234&amp;6789")
    assert reader.read(escaped.encode(), "form.a", page="p").fill({})[1] == [("t", "01234&6789")]


@given(st.text(max_size=200), st.sampled_from(["form", "#a", ".b input", "input[type=password]"]))
def test_no_page_makes_the_reader_raise_anything_else(text: str, selector: str) -> None:
    for source in (text, f"<form id=a>{text}</form>", f"<form class=b {text}><input name=a>"):
        with contextlib.suppress(FormError):
            READER.read(source.encode("utf-8", "replace"), selector, "utf-8", "page").fill({})


LETTERS = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])
NAMES = st.text(LETTERS, min_size=1, max_size=8)


@given(st.dictionaries(NAMES, NAMES, min_size=1, max_size=5))
def test_hidden_fields_arrive_as_they_were_meant(values: dict[str, str]) -> None:
    inputs = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in values.items()
    )
    fields = sent(f"<form method=post>{inputs}</form>")
    expected = [("_charset_", "UTF-8") if name == "_charset_" else (name, value) for name, value in values.items()]
    assert fields == expected
    body, kind = encoded(fields, "application/x-www-form-urlencoded")
    assert kind == "application/x-www-form-urlencoded"
    assert parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True) == fields


@given(st.lists(st.tuples(NAMES, NAMES | st.binary(max_size=60)), min_size=1, max_size=4))
def test_a_multipart_body_is_read_back_part_by_part(given_: list[tuple[str, str | bytes]]) -> None:
    fields: list[Field] = [
        (name, value if isinstance(value, str) else Upload("a b.bin", value, "image/png")) for name, value in given_
    ]
    body, kind = encoded(fields, "multipart/form-data")
    boundary = kind.partition("boundary=")[2].encode()
    parts = body.removesuffix(b"--" + boundary + b"--\r\n").split(b"--" + boundary + b"\r\n")[1:]
    assert len(parts) == len(fields)
    for part, (_, value) in zip(parts, fields, strict=True):
        head, _, content = part.removesuffix(b"\r\n").partition(b"\r\n\r\n")
        assert content == (value.content if isinstance(value, Upload) else value.encode())
        assert head.startswith(b'Content-Disposition: form-data; name="')
        if isinstance(value, Upload):
            assert head.endswith(b'; filename="a b.bin"\r\nContent-Type: image/png')


def test_other_charsets_and_kinds() -> None:
    page = "<form accept-charset=iso-8859-1><input name=ä value=ö></form>"
    form, fields = read(page, charset="latin-1").fill({"ä": "ü€"})
    assert urlencoded(fields, form.charset) == "%E4=%FC%26%238364%3B"
    assert encoded([("a", "b c"), ("f", Upload("x.txt", b"1"))], "text/plain") == (
        b"a=b c\r\nf=x.txt\r\n",
        "text/plain",
    )
    assert urlencoded([("a b", "c~*-._&")]) == "a+b=c%7E*-._%26"
