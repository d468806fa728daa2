import { create } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createClient,
  createRouterTransport,
  type HandlerContext,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { ComputeAgentService } from "../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { type Node, NodeSchema, NodeService } from "../gen/n0stack/pool/v0/node_pb.ts";
import { untilAborted } from "../util/race.ts";
import { localTransport } from "./local-transport.ts";

type Connect = (
  getNode: (name: string, context: HandlerContext) => Promise<Node> | Node,
  interceptors?: Interceptor[],
) => Transport;

const routes = (getNode: Parameters<Connect>[0]) => (router: ConnectRouter) => {
  router.service(NodeService, {
    getNode: ({ name }, context) => getNode(name, context),
    async *watchNodes({ name }) {
      for (const suffix of ["a", "b"]) yield { deletedName: name + suffix };
    },
  });
};

// What Connect's own transport does is what ours is held to.
const transports: [string, Connect][] = [
  ["ours", (getNode, interceptors = []) => localTransport(routes(getNode), { interceptors })],
  [
    "Connect's",
    (getNode, interceptors = []) =>
      createRouterTransport(routes(getNode), { router: { interceptors } }),
  ],
];

const refused = (call: Promise<unknown>) =>
  call.then(
    () => expect.unreachable("it was answered"),
    (reason: unknown) => ConnectError.from(reason),
  );

describe.each(transports)("a call within the process by %s transport", (_, connect) => {
  test("answers a copy, so that neither side can change the other's", async () => {
    const theirs = create(NodeSchema, { name: "n", labels: { a: "1" }, memoryBytes: 5n });
    const client = createClient(
      NodeService,
      connect(() => theirs),
    );
    const ours = await client.getNode({ name: "n" });
    expect(ours).toEqual(theirs);
    ours.labels["a"] = "2";
    expect(theirs.labels).toEqual({ a: "1" });
  });

  test("carries headers both ways", async () => {
    const transport = connect((_name, { requestHeader, responseHeader }) => {
      responseHeader.set("x-answer", `${requestHeader.get("x-ask")}!`);
      return create(NodeSchema);
    });
    let seen: string | null = "";
    const onHeader = (header: Headers) => {
      seen = header.get("x-answer");
    };
    await createClient(NodeService, transport).getNode({}, { headers: { "x-ask": "?" }, onHeader });
    expect(seen).toBe("?!");
  });

  test("throws the handler's error with its code, details and metadata, and no cause", async () => {
    const detail = { desc: ErrorInfoSchema, value: { reason: "BUSY", domain: "d" } };
    const client = createClient(
      NodeService,
      connect(() => {
        throw new ConnectError(
          "busy",
          Code.Aborted,
          { "x-id": "7" },
          [detail],
          new Error("secret"),
        );
      }),
    );
    const error = await refused(client.getNode({}));
    expect(error).toMatchObject({ code: Code.Aborted, rawMessage: "busy" });
    expect(error.cause).toBeUndefined();
    expect(error.metadata.get("x-id")).toBe("7");
    expect(error.findDetails(ErrorInfoSchema)[0]?.reason).toBe("BUSY");
  });

  test("goes through the interceptors, outermost first", async () => {
    const order: string[] = [];
    const interceptor =
      (name: string): Interceptor =>
      (next) =>
      async (request) => {
        order.push(name);
        return await next(request);
      };
    const transport = connect(
      () => create(NodeSchema),
      [interceptor("outer"), interceptor("inner")],
    );
    await createClient(NodeService, transport).getNode({});
    expect(order).toEqual(["outer", "inner"]);
  });

  test("ends at its deadline, and so does what the handler does", async () => {
    let left: number | undefined;
    let aborted = false;
    const client = createClient(
      NodeService,
      connect((_name, context) => {
        left = context.timeoutMs();
        context.signal.addEventListener("abort", () => (aborted = true));
        return untilAborted(context.signal);
      }),
    );
    const error = await refused(client.getNode({}, { timeoutMs: 20 }));
    expect(error.code).toBe(Code.DeadlineExceeded);
    expect(left).toBeLessThanOrEqual(20);
    expect(aborted).toBe(true);
  });

  test("ends when its client gives up, before or meanwhile", async () => {
    const client = createClient(
      NodeService,
      connect((_name, context) => untilAborted(context.signal)),
    );
    const controller = new AbortController();
    const late = refused(client.getNode({}, { signal: controller.signal }));
    controller.abort();
    expect((await late).code).toBe(Code.Canceled);
    expect((await refused(client.getNode({}, { signal: AbortSignal.abort() }))).code).toBe(
      Code.Canceled,
    );
  });

  test("streams", async () => {
    const client = createClient(
      NodeService,
      connect(() => create(NodeSchema)),
    );
    const seen: string[] = [];
    for await (const { deletedName } of client.watchNodes({ name: "n" })) seen.push(deletedName);
    expect(seen).toEqual(["na", "nb"]);
  });

  test("of a method that is not served is unimplemented", async () => {
    const transport = connect(() => create(NodeSchema));
    const [other, missing] = [
      createClient(ComputeAgentService, transport).getDomain({}),
      createClient(NodeService, transport).deleteNode({}),
    ];
    expect((await refused(other)).code).toBe(Code.Unimplemented);
    expect((await refused(missing)).code).toBe(Code.Unimplemented);
  });
});

test("a limit for all calls goes before a longer one of the caller, and the end of the server before both", async () => {
  const end = new AbortController();
  const options = { interceptors: [], shutdownSignal: end.signal, unaryTimeoutMs: 20 };
  const transport = localTransport(
    routes((_name, context) => untilAborted(context.signal)),
    options,
  );
  const client = createClient(NodeService, transport);
  expect((await refused(client.getNode({}, { timeoutMs: 60_000 }))).code).toBe(
    Code.DeadlineExceeded,
  );
  const call = refused(client.getNode({}));
  end.abort(new ConnectError("stopping", Code.Unavailable));
  expect(await call).toMatchObject({ code: Code.Unavailable, rawMessage: "stopping" });
});
