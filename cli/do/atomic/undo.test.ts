import { expect, test } from "vitest";
import { run } from "../../program.ts";
import { openTestApi, type TestApi } from "../../testing/test-api.ts";
import { newTestIo, type TestIoOptions } from "../../testing/test-io.ts";

const FILE = `
net: {type: network, action: ApplyNetwork, args: {name: lan, ipv4_cidr: 10.1.0.0/24}}
disk:
  type: block_storage
  action: CreateBlockStorage
  args: {name: '\${net.name}-disk', request_bytes: 1MiB, limit_bytes: 1MiB}
`;

async function n0cli(api: TestApi, words: string[], more: TestIoOptions = {}) {
  const io = newTestIo({ transport: api.transport, ...more });
  const exitCode = await run(words, io.io);
  return { exitCode, stdout: io.stdout(), stderr: io.stderr() };
}

/** Runs the file. @returns the id of its transaction. */
async function made(api: TestApi): Promise<string> {
  const { stderr } = await n0cli(api, ["do", "--atomic", "-"], { stdin: [FILE] });
  return /^---> Transaction ([0-9a-f-]+)/.exec(stderr)![1]!;
}

const namesOf = async ({ world }: TestApi) => {
  const { networks } = await world.networks.listNetworks({});
  const { blockStorages } = await world.blockStorages.listBlockStorages({});
  return [...networks, ...blockStorages].map(({ name }) => name);
};

test("an undo is planned, shown, and done after a yes", async () => {
  await using api = await openTestApi();
  const id = await made(api);
  const lost = await n0cli(api, ["tx", "undo", id, "--plan"]);
  expect(lost.exitCode).toBe(6);
  expect(lost.stderr).toContain(
    `would lose block storage "lan-disk" (1MiB): to accept that, set discard_data (n0cli: --discard-data)`,
  );
  const planned = await n0cli(api, ["-o", "table", "do", "--undo", id, "--discard-data", "--plan"]);
  expect(planned).toMatchObject({ exitCode: 3, stderr: "" });
  expect(planned.stdout).toContain("  - block_storage/lan-disk\n  - network/lan\n");
  expect(await namesOf(api)).toEqual(["lan", "lan-disk"]);
  const words = ["tx", "undo", id, "--discard-data"];
  expect((await n0cli(api, words)).stderr).toContain("add --yes to do it, or --plan");
  const refusing = await n0cli(api, words, { stdin: ["no\n"], isTerminal: true });
  expect(refusing.exitCode).toBe(1);
  expect(await namesOf(api)).toEqual(["lan", "lan-disk"]);
  const { exitCode, stderr } = await n0cli(api, [...words, "--yes"]);
  expect(exitCode).toBe(0);
  expect(stderr).toContain("Task 'PurgeBlockStorage lan-disk' is finished");
  expect(await namesOf(api)).toEqual([]);
});
