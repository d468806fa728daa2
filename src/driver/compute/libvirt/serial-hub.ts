import { Duplex } from "node:stream";
import { N0Error } from "../../../util/errors.ts";

/** What a viewer may lag behind before it is cut off: the others must not wait for it. */
const VIEWER_BYTES_MAX = 1024 * 1024;

export interface SerialHub {
  /** A viewer of that console. The first one connects, the last one that leaves disconnects. */
  open(name: string): Promise<Duplex>;
  close(): void;
}

interface Console {
  readonly line: Promise<Duplex>;
  readonly viewers: Set<Duplex>;
}

/**
 * Shares each serial console among its viewers: all see what the guest prints, and all may type. QEMU
 * serves one client at a time and lets a second one wait without a word.
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
          // "close" follows, and ends every viewer; that the guest went away is no error of theirs.
        });
        line.once("end", () => line.destroy());
        line.once("close", () => {
          forget();
          for (const viewer of viewers) viewer.push(null);
        });
      },
      // Told to each who waits for it in `open`.
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
            // Never opened.
          },
        );
      }
    },
  };
}

function newViewer(line: Duplex, onLeave: () => void): Duplex {
  return new Duplex({
    allowHalfOpen: false,
    // Each chunk is pushed as it comes.
    read() {},
    write(chunk, _encoding, done) {
      if (line.destroyed) done();
      else line.write(chunk, () => done());
    },
    // One who stops typing goes on watching.
    final: (done) => done(),
    destroy(error, done) {
      onLeave();
      done(error);
    },
  });
}

function show(viewer: Duplex, chunk: Buffer): void {
  if (viewer.readableLength + chunk.length > VIEWER_BYTES_MAX) {
    viewer.destroy(
      new N0Error("resource_exhausted", "the console is read too slowly: open it again"),
    );
  } else {
    viewer.push(chunk);
  }
}
