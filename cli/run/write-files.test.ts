import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { partsOfUserData } from "../../src/util/user-data.ts";
import { withFiles } from "./write-files.ts";

const BYTES = Buffer.from([0xff, 0, 0x0a]);
let folder = "";
let asked: string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "n0cli-files-"));
  await writeFile(join(folder, "motd"), BYTES);
  await writeFile(join(folder, "a=b"), "#!/bin/sh\n");
  await chmod(join(folder, "a=b"), 0o755);
  asked = [`/etc/motd=${join(folder, "motd")}`, `/usr/local/bin/do it=${join(folder, "a=b")}`];
});
afterAll(async () => await rm(folder, { recursive: true }));

const entry = (path: string, content: Buffer | string, permissions: string) => {
  return { path, content: Buffer.from(content).toString("base64"), encoding: "b64", permissions };
};
const ENTRIES = [
  entry("/etc/motd", BYTES, "0644"),
  entry("/usr/local/bin/do it", "#!/bin/sh\n", "0755"),
];

async function configOf(userData: string | undefined): Promise<unknown> {
  const text = await withFiles(userData, asked);
  expect(text).toMatch(/^#cloud-config\n/);
  return parse(text ?? "", { version: "1.1" });
}

test("the files become write_files of the user's own config, or of one beside it", async () => {
  expect(await withFiles("#!/bin/sh\n", [])).toBe("#!/bin/sh\n");
  expect(await configOf(undefined)).toEqual({ write_files: ENTRIES });
  const own = "#cloud-config\nruncmd: [ls]\n# of old\nmode: 0755\nwrite_files:\n- {path: /a}\n";
  const read = { runcmd: ["ls"], mode: 0o755 };
  expect(await configOf(own)).toEqual({ ...read, write_files: [{ path: "/a" }, ...ENTRIES] });
  expect(await configOf(own.replace(/write_files.*/s, ""))).toEqual({
    ...read,
    write_files: ENTRIES,
  });
  const script = partsOfUserData((await withFiles("#!/bin/sh\necho é\n", asked)) ?? "");
  expect(script?.theirs).toBe("#!/bin/sh\necho é\n");
  expect(parse(script?.ours ?? "")).toEqual({ write_files: ENTRIES });
});

test("what is wrong is named, and what the API would refuse is left for it to refuse", async () => {
  for (const wrong of ["motd", "etc/motd=x", "/etc/=x", "/etc/motd=", "=x"]) {
    await expect(withFiles(undefined, [wrong])).rejects.toThrow(JSON.stringify(wrong));
  }
  await expect(withFiles(undefined, ["/a=/nowhere/b"])).rejects.toThrow("cannot read /nowhere/b");
  await writeFile(join(folder, "large"), Buffer.alloc(65_537));
  const large = `/large=${join(folder, "large")}`;
  await expect(withFiles(undefined, [large])).rejects.toThrow("more than 65536 bytes");
  const text = "#cloud-config\nwrite_files: /etc/motd\n";
  await expect(withFiles(text, asked)).rejects.toThrow("write_files must be a list");
  for (const broken of ["#cloud-config\n- a\n", "#cloud-config\na: [\n"]) {
    expect(await withFiles(broken, asked)).toBe(broken);
  }
});
