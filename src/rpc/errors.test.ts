import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { describe, expect, test } from "vitest";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../gen/google/rpc/error_details_pb.ts";
import { NodeService } from "../gen/n0stack/pool/v0/node_pb.ts";
import { ERROR_KINDS, N0Error } from "../util/errors.ts";
import type { LogFields } from "../util/log.ts";
import { silentLog } from "../util/log.ts";
import {
  errorInterceptor,
  fromConnectError,
  onNode,
  onNodeStream,
  toConnectError,
  ViolationsError,
} from "./errors.ts";

/** A client whose server throws `reason`, through the real protocol. */
function clientOf(reason: unknown, logged: unknown[] = []) {
  const log = {
    ...silentLog,
    error: (message: string, fields?: LogFields) => logged.push({ message, ...fields }),
  };
  const transport = createRouterTransport(
    ({ service }) =>
      service(NodeService, {
        listNodes: () => {
          throw reason;
        },
        async *watchNodes() {
          yield { deletedName: "one" };
          throw reason;
        },
      }),
    { router: { interceptors: [errorInterceptor(log)] } },
  );
  return createClient(NodeService, transport);
}

async function thrownBy(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
  } catch (reason) {
    return reason;
  }
  throw new Error("nothing was thrown");
}

describe("over the wire", () => {
  test.each(ERROR_KINDS)("%s comes back as itself", async (kind) => {
    const sent = new N0Error(kind, "web-1 is busy", {
      resource: "virtual_machine/web-1",
      field: "nics[0].ipv4_address",
      transactionId: "t-1",
      rollback: "going_on",
      retryAfterMs: 1250,
    });
    const got = fromConnectError(await thrownBy(() => clientOf(sent).listNodes({})));
    expect(got).toMatchObject({
      kind,
      message: "web-1 is busy",
      facts: {
        resource: "virtual_machine/web-1",
        field: "nics[0].ipv4_address",
        transactionId: "t-1",
        rollback: "going_on",
        retryAfterMs: 1250,
      },
    });
  });

  test("carries details and the transaction's header", async () => {
    const sent = new N0Error("aborted", "busy", { transactionId: "t-1", retryAfterMs: 500 });
    const error = ConnectError.from(await thrownBy(() => clientOf(sent).listNodes({})));
    expect(error.code).toBe(Code.Aborted);
    expect(error.metadata.get("n0-transaction-id")).toBe("t-1");
    expect(error.findDetails(ErrorInfoSchema)[0]).toMatchObject({
      reason: "aborted",
      domain: "n0stack",
      metadata: { transaction_id: "t-1" },
    });
    expect(error.findDetails(RetryInfoSchema)[0]?.retryDelay?.nanos).toBe(500_000_000);
  });

  test("names every field at fault", async () => {
    const sent = new ViolationsError([
      { field: "name", description: "must not be empty" },
      { field: "nics[0].network_name", description: "must be a name" },
    ]);
    const error = ConnectError.from(await thrownBy(() => clientOf(sent).listNodes({})));
    expect(error.rawMessage).toBe("name: must not be empty; nics[0].network_name: must be a name");
    const fields = error.findDetails(BadRequestSchema)[0]?.fieldViolations.map((v) => v.field);
    expect(fields).toEqual(["name", "nics[0].network_name"]);
  });

  test("what could not be finished after the commit says so", async () => {
    const message =
      "CreateNetwork is committed, but finishing it failed: transaction t-1 needs an operator";
    const facts = {
      transactionId: "t-1",
      rollback: "needs_operator",
      cause: new Error("/secret"),
    } as const;
    const sent = new N0Error("internal", message, facts);
    const error = ConnectError.from(await thrownBy(() => clientOf(sent).listNodes({})));
    expect([error.code, error.rawMessage]).toEqual([Code.Internal, message]);
  });

  test("says nothing of a bug, and logs it", async () => {
    const logged: unknown[] = [];
    const bug = new TypeError("undefined is not /var/lib/secret");
    const error = ConnectError.from(await thrownBy(() => clientOf(bug, logged).listNodes({})));
    expect([error.code, error.rawMessage]).toEqual([Code.Internal, "internal error"]);
    expect(logged).toEqual([
      { message: "a handler failed", method: "n0stack.pool.v0.NodeService/ListNodes", error: bug },
    ]);
  });

  test("turns what is thrown in the middle of a stream", async () => {
    const got: string[] = [];
    const reason = await thrownBy(async () => {
      for await (const answer of clientOf(new N0Error("unavailable", "gone")).watchNodes({})) {
        got.push(answer.deletedName);
      }
    });
    expect(got).toEqual(["one"]);
    expect(fromConnectError(reason)).toMatchObject({ kind: "unavailable", message: "gone" });
  });

  test("an error of another server is not passed on", async () => {
    const foreign = await thrownBy(() =>
      clientOf(new N0Error("not_found", "secret")).listNodes({}),
    );
    expect(toConnectError(foreign).rawMessage).toBe("internal error");
  });
});

test("an own ConnectError stays as it is", () => {
  const error = new ConnectError("too large", Code.ResourceExhausted);
  expect(toConnectError(error)).toBe(error);
});

test.each([
  [Code.Canceled, "unavailable"],
  [Code.DeadlineExceeded, "unavailable"],
  [Code.Unavailable, "unavailable"],
  [Code.Unknown, "internal"],
  [Code.NotFound, "not_found"],
] as const)("code %s without details is %s", (code, kind) => {
  expect(fromConnectError(new ConnectError("m", code)).kind).toBe(kind);
});

describe("onNode", () => {
  const call = (reason: unknown) =>
    thrownBy(() => onNode("n1", () => clientOf(reason).listNodes({})));

  test.each([
    ["failed_precondition", "failed_precondition"],
    ["resource_exhausted", "resource_exhausted"],
    ["aborted", "aborted"],
    ["invalid_argument", "invalid_argument"],
    ["not_found", "failed_precondition"],
    ["deadline_exceeded", "unavailable"],
  ] as const)("%s of an agent is %s", async (kind, expected) => {
    expect(await call(new N0Error(kind, "the disk is full"))).toMatchObject({
      kind: expected,
      message: 'node "n1": the disk is full',
      facts: { resource: "node/n1" },
    });
  });

  test("a bug of an agent is internal, with its cause", async () => {
    const error = await call(new TypeError("x"));
    expect(error).toMatchObject({ kind: "internal", message: 'node "n1": internal error' });
    expect((error as N0Error).cause).toBeInstanceOf(ConnectError);
  });

  test.each([
    [new ConnectError("read ECONNREFUSED 10.0.0.1", Code.Unavailable), "its agent does not answer"],
    [new ConnectError("late", Code.DeadlineExceeded), "its agent did not answer in time"],
    [new ConnectError("HTTP 418", Code.Unknown), "the server there is not an agent of n0stack"],
    [new ConnectError("no", Code.Unauthenticated), "its agent refuses the token of this API"],
  ])("%s is unavailable", async (reason, problem) => {
    const error = await thrownBy(() => onNode("n1", () => Promise.reject(reason)));
    expect(error).toMatchObject({ kind: "unavailable", message: `node "n1": ${problem}` });
  });

  test("covers streams", async () => {
    const reason = await thrownBy(async () => {
      const client = clientOf(new N0Error("aborted", "older"));
      for await (const _ of onNodeStream("n1", () => client.watchNodes({}))) continue;
    });
    expect(reason).toMatchObject({ kind: "aborted", message: 'node "n1": older' });
  });
});

describe("an error over gRPC fits into the headers that clients take", () => {
  const long = "ä".repeat(15 << 20);
  const violations = Array.from({ length: 1000 }, (_, i) => ({
    field: `annotations["${i}"]`,
    description: long,
  }));

  test.each([
    ["a message", new N0Error("aborted", long)],
    ["a field and a resource", new N0Error("aborted", "x", { field: long, resource: long })],
    ["a cause", new N0Error("internal", long, { cause: new Error(long) })],
    ["many violations", new ViolationsError(violations)],
    [
      "all of it",
      new N0Error("aborted", long, { field: long, resource: long, cause: new Error(long) }),
    ],
    ["one of Connect's own", new ConnectError(long, Code.InvalidArgument)],
  ])("%s", (_, sent) => {
    for (const audience of ["client", "api"] as const) {
      const error = toConnectError(sent, audience);
      const trailers = [...setTrailerStatus(new Headers(), error)];
      const bytes = trailers.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
      expect(bytes).toBeLessThan(15 << 10);
      expect(Buffer.byteLength(error.rawMessage)).toBeLessThanOrEqual(2048);
      expect(error.code).toBe(toConnectError(sent).code);
    }
  });

  test("what fits is told whole", () => {
    const some = Array.from({ length: 20 }, (_, i) => ({ field: `a[${i}]`, description: "rule" }));
    const error = toConnectError(new ViolationsError(some));
    expect(error.findDetails(BadRequestSchema)[0]?.fieldViolations).toHaveLength(20);
    const text = "x".repeat(3000);
    const retry = [{ desc: RetryInfoSchema, value: {} }];
    const details = new ConnectError(text, Code.Aborted, undefined, retry);
    expect(toConnectError(details).findDetails(RetryInfoSchema)).toHaveLength(1);
  });
});
