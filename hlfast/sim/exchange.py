"""The local exchange without its sockets (layer 5): accounts, the queue of actions, and blocks.

`submit` queues a verified request; `run_block(now_ms)` executes what is queued in the venue's order (what sends no GTC
or IOC, then cancels, then takers), lets the background traders act, and returns the `Block` that the streams publish.
Nothing here reads a clock or knows a socket: the caller gives the time, so tests and replays own it.

    exchange = Exchange(seed=7)
    exchange.submit(verify(body), print)
    block = exchange.run_block(now_ms)
    exchange.assert_conserved()
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from hlfast.errors import ConfigError
from hlfast.sim import actions, multi_sig
from hlfast.sim.account import HISTORY, Account
from hlfast.sim.actions import HANDLERS, MAX_ITEMS
from hlfast.sim.block import Block, Reply
from hlfast.sim.budget import STALE_COST, AddressBudget
from hlfast.sim.execution import Execution
from hlfast.sim.fees import FeeTerms
from hlfast.sim.funding import Funding
from hlfast.sim.house import House
from hlfast.sim.keys import FUNDED_ACCOUNTS
from hlfast.sim.margin import Liquidator
from hlfast.sim.markets import USD, USDC, Token
from hlfast.sim.marks import MARK_INTERVAL_MS, Marks
from hlfast.sim.matching import Book
from hlfast.sim.numbers import E8, POW10, price_e8, text
from hlfast.sim.outcomes import Outcomes
from hlfast.sim.refusals import Refused
from hlfast.sim.replay import Replay
from hlfast.sim.signers import DAY_MS, Agents, Nonces
from hlfast.sim.staking import Staking
from hlfast.sim.traders import FLOWS, Traders
from hlfast.sim.twaps import Twaps
from hlfast.sim.universe import BUILT_IN, Source, Universe
from hlfast.sim.vaults import Vault
from hlfast.sim.verify import Signed

TRIM_BLOCKS = 500
"""How often history is looked at."""


class Exchange:
    """State and rules. Every address is lower case.

    `universe`: what is traded: the built-in set, or recorded metadata (`Universe.load`). `flow`: what the background
    traders do, a name of `traders.FLOWS` ("none" like `traders=False`). `replay`: a file of recorded l2Book frames that
    the house quotes. `mark_ms`: block time between two marks; 0 sets them on each block. `address_limits`: "off",
    "real", or a factor on the address budget. `history`: how many ended orders, fills and rows an account keeps.
    Raises ConfigError for what it cannot read.
    """

    def __init__(
        self,
        *,
        seed: int = 7,
        traders: bool = True,
        accounts: Iterable[str] = (),
        sub_accounts: Mapping[str, str] | None = None,
        agents: Mapping[str, str] | None = None,
        perp_usdc: int = 1_000_000,
        spot_usdc: int = 100_000,
        dex_usd: int = 100_000,
        schedule_cancel_volume_usdc: int = 0,
        universe: Universe | Source | Iterable[Source] | None = None,
        flow: str = "noise",
        replay: str | Path | Iterable[str] | None = None,
        mark_ms: int = MARK_INTERVAL_MS,
        address_limits: str | float = "off",
        history: int = HISTORY,
    ) -> None:
        if flow not in FLOWS:
            raise ConfigError(f"flow must be one of {', '.join(FLOWS)}, got {flow!r}")
        if mark_ms < 0 or history < 1:
            raise ConfigError(f"mark_ms must be >= 0 and history >= 1, got {mark_ms} and {history}")
        if universe is None:
            self.universe = BUILT_IN
        else:
            self.universe = universe if isinstance(universe, Universe) else Universe.load(universe)
        self.execution = Execution(seed, self.universe)
        self.accounts: dict[str, Account] = {}
        self.agents = Agents(dict(agents or {}))
        self.vaults: dict[str, Vault] = {}
        self.referrers: dict[str, Account] = {}
        self.schedule_cancel_volume_e8 = schedule_cancel_volume_usdc * E8
        self.history = history
        self.budget = AddressBudget(address_limits)
        self.block_number = 0
        self.time_ms = 0
        self.post_only_until_ms = 0
        self.actions_seen = 0
        self._supply_wei: dict[str, int] | None = None
        self._nonces: dict[str, Nonces] = {}
        self._queue: list[tuple[Signed, Reply]] = []
        for address in (*(account.address for account in FUNDED_ACCOUNTS), *accounts):
            self.open_account(address, perp_usdc, spot_usdc, dex_usd)
        for address, master in (sub_accounts or {}).items():
            self.open_account(address, perp_usdc, spot_usdc, dex_usd, master=self.accounts[master.lower()])
        for dex in self.universe.dexs.values():
            self.execution.deployers[dex.name] = self.open_account(dex.fee_recipient, 0, 0, is_house=True), dex.share
        self.twaps = Twaps(self.execution, seed)
        self.staking = Staking(self)
        self.outcomes = Outcomes(self, self.universe.outcomes)
        self.house = House(self)
        self.replay = None if replay is None else Replay(replay)
        self.traders = Traders(self, seed, FLOWS[flow]) if traders and flow != "none" else None
        self._marks = Marks(self.execution.books, mark_ms)
        self.funding = Funding(self.execution, self.accounts)
        self._liquidator = Liquidator(self)

    # -- what may be done from outside between blocks, beside `submit` -----------------------------------------------

    def open_account(
        self,
        address: str,
        perp_usdc: int,
        spot_usdc: int,
        dex_usd: int = 0,
        *,
        is_house: bool = False,
        master: Account | None = None,
    ) -> Account:
        """A new account with money from nowhere; `dex_usd` of its collateral in each builder dex."""
        account = Account(
            address.lower(),
            is_house=is_house,
            master=master,
            tokens=self.universe.all_tokens,
            history=self.history,
            collaterals=self.universe.collaterals,
        )
        self.accounts[account.address] = account
        account.cash_e8 = perp_usdc * E8
        account.balance(USD).total_wei = spot_usdc * E8
        self.count(USDC.name, (perp_usdc + spot_usdc) * E8)
        for dex in self.universe.dexs.values() if dex_usd else ():
            account.purse(dex.name).cash_e8 = dex_usd * E8
            self.count(dex.collateral.name, dex_usd * E8)
        return account

    def faucet(self, address: str, usdc: int) -> Account:
        """Make `usdc` of perp cash from nowhere, at any time; opens the account if there is none."""
        account = self.accounts.get(address.lower())
        if account is None:
            account = self.open_account(address, 0, 0)
        account.cash_e8 += usdc * E8
        self.count(USDC.name, usdc * E8)
        self.add_ledger_row(account, {"type": "deposit", "usdc": text(usdc * E8, 8)})
        return account

    def grant(self, address: str, token_index: int, wei: int) -> None:
        """Make so much of a spot token from nowhere, at any time."""
        balance = self.accounts[address.lower()].balance(token_index)
        balance.total_wei += wei
        self.count(balance.token.name, wei)

    def set_fee_terms(self, address: str, terms: FeeTerms) -> None:
        """What this account pays from now on: a fixed tier, a rebate, discounts."""
        self.accounts[address.lower()].fee_rates.terms = terms

    def set_mark(self, coin: str, px: str | int | Decimal | None) -> None:
        """Pin a mark price; None lets it follow the market again. It fires and liquidates at the end of a block."""
        book = self.book(coin)
        self._marks.pin_mark(book, None if px is None else price_e8(px))

    def set_oracle(self, coin: str, px: str | int | Decimal | None) -> None:
        """Pin the price outside, which funding goes by; None lets the background traders say it again."""
        book = self.book(coin)
        self._marks.pin_outside(book, None if px is None else price_e8(px))

    def settle_outcome(self, number: int, share: str | int | Decimal = 1, details: str = "") -> None:
        """In the next block: each token of the first side is worth `share` USDC (0 to 1), of the second the rest."""
        share_e8 = int(Decimal(share).scaleb(8))
        if number not in self.outcomes.by_number or not 0 <= share_e8 <= E8:
            raise ConfigError(f"no outcome {number}, or a share that is not from 0 to 1: {share!r}")
        self.outcomes.settle(number, share_e8, details)

    def set_open_interest_cap(self, coin: str, usd: int | None) -> None:
        """Cap the value of all long positions in a perp; None for no cap. What was opened before stays."""
        self.book(coin).open_interest_cap_e8 = None if usd is None else usd * E8

    def set_oracle_band(self, coin: str, percent: int | None) -> None:
        """Refuse limit prices further from the price outside than this; None takes any within the venue's 95 %."""
        self.book(coin).oracle_band_percent = percent

    def book(self, coin: str) -> Book:
        """Raises ConfigError for a coin that is not traded here."""
        found = self.execution.by_coin.get(coin)
        if found is None:
            raise ConfigError(f"no coin {coin!r} on this exchange: see `meta` and `spotMeta`")
        return found

    # -- blocks ----------------------------------------------------------------------------------------------------

    def submit(self, signed: Signed, reply: Reply) -> None:
        """Queue a request for the next block; `reply` gets the answer once the block is out."""
        self._queue.append((signed, reply))

    def run_block(self, now_ms: int, *, traders_act: bool = True) -> Block:
        """Execute the queue at `now_ms` (block time never goes back)."""
        if self._supply_wei is None:  # from here on nothing is made and nothing is lost
            self._supply_wei = self._total_wei()
        self.block_number += 1
        self.time_ms = max(now_ms, self.time_ms)
        block = self.execution.block = Block(self.block_number, self.time_ms)
        classes: tuple[list[tuple[Signed, Reply]], ...] = ([], [], [])
        for signed, reply in self._queue:
            classes[actions.rank(signed.action)].append((signed, reply))
        self._queue = []
        traders = self.traders if traders_act else None
        self._fire_scheduled_cancels()
        self.outcomes.on_block(block)
        self._execute(classes[actions.FIRST] + classes[actions.CANCELS])
        if self.replay is not None:
            self.replay.on_block(self.time_ms, self.house)
        self.house.quote()
        if traders is not None:
            traders.quote()
        self._execute(classes[actions.TAKERS])
        self.twaps.on_block(block)
        if traders is not None:
            traders.take()
        self.house.take_booked()
        self._follow_prices()
        if self.block_number % TRIM_BLOCKS == 0:
            for account in self.accounts.values():
                account.trim()
        return block

    def _follow_prices(self) -> None:
        """Marks at the end of a block, and what they set off."""
        outside = {} if self.traders is None else self.traders.fair_e8()
        is_new = self._marks.on_block(self.time_ms, outside)
        if self.execution.triggers:
            self.execution.triggers.fire()
        if is_new:
            self._liquidator.on_block()
        self.funding.on_block(self.time_ms)
        self.staking.on_block(self.time_ms)

    def _execute(self, requests: list[tuple[Signed, Reply]]) -> None:
        for signed, reply in requests:
            self.execution.block.answers.append((reply, self._answer(signed)))

    def _fire_scheduled_cancels(self) -> None:
        for account in self.accounts.values():
            if account.cancel_at_ms is not None and account.cancel_at_ms <= self.time_ms:
                account.cancel_at_ms = None
                day = self.time_ms // DAY_MS
                account.scheduled_cancels[day] = account.scheduled_cancels.get(day, 0) + 1
                for order in list(account.open.values()):
                    if order.oid in account.open:  # one that ends with its parent is gone already
                        self.execution.cancel(order, "scheduledCancel")

    # -- one action ------------------------------------------------------------------------------------------------

    def _answer(self, signed: Signed) -> dict[str, Any]:
        """The whole envelope for one request."""
        self.actions_seen += 1
        try:
            account = self._admit(signed)
            handler = HANDLERS.get(signed.kind)
            if handler is None:
                raise Refused(f"The local exchange does not simulate the action {signed.kind!r} yet.")
            self.execution.begin_transaction()
            return {"status": "ok", "response": handler(self, account, signed.action)}
        except Refused as refusal:
            return {"status": "err", "response": str(refusal)}

    def _admit(self, signed: Signed) -> Account:
        """Who acts, and whether this request may be executed now. Consumes the nonce."""
        account = self._actor(signed)
        cost = actions.items(signed.action)
        refusal = self.budget.refusal(account, cost, actions.rank(signed.action) == actions.CANCELS, self.time_ms)
        if refusal is not None:
            raise Refused(refusal)
        if signed.expires_after is not None and signed.expires_after < self.time_ms:
            account.requests_used += STALE_COST * cost
            raise Refused("Action already expired")
        own_nonce = _inner_nonce(signed)
        if own_nonce != signed.nonce:
            raise Refused(f"Invalid nonce: the action says {own_nonce}, its envelope {signed.nonce}")
        assert signed.signer is not None
        nonces = self._nonces.setdefault(signed.signer, Nonces())
        refusal = nonces.refusal(signed.nonce, self.time_ms)
        if refusal is not None:
            raise Refused(refusal)
        if cost > MAX_ITEMS:
            raise Refused(f"Signed action over weight limit of {MAX_ITEMS}.")
        nonces.use(signed.nonce)
        account.nonces.setdefault(signed.signer, []).append(signed.nonce)
        account.requests_used += cost
        return account

    def _actor(self, signed: Signed) -> Account:
        if signed.multi_sig is not None:
            return multi_sig.user_of(self, signed)
        signer = signed.signer
        if signer is None:
            raise Refused("Unable to recover signer.")
        mainnet = signed.as_mainnet() if signed.is_user_signed or not self.knows(signer) else None
        if mainnet is not None and self.knows(mainnet):
            raise Refused(
                f"This is a mainnet signature of {mainnet}, sent to a local exchange. It takes testnet signatures only "
                '(source "b", hyperliquidChain "Testnet"), so that nothing signed for it is valid on mainnet: '
                "sign with is_mainnet=False."
            )
        agent = self.agents.get(signer)
        if agent is not None and signed.is_user_signed:
            raise Refused(f"Must deposit before performing actions. User: {signer}")
        account = self.accounts.get(signer if agent is None else agent.master)
        if account is None or account.is_house or account.master is not None:
            raise Refused(f"User or API Wallet {signer} does not exist.")
        if account.signers is not None:
            raise Refused(
                f"User {account.address} is a multi-sig user: its actions need the signatures of its signers."
            )
        return account if signed.vault is None else self.controlled(account, signed.vault)

    def knows(self, address: str) -> bool:
        return address in self.accounts or self.agents.get(address) is not None

    def controlled(self, master: Account, address: str) -> Account:
        """The sub-account or vault of `master` at this address; any other reads as an unknown user."""
        account = self.accounts.get(address)
        if account is None or master not in (account.master, account.leader):
            raise Refused(f"User or API Wallet {address} does not exist.")
        return account

    # -- bookkeeping -----------------------------------------------------------------------------------------------

    def add_ledger_row(self, account: Account, delta: dict[str, Any]) -> None:
        self.execution.block.touched.add(account.address)
        account.ledger.append({"time": self.time_ms, "hash": self.execution.transaction_hash(), "delta": delta})

    def take_out(self, token_name: str, wei: int) -> None:
        """So much has left the exchange for good."""
        self.count(token_name, -wei)

    def usdc_value_e8(self, token: Token, wei: int) -> int:
        """A token amount at mark."""
        for book in self.execution.books.values():
            if book.market.is_spot and book.market.base is token:
                return book.mark_e8 * wei // POW10[token.wei_decimals]
        return wei

    def count(self, token_name: str, wei: int) -> None:
        """Money made, or gone, after the first block."""
        if self._supply_wei is not None:
            self._supply_wei[token_name] += wei

    def _total_wei(self) -> dict[str, int]:
        """Everything there is of each token: balances of all accounts, perp cash, the fee box, funding's rounding."""
        totals = dict(self.execution.fees_wei)
        for name, e8 in self.execution.rounding_e8.items():
            totals[name] += e8
        if self.staking.token is not None:
            totals[self.staking.token.name] += self.staking.total_wei
        for account in self.accounts.values():
            for purse in account.purses.values():
                totals[purse.collateral.name] += purse.raw_usd_e8
            for balance in account.spot.values():
                totals[balance.token.name] += balance.total_wei
        return totals

    def assert_conserved(self) -> None:
        """Raise AssertionError if money came from nowhere, or a reserve does not match the orders that it is for."""
        totals = self._total_wei()
        assert self._supply_wei is None or totals == self._supply_wei, (
            f"not conserved: {totals}, was {self._supply_wei}"
        )
        for book in self.execution.books.values():
            if book.market.is_spot:
                continue
            positions = [
                a.positions[book.market.asset] for a in self.accounts.values() if book.market.asset in a.positions
            ]
            assert sum(p.lots for p in positions) == 0, f"{book.market.coin} positions do not add up to 0"
            longs = sum(p.lots for p in positions if p.lots > 0)
            assert longs == book.open_interest_lots, f"{book.market.coin}: {longs} long, {book.open_interest_lots} open"
        for account in self.accounts.values():
            self._assert_reserves(account)
            assert len(account.positions) == sum(len(purse.positions) for purse in account.purses.values())
            flat = [p for p in account.positions.values() if p.is_cross or not p.lots]
            assert all(p.raw_e8 == 0 for p in flat), f"{account} has isolated margin without an isolated position"

    def _assert_reserves(self, account: Account) -> None:
        bids: dict[int, int] = {}
        asks: dict[int, int] = {}
        holds: dict[int, int] = {}
        for order in account.open.values():
            if order.waits:
                continue
            market, ntl_e8 = order.market, order.market.ntl_e8(order.px_e8, order.lots)
            assert 0 < order.lots <= order.orig_lots, f"order {order.oid} rests with {order.lots} lots"
            if market.is_spot:
                token, wei = (market.quote, ntl_e8) if order.is_buy else (market.base, market.base_wei(order.lots))
                holds[token.index] = holds.get(token.index, 0) + wei
            elif not order.reduce_only:
                side = bids if order.is_buy else asks
                side[market.asset] = side.get(market.asset, 0) + ntl_e8
        for asset, position in account.positions.items():
            reserved = (position.bid_ntl_e8, position.ask_ntl_e8)
            expected = (bids.get(asset, 0), asks.get(asset, 0))
            assert reserved == expected, f"{account} reserves {reserved} in {asset}, its orders need {expected}"
        for index, balance in account.spot.items():
            hold = holds.get(index, 0)
            assert balance.hold_wei == hold, f"{account} holds {balance.hold_wei} of token {index}, needs {hold}"
            assert account.is_joined or balance.total_wei >= hold, (
                f"{account} has less of token {index} than its orders hold"
            )


def _inner_nonce(signed: Signed) -> int:
    """The nonce that an action repeats: user-signed ones do, in either of two fields, and some others. Else the envelope's."""
    own = signed.action.get("nonce", signed.action.get("time") if signed.is_user_signed else None)
    return signed.nonce if own is None else int(own)
