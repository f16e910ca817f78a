// A button that does something, with what came of it beside it: what was done, or why it was refused.

import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { ApiError, post } from './api.js';
import { read_token, set_token } from './token.js';

export interface ActionProps {
  path: string;
  body?: Record<string, string>;
  label: string; // what a screen reader says
  confirm?: string; // asked before it is done
  done: (answer: unknown) => string;
  after?: () => void;
  disabled?: boolean;
  children: ComponentChildren;
}

export function Action({ path, body = {}, label, confirm, done, after, disabled = false, children }: ActionProps) {
  const [state, set_state] = useState<{ busy: boolean; text: string; bad: boolean }>({ busy: false, text: '', bad: false });
  const [asking, set_asking] = useState(false);
  const act = async () => {
    set_asking(false);
    set_state({ busy: true, text: '', bad: false });
    try {
      const answer = await post(path, body);
      set_state({ busy: false, text: done(answer), bad: false });
    } catch (failure) {
      const error = failure instanceof ApiError ? failure : new ApiError(0, 'CLIENT', String(failure));
      set_state({ busy: false, text: `${error.message} (${error.code})`, bad: true });
    }
    after?.();
  };
  return (
    <span class="action">
      {asking ? (
        <>
          <span>{confirm}</span>{' '}
          <button type="button" onClick={() => void act()} aria-label={`Yes: ${label}`}>Yes</button>{' '}
          <button type="button" onClick={() => set_asking(false)} aria-label={`No: ${label}`}>No</button>
        </>
      ) : (
        <button
          type="button"
          disabled={disabled || state.busy}
          aria-label={label}
          onClick={() => (confirm === undefined ? void act() : set_asking(true))}
        >
          {children}
        </button>
      )}
      {state.text !== '' && (
        <span class={state.bad ? 'notice bad' : 'notice'} role={state.bad ? 'alert' : 'status'}>
          {state.bad ? '✕ ' : '✓ '}
          {state.text}
        </span>
      )}
    </span>
  );
}

export function TokenField() {
  const [value, set_value] = useState(read_token());
  return (
    <label class="token">
      Token for actions{' '}
      <input
        type="password"
        autocomplete="off"
        value={value}
        onInput={(event) => {
          set_value(event.currentTarget.value);
          set_token(event.currentTarget.value);
        }}
      />
    </label>
  );
}
