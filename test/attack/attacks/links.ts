import { request } from "node:http";
import type { Dice } from "../../sim/dice.ts";
import { type Attack, untilOver } from "../attack.ts";
import { type Clients, errorOf, openClients } from "../clients.ts";
import type { Findings } from "../findings.ts";
import { exchange } from "../raw-socket.ts";

const WIDTH = 6;
/** The calls, links and sockets of one turn. */
const REQUESTS_EACH = 25;
const MIB = 1n << 20n;
const SIZE = { requestBytes: MIB, limitBytes: MIB };
const COMPUTE = {
  requestCpuMilliCore: 100,
  limitCpuMilliCore: 1000,
  requestMemoryBytes: 64n * MIB,
  limitMemoryBytes: 64n * MIB,
};
const HALF_OPEN_MS = 300;

/**
 * Links to consoles and block storages: guessed, used again, used for another object, and used after the object
 * was replaced.
 */
export const links: Attack = {
  name: "links",
  weight: 1,
  async run({ targets, findings }, round) {
    using clients = openClients(targets.api);
    const { url } = targets.api;
    let failure: string | undefined;
    let done = 0;
    await untilOver(round, WIDTH, async (index) => {
      const names = { disk: `link-disk-${index}`, machine: `link-vm-${index}` };
      try {
        await oneTurn({ clients, findings, url, dice: round.dice, ...names });
        done++;
      } catch (error) {
        // A node that was silent for a while accepts nothing, so the next turn tries again.
        failure = String(error);
        await remove(clients, names.disk, names.machine);
      }
    });
    if (done === 0) findings.add({ fault: "links could not be tried", seen: String(failure) });
    return done * REQUESTS_EACH;
  },
};

interface Turn {
  readonly clients: Clients;
  readonly findings: Findings;
  readonly url: string;
  readonly dice: Dice;
  readonly disk: string;
  readonly machine: string;
}

async function oneTurn({ clients, findings, url, dice, disk, machine }: Turn): Promise<void> {
  const mayNotOpen = newJudge(findings);
  await make(clients, disk, machine);
  const download = await downloadOf(clients, disk);
  const screen = await screenOf(clients, machine, url);
  await mayNotOpen("a guessed download", statusOf(guessed(download, dice)));
  const crossed = `${url}${download.pathname}?token=${screen.token}`;
  await mayNotOpen("a console's token for a download", statusOf(crossed));
  const other = download.searchParams.get("token") ?? "";
  await mayNotOpen("a download's token for a console", upgrade(screen.socket, other));
  await mayNotOpen("a guessed console", upgrade(screen.socket, "x".repeat(43)));
  await upgrade(screen.socket, screen.token, "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff");
  await mayNotOpen("a console used again", upgrade(screen.socket, screen.token));
  const { socket, token } = await screenOf(clients, machine, url);
  await oddRanges(findings, download.href, dice);
  await remove(clients, disk, machine);
  await make(clients, disk, machine);
  await mayNotOpen("a download of a disk that is gone", statusOf(download.href));
  await mayNotOpen("a console of a virtual machine that is gone", upgrade(socket, token));
  await remove(clients, disk, machine);
}

async function downloadOf({ blockStorages }: Clients, name: string): Promise<URL> {
  return new URL((await blockStorages.downloadBlockStorage({ name })).downloadUrl);
}

async function screenOf({ virtualMachines }: Clients, name: string, url: string) {
  const { searchParams, hash } = new URL((await virtualMachines.openConsole({ name })).consoleUrl);
  const token = new URLSearchParams(hash.slice(1)).get("token") ?? "";
  return { socket: `${url}/${searchParams.get("path")}`, token };
}

async function make({ blockStorages, virtualMachines }: Clients, disk: string, machine: string) {
  const root = `${machine}-root`;
  for (const name of [disk, root]) await blockStorages.createBlockStorage({ name, ...SIZE });
  await virtualMachines.createVirtualMachine({
    ...{ name: machine, ...COMPUTE, blockStorageNames: [root] },
  });
}

async function remove({ blockStorages, virtualMachines }: Clients, disk: string, machine: string) {
  await errorOf(virtualMachines.deleteVirtualMachine({ name: machine }));
  for (const name of [disk, `${machine}-root`]) {
    await errorOf(blockStorages.deleteBlockStorage({ name }));
    await errorOf(blockStorages.purgeBlockStorage({ name }));
  }
}

/** Nothing may open, and the server must not fail. */
function newJudge(findings: Findings) {
  return async (what: string, asked: Promise<number>) => {
    const status = await asked;
    if (status >= 400 && status < 500) return;
    // The host was too busy for an answer in time, which opens nothing either.
    if (status === 0) return;
    findings.add({ fault: `${what} is answered ${status}`, seen: "it must be refused" });
  };
}

function guessed(url: URL, dice: Dice): string {
  const token = url.searchParams.get("token") ?? "";
  const guess = dice.pick([
    "",
    "x",
    `${token}x`,
    token.slice(1),
    token.toLowerCase(),
    "../".repeat(100),
  ]);
  return `${url.origin}${url.pathname}?token=${encodeURIComponent(guess)}`;
}

async function statusOf(href: string, headers: Record<string, string> = {}): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const sent = request(href, { agent: false, headers, timeout: 10_000 }, (response) => {
    response.resume();
    response.on("error", () => {}).once("close", () => resolve(response.statusCode ?? 0));
  });
  sent.on("error", () => resolve(0)).on("timeout", () => sent.destroy());
  sent.end();
  return await promise;
}

/** Asks for a WebSocket with these bytes, and then hangs up. This consumes the token. */
async function upgrade(socketUrl: string, token: string, then = ""): Promise<number> {
  const { origin, pathname, host } = new URL(socketUrl);
  const head =
    `GET ${pathname}?token=${encodeURIComponent(token)} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\n` +
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  const answer = await exchange(origin, [Buffer.from(head + then, "latin1")], HALF_OPEN_MS);
  return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0);
}

const RANGES = [
  ...[
    "bytes=0-",
    "bytes=-1",
    "bytes=5-1",
    "bytes=99999999999999999999-",
    "bytes=a-b",
    "octets=0-1",
  ],
  ...["bytes=0-0,1-1", `bytes=${"0-0,".repeat(2000)}1-1`, "bytes=", " ".repeat(4000)],
];

async function oddRanges(findings: Findings, href: string, dice: Dice): Promise<void> {
  const range = dice.pick(RANGES);
  const status = await statusOf(href, { range, "if-range": dice.pick(['"x"', "x", ""]) });
  if (status < 500) return;
  findings.add({ fault: `a download is answered ${status}`, seen: `range: ${range.slice(0, 80)}` });
}
