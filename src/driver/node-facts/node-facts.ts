import { mkdir, readFile, statfs } from "node:fs/promises";
import { cpus, hostname, totalmem } from "node:os";

/** The capacity of a node, by which the API places things. */
export interface NodeFacts {
  readonly hostname: string;
  /** 1000 for each logical CPU. */
  readonly cpuMilliCores: number;
  readonly memoryBytes: bigint;
  /** The size of the whole file system that holds the volumes. */
  readonly storageBytes: bigint;
  /** The serial number of the computer from its maker; empty if it has none. */
  readonly serial: string;
}

/** Reads the facts again each time, since a disk may have grown. */
export type ReadNodeFacts = () => Promise<NodeFacts>;

export interface NodeFactsOptions {
  /** Made unless it exists. */
  readonly volumeFolder: string;
  /** Only root may read it. */
  readonly serialFile?: string;
}

/** Returns a reader of the facts of this node. @throws if the file system of the folder cannot be read. */
export function newNodeFacts(options: NodeFactsOptions): ReadNodeFacts {
  const { volumeFolder, serialFile = "/sys/class/dmi/id/product_serial" } = options;
  return async () => {
    await mkdir(volumeFolder, { recursive: true });
    const { blocks, bsize } = await statfs(volumeFolder, { bigint: true });
    return {
      hostname: hostname(),
      cpuMilliCores: cpus().length * 1000,
      memoryBytes: BigInt(totalmem()),
      storageBytes: blocks * bsize,
      serial: await readSerial(serialFile),
    };
  };
}

async function readSerial(file: string): Promise<string> {
  try {
    const serial = (await readFile(file, "utf8")).trim();
    // A useless value from the maker must not keep a node out. The API accepts only printable text.
    return /^[\x20-\x7e]{1,255}$/.test(serial) ? serial : "";
  } catch {
    // Virtual machines and containers often have none, and only root may read it. It is only for display.
    return "";
  }
}
