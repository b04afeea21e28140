import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const gridColumns = 24;

export interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
  readonly panels: readonly Panel[];
}

export function readDashboards(folder: string): Dashboard[] {
  return readdirSync(folder).map(
    (file) => JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as Dashboard,
  );
}

const overlap = (a: Panel['gridPos'], b: Panel['gridPos']): boolean =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

/** What Grafana would show wrongly or not at all; empty: nothing. */
export function dashboardProblems(dashboards: readonly Dashboard[]): string[] {
  const problems: string[] = [];
  const uids = dashboards.map(({ uid }) => uid);
  if (new Set(uids).size !== uids.length) problems.push(`uids are not unique: ${uids.join(', ')}`);
  for (const { title: where, panels, templating, schemaVersion } of dashboards) {
    const say = (text: string): void => void problems.push(`${where}: ${text}`);
    if (!Number.isInteger(schemaVersion)) say('it has no schemaVersion');
    const ids = panels.map(({ id }) => id);
    if (new Set(ids).size !== ids.length) say('ids of panels are not unique');
    const variables = new Set([...templating.list.map(({ name }) => name), '__rate_interval']);
    for (const [index, panel] of panels.entries()) {
      const { title, type, gridPos, targets = [] } = panel;
      if (gridPos.x < 0 || gridPos.w < 1 || gridPos.h < 1 || gridPos.x + gridPos.w > gridColumns)
        say(`"${title}" does not fit the grid`);
      for (const other of panels.slice(index + 1))
        if (overlap(gridPos, other.gridPos)) say(`"${title}" lies on "${other.title}"`);
      if (type !== 'row' && targets.length === 0) say(`"${title}" shows nothing`);
      const refs = targets.map(({ refId }) => refId);
      if (new Set(refs).size !== refs.length) say(`"${title}" has one refId twice`);
      for (const { expr } of targets)
        for (const [, name = ''] of expr.matchAll(/\$\{?(\w+)/g))
          if (!variables.has(name)) say(`"${title}" uses the unknown variable $${name}`);
    }
  }
  return problems;
}
