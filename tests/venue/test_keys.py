"""Where a private key comes from, and that it goes nowhere else. The key below is a canary: it may appear in no text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hlfast
from hlfast.errors import ConfigError
from hlfast.venues.hyperliquid.keys import load_key

PACKAGE_PARENT = Path(hlfast.__file__).parents[1]
"""Child processes start where the tested package lies: a tree that is not compiled would hide it."""

CANARY = "5ca1ab1e0ddba11c0ffee0ddba11c0ffee5ca1ab1edeadbeefc0ffee0ddba115"
ADDRESS = "0x5ca1ab1e0ddba11c0ffee0ddba11c0ffee5ca1ab"
PASSWORD = "correct horse battery staple"


@pytest.fixture
def key_file(tmp_path: Path) -> Callable[..., Path]:
    def write(content: str | bytes, mode: int = 0o600, name: str = "agent.key") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return path

    return write


@pytest.fixture(scope="module")
def keystore() -> str:
    from eth_account import Account

    return json.dumps(Account.encrypt("0x" + CANARY, PASSWORD, kdf="pbkdf2", iterations=2))


def refused(key: Any, **options: Any) -> str:
    """The error's text; the canary is searched for in it, in its repr, and in the traceback with all local variables."""
    with pytest.raises(ConfigError) as caught:
        load_key(key, **options)
    error = caught.value
    own = [entry for entry in traceback.extract_tb(error.__traceback__) if "hyperliquid" in entry.filename]
    assert len(own) == 1, "frames that had the key in hand are still attached"
    told = traceback.TracebackException(type(error), error, error.__traceback__.tb_next, capture_locals=True)  # type: ignore[union-attr]
    shown = "".join(told.format()) + repr(error)
    assert error.__cause__ is None and error.__context__ is None
    for piece in (CANARY[n : n + 12] for n in range(0, len(CANARY) - 12, 4)):
        assert piece not in shown.lower()
    assert PASSWORD not in shown
    return str(error)


@pytest.mark.parametrize("key", [CANARY, "0x" + CANARY, "0X" + CANARY.upper(), f"  0x{CANARY}\n"])
def test_hex_text_is_taken_as_given(key: str) -> None:
    assert load_key(key) == key.strip()


def test_thirty_two_bytes_are_taken_as_given() -> None:
    raw = bytes.fromhex(CANARY)
    assert load_key(raw) == raw and load_key(bytearray(raw)) == raw  # type: ignore[arg-type]


@pytest.mark.parametrize("address", [ADDRESS, ADDRESS[2:], bytes.fromhex(ADDRESS[2:])])
def test_an_address_is_told_from_a_key_without_an_echo(address: str | bytes) -> None:
    """L123."""
    assert "looks like an address, not a private key" in refused(address)


@pytest.mark.parametrize(
    "key",
    [
        "0x" + CANARY[:-1],
        CANARY + "0",
        CANARY[:-1] + "g",
        f"'{CANARY}'",
        f"{CANARY[:32]} {CANARY[32:]}",
        f"./{CANARY}",
        f"/home/me/{CANARY}/key",
        f"env:{CANARY}",
        f"env:0x{CANARY}",
        f"env:A{CANARY[:-3]}",
        "env:",
        "env:NO SUCH NAME",
        "{" + CANARY,
        '{"key": "' + CANARY + '"}',
        "\x00" + CANARY,
        CANARY * 200,
        "",
        "   ",
        bytes.fromhex(CANARY)[:-1],
        b"0x" + CANARY.encode(),
        None,
        12345,
        [CANARY],
    ],
)
def test_a_wrong_key_of_each_kind_is_refused_without_an_echo(key: Any) -> None:
    """L123: a mistyped key is still a secret."""
    assert len(refused(key)) > 20


def test_a_key_from_the_environment(monkeypatch: pytest.MonkeyPatch, key_file: Callable[..., Path]) -> None:
    """`env:NAME`: a key, or the path of a file with one."""
    monkeypatch.setenv("HL_TEST_KEY", f"0x{CANARY}\n")
    assert load_key("env:HL_TEST_KEY") == "0x" + CANARY
    monkeypatch.setenv("HL_TEST_KEY", str(key_file(CANARY)))
    assert load_key("env:HL_TEST_KEY") == CANARY


def test_an_environment_variable_that_does_not_hold_a_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked for is named, what it holds is not."""
    monkeypatch.delenv("HL_TEST_KEY", raising=False)
    assert "'HL_TEST_KEY' is not set or empty" in refused("env:HL_TEST_KEY")
    for value, told in (("", "not set"), (CANARY[:-2], "'HL_TEST_KEY' is not usable"), (ADDRESS, "address")):
        monkeypatch.setenv("HL_TEST_KEY", value)
        assert told in refused("env:HL_TEST_KEY")


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_from_a_file_of_the_owners_own(key_file: Callable[..., Path], mode: int) -> None:
    path = key_file(f"0x{CANARY}\n", mode)
    assert load_key(str(path)) == load_key(path) == "0x" + CANARY


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o622])
def test_a_file_that_others_can_read_is_refused_with_the_command_that_mends_it(
    key_file: Callable[..., Path], mode: int
) -> None:
    """Secrets: mode 0600 or stricter."""
    path = key_file(CANARY, mode)
    told = refused(path)
    assert f"mode {mode:04o}" in told and f"chmod 600 {path}" in told
    subprocess.run(["chmod", "600", str(path)], check=True)
    assert load_key(path) == CANARY


def test_files_that_hold_something_else_are_refused(key_file: Callable[..., Path], tmp_path: Path) -> None:
    """Each with what is wrong, none with what it holds."""
    assert "address" in refused(key_file(ADDRESS))
    assert "is not usable" in refused(key_file(CANARY[:-1]))
    assert "is not usable" in refused(key_file(f"env:{CANARY}"))
    assert "is not usable" in refused(key_file(""))
    assert "is not text" in refused(key_file(b"\xff\xfe" + bytes.fromhex(CANARY)))
    assert "more than 65536 bytes" in refused(key_file(CANARY * 2000))
    assert "no such file" in refused(str(tmp_path / "absent.key"))
    assert "No such file" in refused(tmp_path / "absent.key")
    assert "cannot be read" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "not a file" in refused(tmp_path / "pipe")


@pytest.mark.parametrize("password", [PASSWORD, lambda: PASSWORD])
def test_an_encrypted_keystore_opens_with_its_password(
    keystore: str, key_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, password: Any
) -> None:
    """Eth keyfile v3, from a file, from the environment or as text; the password as text or from a function."""
    monkeypatch.setenv("HL_TEST_KEY", keystore)
    for source in (key_file(keystore, name="agent.json"), "env:HL_TEST_KEY", keystore):
        assert load_key(source, password=password) == bytes.fromhex(CANARY)


def test_a_keystores_password_from_the_environment(keystore: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HLFAST_KEYSTORE_PASSWORD", raising=False)
    assert "set HLFAST_KEYSTORE_PASSWORD" in refused(keystore)
    monkeypatch.setenv("HLFAST_KEYSTORE_PASSWORD", PASSWORD)
    assert load_key(keystore) == bytes.fromhex(CANARY)
    assert "password is wrong" in refused(keystore, password=PASSWORD[:-1])


def test_a_keystore_that_cannot_be_opened_is_refused(keystore: str, key_file: Callable[..., Path]) -> None:
    """Damaged in each of its parts: a clear error, and neither the password nor the content in it."""
    assert "chmod 600" in refused(key_file(keystore, 0o644), password=PASSWORD)
    whole = json.loads(keystore)
    for broken in (
        {**whole, "version": 9},
        {**whole, "crypto": {}},
        {**whole, "crypto": {**whole["crypto"], "kdf": "md5"}},
        {**whole, "crypto": {**whole["crypto"], "ciphertext": "zz"}},
        {**whole, "crypto": {**whole["crypto"], "mac": "00" * 32}},
    ):
        assert "password is wrong" in (told := refused(json.dumps(broken), password=PASSWORD)) or "decrypted" in told
    assert "no 'crypto' object" in refused(json.dumps({"address": ADDRESS}), password=PASSWORD)
    assert "not readable as JSON" in refused(keystore[:-5], password=PASSWORD)


def test_eth_account_is_imported_for_keystores_only() -> None:
    """Its import costs half a second."""
    code = (
        "import sys; from hlfast.venues.hyperliquid.keys import load_key; "
        f"load_key('{'11' * 32}'); print('eth_account' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=PACKAGE_PARENT
    )
    assert done.stdout.strip() == "False"
