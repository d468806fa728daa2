import type { ConnectRouter } from "@connectrpc/connect";
import type { Datastore, Writes } from "../datastore/datastore.ts";
import { datastoreJournal } from "../datastore/datastore-journal.ts";
import type { ForNew } from "../datastore/held-objects.ts";
import { LockTable } from "../datastore/lock-table.ts";
import { Records } from "../datastore/records.ts";
import { DatastoreSessions } from "../datastore/sessions.ts";
import { AuditService } from "../gen/n0stack/audit/v1alpha1/audit_pb.ts";
import { IdentityService } from "../gen/n0stack/iam/v1alpha1/identity_pb.ts";
import { PasswordService } from "../gen/n0stack/iam/v1alpha1/password_pb.ts";
import { NetworkTraceService } from "../gen/n0stack/network/v1alpha1/network_trace_pb.ts";
import { NetworkUseService } from "../gen/n0stack/network/v1alpha1/network_use_pb.ts";
import { JoinService } from "../gen/n0stack/pool/v1alpha1/join_pb.ts";
import { TaskService } from "../gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { TransactionService } from "../gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { VerifyService } from "../gen/n0stack/verify/v1alpha1/verify_pb.ts";
import type { Authenticate } from "../rpc/caller.ts";
import type { OnRefused } from "../rpc/door/refusals.ts";
import { type EngineOptions, TransactionEngine } from "../transaction/engine.ts";
import { type Faults, noFaults } from "../transaction/faults.ts";
import type { Journal } from "../transaction/journal.ts";
import { transactionId } from "../transaction/transaction-id.ts";
import type { Clock } from "../util/clock.ts";
import { defined } from "../util/defined.ts";
import type { Log } from "../util/log.ts";
import type { Random } from "../util/random.ts";
import { DEFAULT_SCOPE } from "../util/ref.ts";
import { Agents, type AgentsOptions } from "./core/agents.ts";
import { AuditEvents } from "./core/audit-event/audit-events.ts";
import type { ConsoleLinks } from "./core/console-links.ts";
import type { SagaContext } from "./core/context.ts";
import { KeyedRequests } from "./core/idempotency/keyed-requests.ts";
import { keyedRoutes } from "./core/idempotency/keyed-routes.ts";
import { keepOlderRequests } from "./core/idempotency/older-requests.ts";
import { Quotas, type QuotasOptions } from "./core/quota/quotas.ts";
import { caughtUpRouter } from "./core/read/caught-up-routes.ts";
import { stepRegistryOf } from "./core/resource/resource.ts";
import { scopedRoutes } from "./core/resource/scoped-routes.ts";
import { keepSession, recover } from "./core/saga/keep-session.ts";
import { NodeTurns } from "./core/saga/node-turns.ts";
import { Grants } from "./iam/access/grants.ts";
import { guardedRouter } from "./iam/access/guard.ts";
import { callRefusals, doorRefusals } from "./iam/access/refused-calls.ts";
import { ensureDefaults } from "./iam/defaults.ts";
import { callerRoutes } from "./iam/identity/routes.ts";
import { openOidcAuthenticator } from "./iam/oidc/authenticator.ts";
import type { OidcProvider } from "./iam/oidc/provider.ts";
import type { RoleRule } from "./iam/oidc/role-rule.ts";
import { identityRoutes } from "./iam/oidc/routes.ts";
import { Passwords, type PasswordsOptions } from "./iam/password/passwords.ts";
import { passwordRoutes } from "./iam/password/routes.ts";
import { LiveTokens } from "./iam/token/live-tokens.ts";
import { AddressBook } from "./network/interface/address-book.ts";
import { removeFormerCidrs } from "./network/network/former-cidrs.ts";
import { networkUseRoutes } from "./network/network/use.ts";
import { GroupPushes } from "./network/security-group/pushes.ts";
import { Segments } from "./network/segment/segments.ts";
import { deriveVnis } from "./network/segment/vni.ts";
import { auditEventRoutes } from "./observe/audit-event/routes.ts";
import { traceRoutes } from "./observe/trace/trace.ts";
import { transactionRoutes } from "./observe/transaction/routes.ts";
import { verifyRoutes } from "./observe/verify/routes.ts";
import { typesOf } from "./orchestration/tasks/check.ts";
import { Methods } from "./orchestration/tasks/methods.ts";
import type { Planning } from "./orchestration/tasks/plan-tasks.ts";
import { taskRoutes } from "./orchestration/tasks/routes.ts";
import { openPlanning } from "./planning.ts";
import { Certificates } from "./pool/certificate/certificates.ts";
import type { Joining } from "./pool/certificate/joining.ts";
import { joinRoutes } from "./pool/certificate/routes.ts";
import { Inventory } from "./pool/inventory/inventory.ts";
import { ProgressBoard } from "./provisioning/block-storage/volume/progress.ts";
import type { Api } from "./provisioning/context.ts";
import { ObservedStates } from "./provisioning/virtual-machine/domain/observed-states.ts";
import { keepPruning } from "./pruning.ts";
import { resources } from "./resources.ts";
import { migrateToScopes } from "./scope-migration.ts";

const HISTORY_RETENTION_MS = 7 * 24 * 3600 * 1000;
const GIVE_UP_AFTER_MS = 30_000;
const IDEMPOTENCY_RETENTION_MS = 24 * 3600 * 1000;

export interface ApiOptions extends AgentsOptions, PasswordsOptions {
  /** Closed with the API. */
  readonly datastore: Datastore;
  /** The locks of all processes that have the datastore open. Undefined if only this process has it. */
  readonly sharedLocks?: LockTable;
  readonly links: ConsoleLinks;
  /** Undefined if nodes cannot join this API. */
  readonly joining?: Joining;
  /** The nameservers of guests. */
  readonly nameservers: readonly string[];
  readonly openTransactionsMax: number;
  /** The minimum of a block storage's request as a part of its limit, from 0 to 1. Default: 0. */
  readonly storageRequestRatioMin?: number;
  /** How long the API remembers an idempotency key. Default: a day. */
  readonly idempotencyRetentionMs?: number;
  /** How long the API keeps the history of a transaction. Default: a week. */
  readonly historyRetentionMs?: number;
  /** Where people sign in, each for another domain and of another issuer. Default: nowhere. */
  readonly oidcProviders?: readonly OidcProvider[];
  readonly oidcRoleRules?: readonly RoleRule[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly faults?: Faults;
  /** The minimum time for which an undo fails before it needs an operator. Default: half a minute. */
  readonly giveUpAfterMs?: number;
}

/** The control plane, ready to serve. */
export interface OpenedApi extends AsyncDisposable {
  readonly api: Api;
  readonly routes: (router: ConnectRouter) => void;
  /** The same router, which authorizes each request. */
  readonly guarded: (router: ConnectRouter) => ConnectRouter;
  /** Finds the caller of any token but that of the administrator. */
  readonly authenticate: Authenticate;
  /** Notes a caller who is refused before a call begins. */
  readonly onRefused: OnRefused;
  /** The number of open transactions of earlier processes. */
  readonly recovered: number;
}

type Opened = Pick<
  EngineOptions<SagaContext, Writes>,
  "sessions" | "locks" | "journal" | "shutdown"
>;

function newEngine(options: ApiOptions, opened: Opened) {
  const { clock, random, log, faults = noFaults } = options;
  return new TransactionEngine<SagaContext, Writes>({
    ...opened,
    registry: stepRegistryOf(resources),
    ...{ faults, clock, random },
    giveUpAfterMs: options.giveUpAfterMs ?? GIVE_UP_AFTER_MS,
    openMax: options.openTransactionsMax,
    onChange: ({ id, kind, state, error }) => {
      const fields = { transactionId: id, kind, state, ...defined({ error }) };
      if (state === "needs_operator") log.error("a transaction needs an operator", fields);
      else log.debug("a transaction has changed", fields);
    },
  });
}

/** What the API brings to the nodes by itself. */
async function openPushes(
  options: ApiOptions,
  parts: Pick<Api, "records" | "agents" | "inventory" | "shutdown">,
) {
  const segments = await Segments.open({ ...options, ...parts });
  const groupPushes = await GroupPushes.open({ ...options, ...parts });
  return {
    parts: { segments, groupPushes },
    start() {
      segments.start();
      groupPushes.start();
    },
    async end() {
      await segments[Symbol.asyncDispose]();
      await groupPushes[Symbol.asyncDispose]();
    },
  };
}

/**
 * Opens the control plane on a datastore, and takes over every transaction that an earlier process left open.
 * Their keys are held before this resolves, so the caller may listen then.
 */
export async function openApi(options: ApiOptions): Promise<OpenedApi> {
  const { datastore, clock, random, log } = options;
  const stop = new AbortController();
  const stopAll = () => stop.abort();
  await prepareRecords(datastore);
  const grants = await Grants.open(datastore, options.oidcRoleRules);
  const { sessions, locks } = await startSession(options, grants.forNew);
  const inventory = await Inventory.open(datastore, clock);
  const tokens = await LiveTokens.open(datastore, clock, stop.signal);
  const certificates = await Certificates.open(datastore);
  const addressBook = await AddressBook.open(datastore, random);
  const agents = new Agents(inventory, options, (name) => certificates.hasJoined(name));
  const records = new Records(datastore);
  const known = { records, agents, inventory, shutdown: stop.signal };
  const pushes = await openPushes(options, known);
  const observed = new ObservedStates(agents, inventory, clock, log);
  const quotas = await openQuotas(options, grants);
  const auditEvents = new AuditEvents({ datastore, clock, random, log, shutdown: stop.signal });
  const journal = datastoreJournal({ ...datastore, batch: (writes) => quotas.batch(writes) });
  const engine = newEngine(options, { sessions, locks, journal, shutdown: stop.signal });
  const api: Api = {
    kinds: resources,
    datastore,
    records,
    locks,
    engine,
    inventory,
    certificates,
    ...settingsOf(options),
    ...{ addressBook, ...pushes.parts },
    agents,
    nodeTurns: new NodeTurns(clock),
    projectAges: grants,
    ...{ grants, tokens },
    passwords: new Passwords(options),
    quotas,
    auditEvents,
    observed,
    progress: new ProgressBoard(),
    shutdown: stop.signal,
  };

  await keepOlderRequests(datastore);
  const recovered = await recover(api);
  const keeping = options.sharedLocks && keepSession(api, sessions, stopAll);
  observed.start();
  pushes.start();
  const { oidcProviders = [] } = options;
  const retention = retentionOf(options);
  const { idempotencyRetentionMs: retentionMs } = retention;
  const keyed = new KeyedRequests({ datastore, engine, clock, retentionMs, shutdown: stop.signal });
  const pruning = keepPruning({ datastore, clock, log, ...retention }, stop.signal);

  const oidc = await openOidcAuthenticator(api, oidcProviders);
  const guarded = (router: ConnectRouter) => guardedOf(api, grants, router);
  const register = registerOf(grants, keyed);
  const methods = new Methods((router) => register(api, router));
  const plan = () => openPlanning(api, quotaParts(grants), grants.forNew, register);

  return {
    api,
    recovered,
    guarded,
    authenticate: (text, peer) => tokens.authenticate(text) ?? oidc.authenticate(text, peer),
    onRefused: doorRefusals(auditEvents),
    routes: (given) => addRoutes(guarded(given), { api, methods, keyed, oidcProviders, plan }),
    async [Symbol.asyncDispose]() {
      stopAll();
      await observed[Symbol.asyncDispose]();
      await pushes.end();
      await engine.settled();
      await Promise.all([pruning, keeping]);
      await auditEvents.flush();
      await endSession(sessions, journal).catch((error) =>
        log.warn("cannot record the end of the session", { error }),
      );
      const kept = [addressBook, certificates, inventory, grants, tokens, quotas, oidc];
      for (const one of kept) one[Symbol.dispose]();
      await datastore[Symbol.asyncDispose]();
    },
  };
}

/** Registers the RPCs of the resources, as clients call them. */
function registerOf(grants: Grants, keyed: KeyedRequests) {
  return (api: Api, router: ConnectRouter) =>
    addResources(guardedOf(api, grants, router), api, keyed);
}

/** A request is authorized by what it has caught up with. */
function guardedOf({ datastore, auditEvents }: Api, grants: Grants, router: ConnectRouter) {
  return guardedRouter(caughtUpRouter(router, datastore), grants, callRefusals(auditEvents));
}

/** What requests read of the options. */
function settingsOf(options: ApiOptions) {
  const { joining, links, nameservers, storageRequestRatioMin = 0, clock, random, log } = options;
  return {
    ...defined({ joining }),
    links,
    nameservers: [...nameservers],
    storageRequestRatioMin,
    clock,
    random,
    log,
  };
}

interface RouteParts {
  readonly api: Api;
  /** The RPCs that a task may call, as a client calls them. */
  readonly methods: Methods;
  readonly plan: () => Promise<Planning>;
  readonly keyed: KeyedRequests;
  readonly oidcProviders: NonNullable<ApiOptions["oidcProviders"]>;
}

function addRoutes(
  router: ConnectRouter,
  { api, methods, keyed, oidcProviders, plan }: RouteParts,
): void {
  addResources(router, api, keyed);
  const known = { types: typesOf(resources), methods };
  router.service(TaskService, keyedRoutes(TaskService, taskRoutes(api, known, plan), keyed));
  router.service(TransactionService, transactionRoutes(api));
  router.service(AuditService, auditEventRoutes(api));
  router.service(VerifyService, verifyRoutes(api, resources));
  router.service(NetworkTraceService, traceRoutes(api, resources));
  router.service(JoinService, joinRoutes(api));
  router.service(NetworkUseService, networkUseRoutes(api));
  router.service(PasswordService, passwordRoutes(api, keyed));
  const identity = { ...identityRoutes(oidcProviders), ...callerRoutes(api.grants) };
  router.service(IdentityService, identity);
}

function addResources(
  router: Pick<ConnectRouter, "service">,
  api: Api,
  keyed: KeyedRequests,
): void {
  for (const { service, routes } of resources) {
    const keyedOnes = keyedRoutes(service, routes(api), keyed);
    router.service(service, scopedRoutes(service, keyedOnes, resources));
  }
}

/** What every process does at its start. */
async function prepareRecords(datastore: Datastore): Promise<void> {
  await migrateToScopes(datastore);
  await ensureDefaults(datastore);
  await removeFormerCidrs(datastore);
  await deriveVnis(datastore);
}

function retentionOf({ historyRetentionMs, idempotencyRetentionMs }: ApiOptions) {
  return {
    historyRetentionMs: historyRetentionMs ?? HISTORY_RETENTION_MS,
    idempotencyRetentionMs: idempotencyRetentionMs ?? IDEMPOTENCY_RETENTION_MS,
  };
}

async function openQuotas(options: ApiOptions, grants: Grants): Promise<Quotas> {
  return await Quotas.open({ ...options, ...quotaParts(grants) });
}

function quotaParts(grants: Grants): Pick<QuotasOptions, "countings" | "domainOf"> {
  return {
    countings: resources.flatMap(({ counts }) => counts),
    domainOf: (project) => grants.domainOf(project) ?? DEFAULT_SCOPE,
  };
}

async function startSession(
  { datastore, clock, random, sharedLocks, ...options }: ApiOptions,
  forNew: ForNew,
) {
  const id = transactionId(clock.nowMs(), random.uuid());
  const isAlone = sharedLocks === undefined;
  const sessions = await DatastoreSessions.start({ datastore, clock, id, isAlone });
  const table = sharedLocks ?? new LockTable(Math.ceil(options.openTransactionsMax / 2));
  return { sessions, locks: table.of(id, forNew) };
}

async function endSession(
  sessions: DatastoreSessions,
  journal: Pick<Journal<never>, "listOpen">,
): Promise<void> {
  const open = await journal.listOpen();
  await sessions.end({ leaves: open.some(({ session }) => session === sessions.id) });
}
