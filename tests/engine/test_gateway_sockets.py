"""The gateway's sockets: where they may be bound, who may reach them, settings, the Python client, the command."""

from __future__ import annotations

import asyncio
import builtins
import json
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from hlfast.cli.gateway_command import write_key
from hlfast.engine.gateway_client import GatewayClient
from hlfast.engine.gateway_settings import GatewaySettings
from hlfast.engine.gateway_sockets import Curve, Sockets, check_endpoint, endpoints_of, load_zmq, private_folder
from hlfast.errors import ConfigError, NotReady

zmq = pytest.importorskip("zmq", reason="the gateway needs pyzmq")


def test_without_pyzmq_the_error_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name: str, *args: Any, **more: Any) -> Any:
        if name == "zmq":
            raise ImportError("No module named 'zmq'")
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"pip install 'hlfast\[zmq\]'"):
        load_zmq()


def test_beyond_loopback_only_with_curve_and_an_allow_list():
    """Contract 1."""
    public, secret = (key.decode() for key in zmq.curve_keypair())
    for endpoint in ("tcp://0.0.0.0:5601", "tcp://*:5601", "tcp://192.168.1.2:5601"):
        with pytest.raises(ConfigError, match="CURVE and an allow-list"):
            check_endpoint(endpoint, None)
        with pytest.raises(ConfigError, match="CURVE and an allow-list"):
            check_endpoint(endpoint, Curve(secret, {}))
        check_endpoint(endpoint, Curve(secret, {public: ("trade",)}))
    check_endpoint("tcp://127.0.0.1:5601", None)
    with pytest.raises(ConfigError, match="reserved"):
        check_endpoint("tcp://127.0.0.1:5562", None)
    with pytest.raises(ConfigError, match="too long"):
        check_endpoint("ipc://" + "x" * 120, None)
    assert secret not in repr(Curve(secret, {}))


def test_the_loopback_ports_are_the_contracts(tmp_path):
    """Contract 1, 13."""
    found = endpoints_of("tcp", tmp_path, {}, "127.0.0.1", 5556)
    assert found == {
        "orders": "tcp://127.0.0.1:5601", "reports": "tcp://127.0.0.1:5602", "trades": "tcp://127.0.0.1:5556",
        "books": "tcp://127.0.0.1:5557", "events": "tcp://127.0.0.1:5603",
    }  # fmt: skip
    with pytest.raises(ConfigError, match="same endpoint"):
        endpoints_of("tcp", tmp_path, {"events": "tcp://127.0.0.1:5601"}, "127.0.0.1", 5556)


def test_the_folder_of_the_sockets_is_private_and_of_one_gateway(tmp_path):
    """Contract 1: mode 0700; a second gateway there is refused instead of taking the sockets over."""
    lock = private_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    with pytest.raises(ConfigError, match="another gateway"):
        private_folder(tmp_path / "a" / "b")
    os.close(lock)
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(ConfigError, match="mode 0700"):
        private_folder(tmp_path / "open")


async def test_a_taken_port_is_fatal_at_the_start(tmp_path):
    """Contract 1 (behaviour 80)."""
    context = zmq.Context()
    taken = context.socket(zmq.PUB)
    port = taken.bind_to_random_port("tcp://127.0.0.1")
    given = dict.fromkeys(("reports", "trades", "books", "events"), "tcp://127.0.0.1:*")
    with pytest.raises(ConfigError, match="cannot be bound"):
        Sockets({"orders": f"tcp://127.0.0.1:{port}", **given})
    taken.close(0)
    context.term()


async def test_two_gateways_run_side_by_side(open_desk, tmp_path):
    """Contract 1, 14 (21)."""
    from hlfast.sim import FUNDED_ACCOUNTS

    one = await open_desk()
    import hlfast
    from hlfast.engine.gateway import Gateway

    other = hlfast.connect(one.exchange.network, key=FUNDED_ACCOUNTS[1].key)
    async with Gateway(other, GatewaySettings(directory=str(tmp_path / "other"))) as gateway:
        assert set(gateway.endpoints.values()).isdisjoint(one.gateway.endpoints.values())


KEYS = ("trader", "reader", "stranger", "server")


@pytest.fixture(scope="module")
def keys() -> dict[str, tuple[str, str]]:
    return {name: tuple(key.decode() for key in zmq.curve_keypair()) for name in KEYS}  # type: ignore[misc]


def curve_settings(keys: dict[str, tuple[str, str]]) -> GatewaySettings:
    clients = {keys["trader"][0]: ("trade",), keys["reader"][0]: ("read",)}
    return GatewaySettings(
        transport="tcp",
        endpoints=dict.fromkeys(("orders", "reports", "trades", "books", "events"), "tcp://127.0.0.1:*"),
        curve=Curve(keys["server"][1], clients),
    )


async def open_client(desk_gateway: Any, keys: dict[str, tuple[str, str]], who: str, **more: Any) -> GatewayClient:
    at = desk_gateway.endpoints
    public, secret = keys[who]
    make = lambda: GatewayClient(  # noqa: E731
        at["orders"], at["reports"], server_key=keys["server"][0], public_key=public, secret_key=secret, **more
    )
    return await asyncio.get_running_loop().run_in_executor(None, make)


async def test_each_client_has_its_rights(open_gateway, keys):
    """Contract 1: trade and read; an unknown key hears nothing and is counted."""
    gateway = await open_gateway(curve_settings(keys))
    run = asyncio.get_running_loop().run_in_executor
    trader = await open_client(gateway, keys, "trader", timeout=20)
    cl_id = trader.place("BTC", "buy", "0.001", "60000")
    assert (await run(None, trader.answer, cl_id, 20))["status"] == "accepted"
    reader = await open_client(gateway, keys, "reader", timeout=20)
    refused = reader.cancel(cl_id)
    report = await run(None, reader.answer, refused, 20)
    assert (report["status"], report["reason_code"]) == ("rejected", "risk_blocked") and "may read" in report[
        "reason_text"
    ]
    with pytest.raises(NotReady, match="public key on its list"):
        await open_client(gateway, keys, "stranger", timeout=1)
    assert gateway.counters["unknown_clients"] > 0
    assert len(gateway.connector.orders) == 1
    trader.close()
    reader.close()


def own_address() -> str:
    """This machine's address in its network; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no network")
        found = str(probe.getsockname()[0])
    if found.startswith("127."):
        pytest.skip("this machine has no address beyond loopback")
    return found


async def test_beyond_loopback_a_listed_key_trades_and_nobody_else_hears_anything(open_gateway, keys):
    """Contract 1: over the machine's own network address; neither an unknown key nor a client without CURVE gets in."""
    host = own_address()
    plain = curve_settings(keys)
    settings = GatewaySettings(
        transport="tcp", endpoints=dict.fromkeys(plain.endpoints, f"tcp://{host}:*"), curve=plain.curve
    )
    with pytest.raises(ConfigError, match="CURVE and an allow-list"):
        await open_gateway(GatewaySettings(transport="tcp", endpoints=settings.endpoints))
    gateway = await open_gateway(settings)
    assert all(host in at for at in gateway.endpoints.values())
    run = asyncio.get_running_loop().run_in_executor
    trader = await open_client(gateway, keys, "trader", timeout=20)
    cl_id = trader.place("BTC", "buy", "0.001", "60000")
    assert (await run(None, trader.answer, cl_id, 20))["status"] == "accepted"
    with pytest.raises(NotReady):
        await open_client(gateway, keys, "stranger", timeout=1)
    at = gateway.endpoints
    with pytest.raises(NotReady):
        await run(None, lambda: GatewayClient(at["orders"], at["reports"], timeout=1))
    push = trader._context.socket(zmq.PUSH)  # without CURVE
    push.linger = 0
    push.connect(at["orders"])
    push.send(b'{"version":1,"cl_id":"no","action":"cancel","details":{"cl_id_to_cancel":"%s"}}' % cl_id.encode())
    await asyncio.sleep(0.3)
    push.close(0)
    assert gateway.desk is not None and gateway.desk.reports.stream.seq == 1 and len(gateway.connector.orders) == 1
    trader.close()


async def test_the_python_client_trades(open_gateway):
    """Place, answer, replace, cancel, resend: blocking calls, exact numbers."""
    gateway = await open_gateway(GatewaySettings())
    at = gateway.endpoints

    def session() -> list[str]:
        with GatewayClient(at["orders"], at["reports"], timeout=20) as client:
            cl_id = client.place("BTC-USDC-PERP", "buy", "0.01", "60000", time_in_force="PO", tags={"strategy": "x"})
            said = [client.answer(cl_id, 20)["status"]]
            said.append(client.answer(client.replace(cl_id, price="60001"), 20)["status"])
            said.append(client.answer(client.cancel(cl_id), 20)["status"])
            list(client.messages(0.3))
            assert client.unanswered == [] and client.is_up and not client.missed["exec.report"]
            again = client.resend("exec.report", 1, 2)
            said.append(client.answer(again, 20)["status"])
            duplicates = [m for t, m in client.messages(0.5) if t == "exec.report" and m.get("duplicate")]
            said.append(str(len(duplicates)))
            return said

    said = await asyncio.get_running_loop().run_in_executor(None, session)
    assert said == ["accepted", "accepted", "accepted", "accepted", "2"]


def test_a_client_without_a_gateway_is_told_so(tmp_path):
    with pytest.raises(NotReady, match="no gateway was heard"):
        GatewayClient.in_directory(tmp_path, timeout=0.2)


def test_settings_are_honoured_or_refused():
    """Contract 13: an unknown key is an error at start."""
    made = GatewaySettings.from_json(
        {
            "transport": "tcp",
            "zmq": {"port": 6000, "deltas": {"enabled": True}},
            "zmq.depth_levels": 5,
            "orders.endpoint": "tcp://127.0.0.1:7000",
            "venue_aliases": ["HL"],
            "journal": "off",
            "feeds": [{"exchange": "hyperliquid", "symbols": ["BTC"], "reconnect_delay_ms": 100}],
        }
    )
    assert (made.port, made.deltas, made.depth_levels, made.venue_aliases) == (6000, True, 5, ("hl",))
    assert made.endpoints == {"orders": "tcp://127.0.0.1:7000"} and made.reconnect_delay_ms == 100 and not made.journal
    for bad in (
        {"zmq": {"prot": 1}},
        {"feeds": [{"symbols": ["BTC"], "depth": 1}]},
        {"feeds": [{"symbols": []}]},
        {"feeds": [{"symbols": ["BTC"], "reconnect_attempts": 3}]},
        {"quantize": "round"},
        {"max_order_age_ms": "5"},
        {"max_order_age_ms": 0},
        {"curve": {"clients": {}}},
        ["no object"],
    ):
        with pytest.raises(ConfigError):
            GatewaySettings.from_json(bad)


def test_a_secret_key_is_written_for_its_owner_alone_and_read_so(tmp_path):
    """Nothing that others can read is taken as a secret."""
    path = tmp_path / "gateway.key"
    public = write_key(path)
    assert len(public) == 40 and stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="never overwritten"):
        write_key(path)
    settings = {"curve": {"secret_key_file": str(path), "clients": {public: ["trade"]}}}
    made = GatewaySettings.from_json(settings)
    assert made.curve is not None and made.curve.clients == {public: ("trade",)}
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        GatewaySettings.from_json(settings)
    with pytest.raises(ConfigError, match="rights"):
        Curve("x" * 40, {public: ("withdraw",)})


async def test_the_command_says_where_its_sockets_are(open_process):
    """`hlfast gateway --json`."""
    _, gateway, _ = await open_process()
    ready = gateway.endpoints
    assert ready["ready"] is True and {"orders", "reports", "trades", "books", "events"} <= ready.keys()
    assert stat.S_IMODE(Path(ready["orders"][len("ipc://") :]).parent.stat().st_mode) == 0o700
    assert json.dumps(ready)
