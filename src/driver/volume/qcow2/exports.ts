import { chmod, rename, rm, stat } from "node:fs/promises";
import type { Clock } from "../../../util/clock.ts";
import { ifThere } from "../../../util/errno.ts";
import { orAborted } from "../../../util/race.ts";
import { changedWhileRead } from "../volume-errors.ts";
import { chainState } from "./file-state.ts";
import { sha256Of } from "./files.ts";
import type { Layout } from "./layout.ts";

export interface Flattened {
  readonly path: string;
  readonly totalBytes: bigint;
  /** SHA-256 of the file, in hexadecimal digits. */
  readonly digest: string;
}

export interface Exports {
  /** The flattened copy of the volume as it is now, made if it is not there. It stands for a while yet. */
  find(id: string, signal: AbortSignal): Promise<Flattened>;
  /** Says that it is still being read. */
  touch(path: string): void;
  /** Ends those of the volume that this driver is making or has made, and removes them. */
  remove(id: string): Promise<void>;
}

export interface ExportsOptions {
  readonly layout: Layout;
  readonly clock: Clock;
  readonly flatten: (id: string, to: string, signal: AbortSignal) => Promise<void>;
  /** How long one stands after its last use. */
  readonly idleMs: number;
}

interface Export {
  readonly id: string;
  readonly made: Promise<Flattened>;
  readonly abort: AbortController;
  waiting: number;
  timer: NodeJS.Timeout | undefined;
}

/** Flattened copies of overlays, each made once for all who read, and removed when nobody does. */
export function newExports({ layout, clock, flatten, idleMs }: ExportsOptions): Exports {
  /** What readers may use, by path. */
  const exports = new Map<string, Export>();
  /** What is being made, also for nobody any more. */
  const making = new Set<Export>();

  function start(id: string, state: string): Export {
    const path = layout.export(id, state);
    const abort = new AbortController();
    const made = make(id, state, path, abort.signal);
    const entry: Export = { id, made, abort, waiting: 0, timer: undefined };
    exports.set(path, entry);
    making.add(entry);
    const end = () => making.delete(entry);
    // A failed one is forgotten, for the next reader to try again. Who waits is told by `made` itself.
    made.then(end, () => {
      end();
      forget(path, entry);
    });
    return entry;
  }

  async function make(
    id: string,
    state: string,
    path: string,
    signal: AbortSignal,
  ): Promise<Flattened> {
    const partial = layout.partial(id);
    try {
      await flatten(id, partial, signal);
      const after = await chainState(layout, id, clock, signal);
      if (after.state !== state) throw changedWhileRead(id);
      await chmod(partial, 0o600);
      const digest = await sha256Of(partial, signal);
      const { size: totalBytes } = await stat(partial, { bigint: true });
      await rename(partial, path);
      return { path, totalBytes, digest };
    } catch (cause) {
      await rm(partial, { force: true });
      throw cause;
    }
  }

  function forget(path: string, entry: Export): void {
    clearTimeout(entry.timer);
    if (exports.get(path) === entry) exports.delete(path);
  }

  function touch(path: string): void {
    const entry = exports.get(path);
    if (entry === undefined) return;
    clearTimeout(entry.timer);
    entry.timer = setTimeout(() => {
      forget(path, entry);
      // Left for the next start of the driver if it fails; there is nobody here to tell.
      rm(path, { force: true }).catch(() => {});
    }, idleMs);
    entry.timer.unref();
  }

  /** Ends those of the volume, but for the one at `current`, and removes their files. */
  async function removeOthers(id: string, current?: string): Promise<void> {
    const old = [...exports].filter(([path, entry]) => entry.id === id && path !== current);
    for (const [path, entry] of old) {
      forget(path, entry);
      entry.abort.abort();
      // Made or not, it has ended then; its file is removed in both cases.
      await entry.made.catch(() => {});
      await rm(path, { force: true });
    }
  }

  async function wait(path: string, entry: Export, signal: AbortSignal): Promise<Flattened> {
    entry.waiting += 1;
    try {
      return await orAborted(entry.made, signal);
    } finally {
      entry.waiting -= 1;
      if (entry.waiting === 0 && making.has(entry)) {
        entry.abort.abort();
        forget(path, entry);
      }
    }
  }

  return {
    async find(id, signal) {
      for (;;) {
        const { state } = await chainState(layout, id, clock, signal);
        const path = layout.export(id, state);
        await removeOthers(id, path);
        const entry = exports.get(path) ?? start(id, state);
        const made = await wait(path, entry, signal);
        touch(path);
        if (await exists(path)) return made;
        // Somebody else has removed it; it is made again.
        forget(path, entry);
      }
    },
    touch,
    async remove(id) {
      await removeOthers(id);
      for (const entry of making) {
        if (entry.id === id) await entry.made.catch(() => {});
      }
    },
  };
}

async function exists(path: string): Promise<boolean> {
  return (await ifThere(stat(path))) !== undefined;
}
