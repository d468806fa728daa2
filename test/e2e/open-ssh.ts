import { join } from "node:path";
import type { Place } from "./place.ts";
import { type Answer, must, PROJECT, type ProgramOptions, run } from "./program.ts";
import type { Server } from "./server.ts";

export interface OpenSsh {
  /** The options for ssh, as for each program that runs it. */
  readonly options: readonly string[];
  /** Runs ssh, rsync or the like. */
  run(program: string, ...args: readonly string[]): Promise<Answer>;
  /** @throws Error if it fails. */
  must(program: string, ...args: readonly string[]): Promise<string>;
}

/** OpenSSH itself, as somebody sets it up who knows only `n0cli vm forward`. */
export function openSsh(server: Pick<Server, "url" | "tokenFile">, place: Place): OpenSsh {
  const env = {
    XDG_CONFIG_HOME: place.configHome,
    N0CLI_API_ENDPOINT: server.url,
    N0CLI_TOKEN_FILE: server.tokenFile,
  };
  const settings = {
    ProxyCommand: `${join(PROJECT, "bin/n0cli")} vm forward %h %p`,
    UserKnownHostsFile: join(place.baseDirectory, "test", "open-ssh-hosts"),
    StrictHostKeyChecking: "accept-new",
    IdentityFile: place.keyFile,
    IdentitiesOnly: "yes",
    User: "n0",
  };
  const options: ProgramOptions = { env, timeoutMs: 170_000 };
  return {
    options: Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]),
    run: (program, ...args) => run(program, args, options),
    must: (program, ...args) => must(program, args, options),
  };
}
