"""Hummingbot's logger class, made one by one: importing this changes nothing in `logging`."""

from __future__ import annotations

import logging
from typing import Any

NETWORK = logging.DEBUG + 6


class HummingbotLogger(logging.Logger):
    """A logger with the level NETWORK (16) and `notify`."""

    @staticmethod
    def logger_name_for_class(model_class: type) -> str:
        return f"{model_class.__module__}.{model_class.__qualname__}"

    def network(self, log_msg: str, app_warning_msg: str | None = None, *args: Any, **kwargs: Any) -> None:
        """Log at NETWORK; where an application's warning is given, that at WARNING too."""
        if self.isEnabledFor(NETWORK):
            self._log(NETWORK, log_msg, args, **kwargs)
        if app_warning_msg is not None:
            self.warning(app_warning_msg)

    def notify(self, msg: str) -> None:
        self.info(msg)


def logger_for(cls: type) -> HummingbotLogger:
    """The `HummingbotLogger` of a class, whatever the global logger class is."""
    name = HummingbotLogger.logger_name_for_class(cls)
    manager = logging.Logger.manager
    known = manager.loggerDict.get(name)
    if isinstance(known, HummingbotLogger):
        return known
    before = manager.loggerClass
    manager.loggerClass = HummingbotLogger
    try:
        logger = manager.getLogger(name)
    finally:
        manager.loggerClass = before
    if not isinstance(logger, HummingbotLogger):  # made by somebody else before, as a plain one
        logger.__class__ = HummingbotLogger
    assert isinstance(logger, HummingbotLogger)
    return logger
