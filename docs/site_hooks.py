"""Links of the pages to files outside docs/: the site has a copy of each of those files."""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
LINK = re.compile(r"(?<=\]\()\.\./([^)#\s]+)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the files that the pages link to; of a folder, its files and a list of them."""
    pages = sorted(FOLDER.glob("*.md"))
    for name in sorted({name for page in pages for name in LINK.findall(page.read_text())}):
        path = ROOT / name
        for source in _files_in(path) if path.is_dir() else [path]:
            target = f"sources/{source.relative_to(ROOT)}.txt"
            files.append(File.generated(config, target, content=source.read_text()))
        if path.is_dir():
            links = "\n".join(
                f"- [{each.name}]({path.name}/{each.name}.txt)" for each in _files_in(path)
            )
            files.append(
                File.generated(config, f"sources/{name}.md", content=f"# {name}\n\n{links}\n")
            )
    return files


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links to files outside docs/ lead to the copies."""
    return LINK.sub(lambda link: _copy_of(link[1]), markdown)


def _copy_of(name: str) -> str:
    return f"sources/{name}.md" if (ROOT / name).is_dir() else f"sources/{name}.txt"
