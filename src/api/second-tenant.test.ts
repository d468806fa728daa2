import type { DescMethod, JsonObject } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { clientsOf } from "../../test/clients.ts";
import { allRoutes, exampleOf, methodsOf, send } from "../../test/served.ts";
import { newShiftingClock } from "../../test/shifting-clock.ts";
import { stringFieldsOf } from "../../test/string-fields.ts";
import {
  FIRST,
  NAMES,
  prepareFirst,
  prepareSecond,
  SECOND,
  TEXTS,
  type Texts,
} from "../../test/two-tenants.ts";
import { hurried, newWorld, type World, withHeaders } from "../../test/world.ts";
import { put } from "../datastore/collection.ts";
import { RoleBindingSchema } from "../gen/n0stack/iam/v1alpha1/role_binding_pb.ts";
import { AccessScope } from "../gen/n0stack/rules/v1alpha1/access_pb.ts";
import { accessOf } from "../rpc/access-option.ts";
import { TRANSACTION_HEADER } from "../rpc/errors.ts";
import { serverInterceptors } from "../rpc/interceptors.ts";
import { localTransport } from "../rpc/local-transport.ts";
import type { Clock } from "../util/clock.ts";
import { silentLog } from "../util/log.ts";
import { until } from "../util/until.ts";
import { roleBindings } from "./iam/role-binding/collection.ts";

const MALLORY = "user/mallory";
const HIDDEN = /^\["(project|domain) \\"\w+\\" does not exist"/;
/** The streams that tell of what the second tenant makes last. */
const FENCED = [
  "WatchNetworks",
  "WatchImages",
  "WatchBlockStorages",
  "WatchVirtualMachines",
  "WatchTransactions",
];
const OF_EVERYBODY: readonly unknown[] = [AccessScope.SIGNED_IN, AccessScope.PUBLIC];

interface Tenants extends AsyncDisposable {
  readonly world: World;
  /** Calls as the second tenant. */
  readonly transport: Transport;
  readonly methods: readonly DescMethod[];
  /** What only the first tenant knows. */
  readonly texts: Texts;
  /** Everything of the first tenant. */
  holdings(): Promise<unknown>;
}

/** Two tenants; none of the second one's requests is committed, so that none changes what the next one meets. */
async function newTenants(clock: Clock = hurried): Promise<Tenants> {
  const world = await newWorld({ inMemory: true, clock });
  const texts = await prepareFirst(world);
  await prepareSecond(world);
  const binding = { name: "b", member: MALLORY, role: "owner", scope: `project/${SECOND}` };
  const ref = { kind: roleBindings.kind, scope: SECOND, name: "b" };
  const { opened } = world;
  await opened.api.datastore.batch(put(roleBindings, [ref], create(RoleBindingSchema, binding)));
  await world.seen();
  world.faults = ({ point }) => {
    if (point === "before_commit") throw new Error("injected");
  };
  const routes = allRoutes(opened);
  const caller = { principal: MALLORY, groups: [], project: SECOND };
  return {
    world,
    texts,
    methods: methodsOf(routes),
    transport: localTransport(routes, { interceptors: serverInterceptors(silentLog), caller }),
    async holdings() {
      const { records, nodes } = await world.residue();
      const own = Object.entries(records).filter(([key]) => key.includes(FIRST));
      return { own, nodes };
    },
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

interface Learned {
  readonly code: string;
  readonly text: string;
}

/** All that the caller learns from a call, as one text. */
async function learned(
  { transport }: Tenants,
  method: DescMethod,
  request: JsonObject,
  headers = {},
): Promise<Learned> {
  try {
    const answer = await send(transport, method, request, { headers, isWhole: true });
    return { code: "OK", text: shown(answer) };
  } catch (reason) {
    const { code, rawMessage, details, metadata } = ConnectError.from(reason);
    return { code: Code[code], text: shown([rawMessage, details, [...metadata]]) };
  }
}

function shown(value: unknown): string {
  return JSON.stringify(value, (key, part) => {
    if (key === "desc") return undefined;
    if (part instanceof Uint8Array) return Buffer.from(part).toString("latin1");
    return typeof part === "bigint" ? String(part) : part;
  });
}

/** Streams of the second tenant that stay open, and what they have told. */
function watchAll(transport: Transport, methods: readonly DescMethod[]) {
  const end = new AbortController();
  const told = new Map<string, string>();
  const running = methods.map(async ({ name, parent, localName }) => {
    const client = createClient(parent, transport) as Record<string, Watch>;
    try {
      for await (const message of client[localName]!({}, { signal: end.signal })) {
        told.set(name, (told.get(name) ?? "") + shown(message));
      }
    } catch (reason) {
      // He may not watch nodes and users.
      const { code } = ConnectError.from(reason);
      if (code === Code.PermissionDenied || code === Code.NotFound) told.set(name, "synced");
    }
  });
  return {
    all: () => [...told.values()],
    until: (text: string, names = methods.map(({ name }) => name)) =>
      until(() => names.every((name) => told.get(name)?.includes(text) === true)),
    async [Symbol.asyncDispose]() {
      end.abort();
      await Promise.all(running);
    },
  };
}

type Watch = (request: object, options: { readonly signal: AbortSignal }) => AsyncIterable<unknown>;

/** Each request with the text in each of its fields, one at a time, and once as it is. */
function* attempts({ methods }: Pick<Tenants, "methods">, text: string) {
  for (const method of methods) {
    const example = exampleOf(method);
    yield { what: method.name, method, request: example };
    for (const { path, put: insert } of stringFieldsOf(method.input)) {
      yield { what: `${method.name} ${path}`, method, request: insert(example, text) };
    }
  }
}

/** What was learned, but for the text that was sent and what differs from call to call. */
function comparable({ code, text }: Learned, sent: string): string {
  if (code === "OK") return code;
  return text.replaceAll(sent, "*").replaceAll(/[0-9a-f]+(-[0-9a-f]+)+|[0-9]+/g, "#");
}

describe("a second tenant who knows all texts of the first", () => {
  // Each in a world of its own: his own transactions tell what he has sent.
  test.for(TEXTS)(
    "sends its %s in every field of every request, and learns no other one",
    async (of) => {
      await using tenants = await newTenants();
      const { [of]: text, ...rest } = tenants.texts;
      const others = Object.values<string>(rest).filter(
        (t) => !t.includes(text) && !text.includes(t),
      );
      const before = await tenants.holdings();
      const leaks: string[] = [];
      let count = 0;
      for (const { what, method, request } of attempts(tenants, text)) {
        count += 1;
        const { text: seen } = await learned(tenants, method, request);
        for (const other of others) if (seen.includes(other)) leaks.push(`${what}: ${other}`);
      }
      expect(leaks).toEqual([]);
      expect(count).toBeGreaterThan(200);
      expect(await tenants.holdings()).toEqual(before);
    },
  );

  test("is told of the first one's names exactly what he is told of names of nobody", async () => {
    const clock = newShiftingClock();
    await using tenants = await newTenants({ ...clock, sleep: hurried.sleep });
    const differences: string[] = [];
    for (const name of Object.values(NAMES)) {
      const unknown = [...name].reverse().join("");
      const controls = attempts(tenants, unknown);
      for (const { what, method, request } of attempts(tenants, name)) {
        // Nobody may try many passwords one after the other.
        const waitMs = method.name === "SignIn" ? 31_000 : 0;
        clock.shiftMs(waitMs);
        const told = comparable(await learned(tenants, method, request), name);
        const control = controls.next().value!.request;
        clock.shiftMs(waitMs);
        const ofNobody = comparable(await learned(tenants, method, control), unknown);
        if (told !== ofNobody) differences.push(`${what} with ${name}: ${told}, not ${ofNobody}`);
      }
    }
    expect(differences).toEqual([]);
  });

  test("finds no project where the first one's is", async () => {
    await using tenants = await newTenants();
    const headers = { "n0-project": FIRST };
    const codes = new Set<string>();
    for (const { method, request } of attempts(tenants, NAMES.virtualMachine)) {
      if (OF_EVERYBODY.includes(accessOf(method)?.scope)) continue;
      const { code, text } = await learned(tenants, method, request, headers);
      if (code === "NotFound") expect(text).toMatch(HIDDEN);
      codes.add(code);
    }
    expect([...codes].sort()).toEqual(["InvalidArgument", "NotFound", "PermissionDenied"]);
  });

  test("gets his own answer under the first one's idempotency key", async () => {
    await using tenants = await newTenants();
    tenants.world.faults = () => {};
    const { key, image, keyed, label } = tenants.texts;
    const { images } = clientsOf(tenants.transport);
    let transactionId: string | null = null;
    const keep = (header: Headers) => (transactionId = header.get(TRANSACTION_HEADER));
    const call = { headers: { "idempotency-key": key }, onHeader: keep };
    await images.applyImage({ name: image, labels: { [label]: "x" } }, call);
    expect(transactionId).not.toBe(keyed);
    expect((await images.listImages({})).images.map(({ name }) => name)).toContain(image);
  });

  test("sees nothing of what the first one does meanwhile", async () => {
    await using tenants = await newTenants();
    tenants.world.faults = () => {};
    const { methods, transport, world } = tenants;
    // WatchTasks is of one transaction, which the attempts above name.
    const isOfAll = (name: string) => name.startsWith("Watch") && name !== "WatchTasks";
    const watches = methods.filter(({ name }) => isOfAll(name));
    await using seen = watchAll(transport, watches);
    await seen.until("synced");
    const first = withHeaders(world, { "n0-project": FIRST });
    await first.virtualMachines.shutdownVirtualMachine({ name: NAMES.virtualMachine, hard: true });
    await first.virtualMachines.deleteVirtualMachine({ name: NAMES.virtualMachine });
    await first.blockStorages.deleteBlockStorage({ name: NAMES.disk });
    await first.networks.deleteNetwork({ name: NAMES.network });
    const second = clientsOf(transport);
    await second.networks.applyNetwork({ name: "fence", ipv4Cidr: "10.1.0.0/24" });
    await second.images.applyImage({ name: "fence" });
    await second.blockStorages.createBlockStorage({
      name: "fence",
      requestBytes: 1n << 20n,
      limitBytes: 1n << 20n,
    });
    await second.virtualMachines.createVirtualMachine({
      name: "fence",
      requestCpuMilliCore: 100,
      requestMemoryBytes: 1n << 24n,
    });
    await seen.until("fence", FENCED);
    const told = seen.all().join();
    for (const text of Object.values(tenants.texts)) expect(told).not.toContain(text);
  });
});
