"""Why `imts up` cannot start."""


class CannotStart(Exception):
    """One sentence for the person at the terminal."""
