import { expect, test } from "vitest";
import { checkArrows, wrongArrows } from "./arrows.ts";

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

test("a check that sees no module fails", () => {
  expect(checkArrows([]).join()).toContain("proved nothing");
});
