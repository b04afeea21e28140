import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { ImageConfig } from '../../core/process/image-reference.ts';
import { imageDirectories, parseImage } from '../../core/process/image-reference.ts';

/** An image cannot be had; reasons are kubelet's. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
  readonly reason: 'InvalidImageName' | 'ErrImagePull';

  constructor(reason: 'InvalidImageName' | 'ErrImagePull', message: string) {
    super(message);
    this.reason = reason;
  }
}

export interface FoundImage {
  /** Undefined: the image has no directory; its containers see the host alone. */
  readonly directory: string | undefined;
  readonly config: ImageConfig;
}

/** Images are directories of the host below one directory, or nothing at all. */
export class ImageStore {
  readonly #root: string | undefined;

  constructor(root: string | undefined) {
    this.#root = root;
  }

  /** Throws ImageError. `hasCommand`: the container says what to run, so that an image without a directory will do. */
  find(image: string, hasCommand: boolean): FoundImage {
    const reference = parseImage(image);
    if (!reference)
      throw new ImageError(
        'InvalidImageName',
        `Failed to apply default image tag "${image}": couldn't parse image name "${image}": invalid reference format`,
      );
    for (const name of this.#root === undefined ? [] : imageDirectories(reference)) {
      const directory = path.join(this.#root as string, name);
      if (existsSync(directory) && statSync(directory).isDirectory())
        return { directory, config: readConfig(directory) };
    }
    if (hasCommand) return { directory: undefined, config: {} };
    throw new ImageError(
      'ErrImagePull',
      this.#root === undefined
        ? `image "${image}" cannot be pulled: this node runs processes of the host and has no images directory (--images-dir), so the container must say what to run in command`
        : `image "${image}" cannot be pulled: this node runs processes of the host; there is no directory for it below ${this.#root}, and the container does not say what to run in command`,
    );
  }
}

function readConfig(directory: string): ImageConfig {
  const file = path.join(directory, 'image.json');
  if (!existsSync(file)) return {};
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ImageConfig;
  } catch (error) {
    throw new ImageError('ErrImagePull', `${file} is not JSON: ${String(error)}`);
  }
}
