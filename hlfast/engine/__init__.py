"""What a trading process needs around a connector (layer 4): strategies, their life, the audit of what they hold.

Everything here talks to a venue through `hlfast.core.connector_base.ConnectorBase` only.
"""

from hlfast.engine.runtime import StrategyRunner
from hlfast.engine.strategy import Strategy

__all__ = ["Strategy", "StrategyRunner"]
