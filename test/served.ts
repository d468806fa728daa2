import type { DescField, DescMethod, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { fromJson, getOption } from "@bufbuild/protobuf";
import {
  Ignore,
  field as rulesOption,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import type { CallOptions, ConnectRouter, Transport } from "@connectrpc/connect";
import { createClient, createConnectRouter } from "@connectrpc/connect";
import type { OpenedApi } from "../src/api/api.ts";
import { consoleRoutes } from "../src/api/console/console-service.ts";
import { consoleFinder } from "../src/api/console/targets.ts";
import { silentLog } from "../src/util/log.ts";
import { EXAMPLES_OF_RESOURCES } from "./cases.ts";

/** Everything that an API process serves, after authentication. */
export function allRoutes({ api, routes, guarded }: OpenedApi): (router: ConnectRouter) => void {
  return (router) => {
    routes(router);
    consoleRoutes(guarded(router), consoleFinder(api), silentLog);
  };
}

/** The RPCs of these routes. */
export function methodsOf(routes: (router: ConnectRouter) => void): DescMethod[] {
  const router = createConnectRouter();
  routes(router);
  return router.handlers.map(({ method }) => method);
}

/** A request that breaks no rule: the example of the RPC, or else its names alone. */
export function exampleOf({ name, input }: DescMethod): JsonObject {
  const example = EXAMPLES_OF_RESOURCES[name];
  if (example !== undefined) return example as JsonObject;
  const names = input.fields.filter(
    (field) => /^(\w+_)?name$/.test(field.name) && !isOptional(field),
  );
  return Object.fromEntries(names.map(({ jsonName }) => [jsonName, "a"]));
}

function isOptional(field: DescField): boolean {
  return getOption(field, rulesOption).ignore === Ignore.IF_ZERO_VALUE;
}

interface Sent {
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether to read a stream until its message `synced`. Default: only its first message. */
  readonly isWhole?: boolean;
}

type AnyCall = (request: unknown, options: CallOptions) => unknown;

/** Calls any RPC. @returns its answer with its headers, or the first messages of its stream, which it ends. */
export async function send(
  transport: Transport,
  { input, parent, localName, methodKind }: DescMethod,
  request: JsonValue,
  { headers = {}, isWhole = false }: Sent = {},
): Promise<readonly unknown[]> {
  const call = (createClient(parent, transport) as Record<string, AnyCall>)[localName]!;
  const message = fromJson(input, request);
  const got: unknown[] = [];
  if (methodKind === "unary") {
    const keep = (received: Headers) => void got.push(...received);
    const answer = await call(message, { headers, onHeader: keep, onTrailer: keep });
    return [answer, ...got];
  }
  const end = new AbortController();
  const isAlone = methodKind === "server_streaming";
  const stream = call(isAlone ? message : once(message), { headers, signal: end.signal });
  try {
    for await (const one of stream as AsyncIterable<{ readonly synced?: boolean }>) {
      got.push(one);
      if (!(isWhole && isAlone) || one.synced === true) break;
    }
  } finally {
    end.abort();
  }
  return got;
}

async function* once<T>(message: T): AsyncGenerator<T> {
  yield message;
}
