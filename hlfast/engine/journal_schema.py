"""The journal's tables, and what each record of the ring does to them (layer 4, cold). Described in docs/journal.md.

`MIGRATIONS[n]` takes a database from version n to n + 1 (`PRAGMA user_version`); a version that was released is never
changed, only followed. `STATEMENTS` names the statements for each kind of record; their parameters are the record's
fields, with `id` (the record's number, unique in a journal) and `run` beside them. Every statement may run twice with
the same record and change nothing the second time.

Prices and fees are integers scaled by 1e8, sizes integers in lots of 10^-sz_decimals; amounts without a grid are text.
"""

from __future__ import annotations

APPLICATION_ID = 0x686C666A
"""`PRAGMA application_id` of a journal: "hlfj"."""

VERSION_1 = """
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    journal_id INTEGER NOT NULL,             -- of this database and its ring
    drained INTEGER NOT NULL                 -- the last record of the ring that is in the tables
);
CREATE TABLE runs (
    run INTEGER PRIMARY KEY,
    network TEXT, account TEXT, signer TEXT, pid INTEGER,
    started_ns INTEGER NOT NULL,
    ended_ns INTEGER,                        -- NULL: running, or killed
    baseline TEXT                            -- JSON: the account's state that the run's ledger started from
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    client_order_id TEXT NOT NULL, cloid TEXT, oid INTEGER,
    coin TEXT NOT NULL, trading_pair TEXT, asset INTEGER, sz_decimals INTEGER NOT NULL, side TEXT NOT NULL,
    px_e8 INTEGER, lots INTEGER, tif TEXT, reduce_only INTEGER, order_type TEXT, position_action TEXT, leverage INTEGER,
    trigger_px_e8 INTEGER, trigger_is_market INTEGER, trigger_kind TEXT,
    nonce INTEGER, expires_ms INTEGER, created_ns INTEGER, sent_ns INTEGER, is_external INTEGER NOT NULL,
    state TEXT NOT NULL, created INTEGER NOT NULL DEFAULT 0, ended INTEGER NOT NULL DEFAULT 0,
    incomplete INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '', reject_code TEXT, reject_text TEXT,
    leg_lots INTEGER, modify_px_e8 INTEGER, modify_leg_lots INTEGER,
    time_ms INTEGER NOT NULL DEFAULT 0, updated_ns INTEGER NOT NULL
);
CREATE INDEX orders_by_client_order_id ON orders (client_order_id);
CREATE INDEX orders_by_cloid ON orders (cloid);
CREATE INDEX orders_live ON orders (id) WHERE ended = 0;
CREATE INDEX orders_ended ON orders (updated_ns) WHERE ended = 1;
CREATE TABLE order_events (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL, order_id INTEGER, event TEXT NOT NULL,
    old_state TEXT, new_state TEXT, oid INTEGER, px_e8 INTEGER, lots INTEGER, leg_lots INTEGER, nonce INTEGER,
    reason TEXT, reject_code TEXT, reject_text TEXT, incomplete INTEGER, recovered INTEGER,
    time_ms INTEGER, recv_ns INTEGER NOT NULL
);
CREATE INDEX order_events_by_order ON order_events (order_id);
CREATE TABLE fills (
    coin TEXT NOT NULL, tid INTEGER NOT NULL, oid INTEGER NOT NULL, time_ms INTEGER NOT NULL,
    id INTEGER NOT NULL, run INTEGER NOT NULL, order_id INTEGER, client_order_id TEXT, cloid TEXT,
    px_e8 INTEGER NOT NULL, lots INTEGER NOT NULL, size_text TEXT NOT NULL, sz_decimals INTEGER NOT NULL,
    side TEXT NOT NULL, crossed INTEGER NOT NULL, fee_e8 INTEGER NOT NULL, fee_text TEXT, fee_token TEXT NOT NULL,
    closed_pnl_e8 INTEGER NOT NULL, start_lots INTEGER, direction TEXT NOT NULL, recv_ns INTEGER NOT NULL,
    recovered INTEGER NOT NULL,
    PRIMARY KEY (coin, tid, oid, time_ms)
) WITHOUT ROWID;
CREATE INDEX fills_by_id ON fills (id);
CREATE INDEX fills_by_order ON fills (order_id);
CREATE INDEX fills_by_time ON fills (time_ms);
CREATE TABLE positions (
    coin TEXT PRIMARY KEY, run INTEGER NOT NULL, lots INTEGER NOT NULL, sz_decimals INTEGER NOT NULL,
    cost TEXT NOT NULL, realized_pnl TEXT NOT NULL, funding TEXT NOT NULL,
    time_ms INTEGER NOT NULL, recv_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE funding (
    coin TEXT NOT NULL, time_ms INTEGER NOT NULL, run INTEGER NOT NULL, amount TEXT NOT NULL, rate TEXT NOT NULL,
    recv_ns INTEGER NOT NULL,
    PRIMARY KEY (coin, time_ms)
) WITHOUT ROWID;
CREATE TABLE nonces (signer TEXT PRIMARY KEY, nonce INTEGER NOT NULL, recv_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE stream_events (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, event TEXT NOT NULL, body TEXT NOT NULL, recv_ns INTEGER NOT NULL
);
"""

# `rev` is the number of the record that changed the row last. With `id` of the tables whose rows never change, it orders
# everything that was ever written or changed: what follows a journal (docs/persistence.md) needs no more.
VERSION_2 = """
ALTER TABLE runs ADD COLUMN version TEXT;            -- of hlfast
ALTER TABLE runs ADD COLUMN strategies TEXT;         -- JSON: a list of name, prefix, parameters
ALTER TABLE runs ADD COLUMN latency TEXT;            -- JSON: by stage, as `latency.summary()` gives it
ALTER TABLE runs ADD COLUMN rev INTEGER NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN strategy TEXT;
ALTER TABLE orders ADD COLUMN rev INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fills ADD COLUMN strategy TEXT;
ALTER TABLE positions ADD COLUMN rev INTEGER NOT NULL DEFAULT 0;
ALTER TABLE funding ADD COLUMN rev INTEGER NOT NULL DEFAULT 0;
UPDATE orders SET rev = id;
UPDATE runs SET rev = (SELECT max(drained, 1) FROM meta);
UPDATE positions SET rev = (SELECT max(drained, 1) FROM meta);
UPDATE funding SET rev = (SELECT max(drained, 1) FROM meta);
CREATE INDEX orders_by_rev ON orders (rev);
CREATE INDEX funding_by_rev ON funding (rev);
CREATE TABLE equity (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL, recv_ns INTEGER NOT NULL, strategy TEXT,
    equity TEXT, cash TEXT NOT NULL, unrealized TEXT, realized TEXT NOT NULL, fees TEXT NOT NULL, funding TEXT NOT NULL,
    marks TEXT NOT NULL,                             -- JSON: the price of each coin, as text
    unvalued TEXT NOT NULL                           -- JSON: what is held and has no price
);
CREATE INDEX equity_by_time ON equity (recv_ns);
"""

MIGRATIONS: tuple[str, ...] = (VERSION_1, VERSION_2)
SCHEMA_VERSION = len(MIGRATIONS)

# Orders placed elsewhere have no intent: they are described again with each piece of news, and kept once.
_ORDER = """
INSERT OR IGNORE INTO orders (
    id, run, client_order_id, cloid, coin, trading_pair, asset, sz_decimals, side, px_e8, lots, tif, reduce_only,
    order_type, position_action, leverage, trigger_px_e8, trigger_is_market, trigger_kind, nonce, expires_ms, created_ns,
    sent_ns, is_external, state, updated_ns, strategy, rev
) SELECT
    :id, :run, :client_order_id, :cloid, :coin, :trading_pair, :asset, :sz_decimals, :side, :px_e8, :lots, :tif,
    :reduce_only, :order_type, :position_action, :leverage, :trigger_px_e8, :trigger_is_market, :trigger_kind, :nonce,
    :expires_ms, :created_ns, :recv_ns, :is_external,
    CASE WHEN :is_external THEN 'PENDING_SUBMIT' ELSE 'PENDING_CREATE' END, :recv_ns, :strategy, :id
WHERE NOT (:is_external AND EXISTS (SELECT 1 FROM orders WHERE client_order_id = :client_order_id))
"""
_NEWEST = "(SELECT max(id) FROM orders WHERE client_order_id = :client_order_id)"
_EVENT = f"""
INSERT OR IGNORE INTO order_events VALUES (
    :id, :run, {_NEWEST}, :event, :old_state, :new_state, :oid, :px_e8, :lots, :leg_lots, :nonce, :reason, :reject_code,
    :reject_text, :incomplete, :recovered, :time_ms, :recv_ns
)
"""
_ORDER_AFTER_EVENT = f"""
UPDATE orders SET
    state = coalesce(:new_state, state),
    oid = coalesce(max(:oid, coalesce(oid, 0)), oid),
    created = created OR :event = 'created',
    ended = ended OR :event IN ('completed', 'cancelled', 'failed', 'expired'),
    incomplete = max(incomplete, :incomplete),
    reason = CASE WHEN :reason <> '' AND :event IN ('state', 'completed', 'cancelled', 'failed', 'expired')
        THEN :reason ELSE reason END,
    reject_code = coalesce(:reject_code, reject_code),
    reject_text = coalesce(:reject_text, reject_text),
    px_e8 = CASE :event WHEN 'modified' THEN :px_e8 ELSE px_e8 END,
    lots = CASE :event WHEN 'modified' THEN :lots ELSE lots END,
    leg_lots = CASE :event WHEN 'modified' THEN :leg_lots ELSE leg_lots END,
    modify_px_e8 = CASE WHEN :event = 'modify_sent' THEN :px_e8
        WHEN :event IN ('modified', 'modify_rejected') THEN NULL ELSE modify_px_e8 END,
    modify_leg_lots = CASE WHEN :event = 'modify_sent' THEN :leg_lots
        WHEN :event IN ('modified', 'modify_rejected') THEN NULL ELSE modify_leg_lots END,
    time_ms = max(time_ms, :time_ms),
    updated_ns = :recv_ns,
    rev = :id
WHERE id = {_NEWEST}
"""
_FILL = f"""
INSERT OR IGNORE INTO fills (
    coin, tid, oid, time_ms, id, run, order_id, client_order_id, cloid, px_e8, lots, size_text, sz_decimals, side,
    crossed, fee_e8, fee_text, fee_token, closed_pnl_e8, start_lots, direction, recv_ns, recovered,
    strategy
) VALUES (
    :coin, :tid, :oid, :time_ms, :id, :run, {_NEWEST}, :client_order_id, :cloid, :px_e8, :lots, :size_text,
    :sz_decimals, :side, :crossed, :fee_e8, :fee_text, :fee_token, :closed_pnl_e8, :start_lots, :direction, :recv_ns,
    :recovered, (SELECT strategy FROM orders WHERE id = {_NEWEST})
)
"""
_POSITION = """
INSERT OR REPLACE INTO positions VALUES (
    :coin, :run, :lots, :sz_decimals, :cost, :realized_pnl, :funding, :time_ms, :recv_ns, :id
)
"""
_EQUITY = """
INSERT OR IGNORE INTO equity VALUES (
    :id, :run, :recv_ns, :strategy, :equity, :cash, :unrealized, :realized, :fees, :funding, :marks, :unvalued
)
"""

STATEMENTS: dict[str, tuple[str, ...]] = {
    "order": (_ORDER,),
    "event": (_EVENT, _ORDER_AFTER_EVENT),
    "fill": (_FILL,),
    "nonce": (),  # every record with a nonce counts: see NONCE
    "position": (_POSITION,),
    # notes, by their names
    "funding": ("INSERT OR IGNORE INTO funding VALUES (:coin, :time_ms, :run, :amount, :rate, :recv_ns, :id)",),
    "equity": (_EQUITY,),
    "baseline": ("UPDATE runs SET baseline = :body, rev = :id WHERE run = :run",),
    "strategies": ("UPDATE runs SET strategies = :body, rev = :id WHERE run = :run",),
    "latency": ("UPDATE runs SET latency = :body, rev = :id WHERE run = :run",),
    "ended": ("UPDATE runs SET ended_ns = :recv_ns, rev = :id WHERE run = :run",),
    "stream": ("INSERT OR IGNORE INTO stream_events VALUES (:id, :run, 'StreamStatus', :body, :recv_ns)",),
    "gateway": ("INSERT OR IGNORE INTO stream_events VALUES (:id, :run, 'Gateway', :body, :recv_ns)",),
    "recovered": ("INSERT OR IGNORE INTO stream_events VALUES (:id, :run, 'Recovered', :body, :recv_ns)",),
}

UNPACKED = ("funding", "equity")
"""Notes whose body has the parameters."""

NONCE = """
INSERT INTO nonces VALUES (:signer, :nonce, :recv_ns)
ON CONFLICT (signer) DO UPDATE SET nonce = excluded.nonce, recv_ns = excluded.recv_ns WHERE excluded.nonce > nonce
"""
