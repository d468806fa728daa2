import { counted } from "../../src/util/counted.ts";
import { quote } from "../../src/util/quote.ts";
import { didYouMean } from "../../src/util/suggest.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-code.ts";
import { findKind, type Kind, otherNames } from "../resource/kind.ts";
import { registeredIn } from "./image.ts";
import { namesOf } from "./security-group.ts";
import { sourceOf } from "./source.ts";
import type { ObjectKey } from "./task.ts";
import { EXPORTED, type ExportedKind, type Named, type World } from "./world.ts";

export const COLLECTION = {
  network: "networks",
  security_group: "securityGroups",
  block_storage: "blockStorages",
  image: "images",
  virtual_machine: "virtualMachines",
} as const satisfies Readonly<Record<ExportedKind, keyof World>>;

/**
 * The objects that words such as `vm`, `vm/web` and `network/lab` select; without words, all.
 *
 * @throws CliError for a kind that is not exported, and an object that does not exist.
 */
export function selected(
  cli: CliContext,
  world: World,
  words: readonly string[],
): readonly ObjectKey[] {
  if (words.length === 0) return EXPORTED.flatMap((kind) => allOf(world, kind));
  const keys = words.flatMap((word) => {
    const [kindWord = "", ...rest] = word.split("/");
    const kind = kindOf(cli, kindWord);
    if (rest.length === 0) return allOf(world, kind);
    const name = rest.join("/");
    const own: Named<unknown> = world[COLLECTION[kind]];
    if (own.has(name) && !name.includes("/")) return [{ kind, name }];
    const hint = didYouMean(name, own.keys());
    throw new CliError(`${kind} ${quote(name)} does not exist${hint}`, EXIT.notFound);
  });
  return unique(keys);
}

function kindOf(cli: CliContext, word: string): ExportedKind {
  const kind =
    findKind(cli.kinds, word) ?? cli.kinds.find((one: Kind) => otherNames(one).includes(word));
  const exported = EXPORTED.find((name) => name === kind?.name);
  if (exported !== undefined) return exported;
  const which = kind === undefined ? didYouMean(word, EXPORTED) : "";
  const list = EXPORTED.join(", ");
  throw new CliError(
    `${quote(word)} is not exported${which}: there are ${list}, also as KIND/NAME`,
  );
}

function allOf(world: World, kind: ExportedKind): readonly ObjectKey[] {
  const all: Named<unknown> = world[COLLECTION[kind]];
  const own = [...all.keys()].filter((name) => !name.includes("/"));
  return own.map((name) => ({ kind, name }));
}

function unique(keys: readonly ObjectKey[]): readonly ObjectKey[] {
  return [...new Map(keys.map((key) => [`${key.kind}/${key.name}`, key])).values()];
}

/** The objects, and all own ones on which they rest. */
export function withDependencies(world: World, keys: readonly ObjectKey[]): readonly ObjectKey[] {
  const found = new Map<string, ObjectKey>();
  const open = [...keys];
  for (let key = open.pop(); key !== undefined; key = open.pop()) {
    const text = `${key.kind}/${key.name}`;
    const all: Named<unknown> = world[COLLECTION[key.kind]];
    if (found.has(text) || key.name.includes("/") || !all.has(key.name)) continue;
    found.set(text, key);
    open.push(...basisOf(world, key));
  }
  return [...found.values()];
}

/** What must exist before an object can. */
function basisOf(world: World, { kind, name }: ObjectKey): readonly ObjectKey[] {
  const keys = (of: ExportedKind, names: readonly string[]) =>
    names.map((one) => ({ kind: of, name: one }));
  switch (kind) {
    case "network":
      return [];
    case "security_group":
      return keys("security_group", namesOf(world, name));
    case "image": {
      const image = world.images.get(name);
      return image === undefined ? [] : keys("block_storage", registeredIn(world, image));
    }
    case "block_storage": {
      const source = sourceOf(world, name);
      if (source.kind === "image") return keys("image", [source.image]);
      return source.kind === "copy" ? keys("block_storage", [source.of]) : [];
    }
    case "virtual_machine": {
      const { blockStorageNames = [], nics = [] } = world.virtualMachines.get(name) ?? {};
      return [
        ...keys("block_storage", blockStorageNames),
        ...nics.flatMap(({ networkName, securityGroups }) => [
          ...keys("network", [networkName]),
          ...keys("security_group", securityGroups),
        ]),
      ];
    }
  }
}

/** `3 networks, 2 virtual_machines`, for a line to the user. */
export function summary(keys: readonly ObjectKey[]): string {
  return EXPORTED.map((kind) => [kind, keys.filter((key) => key.kind === kind).length] as const)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => counted(count, kind.replace("_", " ")))
    .join(", ");
}
