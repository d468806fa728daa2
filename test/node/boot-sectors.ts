/** Guests of one sector, in 16-bit code for the BIOS. They never end by themselves. */

/**
 * Releases the PCI devices that the hypervisor asks for: the registers for that of the machine type `pc`
 * (docs/specs/acpi_pci_hotplug.rst in QEMU).
 */
const RELEASE_DEVICES = [
  ...[0xba, 0x04, 0xae, 0x66, 0xed], // mov dx, 0xae04; in eax, dx
  ...[0x66, 0x85, 0xc0, 0x74, 0x05], // test eax, eax; jz on
  ...[0xba, 0x08, 0xae, 0x66, 0xef], // mov dx, 0xae08; out dx, eax
];

/** COM1: its data, and its line status, whose bit 0 says that a byte has arrived. */
const BYTE_IS_THERE = [0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01]; // mov dx, 0x3fd; in al, dx; test al, 1
const WAIT_FOR_BYTE = again([], BYTE_IS_THERE);

/** Does `work` until the result of `test` is not zero. */
function again(work: readonly number[], test: readonly number[]): number[] {
  const loop = [...work, ...test];
  return [...loop, 0x74, 0x100 - (loop.length + 2)]; // jz again
}

function print(text: string): number[] {
  return [
    ...[0xba, 0xf8, 0x03], // mov dx, 0x3f8
    ...[...Buffer.from(text)].flatMap((byte) => [0xb0, byte, 0xee]), // mov al, byte; out dx, al
  ];
}

/** Prints `text` on the first serial port, then sends back each byte that it receives. */
export function echoBootDisk(text: string): Buffer {
  return disk([
    ...print(text),
    ...WAIT_FOR_BYTE,
    ...[0xba, 0xf8, 0x03, 0xec, 0xee, 0xeb, 0xf1], // in al, dx; out dx, al; wait again
  ]);
}

/** The text that `powerButtonBootDisk` prints when it listens. */
export const LISTENING = "!";

/**
 * Releases PCI devices. Listens to the power button after a byte has arrived on the first serial port, and powers off when somebody
 * presses it. The registers are those of ACPI 6.5, 4.8.3, at the addresses of the machine type `pc`.
 */
export function powerButtonBootDisk(): Buffer {
  return disk([
    ...again(RELEASE_DEVICES, BYTE_IS_THERE),
    ...[0xba, 0x02, 0x06, 0xb8, 0x00, 0x01, 0xef], // PM1_EN: mov dx, 0x602; mov ax, PWRBTN_EN; out dx, ax
    ...print(LISTENING),
    ...again(RELEASE_DEVICES, [0xba, 0x00, 0x06, 0xed, 0xf6, 0xc4, 0x01]), // PM1_STS: mov dx, 0x600; in ax, dx; test ah, 1
    ...[0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef], // PM1_CNT: mov dx, 0x604; mov ax, SLP_EN; out dx, ax
    ...[0xeb, 0xfe], // here: jmp here
  ]);
}

/** Writes its disk full from sector 128 on, 127 sectors at a time, by the BIOS's extended write (EDD 3.0). */
export function fillingBootDisk(): Buffer {
  return disk([
    ...[0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0], // xor ax, ax; mov ds, ax; mov ss, ax
    ...[0xbc, 0x00, 0x7c], // mov sp, 0x7c00
    ...[0xbe, 0x19, 0x7c], // mov si, packet
    ...[0xb8, 0x00, 0x43, 0xcd, 0x13], // again: mov ax, 0x4300; int 0x13
    ...[0x81, 0x06, 0x21, 0x7c, 0x7f, 0x00], // add word [packet + 8], 127
    ...[0xeb, 0xf3], // jmp again
    // packet: its length; how many sectors; from where in memory, 1000:0000; to which sector
    ...[
      0x10, 0x00, 0x7f, 0x00, 0x00, 0x00, 0x00, 0x10, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00,
    ],
  ]);
}

function disk(code: readonly number[]): Buffer {
  // The BIOS does not boot from a disk smaller than one cylinder, 16 × 63 sectors.
  const bytes = Buffer.alloc(1024 * 1024);
  bytes.set(code);
  bytes.set([0x55, 0xaa], 510);
  return bytes;
}
