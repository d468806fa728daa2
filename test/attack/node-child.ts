// An agent like that of `n0core serve agent`, with real files as volumes and fake libvirt and networks: it
// needs only qemu-img on the host, and its networks and domains cost nothing.
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { type DriversConfig, type NodeDrivers, openVolumeDriver } from "../../src/agent/drivers.ts";
import { newNodeFacts } from "../../src/driver/node-facts/node-facts.ts";
import { loadSettings } from "../../src/serve/config.ts";
import { runUntilSignal } from "../../src/serve/run.ts";
import { serveAgent } from "../../src/serve/serve-agent.ts";
import { openLog } from "../../src/util/log.ts";
import { newFakeDriversOver } from "../fake-drivers.ts";

const flags = JSON.parse(process.argv[2] ?? "{}") as Record<string, string>;
const settings = loadSettings("agent", { flags, environment: {} });
const log = openLog();

async function openDrivers(config: DriversConfig): Promise<NodeDrivers> {
  const volumeFolder = join(config.baseDirectory, "volumes");
  const files = await openVolumeDriver(config);
  const idAt = (path: string) =>
    dirname(path) === volumeFolder && existsSync(path) ? basename(path, ".qcow2") : undefined;
  return {
    ...newFakeDriversOver({ ...files, idAt }),
    readFacts: newNodeFacts({ volumeFolder }),
    [Symbol.asyncDispose]: async () => {},
  };
}

await runUntilSignal({ log, stopTimeoutMs: settings.stopTimeout }, () =>
  serveAgent(settings, log, openDrivers),
);
