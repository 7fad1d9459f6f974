"""The official Python SDK's modules and names, on hlfast (layer 5). Written for programs that use
`hyperliquid-python-sdk` 0.24; it need not be installed.

    from hlfast.compat.hyperliquid.info import Info              # 1. change the import line
    from hlfast.compat.hyperliquid.exchange import Exchange

    import hlfast.compat.hyperliquid as hl; hl.install()         # 2. before the program's first `import hyperliquid`

    python -m hlfast.compat.hyperliquid bot.py --its --args      # 3. for a program that cannot be changed

`docs/migrate_from_sdk.md` says what behaves differently, and why. The files: `api`, `info`, `exchange`,
`websocket_manager`, `utils/` are the SDK's; `session`, `transport`, `weights` do HTTP; `wallets`, `typed_data`, `nonces`
sign; `sockets`, `streams`, `gaps`, `posts`, `live_prices` do WebSockets; `endpoints`, `switch`, `shadow`, `foreign` the rest.
"""

import os

from hlfast.compat.hyperliquid.endpoints import configure, register_endpoint, route
from hlfast.compat.hyperliquid.switch import install, uninstall

__all__ = ["configure", "install", "register_endpoint", "route", "uninstall"]

if os.environ.get("HLFAST_SHADOW", "") not in ("", "0"):
    from hlfast.compat.hyperliquid import shadow

    shadow.enable()
