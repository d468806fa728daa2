import { mkdir, readFile, statfs } from "node:fs/promises";
import { cpus, hostname, totalmem } from "node:os";

/** What a node has, for the API to place things by. */
export interface NodeFacts {
  readonly hostname: string;
  /** 1000 for each logical CPU. */
  readonly cpuMilliCores: number;
  readonly memoryBytes: bigint;
  /** The whole of the file system that holds the volumes. */
  readonly storageBytes: bigint;
  /** The serial number of the computer, from its maker; empty if it has none. */
  readonly serial: string;
}

/** Reads the facts anew: a disk may have grown. */
export type ReadNodeFacts = () => Promise<NodeFacts>;

export interface NodeFactsOptions {
  /** Made if it is not there. */
  readonly volumeFolder: string;
  /** Only root may read it. */
  readonly serialFile?: string;
}

/** Reads the facts of this node. @throws if the folder's file system cannot be read. */
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
    // A maker's rubbish must not keep a node out: the API takes printable text.
    return /^[\x20-\x7e]{1,255}$/.test(serial) ? serial : "";
  } catch {
    // Virtual machines and containers often have none, and only root may read it. It is only shown.
    return "";
  }
}
