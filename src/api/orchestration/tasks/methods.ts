import {
  create,
  type DescMethod,
  type DescMethodUnary,
  type DescService,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { type ConnectRouter, createContextValues, type HandlerContext } from "@connectrpc/connect";
import { callerOf, setCaller } from "../../../rpc/caller.ts";
import { assertValid } from "../../../rpc/validate.ts";
import { PROJECT_HEADER } from "../../../util/project.ts";
import type { Call } from "../../core/context.ts";

type Handler = (request: Message, context: HandlerContext) => Promise<Message>;

const LOCAL_URL = "https://in-process";

/** The RPCs of this process that answer once, as a client calls them: each checks its request and its caller. */
export class Methods {
  readonly #handlers = new Map<string, Handler>();
  readonly #byName = new Map<string, DescMethodUnary>();

  /** @param register registers the RPCs, on a router that checks the callers. */
  constructor(register: (router: ConnectRouter) => void) {
    const router: ConnectRouter = {
      handlers: [],
      service: (service, routes) => {
        const all: { readonly [name: string]: unknown } = { ...routes };
        for (const method of service.methods) this.#add(method, all[method.localName]);
        return router;
      },
      rpc: (method, handle) => {
        this.#add(method, handle);
        return router;
      },
    };
    register(router);
  }

  #add(method: DescMethod, handle: unknown): void {
    if (!isUnary(method) || handle === undefined) return;
    this.#handlers.set(nameOf(method), handle as Handler);
    this.#byName.set(nameOf(method), method);
  }

  /** @param name such as `n0stack.pool.v0.NetworkService/ApplyNetwork`. */
  find(name: string): DescMethodUnary | undefined {
    return this.#byName.get(name);
  }

  /** The RPCs of one service. */
  of(service: DescService): readonly DescMethodUnary[] {
    return [...this.#byName.values()].filter(({ parent }) => parent.typeName === service.typeName);
  }

  /** Calls a method for the caller of `outer`, in the same project. @throws what its handler throws. */
  async call(
    method: DescMethodUnary,
    request: Message,
    outer: Call,
    signal: AbortSignal,
  ): Promise<Message> {
    const handle = this.#handlers.get(nameOf(method));
    if (handle === undefined) throw new Error(`${nameOf(method)} is not served here`);
    assertValid(method.input, request);
    const values = createContextValues();
    if (outer.values !== undefined) setCaller(values, callerOf(outer.values));
    const requestHeader = new Headers();
    const project = outer.requestHeader.get(PROJECT_HEADER);
    if (project !== null) requestHeader.set(PROJECT_HEADER, project);
    const context: HandlerContext = {
      service: method.parent,
      method,
      signal,
      timeoutMs: () => undefined,
      requestMethod: "POST",
      url: `${LOCAL_URL}/${nameOf(method)}`,
      protocolName: "connect",
      requestHeader,
      responseHeader: new Headers(),
      responseTrailer: new Headers(),
      values,
    };
    const answer: MessageInitShape<typeof method.output> = await handle(request, context);
    return create(method.output, answer);
  }
}

/** Such as `n0stack.pool.v0.NetworkService/ApplyNetwork`. */
export function nameOf({ parent, name }: DescMethodUnary): string {
  return `${parent.typeName}/${name}`;
}

export function changesSomething({ idempotency }: DescMethodUnary): boolean {
  return idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
}

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}
