import { useMemo, useState } from 'preact/hooks';
import { resourcePath, type Kind } from '../model/kinds.ts';
import { formatRoute } from '../model/route.ts';
import { cellText, compareRows, rowKey, type TableRow } from '../model/table.ts';
import { Grid, type GridColumn } from '../parts/grid.tsx';
import { useLiveTable, useNow } from '../parts/hooks.ts';
import { LiveMark } from '../parts/live-mark.tsx';
import { FilterField } from '../parts/filter-field.tsx';
import { NamespaceSelect } from '../parts/namespace-select.tsx';

const objectRoute = (kind: Kind, row: TableRow): string =>
  formatRoute({
    at: 'object',
    group: kind.group,
    version: kind.version,
    plural: kind.plural,
    namespace: row.object.metadata.namespace ?? '',
    name: row.object.metadata.name,
    tab: 'yaml',
  });

/** Colours of a few words that kubectl's tables have; the words themselves say the same. */
function tone(text: string): string {
  if (/^(Running|Ready|Bound|Active|Complete|Completed|Succeeded|True|Available)$/.test(text)) return 'good';
  if (/(BackOff|Err|Failed|Evicted|OOMKilled|NotReady|Unknown|Lost|False)/.test(text)) return 'bad';
  if (/^(Pending|ContainerCreating|Terminating|Init:|PodInitializing)/.test(text)) return 'waiting';
  return '';
}

/** All objects of a kind, as the server's table, live. */
export function ListPage(props: { readonly kind: Kind; readonly namespace: string }) {
  const { kind } = props;
  const namespace = kind.namespaced ? props.namespace : '';
  const table = useLiveTable(resourcePath(kind, namespace));
  const [filter, setFilter] = useState('');
  const [wide, setWide] = useState(false);
  const now = useNow(5_000);
  const { store, version } = table;

  const columns = useMemo((): GridColumn<TableRow>[] => {
    const own = store.columns
      .map((column, index) => ({ column, index }))
      .filter(({ column }) => wide || column.priority === 0)
      .map(({ column, index }): GridColumn<TableRow> => ({
        name: column.name,
        ...(column.description === undefined ? {} : { help: column.description }),
        text: (row) => cellText(row, column, index, now),
        compare: (a, b) => compareRows(a, b, column, index),
        ...(index === 0
          ? {
              show: (row: TableRow) => (
                <a href={objectRoute(kind, row)} tabIndex={-1}>
                  {cellText(row, column, index, now)}
                </a>
              ),
            }
          : /^(Status|Ready|Phase|Condition)$/i.test(column.name)
            ? {
                show: (row: TableRow) => {
                  const text = cellText(row, column, index, now);
                  return <span class={`tone ${tone(text)}`}>{text}</span>;
                },
              }
            : {}),
      }));
    if (!kind.namespaced || namespace !== '') return own;
    const [name, ...rest] = own;
    const where: GridColumn<TableRow> = {
      name: 'Namespace',
      text: (row) => row.object.metadata.namespace ?? '',
      compare: (a, b) => compareRows(a, b, 'namespace', 0),
    };
    return name === undefined ? [] : [name, where, ...rest];
  }, [store.columns, kind, namespace, wide, now]);

  const rows = useMemo(() => {
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length === 0) return store.rows;
    return store.rows.filter((row) => {
      const text = columns
        .map((column) => column.text(row))
        .join(' ')
        .toLowerCase();
      return words.every((word) => text.includes(word));
    });
  }, [store, version, filter, columns]);

  return (
    <>
      <header class="page-head">
        <h1 tabIndex={-1}>{kind.kind}</h1>
        <span class="quiet">
          {rows.length === store.rows.length ? store.rows.length : `${rows.length} of ${store.rows.length}`}
        </span>
        <LiveMark state={table.state} problem={table.problem} />
      </header>
      <div class="tools">
        {kind.namespaced ? (
          <NamespaceSelect
            value={namespace}
            onChange={(next) => {
              location.hash = formatRoute({ ...kind, at: 'list', namespace: next });
            }}
          />
        ) : null}
        <FilterField value={filter} onChange={setFilter} />
        <label class="check">
          <input type="checkbox" checked={wide} onChange={(event) => setWide(event.currentTarget.checked)} />
          All columns
        </label>
      </div>
      {table.problem !== undefined && table.state === 'broken' ? (
        <p role="alert" class="problem">
          {table.problem}
        </p>
      ) : null}
      <Grid
        label={`${kind.kind} objects`}
        columns={columns}
        rows={rows}
        keyOf={rowKey}
        onOpen={(row) => {
          location.hash = objectRoute(kind, row);
        }}
        busy={!table.listed && table.state === 'loading'}
        empty={filter === '' ? 'There are none.' : 'Nothing matches the filter.'}
      />
    </>
  );
}
