import { useEffect, useRef, useState } from 'preact/hooks';
import { caller, messageOf } from '../model/call.ts';

const charactersMax = 500_000;

/** The log of a pod's container, followed. */
export function LogTab(props: { readonly namespace: string; readonly name: string }) {
  const path = `/k8s/api/v1/namespaces/${encodeURIComponent(props.namespace)}/pods/${encodeURIComponent(props.name)}`;
  const [containers, setContainers] = useState<readonly string[]>([]);
  const [container, setContainer] = useState('');
  const [text, setText] = useState('');
  const [problem, setProblem] = useState<string>();
  const pane = useRef<HTMLPreElement>(null);
  useEffect(() => {
    const ended = new AbortController();
    caller
      .json<{ spec?: { initContainers?: { name: string }[]; containers?: { name: string }[] } }>(path, {
        signal: ended.signal,
      })
      .then(({ spec }) => {
        const names = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].map((each) => each.name);
        setContainers(names);
        setContainer(names[0] ?? '');
      })
      .catch((error: unknown) => {
        if (!ended.signal.aborted) setProblem(messageOf(error));
      });
    return () => ended.abort();
  }, [path]);
  useEffect(() => {
    if (container === '') return undefined;
    const ended = new AbortController();
    setText('');
    setProblem(undefined);
    void (async () => {
      try {
        const query = new URLSearchParams({ container, follow: 'true', tailLines: '1000' });
        const response = await caller.call(`${path}/log?${query.toString()}`, {
          accept: '*/*',
          signal: ended.signal,
        });
        const reader = (response.body as ReadableStream<Uint8Array>)
          .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
          .getReader();
        for (;;) {
          const { done, value } = await reader.read();
          if (done) return;
          setText((before) => (before + value).slice(-charactersMax));
        }
      } catch (error) {
        if (!ended.signal.aborted) setProblem(messageOf(error));
      }
    })();
    return () => ended.abort();
  }, [path, container]);
  useEffect(() => {
    const element = pane.current;
    if (element !== null) element.scrollTop = element.scrollHeight;
  }, [text]);
  return (
    <>
      <label class="field">
        Container
        <select value={container} onChange={(event) => setContainer(event.currentTarget.value)}>
          {containers.map((each) => (
            <option key={each} value={each}>
              {each}
            </option>
          ))}
        </select>
      </label>
      {problem === undefined ? null : (
        <p role="alert" class="problem">
          {problem}
        </p>
      )}
      <pre ref={pane} class="log" tabIndex={0} aria-label={`Log of ${container}`}>
        {text === '' ? 'Nothing yet.' : text}
      </pre>
    </>
  );
}
