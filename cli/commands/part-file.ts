import type { FileHandle } from "node:fs/promises";
import { open, rename, rm, stat } from "node:fs/promises";
import { ifThere } from "../../src/util/errno.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-code.ts";
import { syncFolder } from "./local-files.ts";
import type { PartNote, Source } from "./part-note.ts";
import { readNote, writeNote } from "./part-note.ts";

/** A resumed download fetches at most this much again after a crash or a power cut. */
const KEEP_EVERY_BYTES = 64n << 20n;

/**
 * A file that is being downloaded. `PATH.part` has its bytes. `PATH.part.json`, the note, says which content
 * they belong to and how many of them are safely on the disk.
 *
 * A part never mixes bytes of two sources, whenever the process or the computer dies. For a new source the
 * old note is removed first, then a new part is made, then its note is written, and only then the first
 * byte. A part without its own note is not used.
 */
export class PartFile implements AsyncDisposable {
  readonly path: string;
  /** Why the earlier part cannot be resumed, if the user asked for that. */
  readonly doubt: string | undefined;
  readonly #target: string;
  readonly #note: string;
  readonly #keepEveryBytes: bigint;
  #file: FileHandle | undefined;
  #source: Source | undefined;
  #doneBytes = 0n;
  #keptBytes = 0n;

  private constructor(target: string, earlier: Earlier, keepEveryBytes: bigint) {
    this.#target = target;
    this.#keepEveryBytes = keepEveryBytes;
    this.path = partPath(target);
    this.#note = notePath(target);
    this.doubt = earlier.doubt;
    if (earlier.note === undefined) return;
    this.#file = earlier.file;
    this.#source = earlier.note;
    this.#doneBytes = earlier.note.keptBytes;
    this.#keptBytes = earlier.note.keptBytes;
  }

  /** Changes nothing yet. `resume`: continues the part of an earlier download. */
  static async open(
    target: string,
    resume: boolean,
    keepEveryBytes = KEEP_EVERY_BYTES,
  ): Promise<PartFile> {
    return new PartFile(target, resume ? await findEarlier(target) : {}, keepEveryBytes);
  }

  get source(): Source | undefined {
    return this.#source;
  }

  /** How many bytes the part has, from the start. */
  get doneBytes(): bigint {
    return this.#doneBytes;
  }

  /** Begins an empty part for `source`. */
  async begin(source: Source): Promise<void> {
    try {
      await this.discard();
      this.#file = await open(this.path, "wx+");
    } catch (reason) {
      throw new CliError(`cannot write ${this.path}`, undefined, reason);
    }
    this.#source = source;
    await this.keep();
  }

  /** Appends. */
  async write(data: Uint8Array): Promise<void> {
    const file = this.#opened();
    for (let at = 0; at < data.length; ) {
      const position = Number(this.#doneBytes);
      const { bytesWritten } = await file.write(data, at, data.length - at, position);
      at += bytesWritten;
      this.#doneBytes += BigInt(bytesWritten);
    }
    if (this.#doneBytes - this.#keptBytes >= this.#keepEveryBytes) await this.keep();
  }

  /** Makes the part durable, so that a later download can resume it. */
  async keep(): Promise<void> {
    const file = this.#opened();
    const inode = await this.#own(file);
    await file.sync();
    const { validator, totalBytes } = this.#source!;
    const keptBytes = this.#doneBytes;
    await writeNote(this.#note, { inode, validator, totalBytes, keptBytes });
    this.#keptBytes = keptBytes;
  }

  /** Removes the part. Keeps one of an earlier download that this one has not replaced. */
  async discard(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    this.#source = undefined;
    this.#doneBytes = 0n;
    this.#keptBytes = 0n;
    await rm(this.#note, { force: true });
    await rm(this.path, { force: true });
    await syncFolder(this.path);
  }

  /** Gives the file its name. @throws CliError unless it is whole. */
  async finish(): Promise<void> {
    const file = this.#opened();
    await file.sync();
    const { size } = await file.stat({ bigint: true });
    const totalBytes = this.#source?.totalBytes;
    if (this.#doneBytes !== totalBytes || size !== totalBytes) {
      throw new CliError(`${this.path} has ${size} bytes, not ${totalBytes}`, EXIT.failed);
    }
    await this.#own(file);
    await file.close();
    this.#file = undefined;
    await rename(this.path, this.#target);
    await syncFolder(this.path);
    await rm(this.#note, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  #opened(): FileHandle {
    if (this.#file === undefined) throw new Error(`${this.path} was not begun`);
    return this.#file;
  }

  /** The inode of the part, which must still be the file that this download writes to. */
  async #own(file: FileHandle): Promise<string> {
    const [{ ino }, there] = [
      await file.stat({ bigint: true }),
      await ifThere(stat(this.path, { bigint: true })),
    ];
    if (there?.ino === ino) return `${ino}`;
    throw new CliError(
      `${this.path} was replaced: is another download writing there?`,
      EXIT.failed,
    );
  }
}

interface Earlier {
  readonly note?: PartNote;
  readonly file?: FileHandle;
  readonly doubt?: string;
}

async function findEarlier(target: string): Promise<Earlier> {
  const [part, notes] = [partPath(target), notePath(target)];
  const there = await ifThere(stat(part, { bigint: true }));
  if (there === undefined) return {};
  const note = await readNote(notes);
  if (note === undefined) return { doubt: `${notes} does not describe ${part}` };
  if (note.inode !== `${there.ino}`)
    return { doubt: `${part} is not the file that ${notes} describes` };
  if (there.size > note.totalBytes)
    return { doubt: `${part} is longer than the block storage was` };
  if (there.size < note.keptBytes) return { doubt: `${part} is shorter than ${notes} says` };
  return { note, file: await open(part, "r+") };
}

function partPath(target: string): string {
  return `${target}.part`;
}

function notePath(target: string): string {
  return `${partPath(target)}.json`;
}
