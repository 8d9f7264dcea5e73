"""One test of a rule over many files, as a test for each file would take longer to report."""

from pathlib import Path

ROOT = Path(__file__).parents[1]


def every(paths):
    """Decorator of a check of one file: a test that names every file that breaks the rule."""

    def decorate(check):
        def test():
            broken = []
            for path in paths:
                try:
                    check(path)
                except AssertionError as error:
                    broken.append(f"{path.relative_to(ROOT).as_posix()}: {error}")
            assert not broken, "\n".join(broken)

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return decorate
