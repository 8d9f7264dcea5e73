"""Code and sweep files of the pages that show how to write a task as a function."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\w+\.py)\n")


def text_of(page):
    path = ROOT / page
    return (path if path.is_file() else ROOT / "docs" / page).read_text()


def blocks(page, language):
    """The texts of the blocks of code in a language, in order."""
    return [text for name, text in BLOCK.findall(text_of(page)) if name == language]


def files(page):
    """The Python files of a page, by name: blocks that begin with a comment, the name."""
    matched = [(FILE.match(text), text) for text in blocks(page, "python")]
    return {match[1]: text for match, text in matched if match}


def tasks(page):
    """Those of the files that define a task and do nothing else when they are imported."""
    return {
        name: text
        for name, text in files(page).items()
        if re.search(r"\n@raysweep.(stacked_)?task\(", text) and "\nif __name__" not in text
    }


def write_tasks(page, folder):
    """Write the files that define tasks to a folder; return their paths."""
    paths = []
    for name, text in tasks(page).items():
        path = Path(folder) / name
        path.write_text(text)
        paths.append(path)
    return paths


def sweeps(page):
    """The whole sweep files of a page, by the name of the sweep."""
    matched = [(re.match(r"name: (\S+)\n", text), text) for text in blocks(page, "yaml")]
    return {match[1]: text for match, text in matched if match}
