import { expect, test } from "vitest";
import { webRequest } from "../../test/scenario.ts";
import { newWorld, type World } from "../../test/world.ts";
import { run } from "../program.ts";
import { newTestIo } from "../testing/test-io.ts";

async function n0cli(world: World, line: string) {
  const io = newTestIo({ transport: world.transport, isTerminal: true });
  const exitCode = await run(line.split(" "), io.io);
  return { exitCode, stdout: io.stdout(), stderr: io.stderr() };
}

async function newLab(): Promise<World> {
  const world = await newWorld({ inMemory: true });
  await n0cli(world, "network apply lab --ipv4_cidr 10.1.0.0/24");
  await n0cli(world, "sg apply db --rules direction=ingress,protocol=tcp,ports=5432");
  const nics = [{ networkName: "lab" }];
  await world.virtualMachines.createVirtualMachine({ ...webRequest("web-1", []), nics });
  const inDb = [{ networkName: "lab", securityGroups: ["db"] }];
  await world.virtualMachines.createVirtualMachine({ ...webRequest("db-1", []), nics: inDb });
  return world;
}

test("network trace shows each place, and its exit code says whether the packet passes", async () => {
  await using world = await newLab();
  const passing = await n0cli(world, "network trace web-1 db-1 --port 5432");
  expect(passing).toMatchObject({ exitCode: 0, stderr: "The packet passes.\n" });
  expect(passing.stdout).toContain(
    "passes    ingress       node-1   allowed by rule 1 of db: direction=ingress,protocol=tcp,ports=5432\n",
  );
  const stopped = await n0cli(world, "network trace web-1 db-1");
  expect(stopped).toMatchObject({ exitCode: 3, stderr: "The packet does not arrive.\n" });
  expect(stopped.stdout).toContain(
    "stops     ingress       node-1   no rule for ingress of db allows it\n",
  );
  const nics = "--source-nic web-10 --destination-nic db-10 --records-only -o json";
  const json = JSON.parse(
    (await n0cli(world, `network trace web-1 db-1 --port 5432 ${nics}`)).stdout,
  );
  expect(json).toMatchObject({ verdict: "TRACE_VERDICT_PASSES" });
  expect(json.steps).toHaveLength(5);
});

test("network trace takes an address, and says what it does not know", async () => {
  await using world = await newLab();
  const outside = await n0cli(world, "network trace web-1 192.0.2.7 --port 443 -o name");
  expect(outside).toMatchObject({ exitCode: 3, stdout: "unknown\n" });
  const nobody = await n0cli(world, "network trace web-1 10.1.0.9 --ip-version 4");
  expect(nobody.stdout).toContain('nobody on network "lab" has the address 10.1.0.9');
});

test.each([
  ["web-1 db-1 --port x", 2, '--port: "x" is not a number'],
  ["web-1 db-1 --port 5 --protocol tpc", 2, "protocol: must be tcp, udp"],
  ["web-1 none", 5, 'virtual machine "none"'],
])("network trace %s is refused with %i", async (line, exitCode, message) => {
  await using world = await newLab();
  const { stderr, ...answer } = await n0cli(world, `network trace ${line}`);
  expect(answer.exitCode).toBe(exitCode);
  expect(stderr).toContain(message);
});
