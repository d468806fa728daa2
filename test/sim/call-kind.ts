import type { CallOptions } from "@connectrpc/connect";
import type { Clients } from "../clients.ts";
import type { View } from "./view.ts";

type Answered = Promise<unknown>;

/** One RPC, and how a request for it is made up. */
export interface CallKind {
  /** How often, among the others. */
  readonly weight: number;
  /** It changes nothing. */
  readonly isRead?: boolean;
  request(view: View): object;
  send(clients: Clients, request: never, options: CallOptions): Answered;
  /** What is wrong with its answer, at any moment. */
  wrongIn?(answer: never): readonly string[];
}

export function call<R extends object>(
  weight: number,
  request: (view: View) => R,
  send: (clients: Clients, request: R, options: CallOptions) => Answered,
  isRead = false,
): CallKind {
  return { weight, request, send, isRead };
}
