"""Agreement with the venue (layer 3, cold): read its record, and turn the difference into news.

The venue's answers are fed through the same scanners, tracker and dedupe as its streams, marked as recovered: an order
or a fill that is already known changes nothing. Three occasions:

* **a connection** (`synchronise`, and `look_again` a second later, because answers may lag the streams by some blocks);
* **an order that only the venue can tell of** (`ask_about_due_orders`): asked by cloid, never assumed;
* **the audit** (`audit`, on a timer): fills, positions and cash against the venue's own. A difference that stays is
  reported, and the position is taken from the venue.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from hlfast import clock
from hlfast.core import events as ev
from hlfast.errors import HlfastError, VenueReject
from hlfast.types import OrderState
from hlfast.venues.hyperliquid.info import FILLS_PAGE
from hlfast.venues.hyperliquid.purses import JOINED_MODES
from hlfast.venues.hyperliquid.transfers import as_ledger, flows

if TYPE_CHECKING:
    from hlfast.core.in_flight_order import InFlightOrder
    from hlfast.venues.hyperliquid.connector import HyperliquidConnector
    from hlfast.venues.hyperliquid.endpoints.account_answers import OrderRow, UserFill

log = logging.getLogger("hlfast")

OVERLAP_MS = 5_000
"""Fills are asked for from this long before the last known one."""

LOOK_AGAIN_SECONDS = 1.0

EXPIRY_MARGIN_MS = 5_000
"""How far this machine's clock may be ahead of the venue's before a passed expiry says something else."""

MANY = 5
"""From so many orders on their end is looked up in one answer of `historicalOrders`, not one by one."""

ZERO = Decimal(0)

CASH_ROUNDING = Decimal("0.000001")
"""The venue gives cash to so many USDC; a smaller difference is its rounding."""

ASKED_AT_ONCE = 10
"""Orders that are asked about in one go: some 20 of the minute's 1200 weight."""


class Recovery:
    """One connector's bookkeeping of what it has agreed with the venue."""

    def __init__(self, hl: HyperliquidConnector) -> None:
        self._hl = hl
        self.baseline_ms = 0
        """Block time of the account's first state; fills up to then are contained in it."""
        self.last_fill_ms = 0
        self.recovered_fills = 0
        self.recovered_orders = 0
        self._known_ms = 0
        self._audited_ms = 0
        self._funding_ms = 0
        self._burnt_nonces: set[int] = set()
        self._questions: dict[str, tuple[int, int]] = {}
        self._shown_as_was: dict[str, tuple[int, int, int]] = {}
        self._asking = False
        self._fills_read = (0, 0)
        self._transfers_seen: set[tuple[int, str, str]] = set()
        self.mode = "disabled"
        """The account's abstraction, as the venue names it."""
        self._baseline: dict[str, Any] = {}

    @property
    def cash_kept_by_venue(self) -> bool:
        """The account's mode joins purses that the ledger keeps apart: its cash cannot be audited."""
        return self.mode in JOINED_MODES

    # -- a connection -----------------------------------------------------------------------------------------------
    async def synchronise(self) -> None:
        """Read account state, fills and open orders; settle every live order. The stream's news are held back meanwhile."""
        hl = self._hl
        if not hl.limits.address_cap:
            budget = await hl.info.user_rate_limit(hl.account)
            hl.limits.set_address(int(budget["nRequestsUsed"]), int(budget["nRequestsCap"]))
            await self._read_mode()
        if not hl.role_is_checked:
            hl.check_role(await hl.info.user_role(hl.account))
        await self.read_account()
        for name in hl.markets.dexs:
            await hl.dex_accounts.start(name)
        await self._read_fills(self._since())
        await self._read_funding()
        resting = await self.read_open_orders()
        await self._apply_policy_for_foreign_orders()
        gone = []
        for order in [*hl.orders, *hl.tracker.external_orders]:
            if order.cloid in resting or order.exchange_order_id in resting:
                self._rests(order)
            else:
                gone.append(order)
        for order in await self._look_up(gone):
            await self.ask_about(order)

    async def _read_mode(self) -> None:
        self.mode = await self._hl.info.user_abstraction(self._hl.account)

    async def _look_up(self, orders: list[InFlightOrder]) -> list[InFlightOrder]:
        """Settle from one list of ended orders what it has of `orders`; returns the others, for single questions later."""
        hl = self._hl
        if len(orders) < MANY:
            return orders
        await self._read_fills(min(order.created_ns for order in orders) // 1_000_000 - OVERLAP_MS)
        rows = await hl.info.historical_orders(hl.account)
        ends: dict[Any, OrderRow] = {row["order"].get("cloid") or row["order"]["oid"]: row for row in reversed(rows)}
        left = []
        for order in orders:
            row = ends.get(order.cloid) or ends.get(order.exchange_order_id)
            # A modified order has several rows under its cloid: what became of it is asked of the venue itself.
            if (
                row is None
                or row["status"] in ("open", "triggered")
                or order.modify_pending
                or len(order.exchange_order_ids) > 1
            ):
                left.append(order)
                continue
            self._feed_rows([_as_row(row["order"], row["status"], row["statusTimestamp"])])
            self.recovered_orders += 1
            hl.tracker.resolve(order)
        for order in left[ASKED_AT_ONCE:]:
            hl.tracker.ask_about(order)
        return left[:ASKED_AT_ONCE]

    def _rests(self, order: InFlightOrder) -> None:
        """The venue shows the order live. A cancel or modify whose outcome is not known may be on its way: until that is
        settled, the order stays among those that are asked about."""
        tracker = self._hl.tracker
        if order.unresolved and order.state is OrderState.PENDING_CANCEL:
            if not self._shown_often_enough(order, 0):
                return
            tracker.cancel_refused(order, "the venue shows the order live after the cancel had no known outcome")
        if not order.modify_doubted:
            tracker.resolve(order)

    def _shown_often_enough(self, order: InFlightOrder, of: int) -> bool:
        """Whether the venue has shown the order as it was three times over at least a second. `of`: since which request."""
        now_ns = clock.monotonic_ns()
        since_of, times, since_ns = self._shown_as_was.get(order.client_order_id, (of, 0, now_ns))
        if since_of != of:
            times, since_ns = 0, now_ns
        self._shown_as_was[order.client_order_id] = (of, times + 1, since_ns)
        return times >= 2 and now_ns - since_ns >= 1_000_000_000

    async def _apply_policy_for_foreign_orders(self) -> None:
        """What to do about resting orders that were not placed here: `Settings.foreign_orders`."""
        hl = self._hl
        foreign = hl.tracker.external_orders
        if not foreign:
            return
        if hl.settings.foreign_orders == "adopt":
            log.warning(
                "%d resting orders of this account were not placed by this run: they are watched (tracker.external_orders), "
                "not touched; foreign_orders='cancel' removes them, kill() too",
                len(foreign),
            )
            return
        for order in foreign:
            hl.tell("foreign_order", f"an order that was not placed here rests on the account: {order!r}")
        if hl.settings.foreign_orders == "cancel":
            for order in foreign:
                try:
                    hl.entry.cancel_many([order])
                except HlfastError as error:
                    hl.tell("foreign_order", f"{order.client_order_id} could not be cancelled: {error}")

    async def look_again(self) -> None:
        """The same record once more: what the first answers did not have yet. Nothing is held back any more."""
        hl = self._hl
        await self._read_fills(self._since())
        resting = await self.read_open_orders()
        for order in hl.orders:
            if order.was_created and order.cloid not in resting and order.exchange_order_id not in resting:
                await self.ask_about(order)

    def take_up(self, last_fill_ms: int) -> None:
        """A journal knows of fills up to `last_fill_ms`: later ones are asked for, also from before this run's first state."""
        self._known_ms = self.last_fill_ms = last_fill_ms

    def _since(self) -> int:
        return max(0 if self._known_ms else self.baseline_ms, self.last_fill_ms - OVERLAP_MS)

    async def _read_fills(self, since_ms: int) -> int:
        """Every fill from `since_ms` on, through the dedupe; returns how many were new."""
        hl = self._hl
        before = hl.tracker.counters["fills"]
        async for page in self.fill_pages(since_ms):
            frame = {"channel": "userFills", "data": {"isSnapshot": True, "user": hl.account, "fills": page}}
            with hl.stream.passing():
                hl.feed_account(orjson.dumps(frame))
        self._fills_read = (clock.monotonic_ns(), since_ms)
        new: int = hl.tracker.counters["fills"] - before
        self.recovered_fills += new
        return new

    async def _read_funding(self) -> None:
        """Funding that no stream has told of, page by page; what was read once is not read again."""
        hl = self._hl
        async for page in hl.info.user_funding_pages(hl.account, max(self.baseline_ms, self._funding_ms)):
            for row in page:
                hl.book_funding({"time": row["time"], **row["delta"]})
                self._funding_ms = max(self._funding_ms, int(row["time"]))

    def fill_pages(self, since_ms: int, until_ms: int | None = None) -> AsyncIterator[list[UserFill]]:
        """Pages of the account's fills from `since_ms` on, oldest first, without a gap or a repeat."""

        def unreachable(at_ms: int) -> None:
            self._hl.tell("fills_unreachable", f"over {FILLS_PAGE} fills at {at_ms} ms: some cannot be read back")

        return self._hl.info.user_fills_pages(self._hl.account, since_ms, until_ms, unreachable=unreachable)

    async def read_open_orders(self) -> set[Any]:
        """Feed the rows of what rests, in every dex that is taken up; returns the cloids and ids of it."""
        hl = self._hl
        dexs = [None, *hl.dex_accounts.started]
        answers = await asyncio.gather(*(hl.info.frontend_open_orders(hl.account, dex) for dex in dexs))
        rows = [row for answer in answers for row in answer]
        states = {order.client_order_id: order.state for order in hl.orders}
        self._feed_rows([_as_row(row, "open", row["timestamp"]) for row in rows])
        self.recovered_orders += sum(
            1 for order in hl.orders if states.get(order.client_order_id, order.state) is not order.state
        )
        return {row.get("cloid") for row in rows} | {row["oid"] for row in rows}

    async def read_account(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Positions and balances, as the venue's perp and spot states. The first reading starts the ledger and the positions; later ones only verify."""
        hl = self._hl
        perp, spot, dexs = await asyncio.gather(
            hl.info.clearinghouse_state(hl.account),
            hl.info.spot_clearinghouse_state(hl.account),
            hl.dex_accounts.read(),
        )
        if not hl.own_ledger.started:
            self._start_from(perp, spot)
        for state in (perp, *dexs.values()):
            self.view_positions(state)
        hl.set_balances(perp, spot)
        return perp, spot

    def view_positions(self, state: Any) -> None:
        """What only the venue's state of a dex knows of its positions."""
        for entry in state["assetPositions"]:
            position = entry["position"]
            self._hl.position_book.set_account_view(
                position["coin"],
                leverage=int(position["leverage"]["value"]),
                margin=position["marginUsed"],
                liquidation_price=position["liquidationPx"],
            )

    def write_baseline(self) -> None:
        """What the figures start from, into the journal."""
        journal, dexs = self._hl.journal, self._hl.dex_accounts.baselines
        if journal is not None and self._baseline:
            journal.baseline({**self._baseline, **({"dexs": dexs} if dexs else {})})

    def _start_from(self, perp: dict[str, Any], spot: dict[str, Any]) -> None:
        hl = self._hl
        positions: dict[str, Decimal] = {}
        for coin, size, entry in _positions(perp):
            positions[coin] = size
            rule = hl.rule_for(coin)
            if rule is not None:
                hl.position_book.start(rule.coin, rule.sz_decimals, size, entry)
        cash = Decimal(perp["marginSummary"]["totalRawUsd"])
        hl.own_ledger.start(cash, positions, {row["coin"]: Decimal(row["total"]) for row in spot["balances"]})
        self.baseline_ms = self._audited_ms = int(perp["time"])
        self._baseline = {
            "time_ms": self.baseline_ms,
            "cash": str(cash),
            "positions": {c: str(s) for c, s in positions.items()},
        }
        self.write_baseline()

    # -- an order that only the venue can tell of -------------------------------------------------------------------
    def ask_about_due_orders(self, now_ns: int) -> None:
        """Ask the venue about each order that only it can tell of: at once, then at growing intervals, a few at a time."""
        due = self._hl.tracker.orders_to_ask_about
        for gone in self._questions.keys() - {order.client_order_id for order in due}:
            del self._questions[gone]
            self._shown_as_was.pop(gone, None)
        if self._asking or not due:
            return
        chosen: list[InFlightOrder] = []
        for order in due:
            at, times = self._questions.get(order.client_order_id, (0, 0))
            if now_ns >= at and len(chosen) < ASKED_AT_ONCE:
                wait = 500_000_000 if times < 10 else 5_000_000_000
                self._questions[order.client_order_id] = (now_ns + wait, times + 1)
                chosen.append(order)
        if chosen:
            self._asking = True
            self._hl.spawn(self._settle(chosen))

    async def _settle(self, orders: list[InFlightOrder]) -> None:
        try:
            for order in await self._look_up(orders):
                with contextlib.suppress(HlfastError, asyncio.TimeoutError):
                    await self.ask_about(order)
        except (HlfastError, asyncio.TimeoutError):
            pass  # asked again when they are due
        finally:
            self._asking = False

    async def ask_about(self, order: InFlightOrder) -> None:
        """Ask the venue for one order, and apply what it says.

        One "unknown" proves nothing (G9). The order's nonce is burnt by a `noop`: if the venue takes that, the order can
        never execute, and has failed; if it calls the nonce a duplicate, the order's action was admitted, and it is
        looked for among the open orders too: three answers over at least a second, and no other sign of it, end the
        question then.
        """
        hl = self._hl
        handle = order.cloid or order.exchange_order_id
        if handle is None:
            hl.tracker.resolve(order)
            return
        answer = await hl.info.order_status(hl.account, handle)
        if answer.get("status") == "order":
            await self._apply_answer(order, answer["order"])
            return
        burnt = await self._burnt(order)
        if burnt is not True:
            # The venue has had it, or may have: what does not know it must also not list it.
            resting = await self.read_open_orders()
            if order.cloid in resting or order.exchange_order_id in resting:
                self._rests(order)
                return
        times = hl.tracker.process_order_not_found(order.client_order_id, burnt is not None, burnt is True)
        if order.is_done:
            hl.tracker.resolve(order)
        elif times == 1:
            hl.tell(
                "order_not_found",
                f"the venue does not know {order.client_order_id} (cloid {order.cloid}) yet; still asking",
            )

    async def _apply_answer(self, order: InFlightOrder, found: OrderRow) -> None:
        hl = self._hl
        leg = order.exchange_order_id
        refused = ""
        if leg and leg != found["order"]["oid"] and found["status"].endswith("Rejected"):
            # A new leg that the venue refused says nothing of the one before, which a modify cancels first.
            refused = str(found["status"])
            answer = await hl.info.order_status(hl.account, leg)
            if answer.get("status") != "order":
                return
            found = answer["order"]
        before = order.state
        since = order.created_ns // 1_000_000 - OVERLAP_MS
        read_ns, read_since = self._fills_read
        if (
            clock.monotonic_ns() - read_ns > 200_000_000 or since < read_since
        ):  # one reading serves the orders of one go
            await self._read_fills(since)
        if refused and order.modify_pending:
            hl.tracker.modify_refused(order, refused)
        self._feed_rows([_as_row(found["order"], found["status"], found["statusTimestamp"])])
        if order.state is not before:
            self.recovered_orders += 1
        if found["status"] in ("open", "triggered") and found["order"]["oid"] == order.exchange_order_id:
            if order.modify_doubted:
                await self._settle_modify(order)
            self._rests(order)
        else:
            hl.tracker.resolve(order)

    async def _settle_modify(self, order: InFlightOrder) -> None:
        """The venue shows the order as it was before a modify whose outcome is not known: that may be still to come.

        As for an order (G9): its nonce is burnt. If that was used, the modify was refused, or its effect is not shown
        yet, and three answers over at least a second end the question.
        """
        nonce = order.modify_nonce
        burnt = await self.burn(nonce) if nonce else False
        if burnt is None or not order.modify_doubted:
            return
        if not burnt and not self._shown_often_enough(order, nonce):
            return
        self._hl.tracker.modify_refused(order, "the venue shows the order as it was; the modify had no known outcome")

    async def _burnt(self, order: InFlightOrder) -> bool | None:
        """As `burn`, of what was sent for the order. An order of others is never burnt: only the venue's word is left."""
        if not order.nonce or order.is_external:
            return False
        if order.expires_after_ms and clock.wall_clock_ms() > order.expires_after_ms + EXPIRY_MARGIN_MS:
            return False  # it can never execute from now on; whether it has, its record tells
        return await self.burn(order.nonce)

    async def burn(self, nonce: int) -> bool | None:
        """Use `nonce` up. True: its action can never execute. False: its action was admitted. None: not known yet."""
        if nonce in self._burnt_nonces:
            return True
        try:
            await self._hl.entry.act({"type": "noop"}, nonce)
        except VenueReject as refused:
            # Too low: whatever was sent with it cannot be admitted any more, but it may have been.
            return False if refused.code in ("nonce_duplicate", "nonce_too_low") else None
        self._burnt_nonces.add(nonce)
        return True

    # -- the audit --------------------------------------------------------------------------------------------------
    async def audit(self) -> list[str]:
        """Compare fills, positions and cash with the venue's record; report and mend what differs. Returns the differences.

        Costs about 45 of the minute's 1200 weight. News may be under way, so a position or a purse counts as different
        only if it is so twice, a second apart, with no fill between; funding and transfers are read before the second look.
        """
        hl = self._hl
        found: list[str] = []
        if hl.limits.address_cap and 2 * hl.limits.address_used > hl.limits.address_cap:
            budget = await hl.info.user_rate_limit(hl.account)
            hl.limits.set_address(int(budget["nRequestsUsed"]), int(budget["nRequestsCap"]))
        began_ms = self.last_fill_ms
        missed = await self._read_fills(max(self.baseline_ms, self._audited_ms - OVERLAP_MS))
        if missed:
            found.append(f"{missed} fills that no stream had told of")
            hl.tell("fill_missed", f"the audit found {missed} fills that no stream had told of; they are booked")
        self._audited_ms = max(self._audited_ms, began_ms)
        found += await self._audit_orders()
        perp, spot = await self.read_account()
        positions, cash = self._different_positions(perp), self._different_cash(perp, spot)
        if positions or cash:
            fills = hl.tracker.counters["fills"]
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            if cash:
                await self._read_mode()  # a change of it moves money without a row in the ledger
                await self._read_funding()
                await self._read_transfers()
            perp, spot = await self.read_account()
            still = self._different_positions(perp), self._different_cash(perp, spot)
            if hl.tracker.counters["fills"] == fills:
                found += [
                    self._take_over(coin, *still[0][coin])
                    for coin in positions
                    if still[0].get(coin) == positions[coin]
                ]
                found += [self._take_over_cash(token, *still[1][token]) for token in cash if token in still[1]]
        return found

    async def _audit_orders(self) -> list[str]:
        """Own orders that the venue does not list, or lists though they are thought to be going: to be asked about."""
        hl = self._hl
        settled_ns = clock.epoch_ns() - 2_000_000_000  # what changed since then may be under way
        resting = await self.read_open_orders()
        odd = []
        for order in hl.orders:
            listed = order.cloid in resting or order.exchange_order_id in resting
            if order.updated_ns > settled_ns or order.query_due or not order.was_created:
                continue
            if not listed or order.state is OrderState.PENDING_CANCEL:
                odd.append(order)
        for order in odd:
            hl.tracker.mark_unresolved(order)
        if odd:
            names = ", ".join(order.client_order_id for order in odd)
            hl.tell("order_mismatch", f"the venue's open orders do not agree with {names}; asking about each")
        return [f"{order.client_order_id} is {order.state}, and the venue's open orders say otherwise" for order in odd]

    def _different_positions(self, perp: dict[str, Any]) -> dict[str, tuple[Decimal, Decimal]]:
        """Coin → (the venue's signed size, its entry price), where it is not what the own fills make of it."""
        states = [perp, *(self._hl.dex_accounts.states[dex] for dex in self._hl.dex_accounts.started)]
        theirs = {coin: (size, entry) for state in states for coin, size, entry in _positions(state)}
        ours = {coin: p.signed_size for coin, p in self._hl.positions.items()}
        nothing = (Decimal(0), Decimal(0))
        return {
            coin: theirs.get(coin, nothing)
            for coin in theirs.keys() | ours.keys()
            if theirs.get(coin, nothing)[0] != ours.get(coin, 0)
            and self._hl.dex_accounts.baseline_ms(coin) is not None  # of a dex whose state was read
            and self._hl.rule_for(coin) is not None
        }

    def _different_cash(self, perp: dict[str, Any], spot: dict[str, Any]) -> dict[str, tuple[Decimal, Decimal]]:
        """Token ("" for the perpetuals' cash) → (ours, the venue's), where own fills, funding and transfers make another sum."""
        if self.cash_kept_by_venue:
            return {}
        ours, theirs = self._hl.own_ledger.spot, {row["coin"]: Decimal(row["total"]) for row in spot["balances"]}
        pairs = {token: (ours.get(token, ZERO), theirs.get(token, ZERO)) for token in ours.keys() | theirs.keys()}
        pairs[""] = self._hl.own_ledger.cash, Decimal(perp["marginSummary"]["totalRawUsd"])
        pairs.update(self._hl.dex_accounts.different_cash(self._hl.dex_accounts.states))
        return {token: pair for token, pair in pairs.items() if abs(pair[0] - pair[1]) > CASH_ROUNDING}

    async def _read_transfers(self) -> None:
        """Money that came or went without a fill, booked once."""
        hl = self._hl
        rows = [row async for page in hl.info.ledger_pages(hl.account, self.baseline_ms) for row in page]
        for row in rows:
            key = int(row["time"]), str(row["hash"]), repr(row["delta"])
            if key in self._transfers_seen or key[0] <= self.baseline_ms:
                continue
            self._transfers_seen.add(key)
            for purse, amount in flows(row["delta"], hl.account).items():
                token, place = as_ledger(purse)
                since_ms = hl.dex_accounts.started.get(place, -1) if place else 0
                if 0 <= since_ms < key[0]:  # else of a dex whose first state will contain it, or does
                    hl.own_ledger.book_transfer(token, amount, place)

    def _take_over_cash(self, token: str, ours: Decimal, theirs: Decimal) -> str:
        text = f"{token or 'cash'}: the venue says {theirs}, own fills, funding and known transfers make {ours}"
        self._hl.tell("cash_mismatch", f"{text}; the venue's is taken over")
        purse, place = as_ledger(token)
        self._hl.own_ledger.take_over(purse, theirs, place)
        return text

    def _take_over(self, coin: str, size: Decimal, entry: Decimal) -> str:
        hl = self._hl
        rule = hl.rule_for(coin)
        assert rule is not None
        held = hl.positions.get(coin)
        text = f"{coin}: the venue holds {size}, the own fills make {held.signed_size if held else 0}"
        hl.tell("position_mismatch", f"{text}; the venue's position is taken over")
        hl.position_book.reset(coin, rule.sz_decimals, size, entry)
        hl.bus.emit(ev.PositionUpdate(coin=coin, position=hl.positions[coin], recv_ns=clock.epoch_ns()))
        return text

    # -- feeding ----------------------------------------------------------------------------------------------------
    def _feed_rows(self, rows: list[dict[str, Any]]) -> None:
        if rows:
            with self._hl.stream.passing():
                self._hl.feed_account(orjson.dumps({"channel": "orderUpdates", "data": rows}))


def _positions(perp: dict[str, Any]) -> list[tuple[str, Decimal, Decimal]]:
    """(coin, signed size, entry price) of each open position of an account state."""
    return [
        (entry["position"]["coin"], Decimal(entry["position"]["szi"]), Decimal(entry["position"]["entryPx"] or "0"))
        for entry in perp["assetPositions"]
        if Decimal(entry["position"]["szi"])
    ]


def _as_row(order: Mapping[str, Any], status: str, time_ms: int) -> dict[str, Any]:
    row = {k: order[k] for k in ("coin", "side", "limitPx", "sz", "oid", "timestamp", "origSz")}
    if order.get("cloid"):
        row["cloid"] = order["cloid"]
    return {"order": row, "status": status, "statusTimestamp": time_ms}
