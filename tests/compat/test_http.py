"""The drop-in's HTTP: what is sent, what answers mean, and what a caller learns when none comes."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import hlfast.compat.hyperliquid as hl
from hlfast.compat.hyperliquid import session as http
from hlfast.compat.hyperliquid import transport, weights
from hlfast.compat.hyperliquid.api import API
from hlfast.compat.hyperliquid.exchange import Exchange
from hlfast.compat.hyperliquid.utils.error import ClientError, Error, ServerError
from hlfast.compat.hyperliquid.utils.types import Cloid
from hlfast.errors import ConfigError, HlfastError, UnknownOutcome
from hlfast.sim import FUNDED_ACCOUNTS
from hlfast.venues.hyperliquid.sign import Signer

from .calls import META, SPOT_META
from .far_end import FarEnd, answer, half, hang_up, reset, say_nothing, then_close

OK = {"status": "ok", "response": {"type": "default"}}
GTC = {"limit": {"tif": "Gtc"}}
CLOID = Cloid.from_int(7)


def trader(url: str, **options: Any) -> Exchange:
    return Exchange(Signer(FUNDED_ACCOUNTS[0].key), url, meta=META, spot_meta=SPOT_META, **options)


def order(exchange: Exchange) -> Any:
    return exchange.order("ETH", True, 1, 1000, GTC, cloid=CLOID)


# -- what is sent and read ----------------------------------------------------------------------------------------------
def test_a_request_has_its_keys_in_order_and_its_answer_is_parsed(sdk):
    """sdk_dropin 3: body, headers, untouched values, slashes at the end of the address."""
    with FarEnd(answer({"a": [1, 2.5, None, "x"], "big": 2**70})) as far:
        api = API(far.url + "//")
        api.session.headers["X-Mine"] = "1"
        assert api.post("/info", {"type": "t", "a": 1, "b": [True, None]}) == {"a": [1, 2.5, None, "x"], "big": 2**70}
        api.post("/info")
    first, second = far.requests
    assert first.path == "/info" and list(first.body) == ["type", "a", "b"] and second.body == {}
    assert first.headers["content-type"] == "application/json" and first.headers["x-mine"] == "1"
    assert api.base_url == far.url + "//" and first.connection == second.connection


def test_a_body_that_is_not_json_is_told_as_there():
    with FarEnd(answer(0, text="<html>")) as far:
        assert API(far.url).post("/info", {"type": "x"}) == {"error": "Could not parse JSON: <html>"}


def test_compressed_answers_are_read():
    import gzip
    import zlib

    said = b'{"a":1}'
    for encoding, packed in (
        ("gzip", gzip.compress(said)),
        ("deflate", zlib.compress(said)),
        ("deflate", zlib.compress(said)[2:-4]),
    ):
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
        with FarEnd(lambda sock, request, head=head, packed=packed: head + packed) as far:
            assert API(far.url).post("/info", {}) == {"a": 1}


def test_nan_is_never_sent():
    """sdk_dropin 3: NaN and infinities have no JSON; nothing leaves."""
    with FarEnd(answer({})) as far:
        for bad in (float("nan"), float("inf")):
            with pytest.raises(ValueError, match=r"not JSON compliant|Out of range"):
                API(far.url).post("/info", {"a": [bad]})
        API(far.url).post("/info", {"a": 1.5, "text": "\ud800", "big": 2**70})
    assert [r.body for r in far.requests] == [{"a": 1.5, "text": "\ud800", "big": 2**70}]


@pytest.mark.parametrize(
    ("body", "code", "message", "data"),
    [
        ('{"code": -1, "msg": "no", "data": {"x": 1}}', -1, "no", {"x": 1}),
        ('{"msg": "no"}', None, "no", None),
        ("null", None, "null", None),
        ("[1]", None, "[1]", None),
        ("Failed to deserialize", None, "Failed to deserialize", None),
    ],
)
def test_refusals_keep_code_message_headers_and_data_in_their_places(body, code, message, data):
    """S11: not swapped for bodies without a JSON object, and no KeyError for one without `code`."""
    with FarEnd(answer(0, 422, text=body, X_Trace="t1")) as far, pytest.raises(ClientError) as caught:
        API(far.url).post("/info", {"type": "x"})
    error = caught.value
    assert (error.status_code, error.error_code, error.error_message, error.error_data) == (422, code, message, data)
    assert error.args == (422, code, message, error.header, data), "five, as in the SDK"
    assert error.header["x-trace"] == "t1" == error.header.get("X-TRACE") and "Content-Length" in error.header
    assert "'X-Trace': 't1'" in str(error), "a logged refusal shows the headers, as those of requests do"
    assert error.header == {"content-type": "application/json", "CONTENT-LENGTH": str(len(body)), "X-Trace": "t1"}


def test_server_errors_have_status_and_text():
    with FarEnd(answer(0, 502, text="<html>bad")) as far, pytest.raises(ServerError) as caught:
        API(far.url).post("/info", {"type": "x"})
    assert (caught.value.status_code, caught.value.message) == (502, "<html>bad")
    assert not isinstance(caught.value, UnknownOutcome)


def test_a_session_of_ones_own_is_used():
    """sdk_dropin 3: requests go through `session.post` and `_handle_exception`, both looked up on the instance."""
    import requests

    with FarEnd(answer({"a": 1})) as far:
        api = API(far.url)
        api.session = requests.Session()
        assert api.post("/info", {"type": "x"}) == {"a": 1}
        seen = []
        api._handle_exception = lambda response: seen.append(response.status_code)  # type: ignore[method-assign]
        api.post("/info", {"type": "x"})
    assert seen == [200] and far.requests[0].headers["user-agent"].startswith("python-requests")


def test_certificates_are_checked_beyond_this_machine():
    api = API("https://api.hyperliquid.xyz")
    api.session.verify = False
    with pytest.raises(ConfigError, match="for this machine alone"):
        api.post("/info", {"type": "meta"})


def test_a_proxy_is_asked_and_told_its_password():
    """sdk_dropin 3: `proxies` of the session."""
    with FarEnd(answer({"via": "proxy"})) as proxy:
        api = API("http://node.example:3001")
        api.session.proxies["http"] = f"http://me:secret@127.0.0.1:{proxy.port}"
        assert api.post("/info", {"type": "x"}) == {"via": "proxy"}
    assert proxy.requests[0].path == "http://node.example:3001/info"
    api.session.proxies["http"] = "socks5://127.0.0.1:1"
    with pytest.raises(ConfigError, match=r"assign a requests\.Session"):
        api.post("/info", {"type": "x"})


def test_many_threads_share_one_session():
    """sdk_dropin 3: safe from several threads at once; each answer goes to its question."""

    def echo(sock: Any, request: Any) -> bytes:
        return answer({"echo": request.body["n"]})(sock, request) or b""

    with FarEnd(echo) as far:
        api = API(far.url)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda n: api.post("/info", {"n": n})["echo"], range(400)))
    assert found == list(range(400)) and far.connections <= 8


# -- no answer ----------------------------------------------------------------------------------------------------------
def test_a_hung_socket_ends_by_itself_and_an_order_says_that_its_outcome_is_unknown():
    """S1, L26: a default timeout; for a signed action an unknown outcome with nonce and cloids, never a refusal."""
    assert hl.endpoints.defaults.timeout == hl.endpoints.Defaults().timeout == (5, 10)
    hl.configure(timeout=0.2)
    with FarEnd(say_nothing) as far:
        with pytest.raises(TimeoutError) as caught:
            API(far.url).post("/info", {"type": "x"})
        assert not isinstance(caught.value, (Error, UnknownOutcome))
        with pytest.raises(TimeoutError) as lost:
            order(trader(far.url))
    error = lost.value
    assert isinstance(error, UnknownOutcome) and isinstance(error, HlfastError) and not isinstance(error, Error)
    assert (error.outcome, error.cloids) == ("unknown", (CLOID.to_raw(),))
    assert error.nonce == far.requests[-1].body["nonce"] and len(far.requests) == 2


def test_a_timeout_is_a_number_or_a_pair_and_anything_else_is_named():
    with FarEnd(answer({})) as far:
        for good in (1, 1.5, (1, 2), [1, 2], (None, 3)):
            API(far.url, good).post("/info", {})
        for bad in (0, -1, "1", (1, 2, 3), True):
            with pytest.raises(ValueError, match="timeout"):
                API(far.url, bad).post("/info", {})


@pytest.mark.parametrize("behaviour", [reset, hang_up, half(OK)])
def test_a_broken_answer_to_an_order_is_an_unknown_outcome(behaviour):
    """L24: cut after the request was read; a fresh connection is not tried again."""
    with FarEnd(behaviour) as far, pytest.raises(ConnectionError) as caught:
        order(trader(far.url))
    assert isinstance(caught.value, UnknownOutcome) and caught.value.outcome == "unknown"
    assert caught.value.cloids == (CLOID.to_raw(),) and len(far.requests) == 1
    assert "ask by cloid" in str(caught.value)


def test_a_server_error_in_answer_to_an_order_is_an_unknown_outcome():
    """L24: a 502 may have come after the execution. It is a `ServerError` all the same."""
    with FarEnd(answer(0, 502, text="<html>")) as far, pytest.raises(ServerError) as caught:
        order(trader(far.url))
    error = caught.value
    assert isinstance(error, UnknownOutcome) and (error.status_code, error.message) == error.args == (502, "<html>")
    assert error.cloids == (CLOID.to_raw(),) and error.nonce == far.requests[0].body["nonce"]


def test_garbage_in_answer_to_an_order_carries_what_is_known():
    with FarEnd(answer(0, text="garbage")) as far:
        found = order(trader(far.url))
    assert found == {"error": "Could not parse JSON: garbage"}
    assert found.outcome == "unknown" and found.cloids == (CLOID.to_raw(),) and found.nonce


def test_an_order_that_could_not_leave_says_so():
    with FarEnd(answer({})) as far:
        pass
    with pytest.raises(ConnectionError) as caught:
        order(trader(far.url))
    assert not isinstance(caught.value, UnknownOutcome) and caught.value.outcome == "not_sent"  # type: ignore[attr-defined]
    assert "nothing was sent" in str(caught.value)


def test_handlers_that_name_requests_exceptions_still_catch():
    """sdk_dropin 8: once a program has imported requests, errors are instances of its classes too."""
    import requests

    hl.configure(timeout=0.2)
    with FarEnd(say_nothing) as far:
        with pytest.raises(requests.exceptions.ReadTimeout):
            API(far.url).post("/info", {"type": "x"})
        with pytest.raises(requests.exceptions.ReadTimeout) as caught:
            order(trader(far.url))
        assert isinstance(caught.value, UnknownOutcome)
    with pytest.raises(requests.exceptions.ConnectionError):
        API(far.url).post("/info", {"type": "x"})
    made = transport.error("x", was_sent=False, is_action=False, is_timeout=True)
    assert isinstance(made, (requests.exceptions.ConnectTimeout)) and isinstance(made, TimeoutError)


# -- connections that died ----------------------------------------------------------------------------------------------
def test_a_connection_that_died_while_idle_is_renewed_before_use(eventually):
    """S32, L16: the peer has hung up in the meantime; one request, one order."""
    with FarEnd(then_close(answer(OK)), answer(OK)) as far:
        exchange = trader(far.url)
        order(exchange)
        eventually(lambda: all(http._is_closed(i.connection) for kept in exchange.session._idle.values() for i in kept))
        assert order(exchange) == OK
    assert [r.connection for r in far.requests] == [1, 2]


def test_a_connection_that_was_idle_for_long_is_renewed(monkeypatch):
    """S32: the venue's are known to die unnoticed."""
    monkeypatch.setattr(http, "IDLE_SECONDS", 0.0)
    with FarEnd(answer(OK)) as far:
        exchange = trader(far.url)
        order(exchange), order(exchange)
    assert [r.connection for r in far.requests] == [1, 2]


def test_a_dead_connection_gets_the_same_bytes_once_more():
    """S32, L27: re-sent on a fresh connection with the same nonce and signature."""
    with FarEnd(answer(OK), reset, answer(OK)) as far:
        exchange = trader(far.url)
        order(exchange)
        assert order(exchange) == OK
    assert len(far.requests) == 3 and far.requests[1].raw_body == far.requests[2].raw_body


def test_a_duplicate_nonce_after_a_resend_means_that_the_first_copy_arrived():
    """L27, sdk_dropin 8, L72: it is an unknown outcome, never shown as a refusal."""
    refusal = {"status": "err", "response": "Invalid nonce: duplicate nonce 1790000000000"}
    with FarEnd(answer(OK), reset, answer(refusal)) as far:
        exchange = trader(far.url)
        order(exchange)
        with pytest.raises(UnknownOutcome) as caught:
            order(exchange)
        assert caught.value.cloids == (CLOID.to_raw(),)  # type: ignore[attr-defined]
        far.behaviours[:] = [answer(refusal)]
        assert order(exchange) == refusal  # without a re-send it is the venue's answer
    assert len(far.requests) == 4


def test_a_request_is_sent_again_only_once():
    with FarEnd(answer(OK), reset) as far:
        exchange = trader(far.url)
        order(exchange)
        with pytest.raises(ConnectionError) as caught:
            order(exchange)
    assert isinstance(caught.value, UnknownOutcome) and len(far.requests) == 3


# -- budgets and logs ---------------------------------------------------------------------------------------------------
def test_weights_are_counted_and_a_429_says_when_to_come_back():
    """S33, C5: as the venue counts; a 429 stays a `ClientError`, with `retry_after_s`."""
    with FarEnd(
        answer({}), answer({}), answer(0, 429, text="null"), answer(0, 429, text="null", Retry_After="3")
    ) as far:
        api = API(far.url)
        api.post("/info", {"type": "meta"})
        api.post("/info", {"type": "l2Book"})
        told = weights.report(far.url)
        assert (told["weight_used"], told["spent_on"]) == (22, {"meta": 20, "l2Book": 2})
        waits = []
        for _ in range(2):
            with pytest.raises(ClientError) as caught:
                api.post("/info", {"type": "meta"})
            assert caught.value.status_code == 429
            waits.append(caught.value.retry_after_s)
    assert waits[0] is not None and 0 < waits[0] <= 60 and waits[1] == 3


def test_nothing_that_is_signed_is_logged_and_no_logger_but_ours_is_used(caplog, capsys):
    """S4, S5, L122: no payload, signature or key in any log, error or repr; loggers under `hlfast.` only; no output."""
    caplog.set_level(logging.DEBUG)
    key = FUNDED_ACCOUNTS[0].key
    with FarEnd(answer(OK), answer(0, 502, text="x"), answer(0, 422, text="y"), reset) as far:
        exchange = trader(far.url)
        signature = []
        own = exchange._post_action
        exchange._post_action = lambda a, s, n: signature.append(s) or own(a, s, n)  # type: ignore[method-assign]
        said = [repr(exchange), str(vars(exchange)), repr(exchange.session)]
        for _ in range(4):
            try:
                order(exchange)
            except Exception as error:
                said += [repr(error), str(error)]
    out = capsys.readouterr()
    text = "\n".join([*said, caplog.text, out.out, out.err])
    secrets = [key[2:], *(s[part][2:] for s in signature for part in ("r", "s"))]
    assert len(signature) == 4 and [s for s in secrets if s in text] == [] and out.out == ""
    assert {record.name.split(".")[0] for record in caplog.records} <= {"hlfast"}


def test_calls_work_on_a_thread_that_has_an_event_loop():
    """sdk_dropin 3."""
    import asyncio

    async def run(url: str) -> Any:
        return API(url).post("/info", {"type": "x"})

    with FarEnd(answer({"a": 1})) as far:
        assert asyncio.run(run(far.url)) == {"a": 1}
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(API(far.url).post("/info", {})))
        thread.start()
        thread.join()
    assert found == [{"a": 1}]
