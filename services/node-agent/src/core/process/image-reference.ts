/** A parsed image name; enough to find its directory. */
export interface ImageReference {
  /** Without tag and digest: `registry.example/team/app`. */
  readonly repository: string;
  readonly tag: string;
}

const label = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
/** Only a first part with a dot, a port, or `localhost` is a registry; it may have capitals. */
const registry = `(?:${label}(?:\\.${label})+(?::\\d+)?|${label}:\\d+|localhost)`;
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const pattern = new RegExp(
  `^((?:${registry}/)?${component}(?:/${component})*)(?::(\\w[\\w.-]{0,127}))?(?:@sha256:[a-f0-9]{64})?$`,
);

/** Undefined for what is no image name. No part of a name leads out of a directory. */
export function parseImage(image: string): ImageReference | undefined {
  const match = pattern.exec(image);
  if (!match) return undefined;
  return { repository: match[1] as string, tag: match[2] ?? 'latest' };
}

/**
 * Directories below the images directory that may hold an image, the best first: `registry/team/app:tag`, `registry/team/app`, then the
 * same with the last part of the name alone (`app:tag`, `app`).
 */
export function imageDirectories(reference: ImageReference): string[] {
  const { repository, tag } = reference;
  const last = repository.split('/').at(-1) as string;
  return [...new Set([`${repository}:${tag}`, repository, `${last}:${tag}`, last])];
}

/** What `image.json` in an image's directory may say; the words are those of the OCI image configuration. */
export interface ImageConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  /** Relative to the image's directory. */
  readonly WorkingDir?: string;
}

/** The words to run, by the rules of `command` and `args`. Empty: there is nothing to run. */
export function commandOf(
  config: ImageConfig,
  command: readonly string[] | undefined,
  args: readonly string[] | undefined,
): string[] {
  const given = (list: readonly string[] | undefined): list is readonly string[] =>
    list !== undefined && list.length > 0;
  if (given(command)) return [...command, ...(args ?? [])];
  return [...(config.Entrypoint ?? []), ...(given(args) ? args : (config.Cmd ?? []))];
}
