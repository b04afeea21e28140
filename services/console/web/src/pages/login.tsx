import { useEffect, useState } from 'preact/hooks';
import { caller, messageOf } from '../model/call.ts';
import type { SessionView } from '../parts/context.ts';

/** The one-time code that the page was opened with. It is taken out of the address at once. */
export function takeLink(): string | undefined {
  const match = /^#link=([\w-]+)$/.exec(location.hash);
  if (match) history.replaceState(null, '', `${location.pathname}#/`);
  return match?.[1];
}

export const logIn = (body: { token?: string; kubeconfig?: string; link?: string }): Promise<SessionView> =>
  caller.json<SessionView>('/session', { method: 'POST', body: JSON.stringify(body) });

export function Login(props: { readonly problem: string; onLogin(session: SessionView): void }) {
  const [problem, setProblem] = useState(props.problem);
  const [busy, setBusy] = useState(false);
  const [token, setToken] = useState('');
  useEffect(() => setProblem(props.problem), [props.problem]);
  const attempt = async (body: () => Promise<Parameters<typeof logIn>[0]>): Promise<void> => {
    setBusy(true);
    try {
      const session = await logIn(await body());
      setToken('');
      props.onLogin(session);
    } catch (error) {
      setProblem(messageOf(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="login">
      <h1>Pilothouse</h1>
      <p class="quiet">
        You act as yourself: the console passes your requests on to the API server, with the rights that you
        have there.
      </p>
      {problem === '' ? null : (
        <p role="alert" class="problem">
          {problem}
        </p>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void attempt(async () => ({ token }));
        }}
      >
        <label class="field column">
          Bearer token
          <input
            type="password"
            autocomplete="off"
            spellcheck={false}
            value={token}
            onInput={(event) => setToken(event.currentTarget.value)}
            autofocus
          />
        </label>
        <p class="quiet">
          For example of <code>kubectl create token NAME</code>
        </p>
        <button type="submit" class="primary" disabled={busy || token.trim() === ''}>
          Log in
        </button>
      </form>
      <p class="or">or</p>
      <label class="field column">
        A kubeconfig with your token or client certificate
        <input
          type="file"
          disabled={busy}
          onChange={(event) => {
            const [file] = event.currentTarget.files ?? [];
            event.currentTarget.value = '';
            if (file !== undefined) void attempt(async () => ({ kubeconfig: await file.text() }));
          }}
        />
      </label>
      <p class="quiet">
        The token stays in the memory of the console’s process until you log out. The browser keeps a session
        cookie that scripts cannot read.
      </p>
    </main>
  );
}
