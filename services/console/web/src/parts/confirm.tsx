import { useEffect, useId, useRef } from 'preact/hooks';

/** A question before something that cannot be taken back. The browser's own dialog: it keeps the focus and gives it back. */
export function Confirm(props: {
  readonly title: string;
  readonly text: string;
  readonly action: string;
  onAnswer(confirmed: boolean): void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      // Once it has closed by itself, the focus is back where it was.
      onClose={(event) => props.onAnswer(event.currentTarget.returnValue === 'yes')}
    >
      <h2 id={id}>{props.title}</h2>
      <p>{props.text}</p>
      <div class="buttons">
        <button type="button" onClick={() => dialog.current?.close('no')}>
          Cancel
        </button>
        <button type="button" class="danger" onClick={() => dialog.current?.close('yes')}>
          {props.action}
        </button>
      </div>
    </dialog>
  );
}
