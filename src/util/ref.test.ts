import { describe, expect, test } from "vitest";
import { fc } from "../../test/properties.ts";
import {
  formatRef,
  isSameRef,
  NAME,
  NAME_ON_NODE,
  nameOnNode,
  nodeRef,
  parseRef,
  type Ref,
  refOnNode,
} from "./ref.ts";

const name = fc.oneof(
  fc.constantFrom("a", "a.b", "default", "a-1", "n1", "x".repeat(63)),
  fc.stringMatching(NAME),
);
const scope = fc.oneof(fc.constant("default"), name);
const ref = fc.oneof(
  fc.record({ kind: fc.constantFrom("virtual_machine", "network"), scope, name }),
  name.map(nodeRef),
);

describe("the text form", () => {
  test.for([
    ["virtual_machine/web-1", { kind: "virtual_machine", scope: "default", name: "web-1" }],
    ["virtual_machine/acme/web-1", { kind: "virtual_machine", scope: "acme", name: "web-1" }],
    ["node/n1", { kind: "node", scope: "", name: "n1" }],
  ] as const)("%s is read as what it was written from", ([text, made]) => {
    expect(formatRef(made)).toBe(text);
    expect(parseRef(text)).toEqual(made);
  });

  test.for(["", "web", "/web", "network/", "network/default/net", "network//net", "a/b/c/d"])(
    "%j is none",
    (text) => {
      expect(parseRef(text)).toBeUndefined();
    },
  );

  test("any object is read back from its text, and from no other object's", () => {
    fc.assert(
      fc.property(ref, ref, (a, b) => {
        expect(parseRef(formatRef(a))).toEqual(a);
        expect(formatRef(a) === formatRef(b)).toBe(isSameRef(a, b));
      }),
    );
  });
});

describe("the name on a node", () => {
  const onNode = (made: Ref) => nameOnNode(made);

  test("is in the default scope the name alone, and in another one what no name is", () => {
    expect(onNode({ kind: "network", scope: "default", name: "net" })).toBe("net");
    const other = onNode({ kind: "network", scope: "acme", name: "net" });
    expect(other).toBe("acme~net");
    expect(other).not.toMatch(NAME);
  });

  test("tells two objects of a kind apart, and whose it is", () => {
    const object = fc.record({ kind: fc.constant("virtual_machine"), scope, name });
    fc.assert(
      fc.property(object, object, (a, b) => {
        expect(onNode(a)).toMatch(NAME_ON_NODE);
        expect(refOnNode(a.kind, onNode(a))).toEqual(a);
        expect(onNode(a) === onNode(b)).toBe(isSameRef(a, b));
      }),
    );
  });
});
