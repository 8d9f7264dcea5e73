"""Words of the three packages: the rules of docs/writing.md, as far as a test can hold them."""

import ast
import re
import tokenize
from pathlib import Path

from every_file import every

ROOT = Path(__file__).parent.parent
FILES = sorted(
    path for folder in ("raysweep", "estimators", "tasks") for path in (ROOT / folder).rglob("*.py")
)
FORBIDDEN = re.compile(
    r"\b(put(s|ting)? down|go(es|ing)? on|went on|tells?|told|stands?|stood|ha(ve|s|d) to"
    r"|likewise|theirs|sitting|seated)\b",
    re.IGNORECASE,
)
NOT_FIRST = {"What", "Which", "How", "Where", "Whose", "Whether", "When"}
NO_VERBS = {"The", "A", "An", "Every", "Each", "One", "All", "No", "Of", "Those", "These", "This"}
# `tell` is Optuna's name of a function, the counterpart of `ask`.
NAMES = {"place", "places", "found", "each", "what", "own", "theirs", "mine"}
REFERRING = re.compile(r"(Its|Their|The same|The other)\b")  # an entry is read alone
ENTRY = re.compile(r"^(\w+)(?: \(.*?\))?: (.*)$")


def documented(path):
    """The functions and classes of a file, with their docstrings."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            text = ast.get_docstring(node)
            if text:
                yield node, text


def is_property(node):
    return any("property" in ast.unparse(each) for each in node.decorator_list)


def entries(docstring):
    """The names and texts of the entries of `Args` and `Attributes`."""
    for block in re.findall(
        r"\n(?:Args|Attributes):\n((?:    .*\n?|\n(?=    ))+)", docstring + "\n"
    ):
        entry = None
        for line in block.splitlines():
            if match := ENTRY.match(line[4:]):
                if entry:
                    yield entry
                entry = match[1], match[2]
            elif entry:
                entry = entry[0], f"{entry[1]} {line.strip()}"
        if entry:
            yield entry


def texts(path):
    """The comments and texts of a file, f-strings whole, without the code that texts quote."""
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], without_code(token.string)
    tree = ast.parse(path.read_text())
    joined = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    inside = {id(part) for node in joined for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (getattr(part, "value", "") for part in node.values)
            yield (
                node.lineno,
                without_code("".join(p if isinstance(p, str) else "{}" for p in parts)),
            )
        elif isinstance(node, ast.Constant) and id(node) not in inside and " " in str(node.value):
            yield node.lineno, without_code(str(node.value))


def without_code(text):
    return re.sub(r"`[^`]*`", "``", text)


def modules(path):
    """The docstring of a module, if there is one."""
    return ast.get_docstring(ast.parse(path.read_text())) or ""


@every(FILES)
def test_a_summary_of_a_module_is_a_noun_phrase(path):
    first = re.split(r"\W", modules(path))[0]
    assert first not in NOT_FIRST, modules(path).splitlines()[0]


@every(FILES)
def test_a_summary_of_a_function_is_an_imperative(path):
    for node, text in documented(path):
        first = re.split(r"\W", text)[0]
        if isinstance(node, ast.FunctionDef) and not is_property(node):
            assert first not in NOT_FIRST | NO_VERBS, f"{node.name}: {text.splitlines()[0]}"
            verb = re.fullmatch(r"[A-Z][a-z]+([^s]s|es)", first)
            assert verb is None or first in {"Pass", "Press", "Process"}, f"{node.name}: {text}"


@every(FILES)
def test_a_summary_of_a_class_is_a_noun_phrase(path):
    for node, text in documented(path):
        if isinstance(node, ast.ClassDef) or is_property(node):
            first = re.split(r"\W", text)[0]
            assert first not in NOT_FIRST - {"Whether"}, f"{node.name}: {text.splitlines()[0]}"


@every(FILES)
def test_an_entry_of_arguments_can_be_read_alone(path):
    for node, text in documented(path):
        for argument, meaning in entries(text):
            assert len(meaning.split()) > 2, f"{node.name}, {argument}: {meaning}"
            assert not REFERRING.match(meaning), f"{node.name}, {argument}: {meaning}"


@every(FILES)
def test_no_text_uses_a_forbidden_word(path):
    for line, text in texts(path):
        match = FORBIDDEN.search(text)
        assert match is None, f"line {line}: {match and match[0]}"


@every(FILES)
def test_no_variable_has_a_name_that_says_nothing(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            assert node.id not in NAMES, f"line {node.lineno}: {node.id}"
        if isinstance(node, ast.arg):
            assert node.arg not in NAMES, f"line {node.lineno}: {node.arg}"
        if isinstance(node, ast.FunctionDef):
            assert node.name not in NAMES, f"line {node.lineno}: {node.name}"
            match = FORBIDDEN.search(node.name.replace("_", " "))
            assert match is None or node.name == "tell", f"line {node.lineno}: {node.name}"


PAGES = sorted(
    path
    for folder in ("report", "service/pages")
    for path in (ROOT / "raysweep" / folder).iterdir()
    if path.suffix in (".html", ".js")
)


@every(PAGES)
def test_pages_use_no_forbidden_word(page):
    text = without_code(page.read_text())
    assert not FORBIDDEN.search(text)
    assert not re.search(rf"(const|let|for) ({'|'.join(sorted(NAMES))})\b", text)
