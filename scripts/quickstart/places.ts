import { join } from "node:path";

/** The project's folder, which holds the examples and programs that the quickstart uses. */
export const PROJECT = join(import.meta.dirname, "../..");

/** n0core's own default. examples/boot-vm.yaml fetches its image from here. */
export const BASE_DIRECTORY = "/var/lib/n0core";
export const IMAGE = join(BASE_DIRECTORY, "images/tiny.qcow2");

/** n0core's own default. */
export const API_PORT = 20180;
export const API_ENDPOINT = `127.0.0.1:${API_PORT}`;

/** n0core's records and journal. */
export const RECORDS_FOLDER = join(BASE_DIRECTORY, "api");

/** The quickstart's own files. */
export const OWN_FOLDER = join(BASE_DIRECTORY, "quickstart");
export const MADE_FILE = join(OWN_FOLDER, "made.json");
export const LIBVIRTD_RECORD = join(OWN_FOLDER, "libvirtd");
export const PID_FILE = join(OWN_FOLDER, "n0core.pid");
export const LOG_FILE = join(OWN_FOLDER, "n0core.log");

/** Its private half is in the project, so it opens only the example. */
export const KEY_FILE = "examples/id_ed25519";
