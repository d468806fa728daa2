// One end of a TCP connection for `transfer`, in the network namespace in which it is started.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import process from "node:process";
import type { TransferOrder, Work } from "./transfer.ts";

const CHUNK = Buffer.alloc(1 << 20);
const BYTE = Buffer.alloc(1);

process.on("disconnect", () => process.exit());
process.on("message", (order: TransferOrder) => void begin(order));

async function begin(order: TransferOrder): Promise<void> {
  if ("connect" in order) {
    const { address, port } = order.connect;
    const socket = connect({ host: address, port, noDelay: true });
    await once(socket, "connect");
    const startMs = performance.now();
    await (order.work.kind === "bytes"
      ? sendAll(socket, order.work)
      : takeTurns(socket, order.work));
    process.send?.(performance.now() - startMs);
    return;
  }
  const server = createServer({ noDelay: true }, (socket) => answer(socket, order.work));
  server.listen(0, "0.0.0.0", () => process.send?.((server.address() as AddressInfo).port));
}

/** Answers with a byte: at the end of all bytes, or to each of them. */
function answer(socket: Socket, work: Work): void {
  let left = work.kind === "bytes" ? work.bytes : 1;
  socket.on("error", () => socket.destroy());
  socket.on("data", (data) => {
    if (work.kind === "turns") return void socket.write(BYTE);
    left -= data.length;
    if (left <= 0) socket.write(BYTE);
  });
}

async function sendAll(socket: Socket, { bytes }: { bytes: number }): Promise<void> {
  const done = once(socket, "data");
  for (let left = bytes; left > 0; left -= CHUNK.length) {
    if (!socket.write(CHUNK.subarray(0, Math.min(left, CHUNK.length)))) await once(socket, "drain");
  }
  await done;
}

async function takeTurns(socket: Socket, { turns }: { turns: number }): Promise<void> {
  for (let i = 0; i < turns; i++) {
    socket.write(BYTE);
    await once(socket, "data");
  }
}
