"""A strategy of one hook: buy a little at the best bid, one order at a time, and say what was bought.

hlfast sim                        # in another terminal
python examples/my_strategy.py    [--exchange http://127.0.0.1:8000] [--seconds 5]
"""

import argparse
import asyncio
from dataclasses import dataclass
from typing import Any

import hlfast
from hlfast.config import simulator
from hlfast.engine import Strategy, StrategyRunner


@dataclass(kw_only=True, eq=False)
class Bidder(Strategy):
    coins: tuple[str, ...] = ("BTC",)
    size: str = "0.001"
    bought: int = 0

    def on_bbo(self, bbo: Any) -> None:
        if bbo.bid_px is not None and not self.orders:
            self.buy("BTC", self.size, bbo.bid_px, tif="Alo")

    def on_fill(self, event: Any) -> None:
        self.bought += 1
        print(f"bought {event.amount} at {event.price} (fee {event.fill.fee} {event.fill.fee_token})")


async def main(port: int, seconds: float) -> None:
    async with hlfast.connect(simulator(port)) as hl:
        strategy = Bidder()
        async with StrategyRunner(hl, strategy):
            await asyncio.sleep(seconds)
        held = hl.positions.get("BTC")
        print(f"{strategy.bought} fills; position {held.signed_size if held else 0} BTC")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exchange", default="http://127.0.0.1:8000", help="address of the local exchange")
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    hlfast.run(main(int(options.exchange.rsplit(":", 1)[1]), options.seconds))
