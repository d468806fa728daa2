import { copyFileSync, existsSync, mkdirSync, renameSync } from "node:fs";
import { basename, dirname, relative } from "node:path";
import { exampleBuild, isSameFile, n0coreBuild } from "./builds.ts";
import {
  listObjects,
  ofExample,
  readState,
  removeExample,
  VIRTUAL_MACHINE,
  waitForSsh,
} from "./example.ts";
import { isForwarding, type Made, readMade, recordMade } from "./made.ts";
import { findN0core, otherBuildOf, startN0core, waitForNode } from "./n0core.ts";
import { IMAGE, LIBVIRTD_RECORD, PROJECT, RECORDS_FOLDER } from "./places.ts";
import { must } from "./programs.ts";
import { say, sayNote, step } from "./progress.ts";
import { summary } from "./summary.ts";

/** Makes a virtual machine that answers, whatever exists already. Can be repeated. */
export async function up(): Promise<void> {
  await step("Debian packages: libvirt, QEMU, the image's tools", async () => {
    await must("scripts/host/ensure-packages.sh", ["node", "image", "openssh-client"]);
  });
  recordMade({});
  await step("libvirtd and virtlogd", async () => {
    await must("scripts/host/ensure-libvirtd.sh", ["--record", LIBVIRTD_RECORD]);
  });
  const image = await step("tiny guest image", putImage);
  await step("n0core serve standalone", runN0core);
  await step("n0cli do examples/boot-vm.yaml", () => boot(exampleBuild(image)));
  const answer = await step(
    "SSH, as n0 with the example key (the guest boots in 10 to 20 s under emulation)",
    waitForSsh,
  );
  say(`${VIRTUAL_MACHINE} answers: ${answer}`);
  console.log(await summary());
}

/** Puts the image where the agent may fetch it. Returns the path of its source. */
async function putImage(): Promise<string> {
  const made = (await must("scripts/image/tiny.sh", [])).trim().split("\n").at(-1) ?? "";
  const { image: isOurs } = readMade();
  if (isSameFile(made, IMAGE)) {
    say(`  ${IMAGE} exists`);
    return made;
  }
  if (existsSync(IMAGE) && !isOurs) {
    sayNote(
      `${IMAGE} is not ${basename(made)}, and the quickstart did not make it: it is used unchanged; to use this one, ` +
        "move it away, then run this again",
    );
    return IMAGE;
  }
  if (existsSync(IMAGE)) sayNote(`${IMAGE} is from another build and will be replaced`);
  recordMade({ image: true });
  mkdirSync(dirname(IMAGE), { recursive: true });
  copyFileSync(made, `${IMAGE}.new`);
  renameSync(`${IMAGE}.new`, IMAGE);
  say(`  ${relative(PROJECT, made)} is at ${IMAGE}`);
  return made;
}

async function runN0core(): Promise<void> {
  const running = findN0core();
  if (running === undefined) {
    tellOtherRecords(readMade());
    if (!isForwarding()) recordMade({ wasForwardingOff: true });
    say(`  started, process ${await startN0core()}`);
    recordMade({ n0core: true, n0coreBuild: n0coreBuild() });
  } else {
    say(`  runs already, process ${running}`);
    const other = otherBuildOf(running);
    if (other !== undefined) {
      sayNote(
        `n0core is ${other}, this is ${n0coreBuild()}; to run this one: kill ${running}, then run this ` +
          "again; virtual machines keep running",
      );
    }
    recordMade({ n0core: true });
  }
  await waitForNode();
}

function tellOtherRecords({ n0core, baseDirectory, n0coreBuild: build }: Made): void {
  if (!existsSync(RECORDS_FOLDER) || build === n0coreBuild()) return;
  const isOurs = n0core || baseDirectory;
  const whose = isOurs ? `n0core ${build ?? "of an older version"}` : "another n0core";
  sayNote(`${RECORDS_FOLDER} was last written by ${whose}; ${n0coreBuild()} continues with it`);
}

async function boot(build: string): Promise<void> {
  const state = await readState();
  if (state === "RUNNING" || state === "SHUTDOWN" || state === "PAUSED") {
    say(`  ${VIRTUAL_MACHINE} exists and is ${state}`);
    tellOtherExample(build);
    if (state !== "RUNNING") {
      await must("bin/n0cli", ["vm", state === "PAUSED" ? "resume" : "boot", VIRTUAL_MACHINE]);
    }
    return;
  }
  const objects = await listObjects();
  const remains = ofExample(objects);
  if (remains.length > 0) {
    say(`  removing what an earlier run left: ${remains.join(", ")}`);
    await removeExample(objects);
  }
  recordMade({ example: true, exampleBuild: build });
  await must("bin/n0cli", ["do", "examples/boot-vm.yaml"]);
}

function tellOtherExample(build: string): void {
  const made = readMade();
  if (made.exampleBuild === build) return;
  const whose = made.example
    ? `made from ${made.exampleBuild ?? "an older version"}, this is ${build}`
    : "not made by the quickstart";
  sayNote(
    `${VIRTUAL_MACHINE} is ${whose}; to make it again: bin/n0cli do examples/delete-vm.yaml, then run this again`,
  );
}
