import { createClient, createRouterTransport, type Transport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { type FakeNode, newFakeNode } from "../../../../test/fake-node.ts";
import { refused } from "../../../../test/refused.ts";
import {
  PartState,
  SurveyAgentService,
  type SurveyResponse,
} from "../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { Agents } from "../../core/agents.ts";
import { survey } from "./survey.ts";

const { signal } = new AbortController();
const PLACE = { node: { address: "node-1:20181", lost: false }, isReady: true };

const agentAt = (transport: Transport) =>
  new Agents({ find: () => PLACE }, { agentTransport: () => transport }).get("node-1");

/** Five domains with their seeds, three volumes, two networks, and one of each thing that is in none. */
async function newFullNode(): Promise<FakeNode> {
  const node = newFakeNode();
  const { compute, network, seed, volume } = node.drivers;
  node.capacity = { cpuMilliCores: 1000, memoryBytes: 1n, storageBytes: 1n };
  for (const name of ["e", "b", "d", "a", "c"]) {
    const mark = { owner: `virtual_machine/${name}`, transactionId: "tx" };
    const folder = await compute.ensureFolder(name, mark);
    await seed.ensure(folder, seedOf(name), signal);
    const shape = { vcpus: 1, cpuMilliCores: 1, memoryBytes: 1n << 20n, disks: [], nics: [] };
    const uuid = `00000000-0000-4000-8000-00000000000${name}`;
    if (name !== "c") await compute.ensureDefined({ name, uuid, ...shape }, mark, signal);
    await network.ensureTap(`tap-${name}`, mark, signal);
  }
  for (const [tap, name] of [
    ["tap-a", "net-2"],
    ["tap-b", "net-1"],
    ["tap-c", "net-2"],
  ] as const) {
    await network.ensureAttached(tap, { name, ipv4Gateway: "10.0.0.254/24" }, signal);
  }
  for (const id of ["v2", "v3", "v1"]) {
    await volume.ensureEmpty(id, 1n << 20n, { owner: "x", transactionId: "tx" }, signal);
  }
  network.hands.strayUplinks.add({ device: "stray", networkName: "net-9" });
  return node;
}

const seedOf = (name: string) => {
  return { instanceId: name, hostname: name, sshAuthorizedKeys: [], nics: [] };
};
const question = {
  seeds: ["a", "b", "c", "d", "e", "x"].map((name) => ({ seed: { name, ...seedOf(name) } })),
};

/** What is listed, whatever the order. */
function textOf({ $typeName: _, nextPageToken: __, ...lists }: SurveyResponse): string {
  const sorted = Object.entries(lists).map(([field, value]) => {
    const texts = Array.isArray(value) ? value.map(jsonOf).sort() : [jsonOf(value)];
    return [field, texts];
  });
  return jsonOf(sorted);
}

const jsonOf = (value: unknown) =>
  JSON.stringify(value, (_, one: unknown) => (typeof one === "bigint" ? `${one}` : one)) ?? "";

test.each([1, 2, 3, 5, 6, 100])("by pages of %i it is the same as at once", async (pageSize) => {
  const node = await newFullNode();
  const client = createClient(SurveyAgentService, node.transport);
  const whole = await client.survey(question);
  expect(whole.nodeRules).toBe(PartState.WHOLE);
  expect(whole.seeds.map(({ state }) => state)).toEqual([
    ...Array<PartState>(5).fill(PartState.WHOLE),
    PartState.ABSENT,
  ]);
  const paged = await survey(agentAt(node.transport), question, signal, pageSize);
  expect(textOf(paged)).toBe(textOf(whole));
});

test("an agent that knows no pages says everything, and is asked on for its seeds alone", async () => {
  const node = await newFullNode();
  const client = createClient(SurveyAgentService, node.transport);
  const asked: number[] = [];
  const older = createRouterTransport((router) => {
    router.service(SurveyAgentService, {
      survey({ seeds }) {
        asked.push(seeds.length);
        return client.survey({ seeds });
      },
    });
  });
  const paged = await survey(agentAt(older), question, signal, 4);
  expect(textOf(paged)).toBe(textOf(await client.survey(question)));
  expect(asked).toEqual([4, 2]);
});

test("an agent that never comes to an end is given up", async () => {
  const endless = createRouterTransport((router) => {
    router.service(SurveyAgentService, { survey: () => ({ nextPageToken: "a//" }) });
  });
  await expect(survey(agentAt(endless), {}, signal)).rejects.toMatchObject({ kind: "unavailable" });
});

test("what stays is on one page, whatever comes and goes between two", async () => {
  const node = await newFullNode();
  const { compute, volume } = node.drivers;
  const client = createClient(SurveyAgentService, node.transport);
  const first = await client.survey({ pageSize: 2 });
  const names = ({ domains }: SurveyResponse) => domains.map(({ listed }) => listed?.domain?.name);
  expect(new Set(names(first))).toEqual(new Set(["a", "b"]));
  expect(first.volumes.map(({ listed }) => listed?.id)).toEqual(["v1", "v2"]);
  compute.forget("b");
  await volume.ensureAbsent("v1", signal);
  await volume.ensureEmpty("v0", 1n << 20n, { owner: "x", transactionId: "tx" }, signal);
  const second = await client.survey({ pageSize: 2, pageToken: first.nextPageToken });
  expect(names(second)).toEqual(["d"]);
  expect(new Set(second.folders.map(({ name }) => name))).toEqual(new Set(["c", "d"]));
  expect(second.volumes.map(({ listed }) => listed?.id)).toEqual(["v3"]);
});

test.each([{ pageToken: "a/b" }, { pageToken: "x".repeat(513) }, { pageSize: 10_001 }])(
  "%j is refused",
  async (request) => {
    const client = createClient(SurveyAgentService, newFakeNode().transport);
    expect(await refused(client.survey(request))).toMatchObject({ code: "InvalidArgument" });
  },
);
