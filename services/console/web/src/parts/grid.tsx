import type { ComponentChildren, TargetedKeyboardEvent } from 'preact';
import { useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

export interface GridColumn<R> {
  readonly name: string;
  readonly help?: string;
  text(row: R): string;
  /** What is shown when it is more than text. */
  show?(row: R): ComponentChildren;
  compare?(a: R, b: R): number;
}

export interface GridProps<R> {
  readonly label: string;
  readonly columns: readonly GridColumn<R>[];
  readonly rows: readonly R[];
  keyOf(row: R): string;
  onOpen(row: R): void;
  readonly busy: boolean;
  readonly empty: string;
}

const rowHeight = 32;
const overscan = 12;
/** Widths come from this many rows: the first ones are typical, and all of thousands would cost each time one changes. */
const measured = 200;

interface Sorting {
  readonly column: string;
  readonly descending: boolean;
}

/**
 * A table of any length of which only what is in view is there. One stop for the Tab key: arrows, Page Up and Down, Home and End move the current
 * row, Enter opens it; headers sort.
 */
export function Grid<R>(props: GridProps<R>) {
  const { columns, keyOf, onOpen } = props;
  const id = useId();
  const body = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const [current, setCurrent] = useState('');
  const [sorting, setSorting] = useState<Sorting>();
  const rows = useMemo(() => {
    const column = columns.find((each) => each.name === sorting?.column);
    if (column === undefined || sorting === undefined) return props.rows;
    const compare =
      column.compare ??
      ((a: R, b: R): number => column.text(a).localeCompare(column.text(b), 'en', { numeric: true }));
    return [...props.rows].sort((a, b) => (sorting.descending ? -compare(a, b) : compare(a, b)));
  }, [props.rows, columns, sorting]);
  const template = useMemo(() => {
    const sample = rows.slice(0, measured);
    return columns
      .map((column, at) => {
        const longest = sample.reduce(
          (most, row) => Math.max(most, column.text(row).length),
          column.name.length + 2,
        );
        const wide = Math.min(60, Math.max(5, longest));
        // Short columns are shown whole, long ones share what is left, and the first one is there to take it.
        return wide <= 12 && at > 0 ? `${wide + 1}ch` : `minmax(9ch, ${wide}fr)`;
      })
      .join(' ');
  }, [columns, rows.length, rows[0]]);

  useLayoutEffect(() => {
    const element = body.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(() =>
      setView({ top: element.scrollTop, height: element.clientHeight }),
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const index = rows.findIndex((row) => keyOf(row) === current);
  const go = (to: number): void => {
    const at = Math.max(0, Math.min(rows.length - 1, to));
    const row = rows[at];
    const element = body.current;
    if (row === undefined || element === null) return;
    setCurrent(keyOf(row));
    if (at * rowHeight < element.scrollTop) element.scrollTop = at * rowHeight;
    else if ((at + 1) * rowHeight > element.scrollTop + element.clientHeight)
      element.scrollTop = (at + 1) * rowHeight - element.clientHeight;
  };
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLDivElement>): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(view.height / rowHeight) - 1);
    const target = {
      ArrowDown: index + 1,
      ArrowUp: index < 0 ? 0 : index - 1,
      PageDown: index + page,
      PageUp: index - page,
      Home: 0,
      End: rows.length - 1,
    }[event.key];
    if (target !== undefined) {
      event.preventDefault();
      go(target);
    } else if (event.key === 'Enter' && rows[index] !== undefined) {
      event.preventDefault();
      onOpen(rows[index] as R);
    }
  };
  // A row that went away leaves its place to no other: the next key starts at the top.
  useEffect(() => {
    if (current !== '' && index < 0) setCurrent('');
  }, [current, index]);

  const first = Math.max(0, Math.floor(view.top / rowHeight) - overscan);
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / rowHeight) + overscan);
  const sort = (column: GridColumn<R>): void =>
    setSorting(
      sorting?.column !== column.name
        ? { column: column.name, descending: false }
        : sorting.descending
          ? undefined
          : { column: column.name, descending: true },
    );
  return (
    <div
      class="grid"
      role="grid"
      aria-label={props.label}
      aria-rowcount={rows.length + 1}
      aria-colcount={columns.length}
      aria-busy={props.busy}
    >
      <div role="rowgroup" class="grid-head-box">
        <div class="grid-head" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
          {columns.map((column) => (
            <div
              key={column.name}
              role="columnheader"
              aria-sort={
                sorting?.column === column.name ? (sorting.descending ? 'descending' : 'ascending') : 'none'
              }
            >
              <button type="button" title={column.help ?? ''} onClick={() => sort(column)}>
                {column.name}
                <span aria-hidden="true" class="sort-mark">
                  {sorting?.column === column.name ? (sorting.descending ? '▼' : '▲') : ''}
                </span>
              </button>
            </div>
          ))}
        </div>
      </div>
      <div
        ref={body}
        class="grid-body"
        role="rowgroup"
        tabIndex={0}
        aria-label={`${props.label}, rows`}
        aria-activedescendant={index < 0 ? undefined : `${id}-${index}`}
        onKeyDown={onKeyDown}
        onFocus={() => {
          if (index < 0 && rows.length > 0)
            setCurrent(keyOf(rows[Math.ceil(view.top / rowHeight)] ?? (rows[0] as R)));
        }}
        onScroll={(event) =>
          setView({ top: event.currentTarget.scrollTop, height: event.currentTarget.clientHeight })
        }
      >
        <div class="grid-space" role="presentation" style={{ height: `${rows.length * rowHeight}px` }}>
          {rows.slice(first, last).map((row, offset) => {
            const at = first + offset;
            const key = keyOf(row);
            return (
              <div
                key={key}
                id={`${id}-${at}`}
                class={key === current ? 'grid-row current' : 'grid-row'}
                role="row"
                aria-rowindex={at + 2}
                aria-selected={key === current}
                style={{ gridTemplateColumns: template, transform: `translateY(${at * rowHeight}px)` }}
                onClick={() => setCurrent(key)}
                onDblClick={() => onOpen(row)}
              >
                {columns.map((column) => {
                  const text = column.text(row);
                  return (
                    <div key={column.name} role="gridcell" title={text}>
                      {column.show === undefined ? text : column.show(row)}
                    </div>
                  );
                })}
              </div>
            );
          })}
        </div>
        {rows.length === 0 ? <p class="grid-empty">{props.busy ? 'Loading …' : props.empty}</p> : null}
      </div>
    </div>
  );
}
