import type { Transport } from "@connectrpc/connect";
import type { PeerOptions, PeerTransport } from "../rpc/transport.ts";
import { AGENT_PORT_DEFAULT, openTransport } from "../rpc/transport.ts";
import type { Clock } from "../util/clock.ts";
import { systemClock } from "../util/clock.ts";

/** Longer than the lifetime of a connection without a call. */
const UNUSED_MS = 10 * 60_000;
const SWEEP_EVERY_MS = 60_000;

/** One connection to each agent that the API calls. */
export interface Peers extends Disposable {
  /** @throws N0Error `invalid_argument` for an invalid address. */
  transportTo(address: string): Transport;
  /**
   * A transport to the server at the address, without a token. Only the caller uses it, and the caller
   * closes it.
   *
   * @throws N0Error `invalid_argument` for an invalid address.
   */
  openUntrusted(address: string): PeerTransport;
  /** The number of open transports. */
  readonly size: number;
}

interface Opened {
  readonly transport: PeerTransport;
  usedAtMs: number;
}

/**
 * Opens transports at their first use. Closes one after ten minutes without a call, because its node may be
 * gone for good. The next call opens another.
 */
export function openPeers(
  options: PeerOptions,
  clock: Clock = systemClock,
  open = (address: string) => openTransport(address, AGENT_PORT_DEFAULT, options),
): Peers {
  const opened = new Map<string, Opened>();
  let sweptAtMs = clock.monotonicMs();

  const sweep = (nowMs: number) => {
    if (nowMs - sweptAtMs < SWEEP_EVERY_MS) return;
    sweptAtMs = nowMs;
    for (const [address, { transport, usedAtMs }] of opened) {
      if (nowMs - usedAtMs < UNUSED_MS || !transport.isIdle()) continue;
      opened.delete(address);
      transport.close();
    }
  };
  const use = (address: string): Transport => {
    const nowMs = clock.monotonicMs();
    const known = opened.get(address);
    const one = known ?? {
      transport: open(address),
      usedAtMs: nowMs,
    };
    one.usedAtMs = nowMs;
    if (known === undefined) opened.set(address, one);
    sweep(nowMs);
    return one.transport;
  };

  return {
    transportTo: (address) => {
      use(address);
      return {
        unary: (...call) => use(address).unary(...call),
        stream: (...call) => use(address).stream(...call),
      };
    },
    openUntrusted: (address) => {
      const { token: _, ...others } = options;
      return openTransport(address, AGENT_PORT_DEFAULT, others);
    },
    get size() {
      return opened.size;
    },
    [Symbol.dispose]: () => {
      for (const { transport } of opened.values()) transport.close();
      opened.clear();
    },
  };
}
