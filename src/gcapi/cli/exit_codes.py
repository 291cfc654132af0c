"""The exit codes of the program, and the errors that only the command line raises."""

DONE, FAILED, USAGE, NOT_FOUND, INVALID_INPUT = range(5)
TEMPORARY, PART_FAILED, LIMIT, AUTHENTICATION = range(5, 9)


class CommandError(Exception):
    """Base class of the errors that only the command line raises."""


class InvalidInput(CommandError):
    """Raised when an argument, or a file that it names, cannot be used."""
