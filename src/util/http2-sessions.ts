import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  ClientSessionRequestOptions,
  OutgoingHttpHeaders,
} from "node:http2";
import { Http2SessionManager } from "@connectrpc/connect-node";

/**
 * The connections of Connect, of which a dead one never ends this process. Two faults of the library would:
 *
 * - A session reports its end one turn after its calls have got it. A call that tries again meanwhile makes the
 *   library take its listener off the old session, and an `error` without a listener ends the process.
 * - The library pings a session that was destroyed in the same turn, and Node throws in a timer
 *   (connectrpc/connect-es#1795).
 */
export class Http2Sessions extends Http2SessionManager {
  readonly #known = new WeakSet<ClientHttp2Session>();

  override async request(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    options: Omit<ClientSessionRequestOptions, "signal">,
  ): Promise<ClientHttp2Stream> {
    const stream = await super.request(method, path, headers, options);
    this.#secure(stream.session as ClientHttp2Session | undefined);
    return stream;
  }

  #secure(session: ClientHttp2Session | undefined): void {
    if (session === undefined || this.#known.has(session)) return;
    this.#known.add(session);
    // Whoever waits for the session gets its error from the library, or from its own call.
    session.on("error", () => {});
    const ping = session.ping.bind(session) as (...words: unknown[]) => boolean;
    session.ping = (...words: unknown[]) => !session.destroyed && ping(...words);
  }
}
