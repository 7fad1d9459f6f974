"""`API`: what `Info` and `Exchange` have in common, a POST of JSON and what its answers mean (layer 5).

Differs from the official SDK: times are finite; a 4xx without a JSON object keeps its text and headers in their places;
a lost signed action says that its outcome is unknown. Foreign names (`requests`) are imported on first use.
"""

import json
import logging
from json import JSONDecodeError

from hlfast.compat.hyperliquid import endpoints, foreign, transport
from hlfast.compat.hyperliquid.session import Response, Session
from hlfast.compat.hyperliquid.utils.constants import MAINNET_API_URL
from hlfast.compat.hyperliquid.utils.error import ClientError, ServerError, UnknownOutcomeServerError
from hlfast.compat.hyperliquid.utils.types import Any

__getattr__ = foreign.names(__name__, requests="requests")

DUPLICATE_NONCE = "duplicate nonce"


class _Weights:
    """Bound by the first client: the table of request weights (every query of the venue) need not hold up the import."""

    spend = note_429 = None  # type: Any

    @classmethod
    def load(cls):
        # type: () -> None
        from hlfast.compat.hyperliquid import weights

        cls.spend, cls.note_429 = staticmethod(weights.spend), staticmethod(weights.note_429)


class Unparsed(dict[str, Any]):
    """The SDK's dict for a body that is not JSON; after a signed action with what is known about it."""

    outcome = transport.UNKNOWN
    nonce: "int | None" = None
    cloids: "tuple[str, ...]" = ()


class API:
    """A client of `base_url` (the main network if none is given). `timeout`: seconds or (connect, read); None: finite."""

    def __init__(self, base_url=None, timeout=None):
        # type: (str | None, Any) -> None
        self.base_url = base_url or MAINNET_API_URL
        self.session = Session()  # type: Any
        self.session.headers.update({"Content-Type": "application/json"})
        self._logger = logging.getLogger(f"hlfast.compat.{__name__.rpartition('.')[2]}")
        self.timeout = timeout
        _Weights.load()

    def post(self, url_path: str, payload: Any = None) -> Any:
        """The parsed answer to `payload`. Raises `ClientError`, `ServerError`, and what `transport` describes."""
        payload = payload or {}
        session, timeout = self.session, self.timeout
        is_action = url_path == "/exchange"
        if _Weights.spend is None:  # a subclass with a constructor of its own
            _Weights.load()
        _Weights.spend(self.base_url, payload, is_action)
        if timeout is None and type(session) is not Session:
            timeout = endpoints.defaults.timeout
        url = endpoints.target(self.base_url) + url_path
        try:
            if is_action and endpoints.defaults.orders_over_ws and type(session) is Session:
                return self._post_over_socket(payload)
            response = session.post(url, json=payload, timeout=timeout)
            self._handle_exception(response)
        except ClientError as error:
            if error.status_code == 429:
                error.retry_after_s = _Weights.note_429(self.base_url, error.header)
            raise
        except (ServerError, transport.TransportError) as error:
            if is_action:
                raise _about(error, payload) from error.__cause__
            raise
        try:
            answer = response.json()
        except ValueError:
            unparsed = Unparsed(error=f"Could not parse JSON: {response.text}")
            if not is_action:
                return dict(unparsed)
            unparsed.nonce, unparsed.cloids = _named(payload)
            return unparsed
        if type(response) is Response and response.resent and is_action:
            _check_resent(answer, url, payload)
        return answer

    def _post_over_socket(self, payload):
        # type: (Any) -> Any
        from hlfast.compat.hyperliquid import posts

        given = endpoints.defaults.timeout if self.timeout is None else self.timeout
        return posts.post(self.base_url, payload, transport.timeouts(given))

    def _handle_exception(self, response):
        # type: (Any) -> None
        status_code = response.status_code
        if status_code < 400:
            return
        if status_code >= 500:
            raise ServerError(status_code, response.text)
        try:
            said = json.loads(response.text)
        except (JSONDecodeError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise ClientError(status_code, None, response.text, response.headers, None)
        raise ClientError(status_code, said.get("code"), said.get("msg"), response.headers, said.get("data"))


def _named(payload: Any) -> "tuple[int | None, tuple[str, ...]]":
    """Nonce and cloids of a signed action's body."""
    try:
        return payload.get("nonce"), transport.cloids_of(payload.get("action"))
    except AttributeError:
        return None, ()


def _about(error: Any, payload: Any) -> Exception:
    """`error` of a signed action, with the action's names."""
    nonce, cloids = _named(payload)
    if isinstance(error, ServerError) and not isinstance(error, UnknownOutcomeServerError):
        return UnknownOutcomeServerError(error.status_code, error.message, nonce, cloids)
    error.nonce, error.cloids = nonce, cloids
    return error  # type: ignore[no-any-return]


def _check_resent(answer: Any, url: str, payload: Any) -> None:
    """A duplicate nonce in answer to a re-send says that the first copy arrived: that is no refusal."""
    said = answer.get("response") if isinstance(answer, dict) else None
    if isinstance(said, str) and DUPLICATE_NONCE in said.lower():
        lost = transport.error(
            f"{url}: the connection broke and the same bytes were sent again; the venue has the first copy ({said}). "
            "What became of it is not known here: ask by cloid or open orders",
            was_sent=True,
            is_action=True,
            is_timeout=False,
        )
        raise _about(lost, payload)
