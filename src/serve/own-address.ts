import { hostname } from "node:os";
import { isUnspecified, urlHost } from "../rpc/host.ts";

/** How others reach what listens there; where it listens everywhere, by the host's name. */
export function ownUrl(bindAddress: string, port: number, hasTls: boolean): string {
  const host = isUnspecified(bindAddress) ? hostname() : urlHost(bindAddress);
  return `${hasTls ? "https" : "http"}://${host}:${port}`;
}

/** An address as a node's record has it. A URL only with TLS: without, as the original wrote it. */
export function addressOf(url: string): string {
  return url.replace(/^http:\/\//, "");
}
