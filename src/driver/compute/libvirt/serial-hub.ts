import { Duplex } from "node:stream";
import { N0Error } from "../../../util/errors.ts";
import { quietStream } from "../../../util/quiet-stream.ts";

/** How far a viewer may lag behind before it is disconnected: the others must not wait for it. */
const VIEWER_BYTES_MAX = 1024 * 1024;

export interface SerialHub {
  /** Adds a viewer to that console. The first one connects, and the last one that leaves disconnects. */
  open(name: string): Promise<Duplex>;
  close(): void;
}

interface Console {
  readonly line: Promise<Duplex>;
  readonly viewers: Set<Duplex>;
}

/**
 * Shares each serial console among its viewers: all see the output of the guest, and all may type. QEMU serves
 * one client at a time, and lets a second one wait in silence.
 */
export function createSerialHub(connect: (name: string) => Promise<Duplex>): SerialHub {
  const consoles = new Map<string, Console>();

  function connectConsole(name: string): Console {
    const viewers = new Set<Duplex>();
    const console: Console = { line: connect(name), viewers };
    const forget = () => {
      if (consoles.get(name) === console) consoles.delete(name);
    };
    consoles.set(name, console);
    console.line.then(
      (line) => {
        line.on("data", (chunk: Buffer) => {
          for (const viewer of viewers) show(viewer, chunk);
        });
        line.on("error", () => {
          // "close" follows and ends every viewer. The end of the guest is not an error of theirs.
        });
        line.once("end", () => line.destroy());
        line.once("close", () => {
          forget();
          for (const viewer of viewers) viewer.push(null);
        });
      },
      // Each caller that waits in `open` gets the reason.
      forget,
    );
    return console;
  }

  return {
    async open(name) {
      const console = consoles.get(name) ?? connectConsole(name);
      const line = await console.line;
      if (line.destroyed) return await this.open(name);
      const viewer = newViewer(line, () => {
        console.viewers.delete(viewer);
        if (console.viewers.size === 0) line.destroy();
      });
      console.viewers.add(viewer);
      return viewer;
    },
    close() {
      for (const { line } of consoles.values()) {
        line.then(
          (open) => open.destroy(),
          () => {
            // The connection was never opened.
          },
        );
      }
    },
  };
}

function newViewer(line: Duplex, onLeave: () => void): Duplex {
  const viewer = new Duplex({
    allowHalfOpen: false,
    // Each chunk is pushed as it arrives.
    read() {},
    write(chunk, _encoding, done) {
      if (line.destroyed) done();
      else line.write(chunk, () => done());
    },
    // A viewer that stops typing keeps watching.
    final: (done) => done(),
    destroy(error, done) {
      onLeave();
      done(error);
    },
  });
  return quietStream(viewer);
}

function show(viewer: Duplex, chunk: Buffer): void {
  if (viewer.readableLength + chunk.length > VIEWER_BYTES_MAX) {
    viewer.destroy(
      new N0Error("resource_exhausted", "the client reads the console too slowly: open it again"),
    );
  } else {
    viewer.push(chunk);
  }
}
