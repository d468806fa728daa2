import {
  type ContextKey,
  type ContextValues,
  createContextKey,
  createContextValues,
} from "@connectrpc/connect";
import { type Caller, setCaller } from "./caller.ts";
import type { PeerCertificate } from "./certificate/identity.ts";
import { connectionOf } from "./door/connections.ts";
import type { NodeServerRequest } from "./http.ts";

const peerKey: ContextKey<string> = createContextKey("", { description: "address of the client" });
const certificateKey: ContextKey<PeerCertificate | undefined> = createContextKey(undefined, {
  description: "certificate of the client",
});

/** By connection. */
const certificates = new WeakMap<object, PeerCertificate>();

/** What a call knows of its connection and its caller. */
export function valuesOf(request: NodeServerRequest, caller: Caller): ContextValues {
  const { remoteAddress = "" } = request.socket;
  const values = createContextValues().set(peerKey, remoteAddress);
  values.set(certificateKey, certificates.get(connectionOf(request)));
  setCaller(values, caller);
  return values;
}

/** The client address of a call; empty within the process. */
export function peerOf(values: ContextValues): string {
  return values.get(peerKey);
}

/** Tells the calls of a connection the checked certificate of its client. */
export function noteCertificate(connection: object, certificate: PeerCertificate): void {
  certificates.set(connection, certificate);
}

/** The client's certificate of our authority, if its connection has one. */
export function certificateOf(values: ContextValues): PeerCertificate | undefined {
  return values.get(certificateKey);
}
