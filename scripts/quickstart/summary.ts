import { hostname } from "node:os";
import process from "node:process";
import { styleText } from "node:util";
import { VIRTUAL_MACHINE } from "./example.ts";
import { API_ENDPOINT, API_PORT, KEY_FILE, LOG_FILE, PID_FILE } from "./places.ts";
import { askN0cli } from "./programs.ts";
import { elapsedSeconds } from "./progress.ts";

/** Prints what exists now, how to look at it, what to try, and how to remove it. */
export async function summary(): Promise<string> {
  const width = 54;
  const command = (text: string, what: string) =>
    `  ${styleText("cyan", text)}${" ".repeat(Math.max(2, width - text.length))}${what}`;
  const heading = (text: string) => styleText("bold", text);
  const user = process.env["SUDO_USER"] ?? "root";
  // Only root can read n0core's token.
  const asRoot = user === "root" ? "" : ", as root";
  return [
    "",
    heading(`Done in ${elapsedSeconds().toFixed(0)} s. The cloud now has`),
    `  virtual machine ${VIRTUAL_MACHINE}, 1 core, 256 MiB, 10.99.0.10, on the block storage ${VIRTUAL_MACHINE}`,
    "  network example-net, 10.99.0.0/24",
    "  image tiny, with the block storage tiny under the tag latest",
    `  n0core on http://${API_ENDPOINT}; log ${LOG_FILE}, pid file ${PID_FILE}`,
    "",
    heading("Its screen, in a browser on this computer; the link works once, within a minute"),
    `  ${styleText("cyan", await readConsoleUrl())}`,
    command(`bin/n0cli vm console ${VIRTUAL_MACHINE}`, "another link"),
    heading("The same links work on another computer while this command runs there"),
    `  ${styleText("cyan", `ssh -L ${API_PORT}:${API_ENDPOINT} ${user}@${hostname()}`)}`,
    "",
    heading(`Try next${asRoot}`),
    command(`bin/n0cli vm ssh ${VIRTUAL_MACHINE} -i ${KEY_FILE}`, "log in"),
    command("bin/n0cli tx list --since 1h", "what happened; tx show ID shows each step"),
    command("bin/n0cli verify", "compares this node with the records"),
    "",
    heading(`Remove it${asRoot}`),
    command("bin/n0cli do examples/delete-vm.yaml", "delete the virtual machine and its resources"),
    command("npm run quickstart -- --down", "remove all of this, with n0core"),
    "",
  ].join("\n");
}

/** The rest of the summary is valid without it. */
async function readConsoleUrl(): Promise<string> {
  const { code, stdout, stderr } = await askN0cli("vm", "console", VIRTUAL_MACHINE);
  return code === 0 ? stdout.trim() : `none now: ${stderr.trim()}`;
}
