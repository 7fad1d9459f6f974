"""What a trading process needs around a connector (layer 4): strategies, their life, the audit of what they hold.

Everything here talks to a venue through `hlfast.core.connector_base.ConnectorBase` only.
"""

from hlfast.config import RiskLimits
from hlfast.engine.parameters import parameter
from hlfast.engine.runtime import StrategyRunner
from hlfast.engine.strategy import Strategy
from hlfast.engine.strategy_group import StrategyGroup

__all__ = ["RiskLimits", "Strategy", "StrategyGroup", "StrategyRunner", "parameter"]
