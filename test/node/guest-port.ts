import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import koffi from "koffi";
import { inNamespace } from "../../src/driver/network/netns/namespace.ts";
import { errorCode } from "../../src/util/errno.ts";

/** <linux/if_tun.h>: a tap without packet information, with the header of virtio. */
const TUNSETIFF = 0x400454ca;
const FLAGS = 0x0002 | 0x1000 | 0x4000;
const IFREQ_BYTES = 40;
const IFNAME_BYTES = 16;
const VIRTIO_HEADER_BYTES = 10;
const FRAME_BYTES_MAX = 64 << 10;

/** The end of a tap that QEMU holds for a guest. */
export interface GuestPort {
  send(frame: Buffer): void;
  /** Everything that has arrived since the last call. */
  receive(): Buffer[];
  close(): void;
}

/** Opens a tap of the namespace at `path`, in the place of QEMU. */
export function openGuestPort(path: string, tapName: string): GuestPort {
  const libc = koffi.load("libc.so.6");
  const ioctl = libc.func("int ioctl(int file, unsigned long request, void *argument)");
  // The file belongs to the namespace in which it is opened.
  const file = inNamespace(path, () =>
    openSync("/dev/net/tun", constants.O_RDWR | constants.O_NONBLOCK),
  );
  const request = Buffer.alloc(IFREQ_BYTES);
  request.write(tapName, 0, IFNAME_BYTES - 1);
  new Uint16Array(request.buffer, request.byteOffset + IFNAME_BYTES, 1)[0] = FLAGS;
  if (ioctl(file, TUNSETIFF, request) !== 0) {
    closeSync(file);
    throw new Error(`cannot open tap ${tapName}: errno ${koffi.errno()}`);
  }
  const receiveOne = (): Buffer | undefined => {
    const buffer = Buffer.alloc(FRAME_BYTES_MAX);
    try {
      return buffer.subarray(VIRTIO_HEADER_BYTES, readSync(file, buffer));
    } catch (error) {
      if (errorCode(error) === "EAGAIN") return undefined;
      throw error;
    }
  };
  return {
    send: (frame) =>
      void writeSync(file, Buffer.concat([Buffer.alloc(VIRTIO_HEADER_BYTES), frame])),
    receive() {
      const frames: Buffer[] = [];
      for (let one = receiveOne(); one !== undefined; one = receiveOne()) frames.push(one);
      return frames;
    },
    close: () => closeSync(file),
  };
}
