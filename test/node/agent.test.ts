import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { afterAll, describe, expect, test } from "vitest";
import { openDrivers } from "../../src/agent/drivers.ts";
import { newKeyedQueue } from "../../src/agent/keyed-queue.ts";
import { agentRoutes } from "../../src/agent/routes.ts";
import {
  ComputeAgentService,
  DomainState,
} from "../../src/gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { NetworkAgentService } from "../../src/gen/n0stack/agent/v1alpha1/network_pb.ts";
import { VolumeAgentService } from "../../src/gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { serverInterceptors } from "../../src/rpc/interceptors.ts";
import { systemClock } from "../../src/util/clock.ts";
import { silentLog } from "../../src/util/log.ts";
import { requirement } from "./requirements.ts";

const cleanUps: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
});

/** An agent over the real drivers, whose names no other test uses. */
async function openAgent() {
  const baseDirectory = await mkdtemp("/tmp/n0a-");
  // QEMU's user must get through.
  await chmod(baseDirectory, 0o711);
  const unique = baseDirectory
    .slice(-4)
    .toLowerCase()
    .replace(/[^a-z0-9]/g, "x");
  const resourcePrefix = `n0a${unique}-`;
  const drivers = await openDrivers(
    {
      baseDirectory,
      libvirtUri: "qemu:///system",
      accelerator: "tcg",
      resourcePrefix,
      allowedFileFolders: [],
      virtualSizeBytesMax: 1024n ** 4n,
    },
    silentLog,
  );
  const end = new AbortController();
  const queue = newKeyedQueue({ signal: end.signal, clock: systemClock, log: silentLog });
  const connectPeer = () => {
    throw new Error("not in this test");
  };
  const deps = { ...drivers, queue, connectPeer, clock: systemClock, log: silentLog };
  const transport = createRouterTransport(agentRoutes(deps), {
    router: { interceptors: serverInterceptors(silentLog) },
  });
  const agent = {
    baseDirectory,
    drivers,
    unique,
    compute: createClient(ComputeAgentService, transport),
    volume: createClient(VolumeAgentService, transport),
    network: createClient(NetworkAgentService, transport),
  };
  cleanUps.push(async () => {
    await removeAll(agent);
    end.abort();
    await queue.whenIdle();
    await drivers[Symbol.asyncDispose]();
    await rm(baseDirectory, { recursive: true, force: true });
  });
  return agent;
}

type Agent = Awaited<ReturnType<typeof openAgent>>;

let generation = 0n;
function operation() {
  generation += 1n;
  return { owner: "virtual_machine/web-1", transactionId: "tx-1", generation };
}

const tapOf = (agent: Agent) => `n0a${agent.unique}-t`;
const networkOf = (agent: Agent) => `net-${agent.unique}`;

async function removeAll(agent: Agent): Promise<void> {
  const tap = { tapName: tapOf(agent), networkName: networkOf(agent) };
  await agent.compute.ensureDomainAbsent({ operation: operation(), name: "web-1" });
  await agent.network.ensureTapAbsent({ operation: operation(), ...tap });
  await agent.volume.ensureVolumeAbsent({ operation: operation(), id: "root" });
}

const isReady =
  requirement("root") && requirement("libvirt") && requirement("qemu-img") && requirement("netns");

describe.runIf(isReady)("an agent on a real node", () => {
  test("makes a running domain with disk, seed and network, shows its screen, removes all", async () => {
    const agent = await openAgent();
    const { compute, network, volume } = agent;
    const mac = "52:54:00:aa:bb:01";
    const volumeSpec = { id: "root", sizeBytes: 1024n ** 2n };
    await volume.ensureEmptyVolume({ operation: operation(), volume: volumeSpec });
    const seed = { name: "web-1", instanceId: "i-1", hostname: "web-1" };
    await compute.ensureSeed({ operation: operation(), ...seed });
    await network.ensureTap({ operation: operation(), tapName: tapOf(agent) });
    const domain = {
      name: "web-1",
      uuid: crypto.randomUUID(),
      vcpus: 1,
      cpuMilliCores: 100,
      memoryBytes: 64n * 1024n ** 2n,
      volumeIds: ["root"],
      nics: [{ tapName: tapOf(agent), hardwareAddress: mac }],
    };
    await compute.ensureDomainStarted({ operation: operation(), domain });
    await network.ensureTapAttached({
      operation: operation(),
      tapName: tapOf(agent),
      network: { name: networkOf(agent), ipv4Gateway: "10.9.8.254/24" },
    });
    await compute.ensureDomainResumed({ operation: operation(), name: "web-1" });

    const mark = { owner: "virtual_machine/web-1", transactionId: "tx-1" };
    expect((await compute.listDomains({})).domains).toMatchObject([
      { ...mark, state: DomainState.RUNNING, domain: { name: "web-1", volumeIds: ["root"] } },
    ]);
    expect((await network.listTaps({})).taps).toMatchObject([
      { ...mark, name: tapOf(agent), networkName: networkOf(agent) },
    ]);
    expect((await volume.listVolumes({})).volumes).toMatchObject([{ ...mark, id: "root" }]);
    expect(await readdir(`${agent.baseDirectory}/vm/web-1`)).toContain("seed.iso");
    expect(await greetingOfScreen(agent)).toBe("RFB 003.008\n");
    const facts = await agent.drivers.readFacts();
    expect(facts.storageBytes).toBeGreaterThan(0n);

    await removeAll(agent);
    expect((await compute.listDomains({})).domains).toEqual([]);
    expect((await network.listNodeNetworks({})).networks).toEqual([]);
    expect((await volume.listVolumes({})).volumes).toEqual([]);
    expect(await readdir(`${agent.baseDirectory}/vm`)).toEqual([]);
  }, 60_000);
});

async function greetingOfScreen({ compute }: Agent): Promise<string> {
  const seen = Promise.withResolvers<void>();
  async function* requests() {
    yield { name: "web-1" };
    await seen.promise;
  }
  let text = "";
  for await (const { data } of compute.openVnc(requests())) {
    text += Buffer.from(data).toString();
    if (text.endsWith("\n")) break;
  }
  seen.resolve();
  return text;
}
