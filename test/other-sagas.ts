import { OTHERS } from "./cases.ts";
import type { World } from "./world.ts";

type Run = (world: World) => Promise<unknown>;

/** Everything that can be asked of an object of this kind, by a word for it, the milder things first. */
export interface Others {
  /** As in a Ref. */
  readonly kind: string;
  sagas(name: string): Readonly<Record<string, Run>>;
}

/** A request that somebody else may send. */
interface OtherSaga {
  readonly name: string;
  readonly run: Run;
}

/** Everything that can be asked of these objects, such as `block_storage/root`. */
export function otherSagas(objects: readonly string[]): readonly OtherSaga[] {
  return objects.flatMap((object) => {
    const [kind = "", name = ""] = object.split("/");
    const sagas = OTHERS.find((others) => others.kind === kind)?.sagas(name) ?? {};
    return Object.entries(sagas).map(([verb, run]) => ({ name: `${verb} ${object}`, run }));
  });
}
