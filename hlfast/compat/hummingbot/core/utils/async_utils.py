"""Tasks whose errors are logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
log = logging.getLogger("hlfast.compat.hummingbot")


async def safe_wrapper(c: Awaitable[T]) -> T | None:
    """Await `c`; an error is logged and None returned."""
    try:
        return await c
    except asyncio.CancelledError:
        raise
    except Exception as error:
        log.error("Unhandled error in background task: %s", error, exc_info=True)
        return None


def safe_ensure_future(coro: Coroutine[Any, Any, T], *args: Any, **kwargs: Any) -> asyncio.Future[T | None]:
    return asyncio.ensure_future(safe_wrapper(coro), *args, **kwargs)


async def safe_gather(*args: Awaitable[Any], **kwargs: Any) -> list[Any]:
    return list(await asyncio.gather(*args, **kwargs))
