import { NAME_ON_NODE, nameOnNode, type Ref, refOnNode } from "../../util/ref.ts";

/** The original's paths, so that existing tools still work. */
export const STATIC_PREFIX = "/n0core/static/virtual_machines/";
export const VIRTUAL_MACHINE_PREFIX = "/n0core/api/v0/virtual_machines/";
export const DOWNLOAD_PREFIX = "/n0core/api/v0/block_storage/download/";

const VNC_SOCKET_SUFFIX = "/vncwebsocket";

/**
 * The page that opens the screen of a virtual machine. The token is after the `#`, a part that a browser sends
 * to nobody.
 */
export function consoleUrl(publicUrl: string, ref: Ref, token: string): string {
  const socketPath = `${VIRTUAL_MACHINE_PREFIX}${encodeURIComponent(nameOnNode(ref))}${VNC_SOCKET_SUFFIX}`;
  const url = new URL(`${STATIC_PREFIX}vnc.html`, publicUrl);
  url.searchParams.set("path", socketPath.slice(1));
  url.hash = new URLSearchParams({ token }).toString();
  return url.href;
}

/** The URL of the qcow2 file of a block storage, for ranges or the whole file. */
export function downloadUrl(publicUrl: string, ref: Ref, token: string): string {
  const url = new URL(`${DOWNLOAD_PREFIX}${encodeURIComponent(nameOnNode(ref))}`, publicUrl);
  url.searchParams.set("token", token);
  return url.href;
}

/** The virtual machine that the path of a WebSocket names, if any. */
export function vncSocketRef(pathname: string): Ref | undefined {
  if (!pathname.startsWith(VIRTUAL_MACHINE_PREFIX) || !pathname.endsWith(VNC_SOCKET_SUFFIX)) {
    return undefined;
  }
  return refIn(
    "virtual_machine",
    pathname.slice(VIRTUAL_MACHINE_PREFIX.length, -VNC_SOCKET_SUFFIX.length),
  );
}

/** The block storage that the path of a download names, if any. */
export function downloadRef(pathname: string): Ref | undefined {
  if (!pathname.startsWith(DOWNLOAD_PREFIX)) return undefined;
  return refIn("block_storage", pathname.slice(DOWNLOAD_PREFIX.length));
}

/** Paths name objects as nodes do: what stands there holds nothing that a URL would escape. */
function refIn(kind: string, segment: string): Ref | undefined {
  return NAME_ON_NODE.test(segment) ? refOnNode(kind, segment) : undefined;
}
