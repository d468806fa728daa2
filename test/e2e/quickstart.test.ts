// The quickstart for real, on a machine of its own (test/node/unprepared-host.sh): from nothing to a guest
// that answers, beside what other versions left, and back to nothing.
import { cpSync, mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { requirement } from "../node/requirements.ts";
import { type Checkout, newCheckout } from "../node/unprepared-host.ts";
import { madeBy } from "./program.ts";

const isPossible = requirement("libvirt") && requirement("netns");
const QUICKSTART_TIMEOUT_MS = 5 * 60_000;
const BUILD_TIMEOUT_MS = 180_000;

/** Each part's output follows a line with its name; 2>&1 as a user sees it. */
const SESSION = `
part() { printf '\\n## %s\\n' "$*"; }
exec 2>&1
base=/var/lib/n0core
quickstart() { npm run --silent quickstart -- "$@" || echo "exit code $?"; }
n0core() { cat $base/quickstart/n0core.pid; }
# Until the last thread is gone: until then the process may hold its port and its files.
end() { kill -9 "$1"; while [ "$(ls "/proc/$1/task" 2>&1)" != "$1" ] || ! grep -q '^State:.Z' "/proc/$1/status"; do [ -e "/proc/$1" ] || break; sleep 0.1; done; }
cp /etc/libvirt/qemu.conf "$HOME/qemu.conf"

part first; quickstart
part again; quickstart

echo '# changed' >>examples/boot-vm.yaml
echo '// changed' >>src/serve/main.ts
echo changed >>$base/images/tiny.qcow2
part changed; quickstart

pid=$(n0core); end "$pid"
node -e 'require("net").createServer().listen(20180, "127.0.0.1", () => console.log("listening"))' &
other=$!
until ss -Hltn 'sport = :20180' | grep -q 20180; do sleep 0.1; done
part taken; quickstart
end $other

database='new (require("better-sqlite3"))("/var/lib/n0core/api/n0core.sqlite")'
schema=$(node_modules/.bin/node -p "$database.pragma('user_version', { simple: true })")
node_modules/.bin/node -e "$database.pragma('user_version = 99')"
part newer; quickstart
node_modules/.bin/node -e "$database.pragma('user_version = $schema')"
part after; quickstart

echo 'not the quickstart' >$base/images/mine.qcow2
part down; quickstart --down
part left
find $base | sort
virsh -c qemu:///system list --all 2>&1 | head -n 1
cmp /etc/libvirt/qemu.conf "$HOME/qemu.conf" && echo 'qemu.conf is as before'
ls /proc | grep -c '^[0-9]*$'
part down again; quickstart --down
`;

describe.runIf(isPossible)("npm run quickstart", () => {
  let checkout: Checkout;
  let image: string;
  const parts = new Map<string, string>();

  beforeAll(async () => {
    image = await madeBy("scripts/image/tiny.sh", BUILD_TIMEOUT_MS);
    checkout = await newCheckout();
    const images = join(checkout.folder, ".cache/images");
    mkdirSync(images, { recursive: true });
    cpSync(image, join(images, basename(image)));
    const { stdout } = await checkout.run("root", "packages", ["bash", "-c", SESSION]);
    for (const part of stdout.split(/^## /m).slice(1)) {
      const [name = "", ...lines] = part.split("\n");
      parts.set(name, lines.join("\n"));
    }
  }, QUICKSTART_TIMEOUT_MS + BUILD_TIMEOUT_MS);
  afterAll(() => checkout[Symbol.asyncDispose]());

  test("boots a guest, and says how to reach its screen and what to try", () => {
    const first = parts.get("first");
    expect(first).toMatch(/example-vm answers: Linux example-vm/);
    expect(first).toMatch(/^ +http:\/\/127\.0\.0\.1:20180\/\S+#token=\S+$/m);
    expect(first).toMatch(/^ +ssh -L 20180:127\.0\.0\.1:20180 \S+@\S+$/m);
    const [, tries = ""] = /\nTry next\n([^]*?)\n\n/.exec(first ?? "") ?? [];
    expect(tries.split("\n")).toHaveLength(3);
    expect(first).not.toContain("note:");
  });

  test("finds all in place when it is run again", () => {
    expect(parts.get("again")).toMatch(/example-vm exists and is RUNNING/);
    expect(parts.get("again")).not.toContain("note:");
  });

  test("says what is there in another version, and what to do", () => {
    const changed = parts.get("changed");
    expect(changed).toMatch(/note: \S+tiny\.qcow2 is from another build and will be replaced/);
    expect(changed).toMatch(
      /note: n0core is 0\.1\.0, sources \w+, of \S+, this is 0\.1\.0, sources \w+; to run this one: kill \d+/,
    );
    expect(changed).toMatch(/note: example-vm is made from .*, this is .*; to make it again: /);
  });

  test("names what listens in its place", () => {
    expect(parts.get("taken")).toMatch(
      /quickstart: 127\.0\.0\.1:20180 is taken by another program: process (\d+), node .*; stop it \(kill \1\), then run this again\n/,
    );
    expect(parts.get("taken")).toContain("exit code 1");
  });

  test("a database of a newer version is refused in one line, and one of an older goes on", () => {
    expect(parts.get("newer")).toMatch(
      /quickstart: n0core does not start: a newer version has written the database .*n0core\.sqlite \(schema 99; /,
    );
    expect(parts.get("after")).toMatch(
      /note: \S+\/api was last written by n0core 0\.1\.0, sources \w+; 0\.1\.0, sources \w+ continues with it/,
    );
    expect(parts.get("after")).toMatch(/example-vm answers/);
  });

  test("--down removes all that it made, and only that", () => {
    expect(parts.get("down")).not.toContain("exit code");
    expect(parts.get("down")).toMatch(
      /\/var\/lib\/n0core stays: it holds images, which the quickstart did not make/,
    );
    const left = parts.get("left")?.split("\n") ?? [];
    expect(left.slice(0, 3)).toEqual(
      ["", "/images", "/images/mine.qcow2"].map((path) => `/var/lib/n0core${path}`),
    );
    expect(left[3]).toMatch(/failed to connect/);
    expect(left[4]).toBe("qemu.conf is as before");
    // Process 1, the session, ls and grep.
    expect(Number(left[5])).toBeLessThanOrEqual(4);
    expect(parts.get("down again")).toContain("The quickstart has made nothing here.");
  });
});
