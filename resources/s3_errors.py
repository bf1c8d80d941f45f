"""What can go wrong with an object store: one class per thing a caller can do differently."""

from resources.errors import ResourceError


class ObjectStoreError(ResourceError):
    """The root of what can go wrong with an object store."""


class ObjectNotFound(ObjectStoreError):
    """There is no such object or upload."""


class ObjectTooLarge(ObjectStoreError):
    """An object is larger than the caller is willing to hold."""


class StoreUnavailable(ObjectStoreError):
    """The store cannot be reached or is failing; the same request may succeed later."""


class StoreRefused(ObjectStoreError):
    """The store answered and said no; the same request will be refused again."""


class PreconditionFailed(StoreRefused):
    """The object is not in the state that the request asked for: it is there already."""


class ChecksumRefused(StoreUnavailable):
    """The store received other bytes than were sent; reading and sending anew may succeed."""


_ABSENT = {"404", "NoSuchKey", "NotFound", "NoSuchUpload"}
_TAKEN = {"PreconditionFailed", "412"}
_WRONG_CHECKSUM = {"BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"}
_PASSING = {"SlowDown", "RequestTimeout", "IncompleteBody", "OperationAborted"}


def error_of(status: int, code: str, message: str, where: str) -> ObjectStoreError:
    """Return the error that an answer with this status and S3 error code means."""
    words = f"{where}: {code or status}: {message}"
    if code == "NoSuchBucket":
        return StoreRefused(f"{words}; the bucket is missing; was the platform set up with it?")
    if code in _ABSENT or (status == 404 and not code):
        return ObjectNotFound(f"{words}; it was never written, or was removed")
    if code in _WRONG_CHECKSUM:
        return ChecksumRefused(f"{words}; bytes changed on the way; send them again")
    if code in _TAKEN or status == 412:
        return PreconditionFailed(f"{words}; something is there already")
    if status >= 500 or status in {408, 409, 429} or code in _PASSING:
        return StoreUnavailable(f"{words}; the store is failing; try again later, read its log")
    return StoreRefused(f"{words}; expected it to be allowed for the identity in use")
