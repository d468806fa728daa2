import { duplexPair } from "node:stream";
import type { DomainConsole } from "../domain-console.ts";
import type { FakeNode } from "./fake-node.ts";

export function fakeConsole(node: FakeNode): DomainConsole {
  return {
    async openVnc(name) {
      const { viewers } = node.active(name);
      const [viewer, screen] = duplexPair();
      viewers.add(viewer);
      screen.resume().write("RFB 003.008\n");
      return viewer;
    },
    async openSerial(name) {
      const domain = node.active(name);
      const [viewer, guest] = duplexPair();
      guest.on("data", (chunk: Buffer) => {
        domain.typed += chunk.toString();
      });
      domain.viewers.add(guest);
      viewer.once("close", () => {
        domain.viewers.delete(guest);
        guest.destroy();
      });
      guest.once("close", () => viewer.destroy());
      return viewer;
    },
    async *readSerialLog(name, follow, signal) {
      let position = 0;
      for (;;) {
        const log = node.folders.get(name)?.log;
        if (log !== undefined && log.length > position) {
          yield Buffer.from(log.slice(position));
          position = log.length;
        }
        if (!follow || signal.aborted || log === undefined) return;
        // Waits only for the next turn of the event loop, so that tests need no time.
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}
