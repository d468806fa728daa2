import { openQcow2VolumeDriver } from "../../src/driver/volume/qcow2/qcow2-volume-driver.ts";
import { MIB, mark } from "./volume-world.ts";

// A process to be killed half-way through its work. It says when it is there.
const [directory, what] = process.argv.slice(2);
const driver = await openQcow2VolumeDriver({ directory: directory! });
const signal = AbortSignal.timeout(60_000);

async function* endless() {
  for (;;) {
    yield Buffer.alloc(1000, 1);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const onProgress = () => process.stdout.write("working\n");
if (what === "receive")
  await driver.ensureReceived("b", endless(), 512n * MIB, mark, { signal, onProgress });
else await driver.ensureCopy("b", "a", 512n * MIB, mark, { signal, onProgress });
