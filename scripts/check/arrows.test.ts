import { expect, test } from "vitest";
import { checkArrows, circles, wrongArrows } from "./arrows.ts";

test("an import of a layer below is right", () => {
  const text = 'import { N0Error } from "../util/errors.ts";\nimport { x } from "./x.ts";\n';
  expect(wrongArrows("src/driver/a.ts", text)).toEqual([]);
});

test.each([
  ['import { a } from "../gen/a_pb.ts";', "driver imports src/gen/a_pb.ts"],
  ['import type { A } from "../api/a.ts";', "driver imports src/api/a.ts"],
  ['const a = await import("../agent/a.ts");', "driver imports src/agent/a.ts"],
  ['export { a } from "../../cli/a.ts";', "driver imports cli/a.ts"],
  ['import "../serve/main.ts";', "driver imports src/serve/main.ts"],
  ['import {\n  a,\n} from "../rpc/a.ts";', "driver imports src/rpc/a.ts"],
  ['import { newWorld } from "../../test/world.ts";', "driver imports test/world.ts"],
  ['import { a } from "./a.suite.ts";', "driver imports src/driver/a.suite.ts"],
])("%s is found", (text, message) => {
  expect(wrongArrows("src/driver/x.ts", text).join()).toContain(message);
});

test("a test may import anything", () => {
  const text = 'import { newWorld } from "../../test/world.ts";';
  expect(wrongArrows("src/driver/x.test.ts", text)).toEqual([]);
  expect(wrongArrows("src/driver/x.suite.ts", text)).toEqual([]);
});

test("a folder that nobody gave a place is found", () => {
  expect(wrongArrows("src/helpers/x.ts", "").join()).toContain("knows no layer");
});

test.each([
  ['import { a } from "../../network/a.ts";', "pool imports src/api/network/a.ts"],
  ['import type { A } from "../../provisioning/disk/a.ts";', "pool imports src/api/provisioning"],
  ['import { resources } from "../../resources.ts";', "pool imports src/api/resources.ts"],
])("an area that imports a higher one is found: %s", (text, message) => {
  expect(wrongArrows("src/api/pool/node/x.ts", text).join()).toContain(message);
});

test("an area may import the areas below it, and a file above all areas may import every area", () => {
  const text = 'import { a } from "../../core/a.ts";\nimport { b } from "../../iam/user/b.ts";';
  expect(wrongArrows("src/api/pool/node/x.ts", text)).toEqual([]);
  expect(wrongArrows("src/api/resources.ts", 'import "./observe/a.ts";')).toEqual([]);
  expect(wrongArrows("src/api/helpers/x.ts", "").join()).toContain('no area "helpers"');
});

test("a circle is found once, and types count", () => {
  const texts = new Map([
    ["src/util/a.ts", 'import type { B } from "./b.ts";'],
    ["src/util/b.ts", 'import { c } from "./c.ts";'],
    ["src/util/c.ts", 'import { a } from "./a.ts";'],
    ["src/util/d.ts", 'import { a } from "./a.ts";'],
  ]);
  expect(circles(texts)).toEqual([
    "src/util/a.ts -> src/util/b.ts -> src/util/c.ts -> src/util/a.ts is a circular import",
  ]);
  texts.delete("src/util/c.ts");
  expect(circles(texts)).toEqual([]);
});

test("a check that sees no module fails", () => {
  expect(checkArrows([]).join()).toContain("proves nothing");
});
