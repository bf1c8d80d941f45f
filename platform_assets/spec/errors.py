"""The root of every error about what is declared, trained, registered or served."""


class AiHowError(Exception):
    """Something is wrong that a person can put right; the message says where and how."""
