import { createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { collect } from "../../../test/collect.ts";
import { newFakeNode } from "../../../test/fake-node.ts";
import { ComputeAgentService, DomainState } from "../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { fromConnectError } from "../../rpc/errors.ts";
import { type LogFields, silentLog } from "../../util/log.ts";
import { until } from "../../util/until.ts";

const never = new AbortController().signal;
const mark = { owner: "virtual_machine/web-1", transactionId: "tx-1" };
const operation = (generation: bigint) => ({ ...mark, generation });
const domain = {
  name: "web-1",
  uuid: "3f2b6f6e-0000-4000-8000-000000000001",
  vcpus: 2,
  cpuMilliCores: 500,
  memoryBytes: 1024n ** 3n,
  volumeIds: ["root", "data"],
  nics: [{ tapName: "tap-1", hardwareAddress: "52:54:00:00:00:01" }],
};

/** A node with the disks and the tap of `domain` in place. */
async function newNode(log = silentLog) {
  const node = newFakeNode({ log });
  const { volume, network } = node.drivers;
  for (const id of domain.volumeIds) await volume.ensureEmpty(id, 1024n ** 2n, mark, never);
  await network.ensureTap("tap-1", mark, never);
  return { ...node, node, client: createClient(ComputeAgentService, node.transport) };
}

test("starts a domain with its volumes in order, then its seed, under the operation's mark", async () => {
  const { node, client, drivers } = await newNode();
  await client.ensureSeed({
    operation: operation(1n),
    name: "web-1",
    instanceId: "i-1",
    hostname: "web-1",
    sshAuthorizedKeys: ["ssh-ed25519 AAAA"],
    nics: [{ hardwareAddress: "52:54:00:00:00:01", ipv4Address: "10.0.0.1/24" }],
  });
  expect([...drivers.seed.seeds.values()]).toEqual([
    {
      instanceId: "i-1",
      hostname: "web-1",
      sshAuthorizedKeys: ["ssh-ed25519 AAAA"],
      nics: [
        {
          hardwareAddress: "52:54:00:00:00:01",
          ipv4Address: "10.0.0.1/24",
          nameservers: [],
          searchDomains: [],
        },
      ],
    },
  ]);
  await client.ensureDomainStarted({ operation: operation(2n), domain });
  const [info] = node.snapshot().compute.domains;
  expect(info).toMatchObject({ name: "web-1", uuid: domain.uuid, vcpus: 2, mark, state: "paused" });
  expect(info?.diskPaths).toEqual([
    drivers.volume.path("root"),
    drivers.volume.path("data"),
    [...drivers.seed.seeds.keys()][0],
  ]);

  const { domains } = await client.listDomains({});
  expect(domains).toMatchObject([
    {
      state: DomainState.PAUSED,
      owner: mark.owner,
      transactionId: mark.transactionId,
      domain: { name: "web-1", volumeIds: ["root", "data"], nics: domain.nics },
    },
  ]);
});

test("the log says which nameservers a guest is told and cannot ask", async () => {
  const said: unknown[] = [];
  const warn = (message: string, fields?: LogFields) => said.push([message, fields]);
  const { client, drivers } = await newNode({ ...silentLog, warn });
  const hardwareAddress = "52:54:00:00:00:01";
  const ensureSeed = (nameservers: string[]) =>
    client.ensureSeed({
      operation: operation(1n),
      name: "web-1",
      instanceId: "i-1",
      nics: [{ hardwareAddress, nameservers }],
    });
  await ensureSeed(["10.0.0.2", "10.0.0.3"]);
  expect(said).toEqual([]);
  drivers.network.hands.closed.add("10.0.0.3");
  await ensureSeed(["10.0.0.2", "10.0.0.3"]);
  expect(said).toEqual([
    [
      expect.stringContaining("--nameservers"),
      { virtualMachine: "web-1", nameservers: ["10.0.0.3"] },
    ],
  ]);
});

test("a domain without a seed has none", async () => {
  const { node, client } = await newNode();
  await client.ensureDomainStarted({ operation: operation(1n), domain });
  expect(node.snapshot().compute.domains[0]?.diskPaths.length).toBe(2);
});

test("does each verb, and leaves nothing when the domain is absent", async () => {
  const { node, client, drivers } = await newNode();
  const before = node.snapshot();
  let generation = 1n;
  const request = () => ({ operation: operation((generation += 1n)), name: "web-1" });
  const state = async () => (await client.getDomain({ name: "web-1" })).state;

  expect(await state()).toBe(DomainState.ABSENT);
  await client.ensureSeed({ ...request(), hostname: "web-1" });
  await client.ensureDomainStarted({ operation: request().operation, domain });
  await client.ensureDomainResumed(request());
  expect(await state()).toBe(DomainState.RUNNING);
  await client.requestDomainShutdown(request());
  await client.rebootDomain(request());
  await client.ensureDomainPaused(request());
  expect(await state()).toBe(DomainState.PAUSED);
  await client.rebootDomain({ ...request(), hard: true });
  await client.growDomainDisk({ ...request(), volumeId: "root", sizeBytes: 2n * 1024n ** 2n });
  expect((await drivers.volume.find("root", never))?.virtualSizeBytes).toBe(2n * 1024n ** 2n);
  await client.ensureDomainOff(request());
  expect(await state()).toBe(DomainState.SHUT_OFF);
  await client.ensureDomainDefined({
    operation: request().operation,
    domain: { ...domain, vcpus: 4 },
  });
  expect(node.snapshot().compute.domains[0]?.vcpus).toBe(4);
  await client.ensureDomainAbsent(request());
  expect(node.snapshot()).toMatchObject({
    seeds: before.seeds,
    network: before.network,
    compute: { domains: [], folders: [] },
  });
});

test("refuses to make what another transaction left, and removes it for its owner and not for an undo", async () => {
  const { node, client } = await newNode();
  await client.ensureSeed({ operation: operation(1n), name: "web-1" });
  await client.ensureDomainStarted({ operation: operation(2n), domain });
  const before = node.snapshot();
  const later = (generation: bigint) => ({ ...operation(generation), transactionId: "tx-2" });
  for (const call of [
    () =>
      client.ensureSeed({ operation: later(3n), name: "web-1", hostname: "other", isNew: true }),
    () => client.ensureDomainStarted({ operation: later(3n), domain, isNew: true }),
  ]) {
    expect(fromConnectError(await call().catch((reason: unknown) => reason))).toMatchObject({
      kind: "failed_precondition",
      message: expect.stringContaining('left over from transaction "tx-1"'),
      facts: { resource: "virtual_machine/web-1" },
    });
  }
  await client.ensureDomainAbsent({
    operation: later(4n),
    name: "web-1",
    onlyOfTransaction: true,
  });
  expect(node.snapshot()).toEqual(before);
  await client.ensureDomainAbsent({ operation: later(5n), name: "web-1" });
  expect(node.snapshot()).toMatchObject({ seeds: {}, compute: { domains: [], folders: [] } });
});

test("a late request cannot land after its own undo", async () => {
  const { node, client } = await newNode();
  await client.ensureDomainAbsent({ operation: operation(9n), name: "web-1" });
  const late = client.ensureDomainStarted({ operation: operation(8n), domain });
  expect(fromConnectError(await late.catch((reason: unknown) => reason))).toMatchObject({
    kind: "aborted",
    facts: { resource: "domain/web-1" },
  });
  expect(node.snapshot().compute.domains).toEqual([]);
});

test("a start that hangs is cut short by its own undo", async () => {
  const { node, client, drivers } = await newNode();
  drivers.compute.faults.set("ensureStarted", { when: "before", what: "hang" });
  const start = client.ensureDomainStarted({ operation: operation(1n), domain });
  const refusal = expect(start).rejects.toThrow("superseded by a newer request");
  await until(() => node.queue.busyKeys === 1);
  await client.ensureDomainAbsent({ operation: operation(2n), name: "web-1" });
  await refusal;
});

test("a client that hangs up does not stop a change", async () => {
  const { node, client, drivers } = await newNode();
  drivers.compute.faults.set("ensureStarted", { when: "after", what: "hang" });
  const hangUp = new AbortController();
  const start = client.ensureDomainStarted(
    { operation: operation(1n), domain },
    { signal: hangUp.signal },
  );
  const refusal = expect(start).rejects.toThrow();
  await until(() => node.snapshot().compute.domains.length === 1);
  hangUp.abort();
  await refusal;
  expect(node.queue.busyKeys).toBe(1);
  drivers.compute.faults.clear();
  await client.ensureDomainAbsent({ operation: operation(2n), name: "web-1" });
  expect([node.queue.busyKeys, node.snapshot().compute.domains]).toEqual([0, []]);
});

test("refuses names and requests that break a rule, before anything is done", async () => {
  const { node, client } = await newNode();
  const before = node.snapshot();
  const refused = [
    client.ensureDomainAbsent({ operation: operation(1n), name: "../../etc" }),
    client.ensureDomainAbsent({ name: "web-1" }),
    client.ensureDomainStarted({ operation: operation(1n) }),
    client.ensureDomainStarted({
      operation: operation(1n),
      domain: { ...domain, volumeIds: ["/"] },
    }),
    client.growDomainDisk({ operation: operation(1n), name: "web-1", volumeId: "a/b" }),
  ];
  for (const call of refused) {
    expect(fromConnectError(await call.catch((reason: unknown) => reason)).kind).toBe(
      "invalid_argument",
    );
  }
  expect(node.snapshot()).toEqual(before);
});

test("gives what the guest printed, and goes on with what it prints", async () => {
  const { client, drivers } = await newNode();
  await client.ensureDomainStarted({ operation: operation(1n), domain });
  drivers.compute.print("web-1", "hello ");
  const text = (messages: readonly { data: Uint8Array }[]) =>
    Buffer.concat(messages.map(({ data }) => data)).toString();
  expect(text(await collect(client.readSerialLog({ name: "web-1" })))).toBe("hello ");

  const stop = new AbortController();
  let seen = "";
  const follow = client.readSerialLog({ name: "web-1", follow: true }, { signal: stop.signal });
  const reading = (async () => {
    for await (const message of follow) seen += text([message]);
  })().catch((reason: unknown) => reason);
  await until(() => seen === "hello ");
  drivers.compute.print("web-1", "world");
  await until(() => seen === "hello world");
  stop.abort();
  await reading;
});

test("a restarted agent remembers nothing and serves what is on the node", async () => {
  const { node, client } = await newNode();
  await client.ensureDomainStarted({ operation: operation(5n), domain });
  await node.restart();
  expect((await client.getDomain({ name: "web-1" })).state).toBe(DomainState.PAUSED);
  await client.ensureDomainOff({ operation: operation(1n), name: "web-1" });
  await node.stop();
  const after = client.ensureDomainOff({ operation: operation(6n), name: "web-1" });
  expect(fromConnectError(await after.catch((reason: unknown) => reason)).kind).toBe("unavailable");
});

test("a node that is down is unavailable", async () => {
  const { node, client } = await newNode();
  node.isDown = true;
  const call = client.getDomain({ name: "web-1" });
  expect(fromConnectError(await call.catch((reason: unknown) => reason)).kind).toBe("unavailable");
});

test.each([
  ["no processor", { vcpus: 0 }, "domain.vcpus"],
  ["more processors than QEMU's machine has", { vcpus: 256 }, "domain.vcpus"],
  ["no memory", { memoryBytes: 0n }, "domain.memory_bytes"],
  ["no uuid", { uuid: "" }, "domain.uuid"],
  ["a broken uuid", { uuid: "3f2b6f6e-0000-4000-8000-00000000000" }, "domain.uuid"],
  [
    "a broken hardware address",
    { nics: [{ tapName: "tap-1", hardwareAddress: "52:54:00:00:01" }] },
    "domain.nics[0].hardware_address",
  ],
])(
  "a domain with %s is refused by the node itself, which changes nothing",
  async (_, change, field) => {
    const { node, client } = await newNode();
    const before = node.snapshot();
    const request = { operation: operation(1n), domain: { ...domain, ...change } };
    for (const call of [
      () => client.ensureDomainStarted(request),
      () => client.ensureDomainDefined(request),
    ]) {
      const error = await call().then(() => undefined, fromConnectError);
      expect(error).toMatchObject({ kind: "invalid_argument", facts: { field } });
    }
    expect(node.snapshot()).toEqual(before);
  },
);
