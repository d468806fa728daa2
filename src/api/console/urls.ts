/** The original's paths, so that what was built around them still finds its way. */
export const STATIC_PREFIX = "/n0core/static/virtual_machines/";
export const VIRTUAL_MACHINE_PREFIX = "/n0core/api/v0/virtual_machines/";
export const DOWNLOAD_PREFIX = "/n0core/api/v0/block_storage/download/";

const VNC_SOCKET_SUFFIX = "/vncwebsocket";

/**
 * The page that opens the screen of a virtual machine by itself. The token stands behind the `#`: a
 * browser sends that part to nobody.
 */
export function consoleUrl(publicUrl: string, name: string, token: string): string {
  const socketPath = `${VIRTUAL_MACHINE_PREFIX}${encodeURIComponent(name)}${VNC_SOCKET_SUFFIX}`;
  const url = new URL(`${STATIC_PREFIX}vnc.html`, publicUrl);
  url.searchParams.set("path", socketPath.slice(1));
  url.hash = new URLSearchParams({ token }).toString();
  return url.href;
}

/** Where the qcow2 file of a block storage is read, in ranges or whole. */
export function downloadUrl(publicUrl: string, name: string, token: string): string {
  const url = new URL(`${DOWNLOAD_PREFIX}${encodeURIComponent(name)}`, publicUrl);
  url.searchParams.set("token", token);
  return url.href;
}

/** The virtual machine that the path of a WebSocket names, if it does. */
export function vncSocketName(pathname: string): string | undefined {
  if (!pathname.startsWith(VIRTUAL_MACHINE_PREFIX) || !pathname.endsWith(VNC_SOCKET_SUFFIX)) {
    return undefined;
  }
  return nameIn(pathname.slice(VIRTUAL_MACHINE_PREFIX.length, -VNC_SOCKET_SUFFIX.length));
}

/** The block storage that the path of a download names, if it does. */
export function downloadName(pathname: string): string | undefined {
  if (!pathname.startsWith(DOWNLOAD_PREFIX)) return undefined;
  return nameIn(pathname.slice(DOWNLOAD_PREFIX.length));
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/;

/** Names hold nothing that a URL would escape. */
function nameIn(segment: string): string | undefined {
  return NAME.test(segment) ? segment : undefined;
}
