import type { Interceptor } from "@connectrpc/connect";
import type { Log } from "../util/log.ts";
import { errorInterceptor } from "./errors.ts";
import { logInterceptor } from "./log-interceptor.ts";
import { validateInterceptor } from "./validate.ts";

/** What every server of ours does around a handler, on a socket or within the process; outermost first. */
export function serverInterceptors(log: Log): Interceptor[] {
  return [logInterceptor(log), errorInterceptor(log), validateInterceptor()];
}
