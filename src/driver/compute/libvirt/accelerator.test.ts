import { expect, test } from "vitest";
import { chooseAccelerator } from "./accelerator.ts";

function choose(flags: string, opens: boolean) {
  const readCpuInfo = () => `processor : 0\nmodel name : svm-like\nflags\t\t: fpu ${flags} sse\n`;
  return chooseAccelerator("auto", { canOpenKvm: () => opens, readCpuInfo });
}

test("auto takes kvm only where the device opens and the processor has the extension", () => {
  expect(choose("vmx", true)).toBe("kvm");
  expect(choose("svm", true)).toBe("kvm");
  expect(choose("svm", false)).toBe("tcg");
  expect(choose("svm_lock", true)).toBe("tcg");
  expect(choose("", true)).toBe("tcg");
});

test("what is asked for by name is not probed", () => {
  const probes = { canOpenKvm: () => false, readCpuInfo: () => "" };
  expect(chooseAccelerator("kvm", probes)).toBe("kvm");
  expect(chooseAccelerator("tcg", probes)).toBe("tcg");
});
