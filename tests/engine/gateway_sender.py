"""A client in a process of its own that sends so many orders and waits for all answers: `gateway_sender.py ORDERS REPORTS N PRICE`.

At most AT_ONCE are without an answer at any time: the venue takes 100 of all clients. Prints how many had none in the end.
"""

from __future__ import annotations

import json
import sys
import time

from hlfast.engine.gateway_client import GatewayClient

SECONDS = 60.0
AT_ONCE = 40

if __name__ == "__main__":
    orders, reports, count, price = sys.argv[1:]
    with GatewayClient(orders, reports, timeout=30.0) as client:
        print("ready", flush=True)
        sys.stdin.readline()
        deadline = time.monotonic() + SECONDS
        for _ in range(int(count)):
            client.place("BTC", "buy", "0.001", price, time_in_force="PO")
            while len(client.unanswered) >= AT_ONCE and time.monotonic() < deadline:
                list(client.messages(0.005))
        while client.unanswered and time.monotonic() < deadline:
            list(client.messages(0.1))
            client.resend_missed()
        print(json.dumps({"unanswered": len(client.unanswered)}), flush=True)
