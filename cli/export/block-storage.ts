import type { DescMessage } from "@bufbuild/protobuf";
import { GenerateBlockStorageRequestSchema } from "../../src/gen/n0stack/deployment/v0/image_pb.ts";
import {
  type BlockStorage,
  BlockStorageSchema,
  CopyBlockStorageRequestSchema,
  CreateBlockStorageRequestSchema,
  FetchBlockStorageRequestSchema,
  BlockStorage_BlockStorageState as State,
} from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import {
  BLOCK_STORAGE_URL,
  COPY_FROM,
  FETCH_FROM,
  REQUEST_NODE_OF_BLOCK_STORAGE,
} from "../../src/util/annotation-keys.ts";
import { formatBytes } from "../../src/util/bytes.ts";
import { escapeText } from "../../src/util/template/text.ts";
import { registerDisk } from "./names.ts";
import { type Source, sourceOf } from "./source.ts";
import { argsOf, type ExportTask, texts, type Value, type Values, without } from "./task.ts";
import type { World } from "./world.ts";

/** The annotations that the API writes itself. */
const OWN_ANNOTATIONS = [BLOCK_STORAGE_URL, COPY_FROM, FETCH_FROM];

const VERBS = { empty: "create", url: "fetch", copy: "copy", image: "generate" } as const;

/** The task that makes a block storage. */
export function makeBlockStorage(world: World, name: string): string {
  return `${VERBS[sourceOf(world, name).kind]}-disk-${name}`;
}

/** The task after which a block storage is as it is. */
export function readyBlockStorage(world: World, name: string): string {
  return needsLabels(world, name) ? labelTask(name) : makeBlockStorage(world, name);
}

/** @param node The value of the annotation that chooses its node, if it must be on the node of something else. */
export function blockStorageTasks(
  world: World,
  disk: BlockStorage,
  node: string | undefined,
): readonly ExportTask[] {
  const { name } = disk;
  const of = { kind: "block_storage", name } as const;
  const source = sourceOf(world, name);
  const templates = node === undefined ? {} : { [REQUEST_NODE_OF_BLOCK_STORAGE]: node };
  const annotations = texts(without(disk.annotations, OWN_ANNOTATIONS), templates);
  const labels = texts(disk.labels);
  const make = making(world, disk, source, { annotations, labels });
  const tasks: ExportTask[] = [{ ...make, of, name: makeBlockStorage(world, name) }];
  if (needsLabels(world, name)) {
    const args = { name, labels: labels ?? {}, update_mask: ["labels"] };
    const after = [makeBlockStorage(world, name)];
    tasks.push({ name: labelTask(name), of, action: "UpdateBlockStorage", args, after });
  }
  const state = stateTask(world, disk);
  return state === undefined ? tasks : [...tasks, { ...state, of }];
}

/** The request to generate one has no labels. */
function needsLabels(world: World, name: string): boolean {
  const isGenerated = sourceOf(world, name).kind === "image";
  return isGenerated && Object.keys(world.blockStorages.get(name)?.labels ?? {}).length > 0;
}

function labelTask(name: string): string {
  return `label-disk-${name}`;
}

type Texts = { readonly annotations: Values | undefined; readonly labels: Values | undefined };

function making(
  world: World,
  disk: BlockStorage,
  source: Source,
  own: Texts,
): Pick<ExportTask, "type" | "action" | "args" | "after" | "notes"> {
  const args = (request: DescMessage, more: Readonly<Record<string, Value>> = {}) =>
    argsOf(request, BlockStorageSchema, disk, { ...own, ...more });
  switch (source.kind) {
    case "empty": {
      const notes = source.why === undefined ? [] : [source.why];
      const action = "CreateBlockStorage";
      return { action, args: args(CreateBlockStorageRequestSchema), after: [], notes };
    }
    case "url": {
      const source_url = escapeText(source.url);
      const isWeb = source.url.startsWith("http");
      const notes = isWeb ? ["A query of the URL, and a checksum, are not recorded."] : [];
      const all = args(FetchBlockStorageRequestSchema, { source_url });
      return { action: "FetchBlockStorage", args: all, after: [], notes };
    }
    case "copy": {
      const from = world.blockStorages.get(source.of);
      const isBelow = from !== undefined && disk.limitBytes < from.limitBytes;
      const size = isBelow ? { limit_bytes: formatBytes(from.limitBytes) } : {};
      const notes = isBelow
        ? [
            `"${source.of}" has grown since, and a copy is at least as large: it was ${formatBytes(disk.limitBytes)}.`,
          ]
        : [];
      const all = args(CopyBlockStorageRequestSchema, { source_block_storage: source.of, ...size });
      const after = [readyBlockStorage(world, source.of)];
      return { action: "CopyBlockStorage", args: all, after, notes };
    }
    case "image": {
      const { image, tag, base } = source;
      const named = { image_name: image, block_storage_name: disk.name, tag };
      const after = base === undefined ? [] : [registerDisk(image, base)];
      const all = args(GenerateBlockStorageRequestSchema, named);
      return { type: "image", action: "GenerateBlockStorage", args: all, after };
    }
  }
}

/** A user can set a state by hand. */
function stateTask(world: World, disk: BlockStorage): Omit<ExportTask, "of"> | undefined {
  const { name, state } = disk;
  const after = [readyBlockStorage(world, name), ...copiesOf(world, name)];
  if (state === State.IN_USE && disk.usedBy === "") {
    return { name: `use-disk-${name}`, action: "SetInuseBlockStorage", args: { name }, after };
  }
  const isRegistered = [...world.images.values()].some(
    (image) =>
      image.project === disk.project &&
      image.registeredBlockStorages.some(({ blockStorageName }) => blockStorageName === name),
  );
  if (state !== State.PROTECTED || isRegistered) return undefined;
  const action = "SetProtectedBlockStorage";
  return { name: `protect-disk-${name}`, action, args: { name }, after };
}

/** The tasks that copy a block storage: they come before something uses it, which nothing can copy then. */
export function copiesOf(world: World, name: string): readonly string[] {
  return [...world.blockStorages.keys()]
    .filter((other) => {
      const source = sourceOf(world, other);
      return source.kind === "copy" && source.of === name;
    })
    .map((other) => makeBlockStorage(world, other));
}
