import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { isHttpHeaderName, isValidPortName, isValidPortNumber } from './names.ts';
import type { Json } from './values.ts';
import { isSet, list, nonNegative, oneOf, problems, text } from './values.ts';

/** A port by number or by a container port's name. */
export function validatePortNumOrName(port: unknown, path: FieldPath): FieldError[] {
  if (typeof port === 'string') return problems(path, port, isValidPortName(port));
  return problems(path, port ?? 0, isValidPortNumber(typeof port === 'number' ? port : 0));
}

const schemes = ['HTTP', 'HTTPS'];

function validateExec(exec: Json, path: FieldPath): FieldError[] {
  return list(exec['command']).length === 0 ? [fieldError.required(path.child('command'))] : [];
}

export function validateHttpGet(get: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  if (text(get['path']) === '') errors.push(fieldError.required(path.child('path')));
  errors.push(...validatePortNumOrName(get['port'], path.child('port')));
  errors.push(...oneOf(path.child('scheme'), text(get['scheme']), schemes));
  for (const header of list(get['httpHeaders']) as Json[])
    errors.push(
      ...problems(path.child('httpHeaders'), text(header['name']), isHttpHeaderName(text(header['name']))),
    );
  return errors;
}

type Handlers = readonly (readonly [
  name: string,
  validate: (value: Json, path: FieldPath) => FieldError[],
])[];
const probeHandlers: Handlers = [
  ['exec', validateExec],
  ['httpGet', validateHttpGet],
  ['tcpSocket', (value, path) => validatePortNumOrName(value['port'], path.child('port'))],
  [
    'grpc',
    (value, path) => problems(path.child('port'), value['port'] ?? 0, isValidPortNumber(value['port'] ?? 0)),
  ],
];

function validateSleep(sleep: Json, path: FieldPath, graceSeconds: number | undefined): FieldError[] {
  const seconds: number = sleep['seconds'] ?? 0;
  if (graceSeconds !== undefined && (seconds < 0 || seconds > graceSeconds))
    return [
      fieldError.invalid(
        path,
        seconds,
        `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds})`,
      ),
    ];
  return [];
}

function validateHandler(handler: Json, path: FieldPath, handlers: Handlers): FieldError[] {
  const errors: FieldError[] = [];
  let count = 0;
  for (const [name, validate] of handlers) {
    const value = handler[name] as Json | null | undefined;
    if (!isSet(value)) continue;
    if (count > 0)
      errors.push(fieldError.forbidden(path.child(name), 'may not specify more than 1 handler type'));
    else {
      count += 1;
      errors.push(...validate(value, path.child(name)));
    }
  }
  if (count === 0) errors.push(fieldError.required(path, 'must specify a handler type'));
  return errors;
}

function validateProbe(probe: Json, path: FieldPath): FieldError[] {
  const errors = validateHandler(probe, path, probeHandlers);
  for (const name of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ])
    errors.push(...nonNegative(probe[name], path.child(name)));
  const grace: unknown = probe['terminationGracePeriodSeconds'];
  if (typeof grace === 'number' && grace <= 0)
    errors.push(
      fieldError.invalid(path.child('terminationGracePeriodSeconds'), grace, 'must be greater than 0'),
    );
  return errors;
}

export type ProbeKind = 'livenessProbe' | 'readinessProbe' | 'startupProbe';

export function validateProbeOf(container: Json, kind: ProbeKind, path: FieldPath): FieldError[] {
  const probe = container[kind] as Json | null | undefined;
  if (!isSet(probe)) return [];
  const at = path.child(kind);
  const errors = validateProbe(probe, at);
  if (kind === 'readinessProbe') {
    if (isSet(probe['terminationGracePeriodSeconds']))
      errors.push(
        fieldError.invalid(
          at.child('terminationGracePeriodSeconds'),
          probe['terminationGracePeriodSeconds'],
          'must not be set for readinessProbes',
        ),
      );
  } else if (probe['successThreshold'] !== 1)
    errors.push(
      fieldError.invalid(at.child('successThreshold'), probe['successThreshold'] ?? 0, 'must be 1'),
    );
  return errors;
}

export function validateLifecycle(
  lifecycle: Json | null | undefined,
  path: FieldPath,
  graceSeconds: number | undefined,
): FieldError[] {
  if (!isSet(lifecycle)) return [];
  const errors: FieldError[] = [];
  const handlers: Handlers = [
    ...probeHandlers.slice(0, 3),
    ['sleep', (value, at) => validateSleep(value, at, graceSeconds)],
  ];
  for (const name of ['postStart', 'preStop']) {
    const handler = lifecycle[name] as Json | null | undefined;
    if (isSet(handler)) errors.push(...validateHandler(handler, path.child(name), handlers));
  }
  if (isSet(lifecycle['stopSignal']) && lifecycle['stopSignal'] !== '')
    errors.push(...oneOf(path.child('stopSignal'), lifecycle['stopSignal'], []).slice(0, 0));
  return errors;
}
