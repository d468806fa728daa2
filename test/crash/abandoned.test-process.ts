// A run that is killed in the middle: opens a cluster of the given kind, says so, and waits.
import process from "node:process";
import { openCluster } from "./cluster.ts";
import { BASE, WEB_RUNS } from "./requests.ts";
import { doAll } from "./run-scenario.ts";

const kind = process.argv[2] === "split" ? "split" : "standalone";
const cluster = await openCluster({ kind });
await cluster.start();
await doAll(cluster, [BASE[0]!, ...WEB_RUNS]);
console.log(cluster.tag);
setInterval(() => {}, 1_000);
