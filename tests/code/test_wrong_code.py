"""Wrong files of tasks: one line for each mistake, exit code 2, and nothing started."""

import textwrap

import pytest

from raysweep.cli.main import main

SWEEP = """
name: own
tasks: {digits: {task: digits}}
methods: {A: {lr: 0.1}}
seeds: 1
"""
HEAD = "import raysweep\n"
GOOD = HEAD + textwrap.dedent("""
    @raysweep.task(metrics={"train_loss": "min"})
    def digits(run, *, lr: float = 0.1):
        return {"train_loss": lr}
""")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a sweep with the text of a task file; return exit code and lines of stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.yaml").write_text(SWEEP)

    def call(text=GOOD, name="own_digits.py", *options, command="run", sweep=SWEEP):
        (tmp_path / "sweep.yaml").write_text(sweep)
        if text is not None:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        words = [command, "sweep.yaml", "--code", name, *options]
        if command == "run":
            words.append("--inline")
        with pytest.raises(SystemExit) as ended:
            main(words)
        out = capsys.readouterr()
        return ended.value.code, out.err.splitlines(), out.out

    return call


def test_a_good_file_runs(run, tmp_path):
    code, _, out = run()
    assert code == 0
    assert "A" in out
    assert (tmp_path / "sweeps" / "own").is_dir()


WRONG = {
    "a syntax error": ("def digits(run:\n", "own_digits.py: cannot be imported: SyntaxError"),
    "a missing package": (
        "import not_there\n",
        "own_digits.py: cannot be imported: ModuleNotFoundError: No module named 'not_there' "
        "(own_digits.py:1)",
    ),
    "an error at import": (
        "x = 1\ny = x / 0\n",
        "own_digits.py: cannot be imported: ZeroDivisionError: division by zero (own_digits.py:2)",
    ),
    "an exit at import": (
        "import sys\nsys.exit(3)\n",
        "own_digits.py: cannot be imported: SystemExit: it called sys.exit(3) (own_digits.py:2)",
    ),
    "an exit without a code at import": (
        "quit()\n",
        "own_digits.py: cannot be imported: SystemExit: it called sys.exit() (own_digits.py:1)",
    ),
    "a sweep at import": (
        GOOD + "raysweep.run('sweep.yaml', tasks=[digits], inline=True)\n",
        "own_digits.py: trains a sweep when it is imported; write raysweep.run below "
        'if __name__ == "__main__":',
    ),
    "no task": (
        "def digits(run):\n    return 1\n",
        "no task in own_digits.py; put @raysweep.task(metrics=",
    ),
    "a task without metrics": (
        HEAD + "@raysweep.task\ndef digits(run): ...\n",
        "digits (own_digits.py:2): write @raysweep.task(metrics=",
    ),
    "a setting without type": (
        GOOD.replace("lr: float = 0.1", "lr=0.1"),
        "digits (own_digits.py:3): the setting 'lr' has no type; write lr: TYPE = DEFAULT",
    ),
    "a setting before the star": (
        GOOD.replace("run, *, lr", "run, lr"),
        "digits (own_digits.py:3): expected the arguments (run, *, setting: type = default), got "
        "lr before the *; write a * before lr",
    ),
    "a direction that is none": (
        GOOD.replace('"min"', '"lower"'),
        "digits (own_digits.py:3): expected 'min' or 'max' for the metric 'train_loss', got "
        "'lower'",
    ),
    "the name of a task of raysweep": (
        GOOD.replace("def digits", "def polynomial"),
        "there is a task 'polynomial' already; give another name to the task of own_digits",
    ),
    "another name than the sweep file's": (
        GOOD.replace("def digits", "def digit"),
        "sweep.yaml: line 3: unknown task 'digits'; did you mean 'digit'?",
    ),
    "another setting than the sweep file's": (
        GOOD.replace("lr: float", "rate: float").replace(": lr", ": rate"),
        "sweep.yaml: line 4: unknown setting 'lr' of task 'digits'",
    ),
}


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_file_is_refused_in_one_line_and_nothing_starts(run, tmp_path, wrong, command):
    text, message = WRONG[wrong]
    code, lines, out = run(text, command=command)
    assert code == 2
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"raysweep: {message}")
    assert not out
    assert not (tmp_path / "sweeps").exists()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("missing.py", None, "no such file or folder"),
        ("folder/notes.txt", "", "expected a Python file, NAME.py, or a package's folder"),
        ("my-task.py", GOOD, "Python cannot import a module of the name 'my-task'; rename it, for "
         "example to my_task"),
        ("random.py", GOOD, "there is a module 'random' already"),
    ],
)  # fmt: skip
def test_a_path_that_is_no_module_is_refused(run, name, text, message):
    code, lines, _ = run(text, name)
    assert (code, len(lines)) == (2, 1)
    assert message in lines[0]


def test_a_folder_that_is_no_package_is_refused(run, tmp_path):
    (tmp_path / "plain").mkdir()
    code, lines, _ = run(None, "plain")
    assert code == 2
    assert "expected a Python file, or a folder with an __init__.py" in lines[0]


def test_a_sweep_that_names_an_own_task_without_its_code_says_how(run, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["plan", "sweep.yaml"])
    assert ended.value.code == 2
    assert "raysweep run FILE --code PATH" in capsys.readouterr().err


def test_mistakes_of_several_files_are_said_at_once(run, tmp_path):
    (tmp_path / "other.py").write_text("import not_there\n")
    code, lines, _ = run("1 / 0\n", "own_digits.py", "--code", "other.py")
    assert (code, len(lines)) == (2, 2)


def test_a_package_and_a_neighbour_are_imported(run, tmp_path):
    (tmp_path / "neighbour.py").write_text("RATE = 0.5\n")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "inner.py").write_text(GOOD.replace("import", "import neighbour\nimport"))
    code, lines, _ = run("from pack.inner import digits\n", "pack/__init__.py", command="plan")
    assert code == 2
    assert "expected a Python file, NAME.py, or a package's folder" in lines[0]
    with pytest.raises(SystemExit) as ended:
        main(["run", "sweep.yaml", "--code", "pack", "--inline"])
    assert ended.value.code == 0


def test_the_process_forgets_the_code_at_the_end(run):
    import sys

    path = list(sys.path)
    run()
    assert "own_digits" not in sys.modules
    assert sys.path == path


def test_a_file_edited_between_two_sessions_is_read_anew(run, tmp_path):
    run()
    code, _, out = run(
        GOOD.replace('{"train_loss": lr}', '{"train_loss": 9.0}'),
        sweep=SWEEP.replace("seeds: 1", "seeds: 2"),
    )
    assert code == 0
    assert "4.5 ± 6.3 (2)" in out  # of 0.1 and 9


def test_the_run_command_says_which_code_made_the_stored_runs(run, tmp_path):
    run()
    _, lines, _ = run(GOOD + "\n1 + 1\n", sweep=SWEEP.replace("seeds: 1", "seeds: 2"))
    assert any("the code of task digits changed since 1 run" in line for line in lines)


def test_the_store_keeps_a_copy_of_each_version_and_status_says_so(run, tmp_path, capsys):
    run()
    run(GOOD + "\n1 + 1\n", sweep=SWEEP.replace("seeds: 1", "seeds: 2"))
    copies = sorted((tmp_path / "sweeps" / "own" / "code").glob("*/own_digits.py"))
    assert sorted(copy.read_text() for copy in copies) == sorted([GOOD, GOOD + "\n1 + 1\n"])
    with pytest.raises(SystemExit):
        main(["status", "own"])
    out = capsys.readouterr().out
    assert "the runs of task digits come from 2 versions of its code" in out
    assert all(copy.parent.name in out for copy in copies)


def test_a_file_that_is_named_twice_counts_once(run, tmp_path):
    code, lines, out = run(GOOD, "own_digits.py", "--code", str(tmp_path / "own_digits.py"))
    assert code == 0, lines
    assert "results:" in out
