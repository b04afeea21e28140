import { useEffect, useRef, useState } from 'preact/hooks';
import { caller } from '../model/call.ts';
import { formatRoute } from '../model/route.ts';
import { age } from '../model/table.ts';
import { announce } from '../parts/announce.tsx';
import { useShared } from '../parts/context.ts';
import { useNow, usePolled } from '../parts/hooks.ts';
import { Sparkline } from '../parts/sparkline.tsx';

interface Member {
  readonly endpoint: string;
  readonly id?: string;
  readonly name?: string;
  readonly version?: string;
  readonly role?: 'leader' | 'follower' | 'learner';
  readonly term?: number;
  readonly raftIndex?: number;
  readonly lag?: number;
  readonly revision?: number;
  readonly dbSize?: number;
  readonly dbSizeInUse?: number;
  readonly quota?: number;
  readonly watchers?: number;
  readonly leaderChanges?: number;
  readonly proposalsPending?: number;
  readonly fsyncP99?: number;
  readonly commitP99?: number;
  readonly errors?: readonly string[];
  readonly problem?: string;
}

interface StoreView {
  readonly members: readonly Member[];
  readonly leader: string;
  readonly term: number;
  readonly revision: number;
  readonly voters: number;
  readonly hasQuorum: boolean;
}

const pollMs = 2_000;
const samplesMax = 90;

const bytes = (value: number | undefined): string => {
  if (value === undefined) return '';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  return `${(value / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
};
const milliseconds = (seconds: number | undefined): string =>
  seconds === undefined ? '' : `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
const grouped = (value: number | undefined): string => value?.toLocaleString('en') ?? '';

/** How the plane is: its store member by member, its API server, who leads what, its nodes. */
export function HealthPage() {
  const { session } = useShared();
  return (
    <>
      <header class="page-head">
        <h1 tabIndex={-1}>Health</h1>
        <span class="quiet">{session.server}</span>
      </header>
      <StoreCard />
      <div class="cards">
        <ApiServerCard />
        <LeadersCard />
        <NodesCard />
      </div>
    </>
  );
}

function StoreCard() {
  const { session } = useShared();
  const { value, problem } = usePolled(
    (signal) =>
      session.store ? caller.json<StoreView>('/store/status', { signal }) : Promise.resolve(undefined),
    pollMs,
    [session.store],
  );
  const [rates, setRates] = useState<readonly number[]>([]);
  const last = useRef<{ revision: number; atMs: number; leader: string } | undefined>(undefined);
  useEffect(() => {
    if (value === undefined) return;
    const atMs = performance.now();
    const before = last.current;
    last.current = { revision: value.revision, atMs, leader: value.leader };
    if (before === undefined) return;
    const rate = (Math.max(0, value.revision - before.revision) * 1000) / Math.max(1, atMs - before.atMs);
    setRates((known) => [...known, rate].slice(-samplesMax));
    if (before.leader !== value.leader)
      announce(value.leader === '' ? 'The store has no leader' : `${value.leader} leads the store now`);
  }, [value]);
  if (!session.store)
    return (
      <section class="card" aria-labelledby="store-title">
        <h2 id="store-title">Store</h2>
        <p class="notice">
          This console was not given the store. Start it with <code>--etcd-servers</code> and a client
          certificate to see members, leader, terms, lag and disk.
        </p>
      </section>
    );
  return (
    <section class="card" aria-labelledby="store-title">
      <h2 id="store-title">
        Store{' '}
        {value === undefined ? null : (
          <span class={value.hasQuorum ? 'badge good' : 'badge bad'}>
            {value.hasQuorum ? 'Has a majority' : 'No majority'}
          </span>
        )}
      </h2>
      {problem === undefined ? null : (
        <p role="alert" class="problem">
          {problem}
        </p>
      )}
      {value === undefined ? (
        problem === undefined ? (
          <p class="quiet">Loading …</p>
        ) : null
      ) : (
        <>
          <dl class="facts">
            <div>
              <dt>Leader</dt>
              <dd>{value.leader || 'none'}</dd>
            </div>
            <div>
              <dt>Term</dt>
              <dd>{grouped(value.term)}</dd>
            </div>
            <div>
              <dt>Revision</dt>
              <dd>{grouped(value.revision)}</dd>
            </div>
            <div>
              <dt>Voters</dt>
              <dd>{value.voters}</dd>
            </div>
            <div class="wide">
              <dt>Writes per second, last {Math.round((samplesMax * pollMs) / 60_000)} minutes</dt>
              <dd>
                <Sparkline values={rates} length={samplesMax} label="Writes per second" />
                <span>{rates.length === 0 ? '' : (rates.at(-1) as number).toFixed(1)}</span>
              </dd>
            </div>
          </dl>
          <div class="scroll" tabIndex={0} role="region" aria-label="Members of the store">
            <table>
              <thead>
                <tr>
                  <th scope="col">Member</th>
                  <th scope="col">Role</th>
                  <th scope="col" class="number">
                    Term
                  </th>
                  <th scope="col" class="number">
                    Log index
                  </th>
                  <th scope="col" class="number">
                    Lag
                  </th>
                  <th scope="col">Disk</th>
                  <th scope="col" class="number" title="99th percentile since the member started">
                    Sync p99
                  </th>
                  <th scope="col" class="number" title="99th percentile since the member started">
                    Commit p99
                  </th>
                  <th scope="col" class="number">
                    Watchers
                  </th>
                  <th scope="col" class="number">
                    Elections seen
                  </th>
                </tr>
              </thead>
              <tbody>
                {value.members.map((each) => (
                  <MemberRow key={each.endpoint} member={each} term={value.term} />
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </section>
  );
}

function MemberRow({ member, term }: { readonly member: Member; readonly term: number }) {
  const title = (
    <th scope="row">
      {member.name ?? member.id ?? 'unknown'}
      <span class="quiet block">{member.endpoint.replace(/^https?:\/\//, '')}</span>
    </th>
  );
  if (member.problem !== undefined)
    return (
      <tr>
        {title}
        <td colSpan={9}>
          <span class="tone bad">Does not answer</span> <span class="quiet">{member.problem}</span>
        </td>
      </tr>
    );
  return (
    <tr>
      {title}
      <td>
        <span class={member.role === 'leader' ? 'badge lead' : 'badge'}>{member.role}</span>
        {(member.errors ?? []).map((each) => (
          <span key={each} class="tone bad block">
            {each}
          </span>
        ))}
      </td>
      <td class="number">
        {grouped(member.term)}
        {member.term === term ? null : <span class="tone waiting block">behind</span>}
      </td>
      <td class="number">{grouped(member.raftIndex)}</td>
      <td class="number">{grouped(member.lag)}</td>
      <td>
        {member.quota === undefined || member.quota === 0 ? null : (
          <meter
            min={0}
            max={member.quota}
            high={member.quota * 0.8}
            optimum={0}
            value={member.dbSize ?? 0}
            aria-label={`Disk of ${member.name ?? member.endpoint}`}
          />
        )}
        <span class="block nowrap">
          {bytes(member.dbSize)}
          {member.quota === undefined ? '' : ` of ${bytes(member.quota)}`},{' '}
          <span class="quiet">{bytes(member.dbSizeInUse)} in use</span>
        </span>
      </td>
      <td class="number">{milliseconds(member.fsyncP99)}</td>
      <td class="number">{milliseconds(member.commitP99)}</td>
      <td class="number">{grouped(member.watchers)}</td>
      <td class="number">{grouped(member.leaderChanges)}</td>
    </tr>
  );
}

function ApiServerCard() {
  const { value, problem } = usePolled(
    async (signal) => {
      const version = await caller.json<{ gitVersion?: string; platform?: string }>('/k8s/version', {
        signal,
      });
      let ready = true;
      let text: string;
      try {
        text = await caller.text('/k8s/readyz?verbose', { accept: '*/*', signal });
      } catch (error) {
        ready = false;
        text = error instanceof Error ? error.message : String(error);
      }
      return { version, ready, checks: text.split('\n').filter((line) => /^\[[+-]\]/.test(line)) };
    },
    5_000,
    [],
  );
  const failing = value?.checks.filter((line) => line.startsWith('[-]')) ?? [];
  return (
    <section class="card" aria-labelledby="api-title">
      <h2 id="api-title">
        API server{' '}
        {value === undefined ? null : (
          <span class={value.ready ? 'badge good' : 'badge bad'}>{value.ready ? 'Ready' : 'Not ready'}</span>
        )}
      </h2>
      {problem === undefined ? null : (
        <p role="alert" class="problem">
          {problem}
        </p>
      )}
      <p>{value?.version.gitVersion ?? ''}</p>
      {value === undefined ? null : (
        <details>
          <summary>
            {value.checks.length - failing.length} of {value.checks.length} checks pass
          </summary>
          <ul class="checks">
            {value.checks.map((line) => (
              <li key={line} class={line.startsWith('[-]') ? 'tone bad' : ''}>
                {line}
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

interface Lease {
  readonly metadata: { readonly name: string };
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
    readonly leaseDurationSeconds?: number;
  };
}

function LeadersCard() {
  const now = useNow(2_000);
  const { value, problem } = usePolled(
    (signal) =>
      caller.json<{ items?: readonly Lease[] }>(
        '/k8s/apis/coordination.k8s.io/v1/namespaces/kube-system/leases',
        { signal },
      ),
    pollMs,
    [],
  );
  const leases = (value?.items ?? []).filter((each) => !each.metadata.name.startsWith('apiserver-'));
  return (
    <section class="card" aria-labelledby="leaders-title">
      <h2 id="leaders-title">Who leads</h2>
      {problem === undefined ? null : (
        <p role="alert" class="problem">
          {problem}
        </p>
      )}
      <ul class="plain">
        {leases.map(({ metadata, spec }) => {
          const late = now - Date.parse(spec?.renewTime ?? '');
          return (
            <li key={metadata.name}>
              <strong>{metadata.name}</strong>
              <span class="quiet block">
                {(spec?.holderIdentity || 'nobody').replace(/_.*/, '')}, {grouped(spec?.leaseTransitions)}{' '}
                changes
                {late > (spec?.leaseDurationSeconds ?? 15) * 1000 ? `, silent for ${age(late)}` : ''}
              </span>
            </li>
          );
        })}
      </ul>
      {value !== undefined && leases.length === 0 ? <p class="quiet">No leases of controllers.</p> : null}
    </section>
  );
}

interface NodeObject {
  readonly metadata: { readonly name: string };
  readonly spec?: { readonly unschedulable?: boolean };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

function NodesCard() {
  const { value, problem } = usePolled(
    (signal) => caller.json<{ items?: readonly NodeObject[] }>('/k8s/api/v1/nodes', { signal }),
    5_000,
    [],
  );
  const nodes = value?.items ?? [];
  const isReady = (node: NodeObject): boolean =>
    node.status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True') ?? false;
  const unready = nodes.filter((node) => !isReady(node));
  const link = (name: string): string =>
    formatRoute({
      at: 'object',
      group: '',
      version: 'v1',
      plural: 'nodes',
      namespace: '',
      name,
      tab: 'yaml',
    });
  return (
    <section class="card" aria-labelledby="nodes-title">
      <h2 id="nodes-title">
        Nodes{' '}
        {value === undefined ? null : (
          <span class={unready.length === 0 ? 'badge good' : 'badge bad'}>
            {nodes.length - unready.length} of {nodes.length} ready
          </span>
        )}
      </h2>
      {problem === undefined ? null : (
        <p role="alert" class="problem">
          {problem}
        </p>
      )}
      <ul class="plain">
        {[...unready, ...nodes.filter(isReady)].slice(0, 12).map((node) => (
          <li key={node.metadata.name}>
            <a href={link(node.metadata.name)}>{node.metadata.name}</a>{' '}
            <span class={isReady(node) ? 'tone good' : 'tone bad'}>
              {isReady(node) ? 'Ready' : 'Not ready'}
            </span>
            {node.spec?.unschedulable === true ? <span class="quiet"> cordoned</span> : null}
          </li>
        ))}
      </ul>
    </section>
  );
}
