import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type * as Cli from "../cli/main.ts";

/** The most common commands of n0cli, and a word that a shell completes. */
const COMMAND_LINES = [
  ["--version"],
  ["get", "vm", "--output", "json", "--timeout", "5s"],
  ["get", "vm", "--output", "table", "--timeout", "5s"],
  ["__complete", "vm", "boot", ""],
];

/** Field 1 is a virtual machine, whose field 1, the name, is "x". */
const ONE_MACHINE = Buffer.from([0x0a, 3, 0x0a, 1, 0x78]);
/** gRPC puts a byte for the compression, and the length, before a message. */
const ANSWER = Buffer.concat([Buffer.from([0, 0, 0, 0, ONE_MACHINE.length]), ONE_MACHINE]);

/** Runs command lines against a server that has one virtual machine, so that V8 compiles what they need. */
export async function rehearse({ run, processIo }: typeof Cli): Promise<void> {
  const server = createServer().on("stream", (stream) => {
    stream.respond(
      { ":status": 200, "content-type": "application/grpc+proto" },
      { waitForTrailers: true },
    );
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(ANSWER);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const endpoint = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const mute = { isTerminal: false, columns: 80, print: () => {}, send: async () => {} };
  const io = {
    ...processIo(),
    stdout: mute,
    stderr: mute,
    // Without the user's own configuration.
    env: { N0CLI_API_ENDPOINT: endpoint },
    homeFolder: join(import.meta.dirname, "nobody"),
    onInterrupt: () => () => {},
  };
  try {
    for (const argv of COMMAND_LINES) await run(argv, io);
  } finally {
    server.close();
  }
}
