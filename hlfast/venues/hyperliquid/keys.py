"""Where a private key comes from (layer 2, cold). Nothing here is ever shown, logged or kept.

    load_key("0x...64 hex digits...")      # as given, also 32 bytes
    load_key("env:HL_KEY")                 # an environment variable: a key, a file's path or a keystore's JSON
    load_key("~/keys/agent.json")          # a file with mode 0600: a key, or an eth keyfile v3

A keystore's password is `password=` (text, or a function that returns it), else `$HLFAST_KEYSTORE_PASSWORD`. What is
wrong is said without echoing what was given: a mistyped key is still a secret. For the same reason the errors leave
here without the frames and the causes that had the text in hand.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from typing import Any, TypeAlias

import orjson

from hlfast.errors import ConfigError

PASSWORD_VARIABLE = "HLFAST_KEYSTORE_PASSWORD"
MAX_FILE_BYTES = 65_536

Password: TypeAlias = str | Callable[[], str] | None

_HEX_KEY = re.compile(r"(0[xX])?[0-9a-fA-F]{64}")
_HEX_RUN = re.compile(r"[0-9a-fA-F]{16}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEX_ADDRESS = re.compile(r"(0[xX])?[0-9a-fA-F]{40}")

_IS_ADDRESS = (
    "this looks like an address, not a private key (20 bytes instead of 32); give the wallet's or agent's private key"
)
_WHAT_IS_A_KEY = "a private key is 64 hex digits (with or without 0x), 32 bytes, 'env:NAME', or the path of a key file"


def load_key(key: str | bytes | os.PathLike[str], *, password: Password = None) -> str | bytes:
    """The private key that `key` is or names, as hex text or 32 bytes. Raises `ConfigError`, which never shows it."""
    try:
        return _load(key, password)
    except ConfigError as error:
        problem = str(error)
    del key, password  # a traceback that prints local variables must have nothing to print
    raise ConfigError(problem)


def _load(key: Any, password: Password) -> str | bytes:
    if isinstance(key, (bytes, bytearray)):
        if len(key) == 20:
            raise ConfigError(_IS_ADDRESS)
        if len(key) != 32:
            raise ConfigError(f"{_WHAT_IS_A_KEY}; got {len(key)} bytes")
        return bytes(key)
    if isinstance(key, os.PathLike):
        return _from_file(os.fspath(key), password)
    if not isinstance(key, str):
        raise ConfigError(f"{_WHAT_IS_A_KEY}; got {type(key).__name__}")
    text = key.strip()
    if not text.startswith("env:"):
        return _from_text(text, password, "the key given", may_be_path=True)
    name = text[4:]
    if not _VARIABLE.fullmatch(name) or _HEX_RUN.search(name):
        raise ConfigError("'env:' is followed by the name of an environment variable, and this is none: is it a key?")
    value = os.environ.get(name, "").strip()
    if not value:
        raise ConfigError(f"the environment variable {name!r} is not set or empty; it should hold a private key")
    return _from_text(value, password, f"the environment variable {name!r}", may_be_path=True)


def _from_text(text: str, password: Password, where: str, *, may_be_path: bool) -> str | bytes:
    """A hex key, a keystore's JSON or (`may_be_path`) the path of a file with one of them. `where` is for errors."""
    if _HEX_KEY.fullmatch(text):
        return text
    if _HEX_ADDRESS.fullmatch(text):
        raise ConfigError(f"{where}: {_IS_ADDRESS}")
    if text.startswith("{"):
        return _from_keystore(text, password, where)
    if may_be_path and _is_path(text):
        return _from_file(text, password)
    no_file = ", and no such file exists" if may_be_path else ""
    raise ConfigError(f"{where} is not usable: {_WHAT_IS_A_KEY}; this is text of {len(text)} characters{no_file}")


def _is_path(text: str) -> bool:
    try:
        return os.path.exists(os.path.expanduser(text))
    except (OSError, ValueError):  # too long for a path, or with a NUL in it
        return False


def _from_file(path: str, password: Password) -> str | bytes:
    path = os.path.expanduser(path)
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ConfigError("the key's path names something that is not a file")
            if found.st_mode & 0o077:
                raise ConfigError(
                    f"the key file {path!r} can be read by others (mode {stat.S_IMODE(found.st_mode):04o}); "
                    f"run: chmod 600 {path}"
                )
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"the key file cannot be read: {error.strerror}; check the path and who owns it") from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"the key file {path!r} has more than {MAX_FILE_BYTES} bytes; it is not a key or a keystore")
    try:
        text = content.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise ConfigError(
            f"the key file {path!r} is not text; it should hold hex digits or a keystore's JSON"
        ) from None
    return _from_text(text, password, f"the key file {path!r}", may_be_path=False)


def _from_keystore(text: str, password: Password, where: str) -> bytes:
    try:
        keystore = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ConfigError(f"{where} is not readable as JSON; an eth keyfile (version 3) is expected") from None
    if not isinstance(keystore, dict) or not isinstance(keystore.get("crypto", keystore.get("Crypto")), dict):
        raise ConfigError(f"{where} is JSON, but not an eth keyfile (version 3): it has no 'crypto' object")
    if callable(password):
        password = password()
    secret = password if password is not None else os.environ.get(PASSWORD_VARIABLE)
    if not secret:
        raise ConfigError(f"{where} is an encrypted keystore; give password=... or set {PASSWORD_VARIABLE}")
    from eth_account import Account  # half a second to import, so only here

    try:
        return bytes(Account.decrypt(keystore, secret))
    except Exception as error:
        wrong_password = isinstance(error, ValueError) and "MAC mismatch" in str(error)
    raise ConfigError(
        f"{where}: the password is wrong"
        if wrong_password
        else f"{where}: the keystore cannot be decrypted; an eth keyfile (version 3) is expected"
    )
