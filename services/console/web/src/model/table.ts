/** The server's Table view of a collection (meta.k8s.io/v1), and what the page makes of it. */
export interface TableColumn {
  readonly name: string;
  readonly type: string;
  readonly description?: string;
  readonly priority: number;
}

export interface TableRow {
  readonly cells: readonly unknown[];
  readonly object: {
    readonly metadata: {
      readonly name: string;
      readonly namespace?: string;
      readonly uid?: string;
      readonly resourceVersion?: string;
      readonly creationTimestamp?: string;
      readonly deletionTimestamp?: string;
    };
  };
}

export interface Table {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  /** Null in all frames of a watch but the first. */
  readonly columnDefinitions?: readonly TableColumn[] | null;
  readonly rows?: readonly TableRow[] | null;
}

export const rowKey = (row: TableRow): string =>
  `${row.object.metadata.namespace ?? ''}/${row.object.metadata.name}`;

/** Rows by key, in the order of names; changes are cheap, the sorted list is made when it is asked for. */
export class TableStore {
  columns: readonly TableColumn[] = [];
  readonly #rows = new Map<string, TableRow>();
  #sorted: readonly TableRow[] | undefined;

  reset(): void {
    this.#rows.clear();
    this.#sorted = undefined;
  }

  /** A page of the list, or what a watch event carries. */
  take(type: string, table: Table): void {
    const columns = table.columnDefinitions ?? [];
    if (columns.length > 0) this.columns = columns;
    for (const row of table.rows ?? []) {
      if (type === 'DELETED') this.#rows.delete(rowKey(row));
      else this.#rows.set(rowKey(row), row);
    }
    this.#sorted = undefined;
  }

  get rows(): readonly TableRow[] {
    this.#sorted ??= [...this.#rows.values()].sort((a, b) => {
      const [x, y] = [rowKey(a), rowKey(b)];
      return x < y ? -1 : x > y ? 1 : 0;
    });
    return this.#sorted;
  }
}

/** A cell as text. Ages are counted here: those of the server stand still. */
export function cellText(row: TableRow, column: TableColumn, index: number, nowMs: number): string {
  const { creationTimestamp } = row.object.metadata;
  if (column.name === 'Age' && creationTimestamp !== undefined)
    return age(nowMs - Date.parse(creationTimestamp));
  const cell = row.cells[index];
  return cell === null || cell === undefined
    ? ''
    : typeof cell === 'object'
      ? JSON.stringify(cell)
      : String(cell);
}

/** Sorts numbers as numbers, ages by their time, the rest as text with its numbers in order. */
export function compareRows(
  a: TableRow,
  b: TableRow,
  column: TableColumn | 'namespace',
  index: number,
): number {
  if (column === 'namespace')
    return (a.object.metadata.namespace ?? '').localeCompare(b.object.metadata.namespace ?? '');
  if (column.name === 'Age')
    return (
      Date.parse(b.object.metadata.creationTimestamp ?? '') -
      Date.parse(a.object.metadata.creationTimestamp ?? '')
    );
  const [x, y] = [a.cells[index], b.cells[index]];
  if (typeof x === 'number' && typeof y === 'number') return x - y;
  return String(x ?? '').localeCompare(String(y ?? ''), 'en', { numeric: true });
}

/** A duration as kubectl shows ages: 45s, 7m12s, 3h5m, 2d4h, 30d, 2y40d. */
export function age(ms: number): string {
  if (Number.isNaN(ms)) return '';
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  const two = (big: number, unit: string, small: number, smallUnit: string): string =>
    `${big}${unit}${small === 0 ? '' : `${small}${smallUnit}`}`;
  if (minutes < 10) return two(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return two(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return two(days, 'd', hours % 24, 'h');
  if (days < 730) return `${days}d`;
  const years = Math.floor(days / 365);
  return years < 8 ? two(years, 'y', days % 365, 'd') : `${years}y`;
}
