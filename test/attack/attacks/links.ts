import { request } from "node:http";
import type { Dice } from "../../sim/dice.ts";
import { type Attack, untilOver } from "../attack.ts";
import { type Clients, errorOf, openClients } from "../clients.ts";
import type { Findings } from "../findings.ts";
import { exchange } from "../raw-socket.ts";

const WIDTH = 6;
/** Calls, links and sockets of one turn. */
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

/** Links to consoles and disks: guessed, used again, used for another thing, and after the thing is another. */
export const links: Attack = {
  name: "links",
  weight: 1,
  async run({ targets, findings }, round) {
    using clients = openClients(targets.api);
    const { url } = targets.api;
    const turns = await untilOver(round, WIDTH, async (index) => {
      const [disk, machine] = [`link-disk-${index}`, `link-vm-${index}`];
      await make(clients, disk, machine);
      const download = new URL(
        (await clients.blockStorages.downloadBlockStorage({ name: disk })).downloadUrl,
      );
      const console = new URL(
        (await clients.virtualMachines.openConsole({ name: machine })).consoleUrl,
      );
      const socket = `${url}/${console.searchParams.get("path")}`;
      const token = new URLSearchParams(console.hash.slice(1)).get("token") ?? "";
      const mayNotOpen = newJudge(findings);
      await mayNotOpen("a guessed download", await statusOf(guessed(download, round.dice)));
      await mayNotOpen(
        "a console's token for a download",
        await statusOf(`${url}${download.pathname}?token=${token}`),
      );
      await mayNotOpen(
        "a download's token for a console",
        await upgrade(socket, download.searchParams.get("token") ?? ""),
      );
      await mayNotOpen("a guessed console", await upgrade(socket, "x".repeat(43)));
      await upgrade(socket, token, "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff");
      await mayNotOpen("a console used again", await upgrade(socket, token));
      const held = (await clients.virtualMachines.openConsole({ name: machine })).consoleUrl;
      await oddRanges(findings, download.href, round.dice);
      await remove(clients, disk, machine);
      await make(clients, disk, machine);
      await mayNotOpen("a download of a disk that is gone", await statusOf(download.href));
      const later = new URLSearchParams(new URL(held).hash.slice(1)).get("token") ?? "";
      await mayNotOpen("a console of a virtual machine that is gone", await upgrade(socket, later));
      await remove(clients, disk, machine);
    });
    return turns * REQUESTS_EACH;
  },
};

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

/** Nothing may be opened; nor may the server fail. */
function newJudge(findings: Findings) {
  return async (what: string, status: number) => {
    if (status >= 400 && status < 500) return;
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

/** Asks for a WebSocket, and sends what follows; then hangs up. The token is used up by it. */
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
