"""What can go wrong: one class per thing a person can do about it, each with its exit code."""


class StorageContainerError(Exception):
    """The root of what can go wrong."""

    exit_code = 1


class Misused(StorageContainerError):
    """The arguments or the environment are not what this container needs."""

    exit_code = 2


class WrongCopy(StorageContainerError):
    """The object store holds something else than the tree digest names."""

    exit_code = 3


class AccessRefused(StorageContainerError):
    """The store answered and said no; the same request will be refused again."""

    exit_code = 4


class StoreUnreachable(StorageContainerError):
    """The store did not answer, or kept failing, for as long as we wait."""

    exit_code = 5


class NoRoom(StorageContainerError):
    """The disk is full, or the memory too small for a copy that is kept in memory."""

    exit_code = 6
