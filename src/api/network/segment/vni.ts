import { crc32 } from "node:zlib";
import { put, putNew, remove, unchanged } from "../../../datastore/collection.ts";
import { ConflictError, type Datastore, merge, type Writes } from "../../../datastore/datastore.ts";
import { Records, type Stored } from "../../../datastore/records.ts";
import type { Network } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Reader } from "../../core/context.ts";
import { interfaces } from "../interface/collection.ts";
import { networks } from "../network/collection.ts";
import { vnis } from "./collection.ts";
import { defaultMtu, MTU_OF_ETHERNET } from "./mtu.ts";

/** Lower numbers are left to those who choose by hand. */
const FIRST = 2 ** 16;
const COUNT = 2 ** 24 - FIRST;

/** A free number. The write of `takeVni` makes sure that it is. Each network begins to search at another number. */
export async function chooseVni({ records }: Reader, network: Ref): Promise<number> {
  const own = formatRef(network);
  const start = crc32(own) % COUNT;
  for (let i = 0; ; i++) {
    const vni = FIRST + ((start + i) % COUNT);
    const stored = await records.find(vnis, String(vni));
    // Its own is that of a network whose record was lost.
    if (stored === undefined || stored.value.network === own) return vni;
  }
}

/** The writes after which the network has the number of `after`, and no other. */
export async function takeVni(
  { records }: Reader,
  ref: Ref,
  before: Pick<Network, "vni"> | undefined,
  after: Pick<Network, "vni">,
): Promise<Writes> {
  const [had, has] = [before?.vni ?? 0, after.vni];
  if (had === has) return {};
  const network = formatRef(ref);
  const freed = had === 0 ? {} : remove(vnis, String(had));
  if (has === 0) return freed;
  const parts = [String(has)] as const;
  const there = await records.find(vnis, ...parts);
  if (there?.value.network !== network) return merge(freed, putNew(vnis, parts, { network }));
  return merge(freed, put(vnis, parts, { network }), unchanged(vnis, parts, there.revision));
}

/** Part of the batch that removes the network. */
export function releaseVni({ vni }: Pick<Network, "vni">): Writes {
  return vni === 0 ? {} : remove(vnis, String(vni));
}

/**
 * Gives a number to each network of an older version, which had none. Its guests have nics of 1500 bytes, and nobody
 * can change that while they run, so that stays its MTU as long as there are any.
 */
export async function deriveVnis(datastore: Datastore): Promise<void> {
  const records = new Records(datastore);
  for (const stored of await records.list(networks)) {
    const { vni, isolated, mtu } = stored.value;
    if (mtu !== 0 && (vni !== 0 || isolated)) continue;
    await giveVni(datastore, records, stored);
  }
}

async function giveVni(
  datastore: Datastore,
  records: Records,
  { key, value, revision }: Stored<Network>,
): Promise<void> {
  const ref = networks.refOf(key);
  const nics = (await records.list(interfaces, [ref])).filter(({ value }) => value.nodeName !== "");
  const mtu = value.mtu || (nics.length > 0 ? MTU_OF_ETHERNET : defaultMtu(value.isolated));
  const vni = value.isolated ? 0 : value.vni || (await chooseVni({ records }, ref));
  try {
    const network = { ...value, mtu, vni };
    const same = unchanged(networks, [ref], revision);
    const taken = await takeVni({ records }, ref, value, network);
    await datastore.batch(merge(put(networks, [ref], network), taken, same));
  } catch (error) {
    // Another process that starts has done it.
    if (!(error instanceof ConflictError)) throw error;
  }
}
