import type { Interceptor } from "@connectrpc/connect";
import type { Log } from "../util/log.ts";
import { type Audience, errorInterceptor } from "./errors.ts";
import { logInterceptor } from "./log-interceptor.ts";
import { validateInterceptor } from "./validate.ts";

/** The interceptors of all our servers, on a socket or within the process, the outermost first. */
export function serverInterceptors(log: Log, audience: Audience = "client"): Interceptor[] {
  return [logInterceptor(log), errorInterceptor(log, audience), validateInterceptor()];
}
