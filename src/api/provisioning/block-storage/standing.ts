import { create } from "@bufbuild/protobuf";
import {
  type BlockStorage,
  BlockStorageSchema,
  CreateBlockStorageRequestSchema,
} from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { formatBytes } from "../../../util/bytes.ts";
import {
  BLOCK_STORAGE_URL,
  COPY_FROM,
  FETCH_FROM,
  REQUEST_NODE_OF_BLOCK_STORAGE,
} from "../../core/annotations.ts";
import {
  annotationsOn,
  type Different,
  differencesIn,
  type Loss,
} from "../../core/resource/differences.ts";
import { virtualMachines } from "../virtual-machine/collection.ts";
import { blockStorages } from "./collection.ts";
import type { MakeRequest } from "./sizes.ts";

type Annotations = { readonly [key: string]: string };

/** The annotations that say what a block storage was made from. */
const SOURCES = [FETCH_FROM, COPY_FROM];

/**
 * What a request to make the block storage asks for, and is not so.
 *
 * @param source The annotations that say what the request makes it from. None for an empty one: that says nothing
 *   about what is in it today.
 */
export function differentOf(
  key: string,
  { name, annotations, labels, requestBytes, limitBytes }: MakeRequest,
  source: Annotations,
  present: BlockStorage,
): Different {
  const isCompared = (key: string) =>
    key !== BLOCK_STORAGE_URL && (!SOURCES.includes(key) || key in source);
  const all = annotationsOn(
    REQUEST_NODE_OF_BLOCK_STORAGE,
    present.nodeName,
    only(withBase(present), isCompared),
    only({ ...annotations, ...source }, isCompared),
  );
  const wanted = create(BlockStorageSchema, {
    ...{ name, requestBytes, limitBytes, annotations: { ...annotations } },
    labels: { ...(labels ?? present.labels) },
  });
  const differences = differencesIn(
    CreateBlockStorageRequestSchema,
    BlockStorageSchema,
    { ...wanted, annotations: all.wanted },
    { ...present, annotations: all.present },
  );
  const isOfOther = Object.keys(source).some((one) => all.present[one] !== all.wanted[one]);
  // Nothing makes it from something else, and nothing shrinks it.
  if (isOfOther || limitBytes < present.limitBytes) {
    return { key, differences, loss: lossOf(present) };
  }
  return { key, differences, wanted, present };
}

export function lossOf({ name, limitBytes, usedBy }: BlockStorage): Loss {
  const own = ["delete", "purge"].map((verb) => ({ resource: blockStorages.kind, verb }));
  const user = usedBy === "" ? [] : [{ resource: virtualMachines.kind, verb: "update" }];
  return {
    what: `block storage "${name}" (${formatBytes(limitBytes)})`,
    bytes: limitBytes,
    needs: [...own, ...user],
  };
}

/** An older version did not note from which image it was made, but of which block storage it is an overlay. */
function withBase({ annotations, baseBlockStorageName }: BlockStorage): Annotations {
  return baseBlockStorageName === ""
    ? annotations
    : { [COPY_FROM]: baseBlockStorageName, ...annotations };
}

function only(annotations: Annotations, isKept: (key: string) => boolean): Annotations {
  return Object.fromEntries(Object.entries(annotations).filter(([key]) => isKept(key)));
}
