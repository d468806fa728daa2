import { createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { newFakeNode } from "../../test/fake-node.ts";
import { ComputeAgentService } from "../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { NetworkAgentService } from "../gen/n0stack/agent/v1alpha1/network_pb.ts";
import { SurveyAgentService } from "../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { VolumeAgentService } from "../gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { deviceName } from "../util/checksum.ts";
import { formatRef, nameOnNode } from "../util/ref.ts";

/** Goes up with each request, as the agent asks for. */
let generation = 0n;

/** What a virtual machine and its network of this scope have on a node. */
function partsOf(scope: string) {
  const vm = { kind: "virtual_machine", scope, name: "web-1" };
  return {
    name: nameOnNode(vm),
    id: nameOnNode({ scope, name: "root.0123456789ab" }),
    tapName: deviceName(nameOnNode({ scope, name: "web-10" })),
    networkName: nameOnNode({ scope, name: "net" }),
    owner: formatRef(vm),
    operation: () => ({ owner: formatRef(vm), transactionId: "tx-1", generation: ++generation }),
  };
}

test("objects of two scopes with one name are beside each other on a node, each under its own", async () => {
  const node = newFakeNode();
  const compute = createClient(ComputeAgentService, node.transport);
  const network = createClient(NetworkAgentService, node.transport);
  const volume = createClient(VolumeAgentService, node.transport);
  const survey = createClient(SurveyAgentService, node.transport);
  const before = node.snapshot();
  const all = ["default", "acme"].map(partsOf);
  for (const { name, id, tapName, networkName, operation } of all) {
    const sizeBytes = 1024n ** 2n;
    await volume.ensureEmptyVolume({ operation: operation(), volume: { id, sizeBytes } });
    await network.ensureTap({ operation: operation(), tapName });
    const seed = { instanceId: "i-1", hostname: "web-1" };
    await compute.ensureSeed({ operation: operation(), name, ...seed });
    const domain = {
      name,
      uuid: crypto.randomUUID(),
      vcpus: 1,
      cpuMilliCores: 100,
      memoryBytes: 1024n ** 3n,
      volumeIds: [id],
      nics: [{ tapName, hardwareAddress: "52:54:00:00:00:01" }],
    };
    await compute.ensureDomainStarted({ operation: operation(), domain });
    const place = { name: networkName, ipv4Gateway: "10.0.0.254/24" };
    await network.ensureTapAttached({ operation: operation(), tapName, network: place });
    await compute.ensureDomainResumed({ operation: operation(), name });
  }
  const { domains, volumes, taps, networks } = await survey.survey({});
  const text = (...all: unknown[]) => all.join(" ");
  expect({
    domains: domains.map(({ listed }) => text(listed?.domain?.name, listed?.owner)).sort(),
    volumes: volumes.map(({ listed }) => text(listed?.id)).sort(),
    taps: taps.map(({ listed }) => text(listed?.networkName, listed?.owner)).sort(),
    networks: networks.map(({ listed }) => text(listed?.name, listed?.owner)).sort(),
  }).toEqual({
    domains: ["acme~web-1 virtual_machine/acme/web-1", "web-1 virtual_machine/web-1"],
    volumes: ["acme~root.0123456789ab", "root.0123456789ab"],
    taps: ["acme~net virtual_machine/acme/web-1", "net virtual_machine/web-1"],
    networks: ["acme~net network/acme/net", "net network/net"],
  });

  for (const { name, id, tapName, networkName, operation } of all) {
    await compute.ensureDomainAbsent({ operation: operation(), name });
    await network.ensureTapAbsent({ operation: operation(), tapName, networkName });
    await volume.ensureVolumeAbsent({ operation: operation(), id });
    expect((await survey.survey({})).domains).toHaveLength(name === all.at(-1)!.name ? 0 : 1);
  }
  expect(node.snapshot()).toEqual(before);
});
