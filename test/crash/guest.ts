import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../src/util/until.ts";
import type { Cluster } from "./cluster.ts";

const START_TIMEOUT_MS = 60_000;
const MARK = "!";

/**
 * The first sector of a disk whose guest does three things: it prints on its serial port that it has started, it
 * releases the PCI devices that it is asked for, and it turns itself off when the power button is pressed. The
 * ports are those of the PIIX4's power management.
 */
export function firstSector(): Buffer {
  const sector = Buffer.alloc(512);
  const code = [
    [0xfb], // sti
    [0xba, 0x02, 0x06, 0xb8, 0x00, 0x01, 0xef], // enable the button: out 0x602, 0x100
    [0xba, 0x00, 0x06, 0xef], // forget an earlier press: out 0x600, 0x100
    [0xba, 0xf8, 0x03, 0xb0, MARK.charCodeAt(0), 0xee], // out 0x3f8, '!'
    [0xf4, 0xba, 0x04, 0xae, 0x66, 0xed], // again: hlt; mov dx, 0xae04; in eax, dx
    [0xba, 0x08, 0xae, 0x66, 0xef], // release these PCI devices: out 0xae08, eax
    [0xba, 0x00, 0x06, 0xed, 0xf6, 0xc4, 0x01, 0x74, 0xec], // in 0x600; test ah, 1; jz again
    [0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef], // off: out 0x604, 0x2000
    [0xeb, 0xfe], // jmp $
  ];
  Buffer.from(code.flat()).copy(sector);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

/** The number of starts of the guest in a serial log, at the end of the last wait for it. */
const started = new Map<string, number>();

/** Resolves when the guest of the virtual machine has started once more than at the end of the last wait. */
export async function guestStarted({ places, tag }: Cluster): Promise<void> {
  const path = join(places[0]?.baseDirectory ?? "", "vm", `web-${tag}`, "serial.log");
  const look = () => {
    const log = `${tag} ${statSync(path).ino}`;
    const starts = readFileSync(path, "latin1").split(MARK).length - 1;
    if (starts <= (started.get(log) ?? 0)) return false;
    started.set(log, starts);
    return true;
  };
  await until(look, { timeoutMs: START_TIMEOUT_MS, what: "the start of the guest", everyMs: 50 });
}
