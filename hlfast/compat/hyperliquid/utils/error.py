"""The venue's refusals as the official SDK raises them. Trouble with the transport is not among them: see `transport`."""

from hlfast.errors import UnknownOutcome


class Error(Exception):
    """Base of what the venue answered with an HTTP error."""


class ClientError(Error):
    """HTTP 4xx. `error_code` and `error_message` are the body's `code` and `msg`, or None and its text.

    `retry_after_s`: after a 429, seconds until a request may succeed; else None.
    """

    def __init__(self, status_code, error_code, error_message, header, error_data=None):
        # type: (object, object, object, object, object) -> None
        self.status_code = status_code
        self.error_code = error_code
        self.error_message = error_message
        self.header = header
        self.error_data = error_data
        self.retry_after_s = None  # type: float | None


class ServerError(Error):
    """HTTP 5xx, with the body's text."""

    def __init__(self, status_code, message):
        # type: (object, object) -> None
        self.status_code = status_code
        self.message = message


class UnknownOutcomeServerError(ServerError, UnknownOutcome):
    """HTTP 5xx in answer to a signed action, which may have been executed: ask by cloid or oid, do not send it anew."""

    outcome = "unknown"

    def __init__(self, status_code, message, nonce=None, cloids=()):
        # type: (object, object, int | None, tuple[str, ...]) -> None
        super().__init__(status_code, message)
        self.args = (status_code, message)
        self.nonce = nonce
        self.cloids = cloids
