import { parentPort } from "node:worker_threads";
import type { ImageSample } from "./image-format.ts";
import { type Inspected, inspectImage } from "./inspect-image.ts";
import { ImageFormatError } from "./qcow2-header.ts";

/** A question to the thread. It answers the samples one after the other. */
export interface ToInspectWorker {
  readonly id: number;
  readonly sample: ImageSample;
}

/** `refusal` is the message of an ImageFormatError; `fault` is any other error. */
export type FromInspectWorker = { readonly id: number } & (
  | { readonly inspected: Inspected }
  | { readonly refusal: string }
  | { readonly fault: unknown }
);

parentPort?.on("message", ({ id, sample }: ToInspectWorker) => {
  parentPort?.postMessage({ id, ...answerTo(sample) } satisfies FromInspectWorker);
});

function answerTo(sample: ImageSample) {
  try {
    return { inspected: inspectImage(sample) };
  } catch (reason) {
    return reason instanceof ImageFormatError ? { refusal: reason.message } : { fault: reason };
  }
}
