import { useEffect, useState } from 'preact/hooks';
import { caller, messageOf } from '../model/call.ts';
import { formatRoute } from '../model/route.ts';
import { useShared } from '../parts/context.ts';
import { usePolled } from '../parts/hooks.ts';

interface Reports {
  readonly reports: readonly { readonly name: string; readonly bytes: number; readonly modifiedMs: number }[];
}

function JsonReport({ name }: { readonly name: string }) {
  const [text, setText] = useState('Loading …');
  useEffect(() => {
    caller
      .text(`/drills/file?name=${encodeURIComponent(name)}`)
      .then((body) => setText(JSON.stringify(JSON.parse(body), null, 2)))
      .catch((error: unknown) => setText(messageOf(error)));
  }, [name]);
  return (
    <pre tabIndex={0} aria-label={name}>
      {text}
    </pre>
  );
}

/** Reports of `pilothouse drill`, shown in a frame that may do nothing. */
export function DrillsPage({ report }: { readonly report: string }) {
  const { session } = useShared();
  const { value, problem } = usePolled(
    (signal) => (session.drills ? caller.json<Reports>('/drills', { signal }) : Promise.resolve(undefined)),
    10_000,
    [session.drills],
  );
  const reports = value?.reports ?? [];
  const chosen = report === '' ? (reports[0]?.name ?? '') : report;
  return (
    <>
      <header class="page-head">
        <h1 tabIndex={-1}>Drill reports</h1>
        <span class="quiet">{reports.length === 0 ? '' : reports.length}</span>
      </header>
      {problem === undefined ? null : (
        <p role="alert" class="problem">
          {problem}
        </p>
      )}
      {!session.drills ? (
        <p class="notice">
          This console was given no reports. Start it with <code>--drills-dir</code>.
        </p>
      ) : value !== undefined && reports.length === 0 ? (
        <p class="notice">
          No reports yet. <code>pilothouse drill kill-leader</code> breaks a running plane on purpose and
          leaves one.
        </p>
      ) : (
        <div class="drills">
          <nav aria-label="Reports">
            <ul>
              {reports.map((each) => (
                <li key={each.name}>
                  <a
                    href={formatRoute({ at: 'drills', report: each.name })}
                    aria-current={each.name === chosen ? 'page' : undefined}
                  >
                    {each.name}
                    <span class="quiet block">
                      {new Date(each.modifiedMs).toISOString().replace('T', ' ').slice(0, 19)}
                    </span>
                  </a>
                </li>
              ))}
            </ul>
          </nav>
          {chosen === '' ? null : chosen.endsWith('.json') ? (
            <JsonReport name={chosen} />
          ) : (
            <iframe
              title={`Report ${chosen}`}
              sandbox=""
              src={`/drills/file?name=${encodeURIComponent(chosen)}`}
            />
          )}
        </div>
      )}
    </>
  );
}
