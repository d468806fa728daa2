import { copyFileSync, existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { dirname, relative } from "node:path";
import { styleText } from "node:util";
import {
  listObjects,
  ofExample,
  readState,
  removeExample,
  VIRTUAL_MACHINE,
  waitForSsh,
} from "./example.ts";
import { readMade, recordMade } from "./made.ts";
import { findN0core, startN0core, waitForNode } from "./n0core.ts";
import {
  API_ENDPOINT,
  IMAGE,
  KEY_FILE,
  LIBVIRTD_RECORD,
  LOG_FILE,
  PID_FILE,
  PROJECT,
} from "./places.ts";
import { must } from "./programs.ts";
import { elapsedSeconds, say, step } from "./progress.ts";

/** From whatever there is to a virtual machine that answers. Can be repeated. */
export async function up(): Promise<void> {
  await step("Debian packages: libvirt, QEMU, the image's tools", async () => {
    await must("scripts/host/ensure-packages.sh", ["node", "image", "openssh-client"]);
  });
  recordMade({});
  await step("libvirtd and virtlogd", async () => {
    await must("scripts/host/ensure-libvirtd.sh", ["--record", LIBVIRTD_RECORD]);
  });
  await step("tiny guest image", putImage);
  await step("n0core serve standalone", runN0core);
  await step("n0cli do examples/boot-vm.yaml", boot);
  const answer = await step(
    "SSH, as n0 with the example key (it boots, which takes 10 to 20 s under emulation)",
    waitForSsh,
  );
  say(`${VIRTUAL_MACHINE} answers: ${answer}`);
  console.log(summary());
}

/** Where the agent may fetch from. */
async function putImage(): Promise<void> {
  const made = (await must("scripts/image/tiny.sh", [])).trim().split("\n").at(-1) ?? "";
  if (existsSync(IMAGE)) {
    const isSame = statSync(IMAGE).size === statSync(made).size;
    // One that is somebody else's is used as it is.
    if (isSame || !readMade().image) return say(`  ${IMAGE} is there`);
  }
  recordMade({ image: true });
  mkdirSync(dirname(IMAGE), { recursive: true });
  copyFileSync(made, `${IMAGE}.new`);
  renameSync(`${IMAGE}.new`, IMAGE);
  say(`  ${relative(PROJECT, made)} is at ${IMAGE}`);
}

async function runN0core(): Promise<void> {
  const running = findN0core();
  if (running === undefined) say(`  started, process ${await startN0core()}`);
  else say(`  runs already, process ${running}`);
  recordMade({ n0core: true });
  await waitForNode();
}

async function boot(): Promise<void> {
  const state = await readState();
  if (state === "RUNNING") return say(`  ${VIRTUAL_MACHINE} is there and runs`);
  if (state === "SHUTDOWN" || state === "PAUSED") {
    say(`  ${VIRTUAL_MACHINE} is there, and ${state}`);
    await must("bin/n0cli", ["vm", state === "PAUSED" ? "resume" : "boot", VIRTUAL_MACHINE]);
    return;
  }
  const objects = await listObjects();
  const remains = ofExample(objects);
  if (remains.length > 0) {
    say(`  first goes what an earlier run left: ${remains.join(", ")}`);
    await removeExample(objects);
  }
  recordMade({ example: true });
  await must("bin/n0cli", ["do", "examples/boot-vm.yaml"]);
}

function summary(): string {
  const command = (text: string) => `  ${styleText("cyan", text)}`;
  return [
    "",
    styleText("bold", `Done in ${elapsedSeconds().toFixed(0)} s. There is now`),
    "  virtual machine example-vm, 1 core, 256 MiB, 10.99.0.10, on its disk example-vm",
    "  network example-net, 10.99.0.0/24",
    "  image tiny, with the block storage tiny under the tag latest",
    `  n0core on http://${API_ENDPOINT}; log ${LOG_FILE}, pid file ${PID_FILE}`,
    "",
    styleText("bold", "Look at it"),
    command(`bin/n0cli vm ssh example-vm -i ${KEY_FILE}`),
    command("bin/n0cli get vm"),
    command("bin/n0cli vm log example-vm"),
    command("bin/n0cli vm console example-vm"),
    "",
    styleText("bold", "Remove it"),
    `${command("bin/n0cli do examples/delete-vm.yaml")}   the machine and what it stands on`,
    `${command("npm run quickstart -- --down")}           that, n0core, and all else that this made`,
    "",
  ].join("\n");
}
