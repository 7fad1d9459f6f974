"""Answers to requests: every documented shape is read, and an unknown one is unknown, never an exception."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hlfast.venues.hyperliquid.scan import ItemKind, ItemStatus, PostReply, Router

CLOID = "0x285ad26a251f390c83d065af51e3f8d9"


def item(status: ItemStatus) -> tuple[Any, ...]:
    return (ItemKind(status.kind), status.oid, status.cloid, status.total_sz, status.avg_px, status.error)


def fields(reply: PostReply) -> tuple[Any, ...]:
    return (reply.id, reply.kind, reply.text, [item(s) for s in reply.statuses], reply.data, reply.recv_ns)


def read(frame: str) -> tuple[PostReply, dict[str, int], list[str]]:
    """The answer in `frame`, the counters, and the kinds of errors reported."""
    router, replies, errors = Router(), [], []
    router.post_sink = replies.append
    router.error_sink = lambda kind, detail, excerpt: errors.append(kind)
    router.feed(frame.encode(), 5)
    (reply,) = replies
    return reply, router.counters, errors


def posted(response: str, id: int = 257) -> str:
    return '{"channel":"post","data":{"id":' + str(id) + ',"response":' + response + "}}"


def action(payload: str) -> str:
    return posted('{"type":"action","payload":' + payload + "}")


def statuses(kind: str, *entries: str) -> str:
    body = '{"status":"ok","response":{"type":"' + kind + '","data":{"statuses":[' + ",".join(entries) + "]}}}"
    return action(body)


RESTING = ItemKind.RESTING, 88383, None, "", "", ""
ENTRIES: list[tuple[str, tuple[Any, ...]]] = [
    ('{"resting":{"oid":88383}}', RESTING),
    ('{"resting":{"oid":88383,"cloid":"' + CLOID + '"}}', (ItemKind.RESTING, 88383, CLOID, "", "", "")),
    ('{"resting":{"oid":88383,"cloid":null}}', RESTING),
    ('{"filled":{"totalSz":"0.02","avgPx":"1891.4","oid":77747314}}', (ItemKind.FILLED, 77747314, None, "0.02", "1891.4", "")),
    (
        '{"filled":{"totalSz":"0.02","avgPx":"1891.4","oid":9223372036854775807,"cloid":"' + CLOID + '"}}',
        (ItemKind.FILLED, 2**63 - 1, CLOID, "0.02", "1891.4", ""),
    ),
    (
        '{"error":"Post only order would have immediately matched, bbo was 0.9 @ 1.1. asset=11302"}',
        (ItemKind.ERROR, 0, None, "", "", "Post only order would have immediately matched, bbo was 0.9 @ 1.1. asset=11302"),
    ),
    ('{"error":"Order must have minimum value of $10. asset=1"}', (ItemKind.ERROR, 0, None, "", "", "Order must have minimum value of $10. asset=1")),
    ('"success"', (ItemKind.SUCCESS, 0, None, "", "", "")),
    ('"waitingForFill"', (ItemKind.WAITING_FILL, 0, None, "", "", "")),
    ('"waitingForTrigger"', (ItemKind.WAITING_TRIGGER, 0, None, "", "", "")),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["order", "cancel"])
@pytest.mark.parametrize("lead", ["", " "])
def test_every_entry_of_statuses_is_read(kind: str, lead: str):
    """G17; L32."""
    for entry, want in ENTRIES:
        reply, counters, errors = read(lead + statuses(kind, entry))
        assert fields(reply) == (257, kind, "", [want], None, 5)
        assert (counters["fallbacks"], counters["channel_post"], errors) == (len(lead), 1, [])
    reply, counters, _ = read(lead + statuses(kind, *(entry for entry, _ in ENTRIES)))
    assert [item(s) for s in reply.statuses] == [want for _, want in ENTRIES] and counters["fallbacks"] == len(lead)


@pytest.mark.parametrize(
    "entry",
    [
        '"somethingNew"', "null", "7", "[]", "{}", '{"resting":{}}', '{"resting":{"oid":"5"}}', '{"resting":7}',
        '{"resting":{"oid":"None"}}', '{"resting":{"oid":null}}', '{"resting":{"oid":5.5}}',
        '{"filled":{"oid":5}}', '{"filled":{"oid":5,"totalSz":1.0,"avgPx":"2"}}', '{"error":{"code":1}}',
        '{"resting":{"oid":5},"error":"both"}', '{"resting":{"oid":9223372036854775808}}', '{"resting":{"oid":-5}}',
        '{"queued":{"oid":5}}', '"success\\u0021"', "[" * 400 + "]" * 400,
    ],
)  # fmt: skip
def test_an_unknown_entry_is_unknown_and_its_neighbours_are_read(entry: str):
    """L32, L33; G17: an id is a whole number, or the entry is not understood."""
    reply, counters, errors = read(statuses("order", '{"resting":{"oid":88383}}', entry, '"success"'))
    first, odd, last = reply.statuses
    assert item(first) == RESTING and last.kind == ItemKind.SUCCESS
    assert odd.kind == ItemKind.UNKNOWN and odd.oid == 0 and odd.error
    assert (counters["unknown_reply"], errors, reply.kind) == (1, ["unknown_reply"], "order")


ANSWERS: list[tuple[str, str, str, Any, int]] = [
    # frame, kind, text, data, fallbacks
    (action('{"status":"ok","response":{"type":"default"}}'), "default", "", None, 0),
    (action('{"response":{"type":"default"},"status":"ok"}'), "default", "", None, 1),
    (action('{"status":"err","response":"Action already expired"}'), "err", "Action already expired", None, 0),
    (action('{"status":"err","response":"Said \\"no\\""}'), "err", 'Said "no"', None, 0),
    (action('{"status":"err","response":{"type":"error","data":"Rate limit exceeded"}}'), "err", "Rate limit exceeded", None, 0),
    (action('{"status":"err","response":{"error":"cloid route rejected"}}'), "err", "cloid route rejected", None, 0),
    (
        action('{"status":"ok","response":{"type":"twapOrder","data":{"status":{"running":{"twapId":77}}}}}'),
        "twapOrder", "", {"status": {"running": {"twapId": 77}}}, 0,
    ),
    (action('{"status":"ok","response":{"type":"createSubAccount","data":"0x1d"}}'), "createSubAccount", "", "0x1d", 0),
    (posted('{"type":"error","payload":"422 Unprocessable Entity: ..."}'), "error", "422 Unprocessable Entity: ...", None, 0),
    (posted('{"type":"info","payload":{"type":"l2Book","data":{"coin":"ETH"}}}'), "info", "", {"coin": "ETH"}, 0),
    (posted('{"type":"info","payload":{"type":"userRole","data":null}}'), "info", "", None, 0),
]  # fmt: skip


@pytest.mark.parametrize("frame, kind, text, data, fallbacks", ANSWERS)
def test_other_answers_have_a_kind_and_a_text_or_data(frame: str, kind: str, text: str, data: Any, fallbacks: int):
    """L32."""
    reply, counters, errors = read(frame)
    assert fields(reply) == (257, kind, text, [], data, 5)
    assert (counters["fallbacks"], counters["unknown_reply"], errors) == (fallbacks, 0, [])


@pytest.mark.parametrize(
    "frame",
    [
        action('{"status":"ok","response":{"type":"order"}}'),
        action('{"status":"ok","response":{"type":"cancel","data":{"statuses":{}}}}'),
        action('{"status":"ok","response":{"type":"info"}}'),
        action('{"status":"ok","response":{"type":7}}'),
        action('{"status":"ok","response":"yes"}'),
        action('{"status":"maybe"}'),
        action('"fine"'),
        action("null"),
        posted('{"type":"action"}'),
        posted('{"type":"explorer","payload":{}}'),
        posted('{"type":"info","payload":{}}'),
        posted("null"),
        posted("[1]"),
        '{"channel":"post","data":{"id":257}}',
    ],
)
def test_an_unknown_answer_is_unknown_and_keeps_its_id(frame: str):
    """L32; G8."""
    reply, counters, errors = read(frame)
    assert (reply.id, reply.kind, reply.statuses) == (257, "unknown", []) and reply.text
    assert (counters["unknown_reply"], counters["malformed"], errors) == (1, 0, ["unknown_reply"])


def test_statuses_of_an_answer_without_a_known_kind_are_still_read():
    """L32."""
    reply, _, errors = read(action('{"status":"ok","response":{"data":{"statuses":[{"resting":{"oid":88383}}]}}}'))
    assert (reply.kind, [item(s) for s in reply.statuses], errors) == ("unknown", [RESTING], ["unknown_reply"])
    reply, _, errors = read(statuses("modify", '"success"', '{"error":"Order does not exist"}'))
    assert reply.kind == "modify" and [s.kind for s in reply.statuses] == [ItemKind.SUCCESS, ItemKind.ERROR]
    assert errors == []


def test_the_id_comes_back_as_it_was_sent():
    for id in (0, 1, 2**53 - 1, 2**63 - 1):
        assert read(posted('{"type":"error","payload":"x"}', id))[0].id == id


def test_answers_over_http_read_as_those_over_the_socket():
    """L32; G8."""
    body = b'{"status":"ok","response":{"type":"order","data":{"statuses":[{"resting":{"oid":88383}}]}}}'
    assert fields(PostReply.from_http(3, 200, body, 9)) == (3, "order", "", [RESTING], None, 9)
    for status in (400, 422, 429, 500, 502):
        reply = PostReply.from_http(3, status, b"<html>\xff" + b"x" * 1000)
        assert reply.kind == "error" and reply.text.startswith(f"{status} <html>") and len(reply.text) < 250
    for body in (b"", b"null", b"<html>", b"[]", b"\xff", b"7", b'{"status":"ok"}'):
        assert PostReply.from_http(3, 200, body).kind == "unknown"
    assert PostReply.from_http(3, 200, b'{"status":"err","response":"no"}').text == "no"


def test_replies_can_be_made_by_hand():
    made = PostReply(4, "order", statuses=[ItemStatus(ItemKind.FILLED, oid=2, total_sz="1", avg_px="3")], recv_ns=1)
    assert fields(made) == (4, "order", "", [(ItemKind.FILLED, 2, None, "1", "3", "")], None, 1)
    assert "FILLED" in repr(made) and "order" in repr(made)
    with pytest.raises(ValueError):
        ItemStatus(99)


def expected(body: Any) -> list[ItemKind]:
    kinds = {"resting": ItemKind.RESTING, "filled": ItemKind.FILLED, "error": ItemKind.ERROR, "success": ItemKind.SUCCESS,
             "waitingForFill": ItemKind.WAITING_FILL, "waitingForTrigger": ItemKind.WAITING_TRIGGER}  # fmt: skip
    data = body["response"].get("data") if isinstance(body["response"], dict) else None
    entries = data.get("statuses", []) if isinstance(data, dict) else []
    return [kinds[entry if isinstance(entry, str) else next(iter(entry))] for entry in entries]


def test_every_recorded_answer_is_read(shared: Path):
    """L32."""
    path = shared / "fixtures" / "venue" / "exchange_responses.jsonl"
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(entries) >= 30
    for entry in entries:
        body = entry["response"]
        spelled = json.dumps(body, separators=(",", ":"))
        over_http = PostReply.from_http(257, 200, spelled.encode(), 5)
        reply, counters, _ = read(action(spelled))
        assert fields(reply) == fields(over_http) and counters["malformed"] == 0, entry["id"]
        assert [s.kind for s in reply.statuses] == expected(body), entry["id"]
        if body["status"] == "err":
            assert reply.kind == "err" and reply.text and reply.text in spelled
        elif entry["recorded"] or reply.statuses:
            assert reply.kind == body["response"].get("type", "unknown"), entry["id"]


@pytest.mark.parametrize(
    "payload",
    [
        '{"type":"openOrders","data":[]}',
        '{"type":"l2Book","data":null}',
        '{"type":"userAbstraction","data":"disabled"}',
        '{"type":"allMids","data":{"BTC":"65000.0"}}',
        '{"type":"allMids","data": {"BTC":"}}}}"} }',
        '{"type":"allMids","data":{"BTC":1},"more":2}',
        '{"type":"al\\u006cMids","data":{"BTC":1}}',
        '{"type":"","data":5}',
        '{"data":5,"type":"allMids"}',
    ],
)
def test_an_answer_to_a_query_is_the_same_value_however_it_is_read(payload: str):
    """The part that was asked for is parsed alone where the envelope is the venue's to the byte, else the whole frame is."""
    frame = posted('{"type":"info","payload":' + payload + "}")
    reply, counters, errors = read(frame)
    whole, _, _ = read(" " + frame)
    assert fields(reply) == fields(whole) and reply.kind == "info" and not errors
    assert reply.data == json.loads(payload)["data"] and counters["channel_post"] == 1


@pytest.mark.parametrize("data", ["", "[", "[}", "1}}}},{", '"x', "01", "1 2", '"\x01"'])
def test_an_answer_that_is_no_json_inside_an_envelope_that_is_is_malformed(data: str):
    router, replies, errors = Router(), [], []
    router.post_sink = replies.append
    router.error_sink = lambda kind, detail, excerpt: errors.append(kind)
    router.feed(posted('{"type":"info","payload":{"type":"allMids","data":' + data + "}}").encode(), 5)
    assert (replies, errors) == ([], ["malformed"])
