"""The root of every error that an outside system's connection raises."""


class ResourceError(Exception):
    """An outside system refused, failed or could not be reached; the message says what to do."""
