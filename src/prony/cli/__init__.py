"""argv in, a verb run and an exit code out: the only place that exits."""

from __future__ import annotations

import os
import signal
import stat
import sys

import click

import prony
from prony.cli import change, check, compare, doctor, find, gate, import_, init, lists, replay, run, up
from prony.errors import PronyError

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order in which they were added, which is the order of use."""
        return list(self.commands)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(prony.__version__, prog_name="prony")
def cli() -> None:
    """A test bench for Python web apps.

    prony runs your app, untouched, under real servers with its real stores behind it, loads it until it breaks, says
    what gave out first, and proves it by relieving it.

    \b
    First:  prony doctor, then prony demo
    Then:   prony check --project PATH
            prony up --project PATH
            prony run --project PATH --rate 50
    """


for command in (
    replay.demo,
    doctor.doctor,
    init.init,
    import_.import_,
    check.check,
    up.up,
    change.change,
    run.run,
    run.explain,
    find.find,
    compare.compare,
    gate.gate,
    replay.replay,
    lists.list_,
    lists.report,
):
    cli.add_command(command)


def main(argv: list[str] | None = None) -> None:
    """The program."""
    argv = sys.argv[1:] if argv is None else argv
    _keep_standard_streams()
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup, and in the background of a script
            signal.signal(number, _ended)
    try:
        code = cli.main(args=argv, prog_name="prony", standalone_mode=False)
    except click.exceptions.Abort:
        code = _interrupted()
    except KeyboardInterrupt:
        code = _interrupted()
    except click.ClickException as error:
        error.show()
        code = 2
    except PronyError as error:
        if "--debug" in argv:
            raise
        click.echo(f"prony: {error.paragraph()}", err=True)
        code = error.exit_code
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone; nothing is left to say
        code = 1
    except (RuntimeError, ValueError, TypeError, LookupError, OSError) as error:
        if "--debug" in argv:
            raise
        click.echo(
            f"prony: a fault of prony's own: {type(error).__name__}: {error}\nTry: the same with --debug", err=True
        )
        code = 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    sys.exit(code if isinstance(code, int) else 0)


def _ended(number: int, _: object) -> None:
    """Ctrl-C, and what means the same by another hand: all is stopped, once; a second must not leave that half done."""
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    if number == signal.SIGHUP:  # the terminal has gone, and a word to it would be an error
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                os.dup2(nowhere, descriptor)
    raise KeyboardInterrupt


def _interrupted() -> int:
    click.echo(
        "prony: interrupted; everything that was started is stopped, what was recorded is kept: prony list", err=True
    )
    return 130


def _keep_standard_streams() -> None:
    """Opens what of 0, 1 and 2 is closed, or the next socket would be taken for it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
