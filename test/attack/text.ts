const BYTES_SHOWN = 300;

/** Prints bytes as a command for a terminal, without the middle. */
export function formatBytes(bytes: Uint8Array): string {
  const shown = Buffer.from(bytes.subarray(0, BYTES_SHOWN)).toString("base64");
  const more = bytes.length - BYTES_SHOWN;
  return `echo ${shown} | base64 -d${more > 0 ? ` # and ${more} bytes more, of ${bytes.length}` : ""}`;
}
