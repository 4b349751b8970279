"""What is raised by whatever asks others, when they cannot be asked."""


class UnreachableError(Exception):
    """The others did not answer in time, or not as they should. Its text names no address and no secret."""
