import { hostname } from "node:os";
import { isUnspecified, urlHost } from "../rpc/host.ts";

/** The address by which others reach the server; the host name if it listens on all addresses. */
export function ownUrl(bindAddress: string, port: number, hasTls: boolean): string {
  const host = isUnspecified(bindAddress) ? hostname() : urlHost(bindAddress);
  return `${hasTls ? "https" : "http"}://${host}:${port}`;
}

/** An address as in the record of a node. With TLS it is a URL; without TLS it is as in the original. */
export function addressOf(url: string): string {
  return url.replace(/^http:\/\//, "");
}
