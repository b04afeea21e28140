/** Labels of kubernetes_build_info, the same in every component so that a comparison of versions finds nothing. */
export const buildLabels: Readonly<Record<string, string>> = {
  major: '1',
  minor: '36',
  git_version: 'v1.36.3',
  git_commit: '',
  git_tree_state: 'clean',
  build_date: '1970-01-01T00:00:00Z',
  go_version: `node ${process.version}`,
  compiler: 'v8',
  platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
};

/** Binary, emulated and oldest compatible version, as version_info tells them. */
export const releaseVersion = ['1.36', '1.36', '1.35'] as const;
