"""Why a directory is not taken as a checkpoint."""

from platform_assets.spec.errors import AiHowError


class CheckpointRefused(AiHowError):
    """The directory is not taken; the message says what, where, expected, found, and the remedy."""

    def __init__(self, message: str) -> None:
        """Keep `message` in printable characters: names in a directory are a stranger's words."""
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))


class NotSealed(CheckpointRefused):
    """The directory holds no marker: training may still be writing, or nobody sealed it."""
