import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import type { DescField, DescMessage, DescMethod, Message } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import type { Interceptor, StreamResponse } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { NodeService } from "../gen/n0stack/pool/v0/node_pb.ts";
import { defined } from "../util/defined.ts";
import type { Log } from "../util/log.ts";
import { logFields, withLogFields } from "../util/log.ts";
import { cut } from "../util/quote.ts";
import { onAbort } from "../util/race.ts";
import { isOpen } from "./door/bounds.ts";
import { TRANSACTION_HEADER, toConnectError } from "./errors.ts";

export const REQUEST_ID_HEADER = "x-request-id";
const REQUEST_ID_PATTERN = /^[\x21-\x7e]{1,128}$/;

/** The id of the client, or a new one. */
export function requestIdOf(given: string | null | undefined): string {
  return typeof given === "string" && REQUEST_ID_PATTERN.test(given) ? given : randomUUID();
}

/** Programs call these every few seconds, so only failures are logged. */
const QUIET_METHODS: ReadonlySet<DescMethod> = new Set([NodeService.method.heartbeatNode]);

/** Everybody can call an open method, and must not fill the log by it. */
function isQuiet(method: DescMethod, isOk: boolean): boolean {
  return isOpen(method) || (isOk && QUIET_METHODS.has(method));
}

/**
 * Logs one line for each RPC, when it ends: method, name of the object, code and duration. Every line
 * within the call has its `requestId`: the one of the client (header `x-request-id`), or a new one. The
 * answer has it as a header. The outermost interceptor.
 */
export function logInterceptor(log: Log): Interceptor {
  return (next) => (request) => {
    const requestId = requestIdOf(request.header.get(REQUEST_ID_HEADER));
    return withLogFields({ requestId }, async () => {
      const line = startLine(log, request.method);
      if (request.stream) {
        const { signal } = request;
        // Nobody reads on if a client hangs up between two messages.
        onAbort(signal, () => line.end(hangUp(signal.reason)));
        const sent = named(request.message, line.name);
        return await answered(() => next({ ...request, message: sent }), requestId, line);
      }
      line.name(request.message);
      return await answered(() => next(request), requestId, line);
    });
  };
}

async function answered<R extends { readonly stream: boolean; readonly header: Headers }>(
  call: () => Promise<R>,
  requestId: string,
  line: Line,
): Promise<R> {
  try {
    const response = await call();
    response.header.set(REQUEST_ID_HEADER, requestId);
    if (isStream(response)) return { ...response, message: within(response.message, line.end) };
    line.end();
    return response;
  } catch (reason) {
    const error = toConnectError(reason);
    error.metadata.set(REQUEST_ID_HEADER, requestId);
    line.end(error);
    throw error;
  }
}

function isStream(response: { readonly stream: boolean }): response is StreamResponse {
  return response.stream;
}

interface Line {
  name(message: Message): void;
  /** Writes the line, once. Undefined means success. */
  end(reason?: unknown): void;
}

function startLine(log: Log, method: DescMethod): Line {
  const startMs = performance.now();
  const scope = logFields();
  const field = nameField(method.input);
  let resource: string | undefined;
  let ended = false;
  return {
    name: (message) => {
      const value: unknown = field && Reflect.get(message, field.localName);
      // No rule has checked it yet.
      if (typeof value === "string" && value !== "") resource ??= cut(value, 80);
    },
    end: (reason) => {
      if (ended) return;
      ended = true;
      const error = reason === undefined ? undefined : ConnectError.from(reason);
      const transactionId =
        scope["transactionId"] ?? error?.metadata.get(TRANSACTION_HEADER) ?? undefined;
      const fields = {
        method: `${method.parent.typeName}/${method.name}`,
        ...defined({ name: resource }),
        code: error === undefined ? "ok" : codeName(error.code),
        durationMs: Math.round((performance.now() - startMs) * 100) / 100,
        ...scope,
        ...defined({ transactionId, refusal: error?.rawMessage }),
      };
      if (error?.code === Code.Internal || error?.code === Code.Unknown) log.error("rpc", fields);
      else if (isQuiet(method, error === undefined)) log.debug("rpc", fields);
      else log.info("rpc", fields);
    },
  };
}

/** A broken connection appears as many kinds of errors. None of them is our failure. */
function hangUp(reason: unknown): ConnectError {
  const isBroken =
    !(reason instanceof ConnectError) ||
    reason.code === Code.Internal ||
    reason.code === Code.Unknown;
  return isBroken ? new ConnectError("the client hung up", Code.Canceled) : reason;
}

/** The code as on the wire, such as `failed_precondition`. */
function codeName(code: Code): string {
  return (Code[code] ?? "unknown").replace(/(?<=[a-z])[A-Z]/g, (c) => `_${c}`).toLowerCase();
}

const nameFields = new Map<DescMessage, DescField | undefined>();

/** The field with the name of the object: `name`, or the first string field that ends with `_name`. */
function nameField(input: DescMessage): DescField | undefined {
  if (!nameFields.has(input)) nameFields.set(input, findNameField(input));
  return nameFields.get(input);
}

function findNameField({ fields }: DescMessage): DescField | undefined {
  const texts = fields.filter((field) => field.oneof === undefined && isText(field));
  return (
    texts.find(({ name }) => name === "name") ?? texts.find(({ name }) => name.endsWith("_name"))
  );
}

function isText({ fieldKind, scalar }: DescField): boolean {
  return fieldKind === "scalar" && scalar === ScalarType.STRING;
}

async function* named(
  messages: AsyncIterable<Message>,
  name: (message: Message) => void,
): AsyncGenerator<Message, void> {
  for await (const message of messages) {
    name(message);
    yield message;
  }
}

/**
 * The same stream, but each step runs with the log fields of the call, because the framework reads it from
 * outside. Calls `end` with the result, also if the reader stops early.
 */
function within(messages: AsyncIterable<Message>, end: (reason?: unknown) => void) {
  const inScope = AsyncLocalStorage.snapshot();
  const source = messages[Symbol.asyncIterator]();
  async function* steps(): AsyncGenerator<Message, void> {
    try {
      for (;;) {
        const step = await inScope(() => source.next()).catch((reason: unknown) => {
          end(toConnectError(reason));
          throw reason;
        });
        if (step.done === true) return end();
        // An error here comes from outside: the message could not be sent.
        yield step.value;
      }
    } finally {
      end(hangUp(undefined));
      await source.return?.();
    }
  }
  return steps();
}
