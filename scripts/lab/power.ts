import { Failure } from "../run-program.ts";
import { stateOf } from "./host.ts";
import type { Host } from "./lab.ts";
import { continueAll, killAll, stopAll } from "./processes.ts";
import { ensureHost } from "./servers.ts";

/** What can be done to a host, by the name of the command. */
export const POWER = { freeze, thaw, kill, start } as const;

/** Stops all processes of the host with SIGSTOP. Its kernel goes on: it still answers pings. */
async function freeze(host: Host): Promise<string> {
  const state = stateOf(host);
  if (state === "off") throw new Failure(`${host.name} is off`);
  await stopAll(host);
  return state === "frozen" ? `${host.name} was frozen already` : `${host.name} is frozen`;
}

async function thaw(host: Host): Promise<string> {
  const state = stateOf(host);
  if (state === "off") throw new Failure(`${host.name} is off`);
  await continueAll(host);
  return state === "frozen" ? `${host.name} runs again` : `${host.name} was not frozen`;
}

/** Kills all processes of the host at once, as a power cut does. Its files stay. */
async function kill(host: Host): Promise<string> {
  const state = stateOf(host);
  await killAll(host.lab, (one) => one.host === host.name);
  return state === "off" ? `${host.name} was off already` : `${host.name} is off`;
}

/** Boots the host, or starts the programs that do not run. */
async function start(host: Host): Promise<string> {
  if (stateOf(host) === "frozen") {
    throw new Failure(`${host.name} is frozen; thaw it: npm run lab -- thaw ${host.name}`);
  }
  await ensureHost(host);
  return `${host.name} runs`;
}
