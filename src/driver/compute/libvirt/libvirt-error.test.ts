import { describe, expect, test } from "vitest";
import { errorChain } from "../../../util/errors.ts";
import { countOomKills, lastLineOfQemu } from "./last-words.ts";
import { type Circumstances, toN0Error } from "./libvirt-error.ts";

/** virErrorDomain */
const FROM = { none: 0, xml: 5, rpc: 7, qemu: 10, storage: 18, domain: 20, security: 24 } as const;
const EXITED = "internal error: process exited while connecting to monitor";
const CLOSED = "internal error: qemu unexpectedly closed the monitor";
const AT = "2026-11-27T14:12:10.073190Z qemu-system-x86_64:";
const BLOCKDEV = `-blockdev {"node-name":"libvirt-1-format","driver":"qcow2","file":{"a":"b"},"backing":null}:`;
const WARNING = `${AT} warning: TCG doesn't support requested feature: CPUID.01H:ECX.vmx [bit 5]`;

const say = (code: number, domain: number, message: string, circumstances?: Circumstances) =>
  toN0Error("start", "web", { code, domain, message }, circumstances);

// As libvirt 9.0.0 and QEMU 7.2 say them.
test.for([
  [1, FROM.qemu, EXITED, "unavailable", "QEMU ended unexpectedly, try again"],
  [1, FROM.qemu, CLOSED, "unavailable", "QEMU ended unexpectedly, try again"],
  [1, FROM.qemu, `${CLOSED} (vm='n0-web')`, "unavailable", "QEMU ended unexpectedly, try again"],
  [1, FROM.qemu, `${EXITED}: ${WARNING}\n${WARNING}`, "unavailable", "QEMU ended unexpectedly"],
  [
    1,
    FROM.qemu,
    `${CLOSED}: ${AT} terminating on signal 15 from pid 812 (<unknown process>)`,
    "unavailable",
    "(QEMU: terminating on signal 15 from pid 812 (<unknown process>))",
  ],
  [
    38,
    FROM.qemu,
    "Unable to read from monitor: Connection reset by peer",
    "unavailable",
    "QEMU ended unexpectedly",
  ],
  [
    38,
    FROM.qemu,
    "failed to connect to monitor socket: Connection refused",
    "unavailable",
    "QEMU ended unexpectedly",
  ],
  [
    1,
    FROM.qemu,
    `${EXITED}: libvirt:  error : cannot execute binary /usr/bin/qemu-system-x86_64: Permission denied`,
    "failed_precondition",
    "cannot execute binary qemu-system-x86_64: Permission denied)",
  ],
  [
    38,
    FROM.none,
    "Failed to terminate process 812 with SIGKILL: Device or resource busy",
    "unavailable",
    "does not end",
  ],
  [
    1,
    FROM.qemu,
    `${EXITED}: ${WARNING}\n${AT} cannot set up guest memory 'pc.ram': Cannot allocate memory`,
    "resource_exhausted",
    "(QEMU: cannot set up guest memory 'pc.ram': Cannot allocate memory)",
  ],
  [2, FROM.none, "out of memory", "resource_exhausted", "not enough memory"],
  [
    38,
    FROM.none,
    "cannot fork child process: Resource temporarily unavailable",
    "resource_exhausted",
    "its limit of processes",
  ],
  [
    1,
    FROM.qemu,
    "internal error: unable to execute QEMU command 'block_resize': Failed to resize underlying file: No space left on device",
    "resource_exhausted",
    "disk space",
  ],
  [
    1,
    FROM.qemu,
    `${EXITED}: ${AT} ${BLOCKDEV} Image is not in qcow2 format`,
    "failed_precondition",
    "is damaged: restore it, or detach it (QEMU: Image is not in qcow2 format)",
  ],
  [
    1,
    FROM.qemu,
    `${CLOSED}: ${AT} ${BLOCKDEV} Failed to get "write" lock\nIs another process using the image [/var/lib/n0/volume/a.qcow2]?`,
    "failed_precondition",
    'in use by another process: detach it there first (QEMU: Failed to get "write" lock Is another process using the image [a.qcow2]?)',
  ],
  [
    1,
    FROM.qemu,
    "internal error: unable to execute QEMU command 'block_resize': Failed to grow the L1 table: File too large",
    "failed_precondition",
    "refuses it (libvirt: unable to execute QEMU command 'block_resize': Failed to grow the L1 table: File too large)",
  ],
  [
    38,
    FROM.none,
    "Unable to create tap device t1-0: Device or resource busy",
    "failed_precondition",
    "taps is in use",
  ],
  [
    38,
    FROM.none,
    "Unable to create tap device lo: Invalid argument",
    "failed_precondition",
    "missing or is not a tap",
  ],
  [
    38,
    FROM.storage,
    "cannot read header '/var/lib/n0/volume/a': Is a directory",
    "failed_precondition",
    "cannot be opened on the node: check its file (libvirt: cannot read header 'a': Is a directory)",
  ],
  [
    1,
    FROM.qemu,
    "process exited: -blockdev {...}: 'file' driver requires '/var/lib/n0/volume' to be a regular file",
    "failed_precondition",
    "cannot be opened on the node: check its file",
  ],
  [
    38,
    FROM.security,
    "unable to open /var/lib/n0/a.qcow2: Operation not permitted",
    "failed_precondition",
    "cannot be opened on the node",
  ],
  [
    38,
    FROM.storage,
    "Cannot access storage file '/root/n0/a.qcow2' (as uid:64055, gid:64055): Permission denied",
    "failed_precondition",
    "QEMU's user has no access to its files on the node",
  ],
  [
    38,
    FROM.storage,
    "Cannot access storage file '/var/lib/n0/a.qcow2' (as uid:64055, gid:106): No such file or directory",
    "failed_precondition",
    "missing on the node: make it first",
  ],
  [
    38,
    FROM.qemu,
    "Unable to unlink /var/lib/n0/vm/web/serial.sock: Is a directory",
    "failed_precondition",
    "(libvirt: Unable to unlink serial.sock: Is a directory)",
  ],
  [
    67,
    FROM.qemu,
    "unsupported configuration: Maximum CPUs greater than specified machine type limit 255",
    "failed_precondition",
    "refuses it (libvirt: unsupported configuration: Maximum CPUs greater",
  ],
  [
    9,
    FROM.domain,
    "operation failed: domain 'n0-db' is already defined with uuid ccfdaa3c-277f-45b9-96bf-b1fb30848342",
    "failed_precondition",
    "another domain of the node has its name or uuid",
  ],
  [
    8,
    FROM.qemu,
    "invalid argument: invalid path /nowhere not assigned to domain",
    "failed_precondition",
    "no such disk",
  ],
  [
    55,
    FROM.qemu,
    "Requested operation is not valid: domain is not running",
    "failed_precondition",
    "present state (libvirt: Requested operation is not valid: domain is not running)",
  ],
  [
    88,
    FROM.none,
    "access denied: 'QEMU' denied access",
    "failed_precondition",
    "refuses it (libvirt: access denied",
  ],
  [
    42,
    FROM.qemu,
    "Domain not found: no domain with matching uuid 'x' (n0-web)",
    "aborted",
    "try again",
  ],
  [
    68,
    FROM.none,
    "Timed out during operation: cannot acquire state change lock (held by monitor=reboot-n0-web)",
    "unavailable",
    "busy with another job of it, try again (libvirt: Timed out",
  ],
  [
    38,
    FROM.rpc,
    "Cannot write data: Broken pipe",
    "unavailable",
    "does not answer, try again (libvirt: Cannot write data: Broken pipe)",
  ],
  [
    38,
    FROM.rpc,
    "Failed to connect socket to '/var/run/libvirt/virtlogd-sock': No such file or directory",
    "unavailable",
    "(libvirt: Failed to connect socket to 'virtlogd-sock': No such file or directory)",
  ],
  [
    27,
    FROM.xml,
    "XML error: Invalid value for attribute 'cores' in element 'topology': Zero is not permitted",
    "internal",
    "does not understand",
  ],
] as const)("%i of %i, %j, is %s: %s", ([code, domain, message, kind, words]) => {
  const error = say(code, domain, message);
  expect(error).toMatchObject({ kind, facts: { resource: "virtual_machine/web" } });
  expect(error.message).toContain(`cannot start virtual machine "web": `);
  expect(error.message).toContain(words);
  expect(error.message).not.toMatch(/\/var\/|\n/);
  for (const line of message.split("\n")) expect(errorChain(error)).toContain(line);
});

describe("a QEMU that ended", () => {
  test("without a word, while the kernel ended some for want of memory, lacked that", () => {
    expect(say(1, FROM.qemu, EXITED, { hasLackedMemory: true })).toMatchObject({
      kind: "resource_exhausted",
      message: expect.stringContaining("the node was short of memory"),
    });
    const bad = `${EXITED}: ${AT} ${BLOCKDEV} Image is not in qcow2 format`;
    expect(say(1, FROM.qemu, bad, { hasLackedMemory: true }).kind).toBe("failed_precondition");
  });

  test("is quoted from its log where libvirt does not", () => {
    const logLine = `${AT} terminating on signal 9 from pid 1`;
    const error = say(1, FROM.qemu, CLOSED, { logLine });
    expect(error).toMatchObject({
      kind: "unavailable",
      message: expect.stringContaining("(QEMU: terminating on signal 9 from pid 1)"),
    });
    expect(errorChain(error)).toContain(logLine);
  });
});

test("what an earlier QEMU said last is not why no QEMU was started", () => {
  const logLine = `${AT} terminating on signal 15 from pid 1`;
  const busy = "Unable to create tap device t1-0: Device or resource busy";
  expect(say(38, FROM.none, busy, { logLine })).toMatchObject({
    kind: "failed_precondition",
    message: expect.stringContaining(`(libvirt: ${busy})`),
  });
  expect(errorChain(say(38, FROM.none, busy, { logLine }))).not.toContain("signal 15");
});

test("a long word is cut, and what is about all names none", () => {
  const error = say(1, FROM.qemu, `${EXITED}: ${AT} ${"x".repeat(5_000)}`);
  expect(error.message.length).toBeLessThan(400);
  expect(toN0Error("list", undefined, undefined)).toMatchObject({
    kind: "internal",
    message: expect.stringContaining("cannot list the virtual machines: "),
    facts: { cause: expect.anything() },
  });
});

test("of a log counts what QEMU has said since its last start, but no warning", () => {
  const start = "2026-11-27 14:12:07.382+0000: starting up libvirt version: 9.0.0, hostname: vm";
  const args = "LC_ALL=C \\\n/usr/bin/qemu-system-x86_64 \\\n-name guest=n0-web,debug-threads=on";
  const end = "2026-11-27 14:12:09.615+0000: shutting down, reason=failed";
  const old = [start, args, `${AT} old`, end];
  expect(lastLineOfQemu([...old, start, args, `${AT} new`, WARNING, end, ""].join("\n"))).toBe(
    `${AT} new`,
  );
  expect(lastLineOfQemu([...old, start, args, WARNING, end].join("\n"))).toBeUndefined();
  expect(lastLineOfQemu("")).toBeUndefined();
});

test("the kernel's count of what it ended is read, and is 0 where it has none", () => {
  expect(countOomKills("nr_free_pages 7\noom_kill 12\nnuma_hit 3\n")).toBe(12);
  expect(countOomKills("nr_free_pages 7\n")).toBe(0);
  expect(countOomKills()).toBeGreaterThanOrEqual(0);
});
