"""What can go wrong, as data with a hint: each error becomes one paragraph and an exit code."""


class PronyError(Exception):
    """Something that ends a command with one clear paragraph.

    Attributes:
        message: What failed and in which tier, as one or more sentences.
        hint: The next command or edit to try.
        log: The last lines of the failing program's log, oldest first.
        exit_code: The process exit code (see DESIGN: 2 wrong command, 3 machine lacks something, 4 not to be believed).
    """

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "", log: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.log = log

    def paragraph(self) -> str:
        """The error as it is shown to a person."""
        parts = [self.message]
        parts += [f"    {line}" for line in self.log]
        if self.hint:
            parts.append(f"Try: {self.hint}")
        return "\n".join(parts)


class PlanError(PronyError):
    """The configuration or the command line is wrong: names the file, the key, what was found and what is allowed."""


class ConsentError(PlanError):
    """A host that is not loopback does not consent to be loaded, or does no longer."""


class StackError(PronyError):
    """A service would not start, become ready or stay alive."""


class MachineError(PronyError):
    """This machine lacks something: says what, and how to get it."""

    exit_code = 3


class DoubtError(PronyError):
    """The measurement is not to be believed."""

    exit_code = 4


class RecordingError(PronyError):
    """The store cannot be read or has no such recording."""
