/** The original's paths, so that existing tools still work. */
export const STATIC_PREFIX = "/n0core/static/virtual_machines/";
export const VIRTUAL_MACHINE_PREFIX = "/n0core/api/v0/virtual_machines/";
export const DOWNLOAD_PREFIX = "/n0core/api/v0/block_storage/download/";

const VNC_SOCKET_SUFFIX = "/vncwebsocket";

/**
 * The page that opens the screen of a virtual machine. The token is after the `#`, a part that a browser sends
 * to nobody.
 */
export function consoleUrl(publicUrl: string, name: string, token: string): string {
  const socketPath = `${VIRTUAL_MACHINE_PREFIX}${encodeURIComponent(name)}${VNC_SOCKET_SUFFIX}`;
  const url = new URL(`${STATIC_PREFIX}vnc.html`, publicUrl);
  url.searchParams.set("path", socketPath.slice(1));
  url.hash = new URLSearchParams({ token }).toString();
  return url.href;
}

/** The URL of the qcow2 file of a block storage, for ranges or the whole file. */
export function downloadUrl(publicUrl: string, name: string, token: string): string {
  const url = new URL(`${DOWNLOAD_PREFIX}${encodeURIComponent(name)}`, publicUrl);
  url.searchParams.set("token", token);
  return url.href;
}

/** The virtual machine that the path of a WebSocket names, if any. */
export function vncSocketName(pathname: string): string | undefined {
  if (!pathname.startsWith(VIRTUAL_MACHINE_PREFIX) || !pathname.endsWith(VNC_SOCKET_SUFFIX)) {
    return undefined;
  }
  return nameIn(pathname.slice(VIRTUAL_MACHINE_PREFIX.length, -VNC_SOCKET_SUFFIX.length));
}

/** The block storage that the path of a download names, if any. */
export function downloadName(pathname: string): string | undefined {
  if (!pathname.startsWith(DOWNLOAD_PREFIX)) return undefined;
  return nameIn(pathname.slice(DOWNLOAD_PREFIX.length));
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/;

/** Names contain no characters that a URL would escape. */
function nameIn(segment: string): string | undefined {
  return NAME.test(segment) ? segment : undefined;
}
