import type { ConnectRouter } from "@connectrpc/connect";
import { ConsoleService } from "../../src/gen/n0stack/provisioning/v1alpha1/console_pb.ts";
import type { FakeMachines } from "./fake-machines.ts";

export interface FakeConsole {
  /** What each machine wrote to its serial console, by name. */
  readonly logs: Map<string, string>;
  register(router: ConnectRouter): void;
}

/** A serial console that answers what is typed in capitals, and a port that sends back what it gets. */
export function newFakeConsole({ machines }: FakeMachines): FakeConsole {
  const logs = new Map<string, string>();
  const text = (data: Uint8Array) => new TextDecoder().decode(data);
  const bytes = (words: string) => new TextEncoder().encode(words);

  const register = (router: ConnectRouter) =>
    router.service(ConsoleService, {
      async *readSerialLog({ virtualMachineName: name }) {
        machines.get(name);
        yield { data: bytes(logs.get(name) ?? "") };
      },
      async *attachSerial(requests) {
        for await (const { virtualMachineName: name, data } of requests) {
          if (name !== "") {
            machines.get(name);
            yield { data: bytes(`${name} login: `) };
          } else yield { data: bytes(text(data).toUpperCase()) };
        }
      },
      async *forward(requests) {
        let isFirst = true;
        for await (const { virtualMachineName: name, port, data } of requests) {
          if (isFirst) {
            machines.get(name);
            yield { data: bytes(`${name}:${port} `) };
          } else yield { data };
          isFirst = false;
        }
      },
    });
  return { logs, register: (router) => void register(router) };
}
