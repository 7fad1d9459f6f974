// Every call that the TypeScript SDK offers, unchanged, against a local exchange; each answer is compared with the SDK's own
// types, turned into JSON schemas in which nothing may be missing, more or of another kind.
//
//   node typescript.mjs '{"http":"http://...","ws":"ws://...","accounts":[{"address":"0x..","key":"0x.."}, ...]}'
//
// Writes report.json: {"results": [{client, name, params, ok, error, status, misfits, value}], "events": {name: ...}}.
// test_typescript.py runs it in a folder where npm has installed the SDK, and judges the result by the exchange's record.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { ApiRequestError, ExchangeClient, HttpTransport, InfoClient, SubscriptionClient, WebSocketTransport } from "@nktkas/hyperliquid";
import { formatPrice, formatSize, SymbolConverter } from "@nktkas/hyperliquid/utils";
import Ajv from "ajv";
import { createGenerator } from "ts-json-schema-generator";
import { privateKeyToAccount } from "viem/accounts";

const given = JSON.parse(process.argv[2]);
const [ALICE, BOB, CAROL, DAVE] = given.accounts;
const BTC = 0, ETH = 1, PURR = "PURR/USDC";
const AGENT_KEY = "0x" + "a9".repeat(32), UNNAMED_KEY = "0x" + "a8".repeat(32);
const cloid = (n) => "0x" + "c1".repeat(15) + n.toString(16).padStart(2, "0"); // not small: the SDK reads "0x00..01" as oid 1

// -- schemas of the SDK's types ----------------------------------------------------------------------------------------

function schemas() {
  const base = "node_modules/@nktkas/hyperliquid/esm/api/";
  const kinds = { info: "Response", exchange: "SuccessResponse", subscription: "Event" };
  const found = {}, lines = [];
  for (const [kind, suffix] of Object.entries(kinds)) {
    lines.push(`import type * as ${kind} from "@nktkas/hyperliquid/api/${kind}";`);
    found[kind] = [];
    for (const file of readdirSync(base + kind + "/_methods").filter((each) => each.endsWith(".d.ts"))) {
      const name = file.slice(0, -5), type = name[0].toUpperCase() + name.slice(1) + suffix;
      if (!readFileSync(base + kind + "/_methods/" + file, "utf8").includes(`export type ${type} `)) continue;
      lines.push(`export type ${kind}_${name} = ${kind}.${type};`);
      found[kind].push(name);
    }
  }
  writeFileSync("types.ts", lines.join("\n"));
  const options = { target: "ESNext", module: "ESNext", moduleResolution: "Bundler", strict: true, noEmit: true, skipLibCheck: true };
  writeFileSync("tsconfig.json", JSON.stringify({ compilerOptions: options, files: ["types.ts"] }));
  const generator = createGenerator({
    path: "types.ts", tsconfig: "tsconfig.json", expose: "export", skipTypeCheck: true, jsDoc: "extended",
    strictTuples: true, additionalProperties: false,
  });
  const ajv = new Ajv.default({ strict: false, allErrors: true });
  ajv.addSchema(generator.createSchema("*"), "types");
  const misfits = (kind, name, value) => {
    const check = ajv.getSchema(`types#/definitions/${kind}_${name}`);
    if (check === undefined) return ["no type"];
    return check(value) ? [] : check.errors.slice(0, 8).map((e) => `${e.instancePath} ${e.message} ${JSON.stringify(e.params)}`);
  };
  return { found, misfits };
}

const { found, misfits } = schemas();

// -- clients -----------------------------------------------------------------------------------------------------------

const http = new HttpTransport({ isTestnet: true, apiUrl: given.http, timeout: 10_000 });
const socket = new WebSocketTransport({ isTestnet: true, url: given.ws, timeout: 10_000 });
await socket.ready();
const trader = (key, transport = http) => new ExchangeClient({ wallet: privateKeyToAccount(key), transport });
const clients = {
  info: new InfoClient({ transport: http }),
  infoOverSocket: new InfoClient({ transport: socket }),
  alice: trader(ALICE.key), bob: trader(BOB.key), dave: trader(DAVE.key), agent: trader(AGENT_KEY),
  aliceOverSocket: trader(ALICE.key, socket),
};
const results = [];

async function call(client, name, params, note = "") {
  const kind = client.startsWith("info") ? "info" : "exchange";
  const row = { client, kind, name, params, note, ok: false, error: null, status: null, misfits: [], value: null };
  results.push(row);
  try {
    row.value = params === undefined ? await clients[client][name]() : await clients[client][name](params);
    row.ok = true;
    row.misfits = misfits(kind, name, row.value);
  } catch (error) {
    row.error = `${error.name}: ${error.message}`.slice(0, 400);
    row.refused = error instanceof ApiRequestError;
    row.status = error.response?.status ?? null;
  }
  return row.value;
}

// -- subscriptions, before anything happens ------------------------------------------------------------------------------

const events = {};
const listener = new SubscriptionClient({ transport: socket });
const user = ALICE.address;
const wanted = {
  activeAssetCtx: { coin: "ETH" }, activeAssetData: { user, coin: "ETH" }, activeSpotAssetCtx: { coin: PURR },
  allDexsAssetCtxs: undefined, allDexsClearinghouseState: { user }, allMids: undefined, assetCtxs: undefined,
  bbo: { coin: "ETH" }, candle: { coin: "ETH", interval: "1m" }, clearinghouseState: { user }, fastAssetCtxs: undefined,
  l2Book: { coin: "ETH" }, notification: { user }, openOrders: { user }, orderUpdates: { user },
  outcomeMetaUpdates: undefined, spotAssetCtxs: undefined, spotState: { user }, trades: { coin: "ETH" },
  twapStates: { user }, userEvents: { user }, userFills: { user }, userFundings: { user },
  userHistoricalOrders: { user }, userNonFundingLedgerUpdates: { user }, userTwapHistory: { user },
  userTwapSliceFills: { user }, webData3: { user },
};
const subscriptions = [];
for (const [name, params] of Object.entries(wanted)) {
  const row = { ok: false, error: null, count: 0, misfits: [], data: [], offered: name in listener };
  events[name] = row;
  const hear = (event) => {
    row.count++;
    if (row.misfits.length < 4) row.misfits.push(...misfits("subscription", name, event));
    if (row.data.length < 200 && ["orderUpdates", "userFills", "userEvents", "trades"].includes(name)) row.data.push(event);
  };
  try {
    const args = params === undefined ? [hear] : [params, hear];
    subscriptions.push(await listener[name](...args));
    row.ok = true;
  } catch (error) {
    row.error = `${error.name}: ${error.message}`.slice(0, 300);
  }
}

// -- what the exchange client offers ---------------------------------------------------------------------------------------

const names = await SymbolConverter.create({ transport: http });
const order = (a, b, p, s, tif = "Gtc", more = {}) => ({ a, b, p, s, r: false, t: { limit: { tif } }, ...more });
const stop = (a, b, p, s, tpsl, r = true) => ({ a, b, p, s, r, t: { trigger: { isMarket: true, triggerPx: p, tpsl } } });
const one = async (client, wire, note, more = {}) => {
  const answer = await call(client, "order", { orders: [wire], grouping: "na", ...more }, note);
  const entry = answer?.response.data.statuses[0];
  return entry?.resting?.oid ?? entry?.filled?.oid;
};

results.push({
  client: "utils", kind: "utils", name: "SymbolConverter", ok: true, misfits: [],
  value: [names.getAssetId("ETH"), names.getAssetId(PURR), names.getSzDecimals("ETH"), formatPrice("3499.123456", 4), formatSize("1.23456789", 4)],
});
await call("alice", "approveBuilderFee", { maxFeeRate: "0.01%", builder: CAROL.address });
const resting = await one("alice", order(ETH, true, "3400", "1"), "resting");
await one("alice", order(ETH, true, "3401", "1", "Alo", { c: cloid(1) }), "resting with cloid");
await one("alice", order(ETH, true, "3501", "2", "Ioc"), "filled", { builder: { b: CAROL.address, f: 10 } });
await one("alice", order(ETH, false, "3400", "0.5", "FrontendMarket"), "market");
await one("aliceOverSocket", order(ETH, true, "3402", "1", "Gtc", { c: cloid(2) }), "over the socket");
await one("alice", order(ETH, true, "3501", "1", "Alo"), "refused");
await one("alice", order(ETH, true, "3400", "0.001"), "refused");
await call("alice", "order", {
  orders: [order(BTC, true, "60000", "0.01"), stop(BTC, false, "70000", "0.01", "tp"), stop(BTC, false, "50000", "0.01", "sl")],
  grouping: "normalTpsl",
}, "bracket");
await call("alice", "order", { orders: [stop(ETH, false, "3000", "0", "sl")], grouping: "positionTpsl" }, "stop on the position");
const moved = await call("alice", "batchModify", { modifies: [{ oid: resting, order: order(ETH, true, "3399", "1") }] });
await call("alice", "modify", { oid: cloid(1), order: order(ETH, true, "3398", "1", "Alo", { c: cloid(1) }) });
await call("alice", "cancel", { cancels: [{ a: ETH, o: moved?.response.data.statuses[0].resting.oid }] });
await call("alice", "cancel", { cancels: [{ a: ETH, o: 5 }] }, "refused");
await call("alice", "cancelByCloid", { cancels: [{ asset: ETH, cloid: cloid(1) }] });
await call("alice", "noop", { nonce: Date.now() });
await call("alice", "scheduleCancel", { time: Date.now() + 60_000 });
await call("alice", "scheduleCancel", undefined);
await call("alice", "updateLeverage", { asset: 2, isCross: false, leverage: 5 });
await one("alice", order(2, true, "150", "10", "Gtc"), "resting on SOL");
await call("dave", "updateLeverage", { asset: ETH, isCross: false, leverage: 5 });
await one("dave", order(ETH, true, "3502", "1", "Ioc"), "isolated");
await call("dave", "updateIsolatedMargin", { asset: ETH, isBuy: true, ntli: 100 * 1e6 });
await call("dave", "updateIsolatedMargin", { asset: ETH, isBuy: true, ntli: -50 * 1e6 });
await one("alice", order(10_000, true, "0.2", "100", "Ioc"), "spot");
await call("alice", "usdClassTransfer", { amount: "10", toPerp: false });
await call("alice", "usdClassTransfer", { amount: "10", toPerp: true });
await call("alice", "usdSend", { destination: BOB.address, amount: "2.5" });
const usdc = (await clients.info.spotMeta()).tokens[0], purr = (await clients.info.spotMeta()).tokens[1];
await call("alice", "spotSend", { destination: BOB.address, token: `${usdc.name}:${usdc.tokenId}`, amount: "3" });
await call("alice", "sendAsset", { destination: BOB.address, sourceDex: "", destinationDex: "spot", token: `${usdc.name}:${usdc.tokenId}`, amount: "4" });
await call("alice", "withdraw3", { destination: ALICE.address, amount: "7" });
await call("alice", "approveAgent", { agentAddress: privateKeyToAccount(AGENT_KEY).address, agentName: "robot" });
await call("alice", "approveAgent", { agentAddress: privateKeyToAccount(UNNAMED_KEY).address });
const ofAgent = await one("agent", order(BTC, true, "61000", "0.01"), "by an agent");
await call("agent", "cancel", { cancels: [{ a: BTC, o: ofAgent }] });
await call("agent", "agentSendAsset", { destination: ALICE.address, sourceDex: "", destinationDex: "spot", token: `${usdc.name}:${usdc.tokenId}`, amount: "1" });
const sub = (await call("alice", "createSubAccount", { name: "second" }))?.response.data;
await call("alice", "subAccountModify", { subAccountUser: sub, name: "renamed" });
await call("alice", "subAccountTransfer", { subAccountUser: sub, isDeposit: true, usd: 1_000 * 1e6 });
await call("alice", "subAccountTransfer", { subAccountUser: sub, isDeposit: false, usd: 1e6 });
await call("alice", "subAccountSpotTransfer", { subAccountUser: sub, isDeposit: true, token: `${purr.name}:${purr.tokenId}`, amount: "10" });
clients.sub = new ExchangeClient({ wallet: privateKeyToAccount(ALICE.key), transport: http, defaultVaultAddress: sub });
await one("sub", order(ETH, true, "3300", "0.1"), "for a sub-account");
const vault = (await call("alice", "createVault", { name: "a vault", description: "described in ten letters and more", initialUsd: 200 * 1e6 }))?.response.data;
await call("alice", "vaultModify", { vaultAddress: vault, allowDeposits: true, alwaysCloseOnWithdraw: null });
await call("bob", "vaultTransfer", { vaultAddress: vault, isDeposit: true, usd: 50 * 1e6 });
await call("alice", "vaultDistribute", { vaultAddress: vault, usd: 20 * 1e6 });
await call("alice", "registerReferrer", { code: "ALICE" });
await call("bob", "setReferrer", { code: "ALICE" });
await call("alice", "setDisplayName", { displayName: "alice" });
await call("alice", "reserveRequestWeight", { weight: 10 });

// Beyond what an exchange may have: where it answers, its answer must fit or be a refusal.
const beyond = (client, name, params) => call(client, name, params, "beyond");
const twap = await beyond("alice", "twapOrder", { twap: { a: ETH, b: true, s: "1", r: false, m: 5, t: false } });
await beyond("alice", "twapCancel", { a: ETH, t: twap?.response.data.status.running?.twapId ?? 1 });
await beyond("alice", "cDeposit", { wei: 1 });
await beyond("alice", "tokenDelegate", { validator: "0x" + "5a".repeat(20), wei: 1, isUndelegate: false });
await beyond("alice", "cWithdraw", { wei: 1 });
await beyond("bob", "userDexAbstraction", { user: BOB.address, enabled: true });
await beyond("bob", "userSetAbstraction", { user: BOB.address, abstraction: "disabled" });
await beyond("agent", "agentEnableDexAbstraction");
await beyond("agent", "agentSetAbstraction", { abstraction: "u" });
await beyond("bob", "evmUserModify", { usingBigBlocks: true });
await beyond("bob", "spotUser", { toggleSpotDusting: { optOut: true } });
await beyond("bob", "borrowLend", { operation: "supply", token: 0, amount: "30" });
await beyond("bob", "claimRewards");
await beyond("bob", "linkStakingUser", { user: CAROL.address, isFinalize: false });
await beyond("bob", "gossipPriorityBid", { slotId: 0, ip: "1.2.3.4", maxGas: 100_000_000 });
await beyond("bob", "validatorL1Stream", { riskFreeRate: "0.05" });
await beyond("bob", "cSignerAction", { jailSelf: null });
await beyond("bob", "cValidatorAction", { unregister: null });
await beyond("dave", "topUpIsolatedOnlyMargin", { asset: ETH, leverage: "0.5" });
await beyond("bob", "userOutcome", { splitOutcome: { outcome: 0, amount: "1" } });
await beyond("bob", "userPortfolioMargin", { user: BOB.address, enabled: false });
await beyond("bob", "hip3LiquidatorTransfer", { dex: "test", ntl: 1_000_000_000, isDeposit: true });
await beyond("bob", "finalizeEvmContract", { token: 0, input: "firstStorageSlot" });
await beyond("bob", "perpDeploy", { setOracle: { dex: "test", oraclePxs: [], markPxs: [], externalPerpPxs: [] } });
await beyond("bob", "spotDeploy", { genesis: { token: 1, maxSupply: "1000" } });
await beyond("bob", "sendToEvmWithData", {
  token: "USDC", amount: "1", sourceDex: "spot", destinationRecipient: BOB.address, addressEncoding: "hex",
  destinationChainId: 42161, gasLimit: 200000, data: "0x",
});
await beyond("bob", "stakingLinkDisableTradingUser", { tradingUser: CAROL.address });
await beyond("bob", "authorizeAqav2Role", { token: 0, role: "technical" });
await beyond("bob", "activateOutcomeDeployer", { isDeactivate: false });

// -- what the info client offers -----------------------------------------------------------------------------------------

await new Promise((resolve) => setTimeout(resolve, 1_500));
const since = { startTime: 0 };
const questions = {
  activeAssetData: { user, coin: "ETH" }, allBorrowLendReserveStates: undefined, allMids: undefined, allPerpMetas: undefined,
  approvedBuilders: { user }, borrowLendReserveState: { token: 0 }, borrowLendUserState: { user },
  candleSnapshot: { coin: "ETH", interval: "1m", startTime: Date.now() - 3_600_000 }, clearinghouseState: { user },
  delegations: { user }, delegatorHistory: { user }, delegatorRewards: { user }, delegatorSummary: { user },
  exchangeStatus: undefined, extraAgents: { user }, frontendOpenOrders: { user }, fundingHistory: { coin: "ETH", ...since },
  gossipPriorityAuctionStatus: undefined, gossipRootIps: undefined, historicalOrders: { user }, isVip: { user },
  l2Book: { coin: "ETH", nSigFigs: 5, mantissa: 2 }, leadingVaults: { user }, legalCheck: { user }, liquidatable: undefined,
  marginTable: { id: 50 }, maxBuilderFee: { user, builder: CAROL.address }, maxMarketOrderNtls: undefined, meta: undefined,
  metaAndAssetCtxs: undefined, openOrders: { user }, orderStatus: { user, oid: resting }, outcomeMeta: undefined,
  outcomeTemplates: undefined, perpAnnotation: { coin: "ETH" }, perpCategories: undefined, perpConciseAnnotations: undefined,
  perpDeployAuctionStatus: undefined, perpDexLimits: { dex: "test" }, perpDexs: undefined, perpDexStatus: { dex: "" },
  perpsAtOpenInterestCap: undefined, portfolio: { user }, predictedFundings: undefined,
  preTransferCheck: { user, source: CAROL.address }, recentTrades: { coin: "ETH" }, referral: { user },
  settledOutcome: { outcome: 0 }, spotClearinghouseState: { user }, spotDeployState: { user }, spotMeta: undefined,
  spotMetaAndAssetCtxs: undefined, spotPairDeployAuctionStatus: undefined, subAccounts: { user }, subAccounts2: { user },
  tokenDetails: { tokenId: purr.tokenId }, twapHistory: { user }, usdcRouting: undefined, userAbstraction: { user },
  userBorrowLendInterest: { user, ...since }, userDexAbstraction: { user }, userFees: { user }, userFills: { user },
  userFillsByTime: { user, ...since }, userFunding: { user, ...since }, userNonFundingLedgerUpdates: { user, ...since },
  userRateLimit: { user }, userRole: { user }, userToMultiSigSigners: { user }, userTwapSliceFills: { user },
  userTwapSliceFillsByTime: { user, ...since }, userVaultEquities: { user: BOB.address }, validatorL1Votes: undefined,
  validatorSummaries: undefined, vaultDetails: { vaultAddress: vault, user }, vaultSummaries: undefined, webData2: { user },
};
for (const client of ["info", "infoOverSocket"]) {
  for (const [name, params] of Object.entries(questions)) await call(client, name, params);
}
const more = [
  ["clearinghouseState", { user: DAVE.address }], ["spotClearinghouseState", { user: BOB.address }], ["l2Book", { coin: PURR }],
  ["l2Book", { coin: "nonsense" }], ["orderStatus", { user, oid: 5 }], ["orderStatus", { user, oid: cloid(2) }],
  ["marginTable", { id: 3 }], ["referral", { user: BOB.address }], ["userRole", { user: sub }], ["userRole", { user: vault }],
  ["userRole", { user: privateKeyToAccount(AGENT_KEY).address }], ["userRole", { user: "0x" + "00".repeat(20) }],
  ["userFees", { user: "0x" + "00".repeat(20) }], ["subAccounts", { user: CAROL.address }], ["recentTrades", { coin: PURR }],
  ["userFills", { user, aggregateByTime: true }], ["vaultDetails", { vaultAddress: BOB.address }], ["legalCheck", { user: vault }],
  ["userNonFundingLedgerUpdates", { user: BOB.address, ...since }], ["preTransferCheck", { user: "0x" + "00".repeat(20), source: user }],
];
for (const [name, params] of more) await call("info", name, params, "more");

for (const subscription of subscriptions) await subscription.unsubscribe();
await new Promise((resolve) => setTimeout(resolve, 200));
socket.close();
const untried = Object.entries(found).flatMap(([kind, all]) => all
  .filter((name) => !(kind === "subscription" ? name in wanted : results.some((row) => row.kind === kind && row.name === name)))
  .map((name) => `${kind} ${name}`));
writeFileSync("report.json", JSON.stringify({ results, events, untried, sub, vault, version: JSON.parse(readFileSync("node_modules/@nktkas/hyperliquid/package.json", "utf8")).version }));
process.exit(0);
