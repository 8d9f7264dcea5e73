"""Command line: commands, exit codes, and messages of errors."""

import sys
from collections.abc import Callable
from typing import Any

import click

from raysweep.cli import crash, doctor, draw, export, info, read, run, serve, submit
from raysweep.cli.help import Commands
from raysweep.cli.options import spelt
from raysweep.cli.output import prepare_output, show
from raysweep.errors import RaysweepError, SpecError, Stopped
from raysweep.text import one_line

_SWEEPS = "'raysweep ls' lists the sweeps of the store"
LISTS = {  # by name of an argument
    **dict.fromkeys(("sweep", "sweeps", "first", "second"), _SWEEPS),
    "task": "'raysweep info' lists the tasks",
    "spec": "give a sweep file",
}


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="raysweep")
def cli() -> None:
    """Multi-seed sweeps of gradient estimators: one YAML file, one command.

    'raysweep COMMAND --help' shows the options of a command, with an example.
    """


for _command in (
    info.init,
    run.run,
    run.plan,
    run.compact,
    run.rm,
    info.info,
    info.schema,
    info.check,
    read.status,
    read.logs,
    read.ls,
    read.table,
    read.diff,
    read.stats,
    read.top,
    read.sql,
    export.export,
    read.importance,
    draw.plot,
    draw.report,
    doctor.doctor,
    serve.serve,
    serve.token,
    submit.login,
    submit.submit,
    submit.cancel,
    submit.resume,
    submit.extend,
):
    cli.add(_command)


def main(arguments: list[str] | None = None) -> None:
    """Run the program: print errors as one line each, and exit with the documented codes."""
    prepare_output()
    sys.exit(_guarded(lambda: cli.main(arguments, standalone_mode=False)))


def _guarded(command: Callable[[], Any]) -> int:
    try:
        return int(command() or 0)
    except click.exceptions.Exit as error:
        return int(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of the output is gone: no message can reach it
        return 141
    except (RaysweepError, click.ClickException, click.Abort, KeyboardInterrupt) as error:
        return _say(*_explain(error))
    except Exception as error:  # the user gets one line for any error
        if crash.passes(error):
            raise
        return _say([crash.report(error)], 1)


def _explain(error: BaseException) -> tuple[list[str], int]:
    """Return the lines of an error's message, and the exit code."""
    if isinstance(error, SpecError):
        lines = [spelt(error)] if error.field else error.problems
        return [one_line(line) for line in lines], 2
    if isinstance(error, RaysweepError):
        return [one_line(spelt(error))], 1
    if isinstance(error, click.ClickException):
        return [_with_names(error)], 2
    stopped = error.__cause__ if isinstance(error, click.Abort) else error
    code = stopped.exit_code if isinstance(stopped, Stopped) else 130
    return ["interrupted; run the same command again to resume"], code


def _with_names(error: click.ClickException) -> str:
    """Return click's message, of a missing name with the command that lists names."""
    message = error.format_message()
    missing = error.param if isinstance(error, click.MissingParameter) else None
    if missing is None or missing.name not in LISTS:
        return message
    return f"{message.rstrip('.')}; {LISTS[missing.name]}"


def _say(lines: list[str], code: int) -> int:
    for line in lines:
        show(f"raysweep: {line}" if not line.startswith("raysweep") else line, err=True)
    return code


if __name__ == "__main__":
    main()
