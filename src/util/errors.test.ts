import { expect, test } from "vitest";
import {
  ERROR_KINDS,
  errorChain,
  invalid,
  isPassing,
  kindOf,
  N0Error,
  notFound,
  withFacts,
} from "./errors.ts";

test("what is not an error of the domain is a bug, and says nothing of itself", () => {
  const bug = new TypeError("secret");
  expect(kindOf(bug)).toBe("internal");
  expect(kindOf("thrown text")).toBe("internal");
  const wrapped = withFacts(bug, { transactionId: "t" });
  expect(wrapped).toMatchObject({ kind: "internal", message: "internal error", cause: bug });
  expect(wrapped.facts.transactionId).toBe("t");
});

test("facts are added to those there are, and the message stays", () => {
  const error = withFacts(invalid("nics[0].ipv4_address", "must be an address"), {
    rollback: "done",
  });
  expect(error.kind).toBe("invalid_argument");
  expect(error.message).toBe("nics[0].ipv4_address: must be an address");
  expect(error.facts).toMatchObject({ field: "nics[0].ipv4_address", rollback: "done" });
});

test("what passes by itself may be tried again", () => {
  const passing = ERROR_KINDS.filter((kind) => isPassing(new N0Error(kind, "m")));
  expect(passing).toEqual(["aborted", "unavailable", "deadline_exceeded"]);
});

test("what is missing is named", () => {
  expect(notFound("virtual machine", "web")).toMatchObject({
    kind: "not_found",
    message: 'virtual machine "web" does not exist',
    facts: { resource: "virtual_machine/web" },
  });
});

test("a chain of causes is one line, and ends also where it goes round", () => {
  const root = new Error("disk");
  const outer = new N0Error("unavailable", "node", { cause: new Error("call", { cause: root }) });
  expect(errorChain(outer)).toBe("node <- Error: call <- Error: disk");
  expect(errorChain("text")).toBe("text");
  root.cause = outer;
  expect(errorChain(outer).split(" <- ")).toHaveLength(16);
});
