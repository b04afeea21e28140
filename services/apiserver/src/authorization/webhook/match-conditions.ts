import { compileTo } from '@pilothouse/api/admissionregistration';
import type { CelProgram, CelType } from '@pilothouse/api/cel';
import {
  CelCompileError,
  CelEnvironment,
  celTypes,
  fromJson,
  listType,
  mapType,
  structType,
} from '@pilothouse/api/cel';
import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';

const { string, bool } = celTypes;
const conditionsMax = 64;

const struct = (name: string, fields: Readonly<Record<string, CelType>>): CelType =>
  structType(name, (field) => (Object.hasOwn(fields, field) ? fields[field] : undefined));
const selector = (name: string): CelType =>
  struct(name, {
    rawSelector: string,
    requirements: listType(
      struct('kubernetes.SelectorRequirement', { key: string, operator: string, values: listType(string) }),
    ),
  });
const environment = new CelEnvironment({
  variables: {
    request: struct('kubernetes.SubjectAccessReviewSpec', {
      resourceAttributes: struct('kubernetes.ResourceAttributes', {
        namespace: string,
        verb: string,
        group: string,
        version: string,
        resource: string,
        subresource: string,
        name: string,
        fieldSelector: selector('kubernetes.FieldSelectorAttributes'),
        labelSelector: selector('kubernetes.LabelSelectorAttributes'),
      }),
      nonResourceAttributes: struct('kubernetes.NonResourceAttributes', { path: string, verb: string }),
      user: string,
      groups: listType(string),
      extra: mapType(string, listType(string)),
      uid: string,
    }),
  },
});

/** Compiles conditions of a webhook authorizer; findings go to `problems`. */
export function compileMatchConditions(
  conditions: readonly { readonly expression?: string }[],
  path: FieldPath,
  problems: FieldError[],
): readonly CelProgram[] {
  if (conditions.length > conditionsMax) {
    problems.push(fieldError.tooMany(path, conditions.length, conditionsMax));
    return [];
  }
  const seen = new Set<string>();
  return conditions.flatMap(({ expression = '' }, index) => {
    const at = path.index(index).child('expression');
    if (expression.trim() === '') problems.push(fieldError.required(at));
    else if (seen.has(expression)) problems.push(fieldError.duplicate(at, expression));
    else {
      seen.add(expression);
      try {
        return [compileTo(environment, expression, [bool])];
      } catch (error) {
        const what = error instanceof CelCompileError ? 'compilation failed: ' : '';
        problems.push(fieldError.invalid(at, expression, `${what}${errorMessage(error)}`));
      }
    }
    return [];
  });
}

/** Whether all conditions hold for a SubjectAccessReview's spec. Throws when one cannot be evaluated and none is false. */
export function conditionsMatch(
  programs: readonly CelProgram[],
  spec: Readonly<Record<string, unknown>>,
): boolean {
  if (programs.length === 0) return true;
  const request = fromJson(completed(spec));
  const failures: string[] = [];
  for (const program of programs) {
    try {
      const { value } = program.run((name) => (name === 'request' ? request : undefined));
      if (value === false) return false;
    } catch (error) {
      failures.push(
        `cel evaluation error: expression '${program.source}' resulted in error: ${errorMessage(error)}`,
      );
    }
  }
  if (failures.length > 0) throw new Error(failures.length === 1 ? failures[0] : `[${failures.join(', ')}]`);
  return true;
}

/** With the empty members that expressions may read without asking. */
function completed(spec: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { resourceAttributes, nonResourceAttributes, ...subject } = spec;
  return {
    user: '',
    uid: '',
    groups: [],
    extra: {},
    ...subject,
    ...(resourceAttributes === undefined
      ? {}
      : {
          resourceAttributes: {
            namespace: '',
            verb: '',
            group: '',
            version: '',
            resource: '',
            subresource: '',
            name: '',
            ...(resourceAttributes as object),
          },
        }),
    ...(nonResourceAttributes === undefined
      ? {}
      : { nonResourceAttributes: { path: '', verb: '', ...(nonResourceAttributes as object) } }),
  };
}
