"""The example messages of the gateway's contract, byte for byte: what goes in, and what has to come out."""

PLACE = (
    b'{"version":1,"cl_id":"mm-42-17","action":"place","venue_type":"dex","venue":"hyperliquid","product_type":"perpet'
    b'ual","ts_ns":1790358617881000000,"details":{"symbol":"BTC-USDC-PERP","side":"buy","order_type":"limit","time_in_'
    b'force":"PO","price":"83750","size":"0.012","reduce_only":false,"params":{"ttl_ms":2000}},"tags":{"strategy":"mm"'
    b',"intent_id":"mm-42"}}'
)
BRACKET = (
    b'{"version":1,"cl_id":"brk-7","action":"place","venue":"hyperliquid","product_type":"perpetual","ts_ns":179035862'
    b'0000000000,"details":{"symbol":"ETH","side":"buy","order_type":"limit","time_in_force":"GTC","price":"2080","siz'
    b'e":"0.5","params":{"bracket.mode":"bundle","bracket.oco":"true","bracket.tp.type":"stop_limit","bracket.tp.px":"'
    b'2120","bracket.tp.limit_px":"2119","bracket.sl.type":"stop","bracket.sl.px":"2060"}},"tags":{"intent_id":"brk-7"'
    b',"strategy":"swing"}}'
)
CANCEL = (
    b'{"version":1,"cl_id":"cx-1","action":"cancel","venue":"hyperliquid","details":{"cancel":{"cl_id_to_cancel":"mm-4'
    b'2-17"}}}'
)
CANCEL_AT_DETAILS = (
    b'{"version":1,"cl_id":"cancel_1a2b3c4d","action":"cancel","venue_type":"cex","venue":"bybit","details":{"cl_id_to'
    b'_cancel":"mm-42-17","symbol":"BTC"},"ts_ns":1790358629000000000,"tags":{"client":"python_example"}}'
)
CANCEL_IN_TAGS = (
    b'{"version":1,"cl_id":"close_1790358630_2","action":"cancel","venue":"hyperliquid","product_type":"perpetual","de'
    b'tails":{},"tags":{"source":"test_script","cl_id_to_cancel":"mm-42-17","original_symbol":"BTC"}}'
)
REPLACE = (
    b'{"version":1,"cl_id":"replace_1790358631_3","action":"replace","venue":"hyperliquid","product_type":"perpetual",'
    b'"details":{"cl_id_to_replace":"mm-42-18","new_price":"83740","new_size":"0.02"},"tags":{"source":"test_script"}}'
)
RESEND = b'{"version":1,"cl_id":"rs-1","action":"resend","details":{"topic":"exec.fill","from_seq":51,"to_seq":56}}'
ACCEPTED = (
    b'{"version":1,"cl_id":"mm-42-17","action":"place","status":"accepted","exchange_order_id":"315452584853","reason_'
    b'code":"ok","reason_text":"resting","raw_code":"resting","ts_ns":1790358617990412345,"venue_ts_ns":17903586179600'
    b'00000,"run_id":"1790300000000000000","seq":118,"details":{"symbol":"BTC-USDC-PERP","side":"buy","order_type":"li'
    b'mit","time_in_force":"PO","price":83750.0,"size":0.012,"filled_size":0.0,"remaining_size":0.012},"tags":{"strate'
    b'gy":"mm","intent_id":"mm-42","venue":"hyperliquid"}}'
)
BAD_JSON = (
    b'{"version":1,"cl_id":"","status":"rejected","reason_code":"invalid_params","reason_text":"bad JSON at byte 41","'
    b'raw_code":"bad_json","frame_sha256":"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae","ts_ns":1'
    b'790358617990500000,"run_id":"1790300000000000000","seq":119,"tags":{"venue":"hyperliquid"}}'
)
REFUSED = (
    b'{"version":1,"cl_id":"mm-42-19","action":"place","status":"rejected","reason_code":"post_only_violation","reason'
    b'_text":"Post only order would have immediately matched, bbo was 83757@83758. asset=0","raw_code":"badAloPxReject'
    b'ed","ts_ns":1790358619100000000,"run_id":"1790300000000000000","seq":120,"tags":{"strategy":"mm","intent_id":"mm'
    b'-42","venue":"hyperliquid"}}'
)
CANCELED = (
    b'{"version":1,"cl_id":"mm-42-17","status":"canceled","exchange_order_id":"315452584853","reason_code":"ok","reaso'
    b'n_text":"canceled","raw_code":"canceled","ts_ns":1790358630200000000,"venue_ts_ns":1790358630150000000,"run_id":'
    b'"1790300000000000000","seq":122,"details":{"symbol":"BTC-USDC-PERP","side":"buy","price":83750.0,"size":0.012,"f'
    b'illed_size":0.005,"avg_price":83750.0,"remaining_size":0.007},"tags":{"strategy":"mm","intent_id":"mm-42","venue'
    b'":"hyperliquid"}}'
)
REPLACED = (
    b'{"version":1,"cl_id":"mm-42-18","status":"replaced","exchange_order_id":"315452584990","reason_code":"ok","reaso'
    b'n_text":"replaced 315452584901","raw_code":"replaced","ts_ns":1790358631200000000,"run_id":"1790300000000000000"'
    b',"seq":124,"details":{"symbol":"BTC-USDC-PERP","side":"buy","price":83740.0,"size":0.02,"filled_size":0.0,"remai'
    b'ning_size":0.02},"tags":{"strategy":"mm","intent_id":"mm-42","venue":"hyperliquid"}}'
)
FILL = (
    b'{"version":1,"cl_id":"mm-42-17","exchange_order_id":"315452584853","exec_id":"343484124188045","symbol_or_pair":'
    b'"BTC-USDC-PERP","side":"buy","price":83750.0,"size":0.005,"fee_currency":"USDC","fee_amount":0.062813,"liquidity'
    b'":"maker","ts_ns":1790358624100200300,"venue_ts_ns":1790358624050000000,"leaves_size":0.007,"cum_size":0.005,"ru'
    b'n_id":"1790300000000000000","seq":57,"tags":{"strategy":"mm","intent_id":"mm-42","role":"entry","execution_type"'
    b':"live","venue":"hyperliquid"}}'
)
STATUS = (
    b'{"version":1,"ts_ns":1790358625000000000,"run_id":"1790300000000000000","state":"live","report_seq":120,"fill_se'
    b'q":57,"open_orders":3,"unresolved_orders":0,"dropped":0,"bad_messages":1}'
)
PARTIAL_FILL_EVENT = (
    b'{"event_type":"order_partially_filled","timestamp":1790358624100200300,"seq":402,"data":{"client_order_id":"mm-4'
    b'2-17","exchange_order_id":"315452584853","trading_pair":"BTC-USDC-PERP","order_type":"LIMIT_MAKER","trade_type":'
    b'"BUY","price":83750.0,"amount":0.012,"filled_amount":0.005,"average_fill_price":83750.0,"remaining_amount":0.007'
    b',"order_state":"PARTIALLY_FILLED","is_done":false,"creation_timestamp":1790358617889000000,"last_update_timestam'
    b'p":1790358624100200300},"trade":{"trade_id":"343484124188045","client_order_id":"mm-42-17","exchange_order_id":"'
    b'315452584853","trading_pair":"BTC-USDC-PERP","fill_price":83750.0,"fill_base_amount":0.005,"fill_quote_amount":4'
    b'18.75,"fill_timestamp":1790358624050000000,"fee_amount":0.062813,"fee_currency":"USDC","liquidity":"maker"}}'
)
FAILED_EVENT = (
    b'{"event_type":"order_failed","timestamp":1790358619100000000,"seq":398,"failure_reason":"post_only_violation: Po'
    b'st only order would have immediately matched, bbo was 83757@83758. asset=0","data":{"client_order_id":"mm-42-19"'
    b',"exchange_order_id":"","trading_pair":"BTC-USDC-PERP","order_type":"LIMIT_MAKER","trade_type":"BUY","price":837'
    b'58.0,"amount":0.01,"filled_amount":0.0,"average_fill_price":0.0,"remaining_amount":0.01,"order_state":"FAILED","'
    b'is_done":true,"creation_timestamp":1790358619050000000,"last_update_timestamp":1790358619100000000}}'
)
TRADE = (
    b'{"receipt_timestamp_ns":1790358606061000000,"exchange_timestamp_ns":1790358606027000000,"symbol":"BTC-USDC-PERP"'
    b',"exchange":"HYPERLIQUID","price":83769.0,"amount":0.0048,"side":"sell","trade_id":"784469253141982","transactio'
    b'n_price":83769.0,"trading_volume":402.0912,"volatility_transaction_price":0.4714045207910317,"window_size":3,"se'
    b'q":3,"schema_version":1,"preprocessing_timestamp":"2026-09-25T17:50:06Z"}'
)
BOOK = (
    b'{"receipt_timestamp_ns":1790358618020000000,"exchange_timestamp_ns":1790358617981000000,"symbol":"BTC-USDC-PERP"'
    b',"exchange":"HYPERLIQUID","seq":3,"best_bid_price":83758.0,"best_bid_size":0.5,"best_ask_price":83759.0,"best_as'
    b'k_size":3.75,"midpoint":83758.5,"relative_spread":1.1939086779252255e-05,"breadth":355975.25,"imbalance_lvl1":-0'
    b'.7647058823529411,"bid_depth_n":2078262.92885,"ask_depth_n":506745.85,"depth_n":2585008.77885,"volatility_mid":0'
    b'.4714045207910317,"ofi_rolling":-0.99992,"ofi_method":"cks","window_size":3,"schema_version":1,"preprocessing_ti'
    b'mestamp":"2026-09-25T17:50:18Z","bids":[[83758.0,0.5],[83757.0,20.11305],[83756.0,4.2]],"asks":[[83759.0,3.75],['
    b"83760.0,1.5],[83762.0,0.8]]}"
)
DELTA = (
    b'{"symbol":"BTC-USDC-PERP","exchange":"HYPERLIQUID","receipt_timestamp_ns":1790358618520000000,"seq":9,"side":[0,'
    b'0,1],"px":[83756.0,83758.0,83759.0],"sz":[0.0,0.75,3.5]}'
)
CHECKPOINT = (
    b'{"symbol":"BTC-USDC-PERP","exchange":"HYPERLIQUID","receipt_timestamp_ns":1790358619000000000,"seq":10,"bid_px":'
    b'[83758.0,83757.0],"bid_sz":[0.75,20.11305],"ask_px":[83759.0,83760.0,83762.0],"ask_sz":[3.5,1.5,0.8]}'
)

ALL = (
    PLACE,
    BRACKET,
    CANCEL,
    CANCEL_AT_DETAILS,
    CANCEL_IN_TAGS,
    REPLACE,
    RESEND,
    ACCEPTED,
    BAD_JSON,
    REFUSED,
    CANCELED,
    REPLACED,
    FILL,
    STATUS,
    PARTIAL_FILL_EVENT,
    FAILED_EVENT,
    TRADE,
    BOOK,
    DELTA,
    CHECKPOINT,
)
"""In the contract's order."""
