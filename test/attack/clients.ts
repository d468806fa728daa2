import process from "node:process";
import { ConnectError } from "@connectrpc/connect";
import { API_PORT_DEFAULT, openTransport } from "../../src/rpc/transport.ts";
import { type Clients as ApiClients, clientsOf } from "../clients.ts";
import type { Target } from "./target.ts";

/** An operator's access, also for the attacker where it attacks as a user. */
export interface Clients extends ApiClients, Disposable {}

export function openClients({ url, token }: Target): Clients {
  // The started server belongs to this user.
  const ownerUid = process.getuid?.() ?? 0;
  const transport = openTransport(url, API_PORT_DEFAULT, { token: { value: token, ownerUid } });
  return { ...clientsOf(transport), [Symbol.dispose]: () => transport.close() };
}

/** The error of a call that may fail; undefined if it succeeded. */
export async function errorOf(call: Promise<unknown>): Promise<ConnectError | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    return ConnectError.from(error);
  }
}
