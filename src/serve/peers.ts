import type { Transport } from "@connectrpc/connect";
import type { PeerOptions, PeerTransport } from "../rpc/transport.ts";
import { AGENT_PORT_DEFAULT, openTransport } from "../rpc/transport.ts";
import type { Clock } from "../util/clock.ts";
import { systemClock } from "../util/clock.ts";

/** Longer than a connection without a call stands. */
const UNUSED_MS = 10 * 60_000;
const SWEEP_EVERY_MS = 60_000;

/** One connection to each agent that is talked to. */
export interface Peers extends Disposable {
  /** @throws N0Error `invalid_argument` for an address that is none. */
  transportTo(address: string): Transport;
  /**
   * A way to whoever is at the address, which bears no token. Nobody else uses it, and whoever asked for it
   * closes it.
   *
   * @throws N0Error `invalid_argument` for an address that is none.
   */
  openUntrusted(address: string): PeerTransport;
  /** How many transports there are. */
  readonly size: number;
}

interface Opened {
  readonly transport: PeerTransport;
  usedAtMs: number;
}

/**
 * Opens transports when they are used. One that nobody has used for ten minutes is closed and forgotten, as
 * its node may be gone for good; the next call opens another.
 */
export function openPeers(options: PeerOptions, clock: Clock = systemClock): Peers {
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
      transport: openTransport(address, AGENT_PORT_DEFAULT, options),
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
