from __future__ import annotations

from pathlib import Path

import pytest

from prony.errors import PlanError
from prony.plan.procfile import read_env, read_procfile
from prony.stack.environment import command_of
from prony.stack.tail import LINE_MAX, Tail


def written(folder: Path, text: str, name: str = "Procfile") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_lines_are_read_by_name_in_their_order(tmp_path: Path) -> None:
    text = "# ours\n\nweb: gunicorn shop.wsgi --bind :$PORT\n  worker-2:celery -A shop worker  \r\n"
    assert list(read_procfile(written(tmp_path, text)).items()) == [
        ("web", "gunicorn shop.wsgi --bind :$PORT"),
        ("worker-2", "celery -A shop worker"),
    ]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("web gunicorn\n", ["line 1", '"web gunicorn"']),
        ("web: a\nweb: b\n", ["line 2", "a second web"]),
        ("web:\n", ["line 1"]),
        ("web: a\n" * 20_000, ["140000 bytes"]),
    ],
)
def test_what_is_no_procfile_is_told_with_its_line(tmp_path: Path, text: str, names: list[str]) -> None:
    with pytest.raises(PlanError) as found:
        read_procfile(written(tmp_path, text))
    assert all(name in found.value.message for name in names)


def test_a_procfile_that_is_not_there_or_is_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="cannot be read"):
        read_procfile(tmp_path / "Procfile")
    (tmp_path / "Procfile").write_bytes(b"web: \xff\xfe\n")
    with pytest.raises(PlanError, match="cannot be read"):
        read_procfile(tmp_path / "Procfile")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=plain", "plain"),
        ("export NAME=plain", "plain"),
        ("NAME='two words'", "two words"),
        ('NAME="two words"', "two words"),
        ("NAME=http://127.0.0.1:80/?a=b", "http://127.0.0.1:80/?a=b"),
        ("NAME=value # a comment", "value"),
        ("NAME='a#b'", "a#b"),
        (r'NAME="one\ntwo"', "one\ntwo"),
        ("# NAME=value", None),
        ("NAME=", ""),
        ("NAME = value", "value"),
        ("NAME=a#b'c$d(e", "a#b'c$d(e"),
        ("NAME='first\nsecond' # a key", "first\nsecond"),
        (r'NAME="say \"so\" for \$1"', 'say "so" for $1'),
        ("\ufeffNAME=after a mark", "after a mark"),
        ("NAME", None),
        ("2NAME=value", None),
    ],
)
def test_a_line_of_env_is_read_as_dotenv_reads_it(tmp_path: Path, line: str, value: str | None) -> None:
    assert read_env(written(tmp_path, f"{line}\n", ".env")).get("NAME") == value


def test_no_env_file_is_no_variables_and_one_without_end_keeps_its_secret(tmp_path: Path) -> None:
    assert read_env(tmp_path / ".env") == {}
    with pytest.raises(PlanError) as found:
        read_env(written(tmp_path, "A=1\nKEY='hunter2\n", ".env"))
    assert "line 2" in found.value.message
    assert "hunter2" not in found.value.paragraph()


@pytest.mark.parametrize(
    ("line", "argv"),
    [
        ("python manage.py migrate", ["/there/python", "manage.py", "migrate"]),
        ("gunicorn 'a b'", ["gunicorn", "a b"]),
        ("exec gunicorn shop", ["/bin/sh", "-c", "exec gunicorn shop"]),
        ("cd shop", ["/bin/sh", "-c", "cd shop"]),
        ("web --port $PORT", ["/bin/sh", "-c", "web --port $PORT"]),
    ],
)
def test_a_line_goes_to_a_shell_only_where_it_must(line: str, argv: list[str]) -> None:
    assert command_of(line, "/there/python") == argv


def test_a_tail_gives_whole_lines_once_and_begins_again_when_a_log_is_cut(tmp_path: Path) -> None:
    log, old = tmp_path / "log", written(tmp_path, "of before\n", "old")
    tail = Tail()
    tail.follow("web", log)
    tail.follow("store", old, from_start=False)
    assert list(tail.lines()) == []
    log.write_text("one\n\ntw", encoding="utf-8")
    assert list(tail.lines()) == [("web", "one")]
    tail.follow("web", log)  # again: it goes on where it was
    with log.open("a", encoding="utf-8") as file:
        file.write("o\n" + "x" * (LINE_MAX + 9) + "\n")
    with old.open("a", encoding="utf-8") as file:
        file.write("of now\n")
    assert list(tail.lines()) == [("web", "two"), ("web", "x" * LINE_MAX), ("store", "of now")]
    log.write_text("anew\n", encoding="utf-8")
    assert list(tail.lines()) == [("web", "anew")]
    log.unlink()
    assert list(tail.lines()) == []
