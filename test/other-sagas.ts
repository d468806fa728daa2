import { OTHERS } from "./cases.ts";
import type { World } from "./world.ts";

type Run = (world: World) => Promise<unknown>;

/** Every request about an object of this kind, by a word for it, the milder ones first. */
export interface Others {
  /** The kind, as in a Ref. */
  readonly kind: string;
  sagas(name: string): Readonly<Record<string, Run>>;
}

/** A request that another client may send. */
interface OtherSaga {
  readonly name: string;
  readonly run: Run;
}

/** Every request about these objects, such as `block_storage/root`. */
export function otherSagas(objects: readonly string[]): readonly OtherSaga[] {
  return objects.flatMap((object) => {
    const [kind = "", name = ""] = object.split("/");
    const sagas = OTHERS.find((others) => others.kind === kind)?.sagas(name) ?? {};
    return Object.entries(sagas).map(([verb, run]) => ({ name: `${verb} ${object}`, run }));
  });
}
