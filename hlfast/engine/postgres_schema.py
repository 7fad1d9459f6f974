"""The journal's tables in PostgreSQL, and how rows get there (layer 4, cold). Described in docs/persistence.md.

One database holds any number of journals: every table of schema `hlfast` has the columns of the journal's own table
(`journal_schema`) behind `journal_id`. Integers are BIGINT, text is TEXT, amounts are NUMERIC; nothing is a float. The
views `order_list` and `fill_list` show prices and sizes as numbers.

`MIGRATIONS[n]` takes the schema from version n to n + 1; one that was released is never changed, only followed.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = "hlfast"
LOCK_KEY = 0x686C666A
"""Of the advisory lock under which the schema is made and brought up to date: "hlfj"."""

VERSION_1 = """
CREATE TABLE hlfast.journals (
    journal_id BIGINT PRIMARY KEY,
    network TEXT NOT NULL, account TEXT NOT NULL,
    drained BIGINT NOT NULL DEFAULT 0,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE TABLE hlfast.runs (
    journal_id BIGINT NOT NULL REFERENCES hlfast.journals,
    run BIGINT NOT NULL, network TEXT, account TEXT, signer TEXT, pid BIGINT,
    started_ns BIGINT NOT NULL, ended_ns BIGINT, baseline TEXT, version TEXT, strategies TEXT, latency TEXT,
    rev BIGINT NOT NULL,
    PRIMARY KEY (journal_id, run)
);
CREATE TABLE hlfast.orders (
    journal_id BIGINT NOT NULL REFERENCES hlfast.journals,
    id BIGINT NOT NULL, run BIGINT NOT NULL,
    client_order_id TEXT NOT NULL, cloid TEXT, oid BIGINT,
    coin TEXT NOT NULL, trading_pair TEXT, asset BIGINT, sz_decimals BIGINT NOT NULL, side TEXT NOT NULL,
    px_e8 BIGINT, lots BIGINT, tif TEXT, reduce_only BIGINT, order_type TEXT, position_action TEXT, leverage BIGINT,
    trigger_px_e8 BIGINT, trigger_is_market BIGINT, trigger_kind TEXT,
    nonce BIGINT, expires_ms BIGINT, created_ns BIGINT, sent_ns BIGINT, is_external BIGINT NOT NULL,
    state TEXT NOT NULL, created BIGINT NOT NULL, ended BIGINT NOT NULL, incomplete BIGINT NOT NULL,
    reason TEXT NOT NULL, reject_code TEXT, reject_text TEXT,
    leg_lots BIGINT, modify_px_e8 BIGINT, modify_leg_lots BIGINT,
    time_ms BIGINT NOT NULL, updated_ns BIGINT NOT NULL, strategy TEXT, rev BIGINT NOT NULL,
    PRIMARY KEY (journal_id, id)
);
CREATE INDEX orders_by_client_order_id ON hlfast.orders (client_order_id);
CREATE INDEX orders_by_cloid ON hlfast.orders (cloid);
CREATE INDEX orders_by_time ON hlfast.orders (journal_id, created_ns);
CREATE TABLE hlfast.order_events (
    journal_id BIGINT NOT NULL REFERENCES hlfast.journals,
    id BIGINT NOT NULL, run BIGINT NOT NULL, order_id BIGINT, event TEXT NOT NULL,
    old_state TEXT, new_state TEXT, oid BIGINT, px_e8 BIGINT, lots BIGINT, leg_lots BIGINT, nonce BIGINT,
    reason TEXT, reject_code TEXT, reject_text TEXT, incomplete BIGINT, recovered BIGINT,
    time_ms BIGINT, recv_ns BIGINT NOT NULL,
    PRIMARY KEY (journal_id, id)
);
CREATE INDEX order_events_by_order ON hlfast.order_events (journal_id, order_id);
CREATE TABLE hlfast.fills (
    journal_id BIGINT NOT NULL REFERENCES hlfast.journals,
    coin TEXT NOT NULL, tid BIGINT NOT NULL, oid BIGINT NOT NULL, time_ms BIGINT NOT NULL,
    id BIGINT NOT NULL, run BIGINT NOT NULL, order_id BIGINT, client_order_id TEXT, cloid TEXT,
    px_e8 BIGINT NOT NULL, lots BIGINT NOT NULL, size_text TEXT NOT NULL, sz_decimals BIGINT NOT NULL,
    side TEXT NOT NULL, crossed BIGINT NOT NULL, fee_e8 BIGINT NOT NULL, fee_text TEXT, fee_token TEXT NOT NULL,
    closed_pnl_e8 BIGINT NOT NULL, start_lots BIGINT, direction TEXT NOT NULL, recv_ns BIGINT NOT NULL,
    recovered BIGINT NOT NULL, strategy TEXT,
    PRIMARY KEY (journal_id, coin, tid, oid, time_ms)
);
CREATE INDEX fills_by_id ON hlfast.fills (journal_id, id);
CREATE INDEX fills_by_order ON hlfast.fills (journal_id, order_id);
CREATE INDEX fills_by_time ON hlfast.fills (journal_id, time_ms);
CREATE TABLE hlfast.positions (
    journal_id BIGINT NOT NULL REFERENCES hlfast.journals,
    coin TEXT NOT NULL, run BIGINT NOT NULL, lots BIGINT NOT NULL, sz_decimals BIGINT NOT NULL,
    cost NUMERIC NOT NULL, realized_pnl NUMERIC NOT NULL, funding NUMERIC NOT NULL,
    time_ms BIGINT NOT NULL, recv_ns BIGINT NOT NULL, rev BIGINT NOT NULL,
    PRIMARY KEY (journal_id, coin)
);
CREATE TABLE hlfast.funding (
    journal_id BIGINT NOT NULL REFERENCES hlfast.journals,
    coin TEXT NOT NULL, time_ms BIGINT NOT NULL, run BIGINT NOT NULL, amount NUMERIC NOT NULL, rate TEXT NOT NULL,
    recv_ns BIGINT NOT NULL, rev BIGINT NOT NULL,
    PRIMARY KEY (journal_id, coin, time_ms)
);
CREATE TABLE hlfast.equity (
    journal_id BIGINT NOT NULL REFERENCES hlfast.journals,
    id BIGINT NOT NULL, run BIGINT NOT NULL, recv_ns BIGINT NOT NULL, strategy TEXT,
    equity NUMERIC, cash NUMERIC NOT NULL, unrealized NUMERIC, realized NUMERIC NOT NULL, fees NUMERIC NOT NULL,
    funding NUMERIC NOT NULL, marks TEXT NOT NULL, unvalued TEXT NOT NULL,
    PRIMARY KEY (journal_id, id)
);
CREATE INDEX equity_by_time ON hlfast.equity (journal_id, recv_ns);
CREATE TABLE hlfast.stream_events (
    journal_id BIGINT NOT NULL REFERENCES hlfast.journals,
    id BIGINT NOT NULL, run BIGINT NOT NULL, event TEXT NOT NULL, body TEXT NOT NULL, recv_ns BIGINT NOT NULL,
    PRIMARY KEY (journal_id, id)
);
CREATE VIEW hlfast.order_list AS SELECT
    j.network, j.account, o.strategy, to_timestamp(o.created_ns / 1000000000) AS created, o.coin,
    CASE o.side WHEN 'B' THEN 'buy' ELSE 'sell' END AS side, o.px_e8 * 0.00000001 AS price,
    (o.lots::text || 'e-' || o.sz_decimals)::numeric AS size, o.tif, o.order_type, o.state, o.ended = 1 AS ended,
    coalesce(o.reject_text, o.reason) AS reason, o.client_order_id, o.cloid, o.oid, o.journal_id, o.id
FROM hlfast.orders o JOIN hlfast.journals j USING (journal_id);
CREATE VIEW hlfast.fill_list AS SELECT
    j.network, j.account, f.strategy, to_timestamp(f.time_ms / 1000) AS filled, f.coin,
    CASE f.side WHEN 'B' THEN 'buy' ELSE 'sell' END AS side, f.px_e8 * 0.00000001 AS price,
    CASE WHEN f.lots >= 0 THEN (f.lots::text || 'e-' || f.sz_decimals)::numeric ELSE f.size_text::numeric END AS size,
    coalesce(f.fee_text::numeric, f.fee_e8 * 0.00000001) AS fee, f.fee_token,
    f.closed_pnl_e8 * 0.00000001 AS closed_pnl, f.crossed = 0 AS is_maker, f.client_order_id, f.cloid, f.oid, f.tid,
    f.time_ms, f.journal_id, f.id
FROM hlfast.fills f JOIN hlfast.journals j USING (journal_id);
"""

MIGRATIONS: tuple[str, ...] = (VERSION_1,)
SCHEMA_VERSION = len(MIGRATIONS)


@dataclass(frozen=True)
class Followed:
    """How a table of the journal is followed. `by` orders its rows by their last change; `key` names one."""

    key: tuple[str, ...]
    by: str = "id"
    changes: bool = False
    """Rows are changed after they were written."""


TABLES: dict[str, Followed] = {
    "runs": Followed(("run",), "rev", True),
    "orders": Followed(("id",), "rev", True),
    "order_events": Followed(("id",)),
    "fills": Followed(("coin", "tid", "oid", "time_ms")),
    "positions": Followed(("coin",), "rev", True),
    "funding": Followed(("coin", "time_ms"), "rev"),
    "equity": Followed(("id",)),
    "stream_events": Followed(("id",)),
}
"""All but `meta`, whose place is `journals`, and `nonces`, which nobody but the signer's own process needs."""

NUMERIC = frozenset({
    ("positions", "cost"), ("positions", "realized_pnl"), ("positions", "funding"), ("funding", "amount"),
    ("equity", "equity"), ("equity", "cash"), ("equity", "unrealized"), ("equity", "realized"), ("equity", "fees"),
    ("equity", "funding"),
})  # fmt: skip
"""(table, column): exact text in the journal, NUMERIC there."""

NUL_SIGN = "\u2400"
"""What stands for U+0000, the one character of a text that PostgreSQL cannot hold."""


def upsert(table: str, columns: dict[str, str]) -> str:
    """The statement that writes many rows at once: $1 is the journal, then one array for each of `columns` (name: the
    journal's type). A row that is there already is the same row: it is set to its newest state, or left alone."""
    followed = TABLES[table]
    names = list(columns)
    arrays = ", ".join(
        f"${i}::{'bigint' if columns[name] == 'INTEGER' else 'text'}[]" for i, name in enumerate(names, 2)
    )
    values = ", ".join(f"u.{name}::numeric" if (table, name) in NUMERIC else f"u.{name}" for name in names)
    conflict = "DO NOTHING"
    if followed.changes:
        sets = ", ".join(f"{name} = excluded.{name}" for name in names if name not in followed.key)
        conflict = f"DO UPDATE SET {sets} WHERE {table}.rev <= excluded.rev"
    return (
        f"INSERT INTO {SCHEMA}.{table} (journal_id, {', '.join(names)}) "
        f"SELECT $1::bigint, {values} FROM unnest({arrays}) AS u({', '.join(names)}) "
        f"ON CONFLICT (journal_id, {', '.join(followed.key)}) {conflict}"
    )
