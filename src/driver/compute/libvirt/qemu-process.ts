import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import koffi from "koffi";

/** <sys/syscall.h>; the same numbers on every processor. */
const PIDFD_SEND_SIGNAL = 424;
const PIDFD_OPEN = 434;
const PIDFD_GETFD = 438;
const SIGTERM = 15;
/** struct pollfd of <poll.h>: the descriptor, the requested events, the returned events. */
const POLLFD_BYTES = 8;
const POLLIN = 1;
/** A QEMU that takes longer is left to libvirt, which kills it in the end. */
const END_TIMEOUT_MS = 2_000;
/** Its parent, the init process, reads its exit code within a millisecond or two. */
const REAP_TIMEOUT_MS = 100;
const REAP_POLL_MS = 0.5;

export interface QemuEnder {
  /**
   * Asks the QEMU process of the domain with that uuid to end, and waits until it has ended. The caller then
   * has libvirt destroy the domain.
   *
   * libvirt's destroy begins with the same signal, and then checks each 200 ms whether the process has ended.
   * It does so too, by itself, when QEMU's end of the monitor closes. Here, the kernel says when the process
   * has ended. Until then we hold QEMU's sockets open, so that libvirt notices nothing before, and has nothing
   * to wait for afterwards.
   *
   * We hold them no longer: a job of libvirt that waits for an answer of QEMU, such as the reset of a rebooting
   * guest, ends when the monitor closes. destroy would otherwise wait for that job for 30 s.
   *
   * If this does not work, for example without a `pidFile` or if QEMU ignores the signal, only time is lost:
   * destroy does its usual work.
   */
  end(pidFile: string, uuid: string, timeoutMs?: number): void;
}

type Syscall = (...args: number[]) => number;

export function loadQemuEnder(): QemuEnder {
  const libc = koffi.load("libc.so.6");
  // The kernel's call is not variadic: it takes its arguments from registers.
  const syscall: Syscall = libc.func("long syscall(long number, long a, long b, long c, long d)");
  const poll: (files: Buffer, count: number, timeoutMs: number) => number = libc.func(
    "int poll(void *files, unsigned long count, int timeoutMs)",
  );
  const close: (file: number) => number = libc.func("int close(int file)");
  const nap = new Int32Array(new SharedArrayBuffer(4));

  function waitForEnd(process: number, timeoutMs: number): void {
    const file = Buffer.alloc(POLLFD_BYTES);
    new Int32Array(file.buffer, file.byteOffset, 1)[0] = process;
    new Int16Array(file.buffer, file.byteOffset + 4, 1)[0] = POLLIN;
    if (poll(file, 1, timeoutMs) !== 1) return;
    // It has ended, but libvirt sees it until its parent has read its exit code.
    const endMs = performance.now() + REAP_TIMEOUT_MS;
    while (syscall(PIDFD_SEND_SIGNAL, process, 0, 0, 0) === 0 && performance.now() < endMs) {
      Atomics.wait(nap, 0, 0, REAP_POLL_MS);
    }
  }

  return {
    end(pidFile, uuid, timeoutMs = END_TIMEOUT_MS) {
      const pid = readPid(pidFile);
      if (pid === undefined) return;
      const held: number[] = [];
      const hold = (file: number) => {
        if (file >= 0) held.push(file);
        return file >= 0;
      };
      try {
        const process = syscall(PIDFD_OPEN, pid, 0, 0, 0);
        // Open the process before checking it: if its number passes to another process in between, the signal
        // goes to the old process, which has ended.
        if (!hold(process) || !isQemuOf(pid, uuid)) return;
        const isHeld = socketsOf(pid).map((socket) =>
          hold(syscall(PIDFD_GETFD, process, socket, 0, 0)),
        );
        if (isHeld.includes(true) && syscall(PIDFD_SEND_SIGNAL, process, SIGTERM, 0, 0) === 0) {
          waitForEnd(process, timeoutMs);
        }
      } finally {
        for (const file of held) close(file);
      }
    },
  };
}

function readPid(path: string): number | undefined {
  const text = unlessGone(() => readFileSync(path, "utf8"));
  return text !== undefined && /^[1-9]\d{0,9}\n?$/.test(text) ? Number(text) : undefined;
}

function isQemuOf(pid: number, uuid: string): boolean {
  const words = unlessGone(() => readFileSync(`/proc/${pid}/cmdline`, "utf8"))?.split("\0") ?? [];
  const at = words.indexOf("-uuid");
  return at >= 0 && words[at + 1]?.toLowerCase() === uuid.toLowerCase();
}

function socketsOf(pid: number): number[] {
  const folder = `/proc/${pid}/fd`;
  const files = unlessGone(() => readdirSync(folder)) ?? [];
  return files
    .filter((file) => unlessGone(() => readlinkSync(`${folder}/${file}`))?.startsWith("socket:"))
    .map(Number);
}

/** Undefined also if the file cannot be read: then we must not end the process. */
function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
