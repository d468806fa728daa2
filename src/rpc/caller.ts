import {
  type ContextKey,
  type ContextValues,
  createContextKey,
  type Interceptor,
} from "@connectrpc/connect";

/** Who sends a request, as the server has authenticated it. */
export interface Caller {
  /**
   * Such as `user/alice`, `user/corp/alice`, `service_account/acme/ci` or `node/n1`. `administrator` may do
   * everything. `nobody` is not authenticated.
   */
  readonly principal: string;
  /** Such as `group/corp/ops`. */
  readonly groups: readonly string[];
  /** The id of the API token that he sent. */
  readonly tokenId?: string;
  /** The project of a call that names none. */
  readonly project?: string;
  /** What the credential allows less than its principal may. */
  readonly limit?: {
    /** Only in this project. */
    readonly project?: string;
    /** Only what one of these roles allows. */
    readonly roles?: readonly string[];
  };
  /** Aborts when the credential ends: its streams end with it. */
  readonly ended?: AbortSignal;
}

export const NOBODY: Caller = { principal: "nobody", groups: [] };

/** Who sends the token of the base directory, and everybody who calls a server that asks for no token. */
export const ADMINISTRATOR: Caller = { principal: "administrator", groups: [] };

/**
 * Finds the caller of a bearer token; undefined for a token that is not right.
 *
 * @param peer the address of the client.
 * @throws N0Error `unauthenticated` that says what is wrong with a token that was right, such as that it has
 *   expired; `unavailable` if it cannot be checked now.
 */
export type Authenticate = (
  token: string,
  peer?: string,
) => Caller | undefined | Promise<Caller | undefined>;

const callerKey: ContextKey<Caller> = createContextKey(NOBODY, { description: "caller" });

export function callerOf(values: ContextValues): Caller {
  return values.get(callerKey);
}

export function setCaller(values: ContextValues, caller: Caller): void {
  values.set(callerKey, caller);
}

/** For calls within the process. */
export function callerInterceptor(caller: Caller): Interceptor {
  return (next) => (request) => {
    setCaller(request.contextValues, caller);
    return next(request);
  };
}
