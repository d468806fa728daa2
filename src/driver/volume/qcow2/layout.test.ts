import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { fc } from "../../../../test/properties.ts";
import { systemRandom } from "../../../util/random.ts";
import { newLayout } from "./layout.ts";

const anyId = fc.oneof(
  fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,20}$/),
  fc.constantFrom("a.qcow2", "a.json", "a.partial", "a.1f.export", "a..", "a.-_"),
);

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "n0-layout-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

test("each name is read back as what it was made for, whatever the id is", async () => {
  await fc.assert(
    fc.asyncProperty(anyId, fc.string(), async (id, state) => {
      const folder = await mkdtemp(join(tmpdir(), "n0-layout-"));
      try {
        const layout = newLayout(folder, systemRandom);
        const made = [
          { id, kind: "volume", path: layout.volume(id) },
          { id, kind: "sidecar", path: layout.sidecar(id) },
          { id, kind: "partial", path: layout.partial(id) },
          { id, kind: "export", path: layout.export(id, state) },
        ];
        for (const { path } of made) await writeFile(path, "");
        expect(new Set(await layout.entries())).toEqual(new Set(made));
      } finally {
        await rm(folder, { recursive: true });
      }
    }),
    { numRuns: 50 },
  );
});

test("no two partials of a volume share a name", async () => {
  const layout = newLayout("/volumes", systemRandom);
  const names = Array.from({ length: 1000 }, () => basename(layout.partial("a")));
  expect(new Set(names).size).toBe(1000);
});

test("foreign names are nothing", async () => {
  const folder = await newFolder();
  const names = [
    "a",
    ".a",
    ".a.partial",
    "a.qcow2.bak",
    "-a.qcow2",
    ".qcow2",
    "a b.json",
    "..a.b.partial",
  ];
  for (const name of names) await writeFile(join(folder, name), "");
  expect(await newLayout(folder, systemRandom).entries()).toEqual([]);
});
