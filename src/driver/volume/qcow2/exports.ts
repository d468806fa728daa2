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
  /** The flattened copy of the volume in its present state. Made unless it exists. It stays for a while. */
  find(id: string, signal: AbortSignal): Promise<Flattened>;
  /** Says that a reader still uses the copy. */
  touch(path: string): void;
  /** Stops making the copies of the volume, and removes them. */
  remove(id: string): Promise<void>;
}

export interface ExportsOptions {
  readonly layout: Layout;
  readonly clock: Clock;
  readonly flatten: (id: string, to: string, signal: AbortSignal) => Promise<void>;
  /** How long a copy stays after its last use. */
  readonly idleMs: number;
}

interface Export {
  readonly id: string;
  readonly made: Promise<Flattened>;
  readonly abort: AbortController;
  waiting: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Flattened copies of overlays. Each is made once for all its readers, and removed some time after the last
 * use.
 */
export function newExports({ layout, clock, flatten, idleMs }: ExportsOptions): Exports {
  /** The copies that readers may use, by path. */
  const exports = new Map<string, Export>();
  /** The copies in the making, also those without a reader. */
  const making = new Set<Export>();

  function start(id: string, state: string): Export {
    const path = layout.export(id, state);
    const abort = new AbortController();
    const made = make(id, state, path, abort.signal);
    const entry: Export = { id, made, abort, waiting: 0, timer: undefined };
    exports.set(path, entry);
    making.add(entry);
    const end = () => making.delete(entry);
    // A failed copy is forgotten, so that the next reader tries again. `made` tells the waiting readers.
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
      // If this fails, the next start of the driver removes it. Nobody here could use the error.
      rm(path, { force: true }).catch(() => {});
    }, idleMs);
    entry.timer.unref();
  }

  /** Stops making the copies of the volume, except the one at `current`, and removes their files. */
  async function removeOthers(id: string, current?: string): Promise<void> {
    const old = [...exports].filter(([path, entry]) => entry.id === id && path !== current);
    for (const [path, entry] of old) {
      forget(path, entry);
      entry.abort.abort();
      // It has ended then, well or not, and its file is removed in both cases.
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
        // Somebody else has removed it, so make it again.
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
