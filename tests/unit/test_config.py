"""Networks are explicit and plain text stays on this machine."""

import pytest

from hlfast import config
from hlfast.errors import ConfigError


def test_names_give_the_three_networks_and_a_wrong_one_lists_them():
    assert config.network("mainnet").is_mainnet and not config.network("testnet").is_mainnet
    assert config.network("simulator").http_url == "http://127.0.0.1:8000"
    with pytest.raises(ConfigError, match="mainnet, testnet, simulator"):
        config.network("main")


def test_no_test_network_url_points_to_the_main_network():
    """Behaviour 76."""
    assert "hyperliquid-testnet" in config.TESTNET.http_url and "hyperliquid-testnet" in config.TESTNET.ws_url
    assert config.MAINNET.http_url not in (config.TESTNET.http_url, config.SIMULATOR.http_url)


@pytest.mark.parametrize("host", ["example.org", "10.0.0.1", "127.evil.example", "localhost.example"])
def test_plain_text_beyond_loopback_is_refused_unless_named(host):
    with pytest.raises(ConfigError, match="not encrypted"):
        config.Network(f"http://{host}", f"ws://{host}/ws", False)
    assert config.Network(f"http://{host}", f"ws://{host}/ws", False, allow_insecure=True)


@pytest.mark.parametrize("url", ["ftp://x", "", "127.0.0.1:8000", "http://"])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(ConfigError, match="http_url must look like"):
        config.Network(url, "ws://127.0.0.1/ws", False)


def test_the_network_is_never_derived_from_the_text():
    """L78: a slash or a private endpoint does not change how actions are signed."""
    assert config.Network("https://api.hyperliquid.xyz/", "wss://private.example/ws", True).is_mainnet


def test_the_state_directory_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HLFAST_STATE", str(tmp_path / "s"))
    path = config.StateDirectory().ensure()
    assert path == tmp_path / "s" and path.stat().st_mode & 0o777 == 0o700
