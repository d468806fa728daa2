import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
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
import { deviceName } from "../../src/util/checksum.ts";
import { systemClock } from "../../src/util/clock.ts";
import { silentLog } from "../../src/util/log.ts";
import { formatRef, nameOnNode } from "../../src/util/ref.ts";
import { requirement } from "./requirements.ts";

/** An agent over the real drivers, whose names no other test uses, and what it makes in a scope. */
async function openAgent(scope: string) {
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
  const vm = { kind: "virtual_machine", scope, name: "web-1" };
  const agent = {
    baseDirectory,
    drivers,
    owner: formatRef(vm),
    name: nameOnNode(vm),
    id: nameOnNode({ scope, name: "root.0123456789ab" }),
    networkName: nameOnNode({ scope, name: `net-${unique}` }),
    tapName: deviceName(nameOnNode({ scope, name: `n0a${unique}` })),
    compute: createClient(ComputeAgentService, transport),
    volume: createClient(VolumeAgentService, transport),
    network: createClient(NetworkAgentService, transport),
  };
  return {
    ...agent,
    async [Symbol.asyncDispose]() {
      await removeAll(agent);
      end.abort();
      await queue.whenIdle();
      await drivers[Symbol.asyncDispose]();
      await rm(baseDirectory, { recursive: true, force: true });
    },
  };
}

type Agent = Omit<Awaited<ReturnType<typeof openAgent>>, typeof Symbol.asyncDispose>;

let generation = 0n;
function operationOf({ owner }: Agent) {
  generation += 1n;
  return { owner, transactionId: "tx-1", generation };
}

async function removeAll(agent: Agent): Promise<void> {
  const { name, id, tapName, networkName } = agent;
  const operation = () => operationOf(agent);
  await agent.compute.ensureDomainAbsent({ operation: operation(), name });
  await agent.network.ensureTapAbsent({ operation: operation(), tapName, networkName });
  await agent.volume.ensureVolumeAbsent({ operation: operation(), id });
}

const isReady =
  requirement("root") && requirement("libvirt") && requirement("qemu-img") && requirement("netns");

describe.runIf(isReady)("an agent on a real node", () => {
  test.for(["default", "acme"])(
    "makes a running domain of the scope %s with disk, seed and network, shows its screen, removes all",
    { timeout: 60_000 },
    async (scope) => {
      await using agent = await openAgent(scope);
      const { compute, network, volume, owner, name, id, tapName, networkName } = agent;
      const operation = () => operationOf(agent);
      const mac = "52:54:00:aa:bb:01";
      const volumeSpec = { id, sizeBytes: 1024n ** 2n };
      await volume.ensureEmptyVolume({ operation: operation(), volume: volumeSpec });
      const seed = { name, instanceId: "i-1", hostname: "web-1" };
      await compute.ensureSeed({ operation: operation(), ...seed });
      await network.ensureTap({ operation: operation(), tapName });
      const domain = {
        name,
        uuid: crypto.randomUUID(),
        vcpus: 1,
        cpuMilliCores: 100,
        memoryBytes: 64n * 1024n ** 2n,
        volumeIds: [id],
        nics: [{ tapName, hardwareAddress: mac }],
      };
      await compute.ensureDomainStarted({ operation: operation(), domain });
      await network.ensureTapAttached({
        operation: operation(),
        tapName,
        network: { name: networkName, ipv4Gateway: "10.9.8.254/24" },
      });
      await compute.ensureDomainResumed({ operation: operation(), name });

      const mark = { owner, transactionId: "tx-1" };
      expect((await compute.listDomains({})).domains).toMatchObject([
        { ...mark, state: DomainState.RUNNING, domain: { name, volumeIds: [id] } },
      ]);
      expect((await network.listTaps({})).taps).toMatchObject([
        { ...mark, name: tapName, networkName },
      ]);
      expect((await volume.listVolumes({})).volumes).toMatchObject([{ ...mark, id }]);
      expect(await readdir(`${agent.baseDirectory}/vm/${name}`)).toContain("seed.iso");
      expect(await greetingOfScreen(agent)).toBe("RFB 003.008\n");
      const facts = await agent.drivers.readFacts();
      expect(facts.storageBytes).toBeGreaterThan(0n);

      await removeAll(agent);
      expect((await compute.listDomains({})).domains).toEqual([]);
      expect((await network.listNodeNetworks({})).networks).toEqual([]);
      expect((await volume.listVolumes({})).volumes).toEqual([]);
      expect(await readdir(`${agent.baseDirectory}/vm`)).toEqual([]);
    },
  );
});

async function greetingOfScreen({ compute, name }: Agent): Promise<string> {
  const seen = Promise.withResolvers<void>();
  async function* requests() {
    yield { name };
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
