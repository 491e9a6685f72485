"""Turns a WSGI app into the same app whose requests are counted from entry to the close of the response."""

# ruff: noqa: SIM105 (what need not be imported into somebody's interpreter is not)

from __future__ import annotations

from prony_gauge.mapped import GAUGE
from prony_gauge.sqlstate import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


def raised(error: BaseException) -> None:
    """Count an exception that ends a request."""
    try:
        GAUGE.failed(name_of(error))
    except Exception:
        pass


class Chunks:
    """The chunks of a response: counts what is raised on the way."""

    __slots__ = ("step",)

    def __init__(self, answer: Any) -> None:
        self.step = iter(answer).__next__

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return self.step()  # type: ignore[no-any-return] # it is the app's
        except StopIteration:
            raise
        except BaseException as error:
            raised(error)
            raise


class Answer:
    """A response's iterable, which ends the request when it is closed (or dropped unclosed)."""

    __slots__ = ("answer", "entry")

    def __init__(self, answer: Any, entry: int) -> None:
        self.answer = answer
        self.entry = entry

    def __iter__(self) -> Iterator[bytes]:
        return Chunks(self.answer)

    def close(self) -> None:
        """What a server calls once, after the last chunk or the client's leaving."""
        try:
            close = getattr(self.answer, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            raised(error)
            raise
        finally:
            self._end()

    def _end(self) -> None:
        entry, self.entry = self.entry, 0
        if entry:
            GAUGE.end(entry)

    def __del__(self) -> None:
        if self.entry:
            self._end()


class SizedAnswer(Answer):
    """The same for an iterable that knows its length: of one chunk, servers make a Content-Length."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self.answer)


def measured(app: Callable[..., Any]) -> Callable[..., Any]:
    """The app, counted."""
    begin, end = GAUGE.begin, GAUGE.end

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        entry = begin()
        try:
            answer = app(environ, start_response)
        except BaseException as error:
            end(entry)
            raised(error)
            raise
        wrapper = environ.get("wsgi.file_wrapper")
        if wrapper and (isinstance(answer, wrapper) if isinstance(wrapper, type) else hasattr(answer, "fileno")):
            end(
                entry
            )  # the server knows its own file wrapper by type (uWSGI the file itself), and sends it its own way
            return answer
        return SizedAnswer(answer, entry) if hasattr(answer, "__len__") else Answer(answer, entry)

    return application
