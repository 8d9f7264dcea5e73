"""Copies of the user's code in the store, by its digest in the column `code` of the runs."""

from pathlib import Path

from raysweep.code.modules import Code
from raysweep.store import sweep_paths
from raysweep.store.files import Files
from raysweep.sweep import sources


def keep(code: Code, files: Files) -> None:
    """Write the present text of each task's code, unless it is there.

    Args:
        code: Code of the user.
        files: The sweep's folder.

    Raises:
        StoreError: If the store cannot be written.
    """
    for task in code.tasks:
        if task.source:
            digest, texts = sources.digest_of_text(task.source), {f"{task.name}.py": task.source}
        else:
            module_digest = sources.source_digest(task.module)
            if module_digest is None:
                continue
            digest, known = module_digest, sources.files(task.module)
            texts = {_name(name, path): path.read_text("utf-8") for path, name in known.items()}
        for name, text in texts.items():
            copy = sweep_paths.code(digest, name)
            if not files.exists(copy):
                files.write(copy, text.encode())


def _name(module: str, path: Path) -> str:
    """Return the file of a module, from the folder that holds its top package."""
    parts = module.split(".")
    if path.name == "__init__.py":
        return "/".join([*parts, path.name])
    return "/".join(parts) + ".py"
