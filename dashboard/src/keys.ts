// Single keys as commands, not while somebody types into a field, and never together with Ctrl, Alt or Meta.

import { useEffect, useRef } from 'preact/hooks';

export type Keys = Record<string, () => void>;

function types(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName);
}

export function useKeys(keys: Keys): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
      if (document.querySelector('dialog[open]') !== null) return;
      if (types(event.target)) {
        if (event.key === 'Escape') (event.target as HTMLElement).blur();
        return;
      }
      const command = latest.current[event.key];
      if (command === undefined) return;
      event.preventDefault();
      command();
    };
    document.addEventListener('keydown', pressed);
    return () => document.removeEventListener('keydown', pressed);
  }, []);
}

// j and k among the links of rows: the focus itself moves, so that Enter and screen readers follow.
export function step_focus(selector: string, by: number): void {
  const links = [...document.querySelectorAll<HTMLElement>(selector)];
  if (links.length === 0) return;
  const at = links.findIndex((one) => one === document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + by));
  links[next]?.focus();
}
