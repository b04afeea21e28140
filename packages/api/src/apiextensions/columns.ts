import type { KubeObject } from '@pilothouse/apimachinery';
import { jsonText, translateTimestampSince } from '@pilothouse/apimachinery';
import type { TableColumn } from '../strategy.ts';
import { defaultColumns } from '../table/columns.ts';
import { JsonPath } from './json-path.ts';
import type { PrinterColumn } from './schema.ts';

const age: PrinterColumn = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };

export interface CustomColumns {
  readonly columns: readonly TableColumn[];
  cells(object: KubeObject, nowMs: number): unknown[];
}

/** Name, then what the version's additionalPrinterColumns say; without any: Name and Age. */
export function customColumns(declared: readonly PrinterColumn[] | undefined): CustomColumns {
  const columns: readonly PrinterColumn[] =
    declared === undefined || declared.length === 0
      ? [{ ...age, description: defaultColumns[1]?.description ?? '' }]
      : declared;
  const paths = columns.map((column) => {
    try {
      return new JsonPath(column.jsonPath);
    } catch {
      // The definition was stored by a server that takes more; the cell stays empty.
      return undefined;
    }
  });
  return {
    columns: [
      defaultColumns[0] as TableColumn,
      ...columns.map((column) => ({
        name: column.name,
        type: column.type as TableColumn['type'],
        format: column.format ?? '',
        description:
          column.description ?? `Custom resource definition column (in JSONPath format): ${column.jsonPath}`,
        priority: column.priority ?? 0,
      })),
    ],
    cells: (object, nowMs) => [
      object.metadata.name ?? '',
      ...columns.map((column, index) => cell(paths[index]?.find(object) ?? [], column, nowMs)),
    ],
  };
}

function cell(values: readonly unknown[], column: PrinterColumn, nowMs: number): unknown {
  if (values.length === 0) return null;
  const value = values[0];
  switch (column.type) {
    case 'integer':
      if (typeof value === 'bigint') return value;
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' || typeof value === 'bigint' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date': {
      if (typeof value !== 'string') return null;
      return Number.isNaN(Date.parse(value)) ? '<invalid>' : translateTimestampSince(value, nowMs);
    }
    default:
      return values.length === 1 ? shown(value) : values.map(shown).join(',');
  }
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'object' ? jsonText(value) : String(value);
}
