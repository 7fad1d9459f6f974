"""Connect to a local exchange, place a resting order, wait for what becomes of it, cancel it.

hlfast sim                        # in another terminal
python examples/first_order.py    [--exchange http://127.0.0.1:8000]
"""

import argparse

import hlfast
from hlfast.config import simulator


async def main(port: int) -> None:
    async with hlfast.connect(simulator(port)) as hl:
        hl.watch("BTC")
        await hl.wait_ready()
        book = hl.book("BTC")
        print(f"book: {book.best_bid} @ {book.best_ask}, spread {book.spread_bps:.2f} bps")

        # Tracked, signed and written to the socket when this returns. A price off the grid would raise here.
        order = hl.buy("BTC", "0.001", book.best_bid * 99 / 100, tif="Alo", rounding="passive")
        if not await order.accepted():
            print(f"refused: {order.reject}")
            return
        print(f"resting: {order}")

        hl.cancel(order)
        print(f"ended as {await order.done()}, filled {order.filled_amount}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exchange", default="http://127.0.0.1:8000", help="address of the local exchange")
    hlfast.run(main(int(parser.parse_args().exchange.rsplit(":", 1)[1])))
