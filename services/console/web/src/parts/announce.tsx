import { useEffect, useState } from 'preact/hooks';

let tell: (text: string) => void = () => undefined;

/** Says something to those who do not see it, and shows it for a while to those who do. */
export function announce(text: string): void {
  tell(text);
}

/** The one live region of the page. */
export function Announcements() {
  const [text, setText] = useState('');
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    tell = (next) => {
      clearTimeout(timer);
      setText(next);
      timer = setTimeout(() => setText(''), 6_000);
    };
    return () => {
      clearTimeout(timer);
      tell = () => undefined;
    };
  }, []);
  return (
    <div role="status" aria-live="polite" class={text === '' ? 'toast empty' : 'toast'}>
      {text}
    </div>
  );
}
