/** What a simulated container does once started: it runs on, or ends after a while with an exit code. */
export type Behaviour =
  { readonly kind: 'runs' } | { readonly kind: 'ends'; readonly afterMs: number; readonly exitCode: number };

export type ImageProblem = { readonly reason: 'ErrImagePull' | 'InvalidImageName'; readonly message: string };

/** Images that no simulated registry has: a `404` tag, or a name that says so. */
export function imageProblem(image: string): ImageProblem | undefined {
  if (
    image === '' ||
    /\s/.test(image) ||
    /[A-Z]/.test(image.split('@')[0]?.split(':')[0]?.split('/').slice(1).join('/') ?? '')
  ) {
    return {
      reason: 'InvalidImageName',
      message: `Failed to apply default image tag "${image}": couldn't parse image name "${image}": invalid reference format`,
    };
  }
  if (/:404$|nonexist|non-exist|does-not-exist|invalid\.registry|no-such-image/.test(image)) {
    return { reason: 'ErrImagePull', message: `failed to pull and unpack image "${image}": not found` };
  }
  return undefined;
}

const runs: Behaviour = { kind: 'runs' };

/** Images whose default program is a server or waits for ever. */
const servers =
  /(^|\/)(pause|agnhost|nginx|httpd|redis|postgres|mysql|memcached|etcd|caddy|traefik|haproxy|kitten|nautilus|sample-apiserver|web|webserver)([:@]|$)/;

/** Reads image, command and args the way a person would. A shell script is followed for sleep, exit, true, false and endless loops. */
export function behaviourOf(
  image: string,
  command: readonly string[] | undefined,
  args: readonly string[] | undefined,
): Behaviour {
  const words = [...(command ?? []), ...(args ?? [])];
  if (command === undefined || command.length === 0) {
    if (!/(^|\/)(busybox|alpine|debian|ubuntu|perl|python|bash|node)([:@]|$)/.test(image)) return runs;
    if (words.length === 0) return servers.test(image) ? runs : ends(0, 0);
  }
  return runWords(words);
}

/** Annotation of a pod that says how its containers behave on a simulated node: `2s` or `500ms,exit=1`. */
export const simulatedRunAnnotation = 'pilothouse.dev/simulated-run';

/** What the annotation asks for; undefined when it is absent or not understood, and the command line is read instead. */
export function annotatedBehaviour(text: string | undefined): Behaviour | undefined {
  const match = /^(\d+)(ms|s|m)(?:,\s*exit=(\d{1,3}))?$/.exec(text ?? '');
  if (!match) return undefined;
  const unitMs = { ms: 1, s: 1000, m: 60_000 }[match[2] as 'ms' | 's' | 'm'];
  return ends(Number(match[1]) * unitMs, Number(match[3] ?? 0));
}

function ends(afterMs: number, exitCode: number): Behaviour {
  return { kind: 'ends', afterMs, exitCode };
}

function runWords(words: readonly string[]): Behaviour {
  const program = (words[0] ?? '').split('/').at(-1) ?? '';
  switch (program) {
    case 'sh':
    case 'bash':
    case 'ash':
    case 'dash': {
      const flag = words.findIndex((word, index) => index > 0 && /^-[a-z]*c$/.test(word));
      return flag < 0 ? ends(0, 0) : runScript(words[flag + 1] ?? '');
    }
    case 'sleep':
      return sleepFor(words[1]);
    case 'true':
    case 'echo':
    case 'date':
    case 'printf':
    case 'ls':
    case 'env':
    case 'cat':
    case 'perl':
    case 'expr':
    case 'touch':
      return ends(0, 0);
    case 'false':
      return ends(0, 1);
    case 'exit':
      return ends(0, Number(words[1] ?? 0) || 0);
    default:
      return runs;
  }
}

function sleepFor(word: string | undefined): Behaviour {
  const match = /^(\d+(?:\.\d+)?)([smhd]?)$/.exec(word ?? '');
  if (!match) return runs;
  const unitMs = { '': 1000, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] ?? ''] ?? 1000;
  return ends(Number(match[1]) * unitMs, 0);
}

function runScript(script: string): Behaviour {
  if (/while\s+(true|:|\[\s*1\s*\])|for\s*\(\(\s*;;|tail\s+-f/.test(script)) return runs;
  let afterMs = 0;
  let exitCode = 0;
  for (const step of script.split(/;|&&|\n/)) {
    const words = step
      .trim()
      .split(/\s+/)
      .filter((word) => word !== '');
    if (words.length === 0) continue;
    const behaviour = ['sleep', 'exit', 'true', 'false'].includes((words[0] ?? '').split('/').at(-1) ?? '')
      ? runWords(words)
      : ends(0, 0);
    if (behaviour.kind === 'runs') return runs;
    afterMs += behaviour.afterMs;
    exitCode = behaviour.exitCode;
    if (words[0] === 'exit') break;
  }
  return ends(afterMs, exitCode);
}
