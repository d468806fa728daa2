import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Segment } from "../driver/network/segment.ts";
import {
  SegmentAnswer_Outcome as Outcome,
  PushSegmentsRequestSchema,
} from "../gen/n0stack/agent/v1alpha1/network_pb.ts";
import { silentLog } from "../util/log.ts";
import { Segments } from "./segments.ts";

const OWN = "192.0.2.1";
const member = (name: string, at = "192.0.2.2") => ({
  interfaceName: name,
  hardwareAddress: "52:54:00:00:00:01",
  addresses: [],
  underlayAddress: at,
});

function newAgent() {
  const applied: Segment[] = [];
  const node = { refuses: false };
  const segments = new Segments({
    network: {
      async ensureSegment(segment) {
        if (node.refuses) throw new Error("no room");
        applied.push(segment);
      },
    },
    log: silentLog,
  });
  return { applied, node, segments };
}

async function push(
  { segments }: ReturnType<typeof newAgent>,
  base: number,
  generation: number,
  fields: object = {},
) {
  const segment = { networkName: "net", vni: 7, mtu: 1450, ...fields };
  const numbers = { baseGeneration: BigInt(base), generation: BigInt(generation) };
  const request = create(PushSegmentsRequestSchema, {
    segments: [{ ...segment, ...numbers }],
    ownUnderlayAddress: OWN,
  });
  const [answer] = await segments.push(request, AbortSignal.timeout(5_000));
  const name = Object.entries(Outcome).find(([, value]) => value === answer?.outcome)?.[0];
  return `${name} ${answer?.reason ?? ""}`.trim();
}

const seen = ({ applied }: ReturnType<typeof newAgent>) =>
  applied.at(-1)?.peers.map((peer) => peer.underlayAddress);

test("changes are taken by who has what they belong to, and others need all", async () => {
  const agent = newAgent();
  expect(await push(agent, 4, 5, { members: [member("a")] })).toBe("ALL_NEEDED");
  expect(agent.applied).toEqual([]);
  expect(await push(agent, 0, 5, { members: [member("a"), member("own", OWN)] })).toBe("TAKEN");
  expect(seen(agent)).toEqual(["192.0.2.2"]);
  expect(await push(agent, 5, 8, { members: [member("b", "192.0.2.3")] })).toBe("TAKEN");
  expect(seen(agent)).toEqual(["192.0.2.2", "192.0.2.3"]);
  expect(await push(agent, 8, 9, { removed: ["a"] })).toBe("TAKEN");
  expect(seen(agent)).toEqual(["192.0.2.3"]);
  expect(await push(agent, 8, 10, { removed: ["b"] })).toBe("ALL_NEEDED");
});

test("an older state is refused, also after it was to be forgotten, and the same one is made again", async () => {
  const agent = newAgent();
  await push(agent, 0, 5, { members: [member("a")] });
  expect(await push(agent, 0, 4, { members: [member("b")] })).toBe("STALE");
  // Sent again, as by another API process.
  expect(await push(agent, 3, 5, { members: [member("c")] })).toBe("TAKEN");
  expect(seen(agent)).toEqual(["192.0.2.2"]);
  expect(agent.applied).toHaveLength(2);
  expect(await push(agent, 0, 6, { forgotten: true, vni: 0 })).toBe("TAKEN");
  expect(seen(agent)).toEqual([]);
  expect(await push(agent, 0, 5, { members: [member("a")] })).toBe("STALE");
  await agent.segments.restore("net", AbortSignal.timeout(5_000));
  expect(agent.applied).toHaveLength(3);
});

test("what the node refuses is kept, and made when its network comes", async () => {
  const agent = newAgent();
  agent.node.refuses = true;
  expect(await push(agent, 0, 5, { members: [member("a")] })).toBe("REFUSED no room");
  // It fails nobody who brings the network.
  await agent.segments.restore("net", AbortSignal.timeout(5_000));
  agent.node.refuses = false;
  await agent.segments.restore("net", AbortSignal.timeout(5_000));
  expect(seen(agent)).toEqual(["192.0.2.2"]);
  await agent.segments.restore("other", AbortSignal.timeout(5_000));
  expect(agent.applied).toHaveLength(1);
});

test("a network without a number, or a node without an address, has nobody elsewhere", async () => {
  const agent = newAgent();
  await push(agent, 0, 5, { vni: 0, members: [member("a")] });
  expect(seen(agent)).toEqual([]);
  const request = create(PushSegmentsRequestSchema, {
    segments: [{ networkName: "net", vni: 7, generation: 6n, members: [member("a")] }],
  });
  await agent.segments.push(request, AbortSignal.timeout(5_000));
  expect(seen(agent)).toEqual([]);
});
