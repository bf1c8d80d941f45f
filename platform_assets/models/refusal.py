"""Why a directory is not taken as a checkpoint."""

from platform_assets.spec.errors import AiHowError


class CheckpointRefused(AiHowError):
    """The directory is not taken; the message says what, where, expected, found, and the remedy."""


class NotSealed(CheckpointRefused):
    """The directory holds no marker: training may still be writing, or nobody sealed it."""
