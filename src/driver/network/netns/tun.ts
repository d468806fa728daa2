import { closeSync, openSync } from "node:fs";
import koffi, { type KoffiFunc } from "koffi";
import { lazily } from "./lazily.ts";

/** <linux/if_tun.h>. The numbers are the same on all processors but MIPS, PowerPC and SPARC. */
const TUNSETIFF = 0x400454ca;
const TUNSETPERSIST = 0x400454cb;
const TUNSETOWNER = 0x400454cc;
const TUNSETGROUP = 0x400454ce;
const IFF_TAP = 0x2;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
/** Fails if a tap of that name exists. */
const IFF_TUN_EXCL = 0x8000;
/** struct ifreq: a name of 16 bytes, then a union that begins with the flags. */
const IFREQ_BYTES = 40;
const IFNAME_BYTES = 16;

type IoctlNow<T> = (file: number, request: number, argument: T) => number;
type Ioctl<T> = (file: number, request: number, argument: T) => Promise<number>;

const ioctls = lazily(() => {
  const libc = koffi.load("libc.so.6");
  const withPointer = libc.func("int ioctl(int file, unsigned long request, void *argument)");
  const withNumber = libc.func(
    "int ioctl(int file, unsigned long request, unsigned long argument)",
  );
  return {
    withPointer: inThreadPool<Buffer>(withPointer),
    withNumber: inThreadPool<number>(withNumber),
  };
});

/** Asynchronous: the kernel may hold its lock on links for long, and the main thread must not wait for it. */
function inThreadPool<T>(native: KoffiFunc<IoctlNow<T>>): Ioctl<T> {
  return (file, request, argument) =>
    new Promise((resolve, reject) => {
      native.async(file, request, argument, (error: unknown, answer: number) => {
        if (error === null) resolve(answer);
        else reject(error instanceof Error ? error : new Error("ioctl"));
      });
    });
}

/**
 * Makes a persistent tap in the namespace of this process, which root and `tunGroup` may open. The last call
 * makes it persistent: if the process dies before that, nothing remains.
 *
 * @throws Error if a device of that name exists.
 */
export async function makePersistentTap(name: string, tunGroup: number): Promise<void> {
  const file = openSync("/dev/net/tun", "r+");
  try {
    const request = Buffer.alloc(IFREQ_BYTES);
    request.write(name, 0, IFNAME_BYTES - 1);
    const flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL;
    new Uint16Array(request.buffer, request.byteOffset + IFNAME_BYTES, 1)[0] = flags;
    const { withPointer, withNumber } = ioctls();
    const answers = [
      await withPointer(file, TUNSETIFF, request),
      await withNumber(file, TUNSETOWNER, 0),
      await withNumber(file, TUNSETGROUP, tunGroup),
    ];
    if (answers.some((answer) => answer < 0)) throw new Error(`cannot make tap ${name}`);
    if ((await withNumber(file, TUNSETPERSIST, 1)) < 0) throw new Error(`cannot keep tap ${name}`);
  } finally {
    closeSync(file);
  }
}
