// What servers and guests say, where it could do harm: on a terminal, in a path, on a command line.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { afterAll, afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import {
  type VirtualMachine,
  VirtualMachineSchema,
} from "../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { run } from "./program.ts";
import { makeWeb, openTestApi } from "./testing/test-api.ts";
import { newTestIo } from "./testing/test-io.ts";

const ESCAPE = "\x1b";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "n0cli-hostile-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const api = await openTestApi();
await makeWeb(api);
const { volumeId } = await api.world.blockStorages.getBlockStorage({ name: "root" });
const LOG = `${ESCAPE}[2J${ESCAPE}]52;c;eA==\x07booted\r\n`;
api.world.fakeNodes[0]?.drivers.compute.print("web", LOG);
afterAll(() => api[Symbol.asyncDispose]());

async function n0cli(transport: Transport, isTerminal: boolean, argv: readonly string[]) {
  const t = newTestIo({ transport, homeFolder: folder, isTerminal });
  const exitCode = await run(argv, t.io);
  return { exitCode, stdout: t.stdout(), stderr: t.stderr(), executed: t.executed };
}

/** The same server, which answers GetVirtualMachine with something else than was asked for. */
function lying(change: Partial<VirtualMachine>): Transport {
  const { transport } = api;
  return {
    stream: transport.stream,
    async unary(method, ...rest) {
      const answer = await transport.unary(method, ...rest);
      if (method.name !== "GetVirtualMachine") return answer;
      return { ...answer, message: Object.assign(answer.message, change) };
    },
  };
}

describe("on a terminal", () => {
  test("vm log shows the text alone, and in a pipe every byte", async () => {
    const { transport } = api;
    expect((await n0cli(transport, true, ["vm", "log", "web"])).stdout).toBe("booted\n");
    expect((await n0cli(transport, false, ["vm", "log", "web"])).stdout).toBe(LOG);
  });

  test.each(["table", "wide", "name", "json", "yaml", "jsonl"])(
    "a list as %s drives nothing",
    async (format) => {
      const transport: Transport = {
        stream: api.transport.stream,
        async unary(method, ...rest) {
          const answer = await api.transport.unary(method, ...rest);
          const { virtualMachines = [] } = answer.message as { virtualMachines?: VirtualMachine[] };
          const annotations = { note: `a${ESCAPE}[2Jb\u009b2Jc` };
          virtualMachines.push(
            create(VirtualMachineSchema, { name: `x${ESCAPE}c\u009bc`, annotations }),
          );
          return answer;
        },
      };
      const { stdout } = await n0cli(transport, true, ["get", "vm", "-o", format]);
      expect(stdout).toContain("web");
      for (const control of [ESCAPE, "\u009b"]) expect(stdout).not.toContain(control);
    },
  );

  test("what a failure says drives nothing, also in a pipe", async () => {
    api.before = () => {
      throw new ConnectError(`${ESCAPE}[2J`, Code.Internal);
    };
    onTestFinished(() => api.reset());
    for (const isTerminal of [true, false]) {
      const { stderr } = await n0cli(api.transport, isTerminal, ["vm", "log", "web"]);
      expect(stderr).toContain("\ufffd[2J");
      expect(stderr).not.toContain(ESCAPE);
    }
  });

  test("a disk is not written there", async () => {
    const argv = ["bs", "download", "root", "-f", "-"];
    const { exitCode, stderr, stdout } = await n0cli(api.transport, true, argv);
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("use a pipe or --file");
  });
});

describe("vm ssh", () => {
  const knownHosts = (executed: readonly string[][]) =>
    executed[0]?.find((word) => word.startsWith("UserKnownHostsFile="));

  test("knows the virtual machine by the name that was typed, not by the one in the answer", async () => {
    const transport = lying({ name: "../../../.ssh/authorized_keys" });
    const { executed } = await n0cli(transport, false, ["vm", "ssh", "web"]);
    expect(knownHosts(executed)).toBe(
      `UserKnownHostsFile="${folder}/.config/n0stack/known_hosts/web-${volumeId}"`,
    );
    expect(executed.flat().join(" ")).not.toContain("authorized_keys");
  });

  test("takes nothing for a name that is a path or an option", async () => {
    for (const name of ["../web", "a/b", ".."]) {
      const { exitCode, executed, stderr } = await n0cli(api.transport, false, [
        ...["vm", "ssh", "--", name],
      ]);
      expect([exitCode, executed]).toEqual([2, []]);
      expect(stderr).toContain(`"${name}" is not the name of a virtual machine`);
    }
  });

  test.each(["-oProxyCommand=id", "a$(id)", "a b", "a;id"])(
    "does not log in as %j because the answer says so",
    async (loginUsername) => {
      const { executed, stderr } = await n0cli(lying({ loginUsername }), false, [
        ...["vm", "ssh", "web"],
      ]);
      expect(executed).toEqual([]);
      expect(stderr).toContain("is not a user name: choose one with --login");
    },
  );
});
