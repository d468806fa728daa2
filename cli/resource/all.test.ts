import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { resourceList } from "../../scripts/gather-cli-resources.ts";
import { victims } from "../../test/attack/services.ts";
import { run } from "../program.ts";
import { newTestIo } from "../testing/test-io.ts";
import { RESOURCES } from "./all.ts";

async function linesOf(...argv: string[]): Promise<string> {
  const t = newTestIo();
  expect(await run(argv, t.io)).toBe(0);
  return t.stdout();
}

test("the list has each file of this folder that defines a resource: npm run gen writes it", () => {
  expect(readFileSync(join(import.meta.dirname, "all.ts"), "utf8")).toBe(resourceList());
});

test("each service whose records can be got, listed and watched is in it", async () => {
  const services = new Map<string, DescService>();
  for (const { method } of await victims()) services.set(method.parent.typeName, method.parent);
  const served = [...services.values()].filter(({ name, methods }) => {
    const type = name.replace(/Service$/, "");
    // Shown by a command of its own, with its steps.
    if (type === "Transaction") return false;
    const has = (method: string) => methods.some((one) => one.name === method);
    return has(`Get${type}`) && has(`List${type}s`) && has(`Watch${type}s`);
  });
  const known = await Promise.all(RESOURCES.map((kind) => kind.loadService()));
  expect(known.map((service) => service.typeName).sort()).toEqual(
    served.map((service) => service.typeName).sort(),
  );
});

describe.each(RESOURCES)("of the file about $name comes", ({ name, aliases, typeName, calls }) => {
  test("a group of commands, which the program's help lists", async () => {
    expect(await linesOf("--help")).toContain(`  ${[name, ...aliases].slice(0, 2).join("|")} `);
    const help = await linesOf(name, "--help");
    for (const command of ["get", ...calls.map((call) => call.name)]) {
      expect(help).toMatch(new RegExp(`^ {2}${command}[| ]`, "m"));
    }
  });

  test("get, with --watch, and delete by kind", async () => {
    expect(await linesOf("get", name, "--help")).toContain("--watch");
    expect(await linesOf("delete", `${name}s`, "--help")).toContain(`delete ${name} NAME`);
  });

  test("a type of tasks, and what a shell completes", async () => {
    const task = `a: {type: ${name}, action: List${typeName}s}\nb: {type: ${typeName}, action: Get${typeName}}`;
    const t = newTestIo({ stdin: [task] });
    expect(await run(["do", "--check", "-"], t.io)).toBe(0);
    expect(await linesOf("do", "--help")).toContain(name);
    expect(await linesOf("__complete", "get", name.slice(0, 3))).toContain(`${name}\t`);
  });
});
