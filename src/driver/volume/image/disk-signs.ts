const SECTOR_BYTES = 512;
const PARTITION_ENTRIES = [446, 462, 478, 494];
const JUMPS = [0xeb, 0xe9];
/** Logical blocks of 512 and of 4096 bytes. */
const GPT_HEADERS = [512, 4096];
const ISO9660_DESCRIPTOR = 0x8001;

/**
 * Whether the first bytes are certainly those of a disk: a boot sector, a GUID partition table (UEFI
 * specification, section 5.3) or an ISO 9660 file system (ECMA-119, section 8.1). The first bytes of such a
 * disk are for its boot loader, and may look like another format or like text.
 */
export function isCertainlyDisk(head: Uint8Array): boolean {
  return (
    isBootSector(head) ||
    GPT_HEADERS.some((at) => hasAt(head, at, "EFI PART")) ||
    hasAt(head, ISO9660_DESCRIPTOR, "CD001")
  );
}

/** The two last bytes are not enough: one of 65,536 files has them by chance. */
function isBootSector(head: Uint8Array): boolean {
  if (head[SECTOR_BYTES - 2] !== 0x55 || head[SECTOR_BYTES - 1] !== 0xaa) return false;
  const isJump = JUMPS.includes(head[0] ?? 0);
  return isJump || PARTITION_ENTRIES.every((at) => head[at] === 0 || head[at] === 0x80);
}

/** Whether `bytes` contains `text`, one character a byte, at `offset`. */
export function hasAt(bytes: Uint8Array, offset: number, text: string): boolean {
  const end = offset + text.length;
  return end <= bytes.length && Buffer.from(text, "latin1").equals(bytes.subarray(offset, end));
}
