"""Calls of `sys.exit` in the user's code, in words."""


def exit_call(error: SystemExit) -> str:
    """Return the call that raised an error, as `sys.exit(3)`; `quit()` is one of `sys.exit()`."""
    return f"sys.exit({'' if error.code is None else repr(error.code)})"
