import { clone } from "@bufbuild/protobuf";
import { notNewlyReferenced } from "../../../datastore/references.ts";
import {
  type Image,
  ImageSchema,
  ImageService,
  type SetImageVisibilityRequest,
} from "../../../gen/n0stack/deployment/v0/image_pb.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { runSaga } from "../../core/saga/saga.ts";
import { refOf } from "../../core/scope.ts";
import { checkVisibility, sharedAt, throwIfUsedElsewhere } from "../../core/sharing.ts";
import type { Api } from "../../provisioning/context.ts";
import { images } from "./collection.ts";
import { changed, getImage } from "./record.ts";

/**
 * Shares an image of the call's project with others, or no longer.
 *
 * @throws N0Error `invalid_argument`; `not_found`; `failed_precondition` while block storages of a project that
 * would no longer see it rest on it; `aborted` if somebody begins to use it in the meantime.
 */
export async function setImageVisibility(
  api: Api,
  call: Call,
  request: SetImageVisibilityRequest,
): Promise<Image> {
  checkVisibility(request);
  const { name } = request;
  const ref = refOf(call, images, name);
  const method = ImageService.method.setImageVisibility;
  const options = { method, keys: [images.key(ref)], waits: true };
  return await runSaga(api, call, options, async (tx) => {
    const before = await getImage(api, ref);
    const nobodyBegan = await notNewlyReferenced(api.records, ref);
    const shared = sharedAt(api.clock.nowMs(), request);
    await throwIfUsedElsewhere(api, ref, "image", shared);
    const image = changed(before, (copy) => {
      Object.assign(copy, shared);
    });
    return await tx.answerRecord(images, ref, image, before, nobodyBegan);
  });
}

/** As a project sees it with which it is shared. */
export function toWireElsewhere(_api: Api, image: Image, _ref: Ref, _project: string): Image {
  const seen = clone(ImageSchema, image);
  seen.annotations = {};
  seen.visibleTo = [];
  delete seen.visibleSince;
  return seen;
}
