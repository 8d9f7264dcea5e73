"""Words that messages share."""


def counted(number: int, noun: str = "run") -> str:
    """The number of some things, with their noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
