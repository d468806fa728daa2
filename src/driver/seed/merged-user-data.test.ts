import { expect, test } from "vitest";
import { mergedUserData, partsOfUserData } from "../../util/user-data.ts";
import { userData } from "./cloud-init.ts";
import { exampleSeed } from "./seed-driver.suite.ts";

const OURS = "#cloud-config\nusers:\n  - name: n0\n";

test.each([
  "#cloud-config\npackages: [nginx]\n",
  "#!/bin/sh\necho é 中 without a line end",
  'Content-Type: multipart/mixed; boundary="B"\nMIME-Version: 1.0\n\n--B\n\n#!/bin/sh\n\n--B--\n',
  'Content-Type: multipart/mixed; boundary="B"\nMIME-Version: 1.0\n\n--B\n\n--n0stack-\n--B',
  `#!/bin/sh\n${"x".repeat(60_000)}`,
])("%j can be read back", (theirs) => {
  const merged = mergedUserData({ theirs, ours: OURS });
  expect(partsOfUserData(merged)).toEqual({ theirs, ours: OURS });
  expect(partsOfUserData(mergedUserData({ theirs: merged, ours: OURS }))).toEqual({
    ...{ theirs: merged, ours: OURS },
  });
});

test("anything else is not ours", () => {
  const merged = mergedUserData({ theirs: "#!/bin/sh\n", ours: OURS });
  for (const text of ["", OURS, merged.slice(0, -3), merged.replace(/n0stack-/, "other-")]) {
    expect(partsOfUserData(text)).toBeUndefined();
  }
});

test("without user data, it is as it was", () => {
  expect(userData(exampleSeed)).toMatch(/^#cloud-config\nusers:\n {2}- name: n0user/);
});

test("our part is the last, and says how it is merged", () => {
  const merged = userData({ ...exampleSeed, userData: "#!/bin/sh\n" });
  expect(
    merged
      .replace(/n0stack-[0-9a-f]{32}/g, "B")
      .split("\n")
      .filter((line) => /[ -]/.test(line)),
  ).toEqual([
    'Content-Type: multipart/mixed; boundary="B"',
    "MIME-Version: 1.0",
    "--B",
    'Content-Type: text/plain; charset="utf-8"',
    "Content-Transfer-Encoding: base64",
    "--B",
    'Content-Type: text/cloud-config; charset="utf-8"',
    "Content-Transfer-Encoding: base64",
    "Merge-Type: list(prepend)+dict(no_replace,recurse_list)+str()",
    "--B--",
  ]);
  expect(partsOfUserData(merged)?.ours).toBe(userData(exampleSeed));
});
