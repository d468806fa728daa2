import { type ContextKey, type ContextValues, createContextKey } from "@connectrpc/connect";
import { DEFAULT_SCOPE } from "../../util/ref.ts";

/** Where a call works, once it is authorized. */
export interface Where {
  /** The project of the call. */
  readonly project: string;
  /** The domain that the call names, else that of the project. */
  readonly domain: string;
  /** What the call names: "system", "domain/NAME" or "project/NAME". */
  readonly place: string;
}

const HOME: Where = {
  project: DEFAULT_SCOPE,
  domain: DEFAULT_SCOPE,
  place: `project/${DEFAULT_SCOPE}`,
};

const whereKey: ContextKey<Where> = createContextKey(HOME, { description: "where a call works" });

export function whereOf(values: ContextValues | undefined): Where {
  return values?.get(whereKey) ?? HOME;
}

export function setWhere(values: ContextValues, where: Where): void {
  values.set(whereKey, where);
}
