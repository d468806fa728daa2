import type { CallOptions } from "@connectrpc/connect";
import type { Objects } from "../../src/datastore/collection.ts";
import { defined } from "../../src/util/defined.ts";
import type { Clients } from "../clients.ts";
import type { View } from "./view.ts";

type Answered = Promise<unknown>;

/** One RPC, and how its requests are made. */
export interface CallKind {
  /** How often it is called, relative to the others. */
  readonly weight: number;
  /** It begins no transaction. */
  readonly isRead?: boolean;
  /** The collection of the object that it reads by its name. */
  readonly reads?: Pick<Objects<unknown>, "kind">;
  request(view: View): object;
  send(clients: Clients, request: never, options: CallOptions): Answered;
  /** What is wrong with its answer, at any moment. */
  wrongIn?(answer: never, expectedFindings: readonly string[]): readonly string[];
}

export function call<R extends object>(
  weight: number,
  request: (view: View) => R,
  send: (clients: Clients, request: R, options: CallOptions) => Answered,
): CallKind {
  return { weight, request, send };
}

export function read<R extends object>(
  weight: number,
  request: (view: View) => R,
  send: (clients: Clients, request: R, options: CallOptions) => Answered,
  reads?: CallKind["reads"],
): CallKind {
  return { ...call(weight, request, send), isRead: true, ...defined({ reads }) };
}
