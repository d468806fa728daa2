// A guest, as a process in a namespace: it answers at ports, and asks others. One line asks, one line answers.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";

export interface Asked {
  readonly kind: "udp" | "tcp";
  readonly host: string;
  readonly port: number;
  readonly bytes: number;
  readonly withinMs: number;
  /** Keeps the connection open for the next question with this name. */
  readonly keep?: string;
}

const kept = new Map<string, Socket>();

function serve(port: number): void {
  createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  }).listen(port, "::");
  const udp = createSocket("udp6").bind(port, "::");
  udp.on("message", (data, from) => udp.send(String(data.length), from.port, from.address));
}

async function askUdp({ host, port, bytes, withinMs }: Asked): Promise<boolean> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  socket.on("error", () => {});
  try {
    socket.send(Buffer.alloc(bytes), port, host);
    const [answer] = await once(socket, "message", { signal: AbortSignal.timeout(withinMs) });
    return String(answer) === String(bytes);
  } finally {
    socket.close();
  }
}

async function askTcp({ host, port, bytes, withinMs, keep }: Asked): Promise<boolean> {
  const signal = AbortSignal.timeout(withinMs);
  let socket = kept.get(keep ?? "");
  if (socket === undefined) {
    socket = connect(port, host);
    socket.on("error", () => {});
    await once(socket, "connect", { signal });
    if (keep !== undefined) kept.set(keep, socket);
  }
  socket.write(Buffer.alloc(bytes));
  for (let got = 0; got < bytes; ) {
    const [data] = await once(socket, "data", { signal });
    got += data.length;
  }
  if (keep === undefined) socket.destroy();
  return true;
}

for (const port of JSON.parse(process.argv[2] ?? "[]")) serve(port);
console.log("true");
for await (const line of createInterface(process.stdin)) {
  const asked: Asked = JSON.parse(line);
  const answer = asked.kind === "udp" ? askUdp(asked) : askTcp(asked);
  console.log(JSON.stringify(await answer.catch(() => false)));
}
process.exit(0);
