import type { EmulatedRelease } from './emulated-release.ts';

/** What `/version` and the build metric say. */
const info = {
  major: '1',
  minor: '36',
  emulationMajor: '1',
  emulationMinor: '36',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '35',
  gitVersion: 'v1.36.3',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: `node ${process.version}`,
  compiler: 'v8',
  platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
};

/** The same with the releases that are emulated. */
export const versionInfo = (release: EmulatedRelease | undefined): typeof info =>
  release === undefined
    ? info
    : {
        ...info,
        emulationMinor: String(release.minor),
        minCompatibilityMinor: String(release.minCompatibility),
      };

export const buildVersion = {
  info,
  labels: {
    major: info.major,
    minor: info.minor,
    git_version: 'v1.36.3',
    git_commit: info.gitCommit,
    git_tree_state: info.gitTreeState,
    build_date: info.buildDate,
    go_version: info.goVersion,
    compiler: info.compiler,
    platform: info.platform,
  },
} as const;
