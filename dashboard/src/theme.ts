// auto follows prefers-color-scheme; a choice is kept in this browser.

export type Theme = 'auto' | 'dark' | 'light';

const key = 'assent-theme';

export function read_theme(): Theme {
  try {
    const kept = localStorage.getItem(key);
    return kept === 'dark' || kept === 'light' ? kept : 'auto';
  } catch {
    return 'auto'; // storage is forbidden
  }
}

export function next_theme(theme: Theme): Theme {
  return theme === 'auto' ? 'dark' : theme === 'dark' ? 'light' : 'auto';
}

export function show_theme(theme: Theme): void {
  if (theme === 'auto') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
  try {
    if (theme === 'auto') localStorage.removeItem(key);
    else localStorage.setItem(key, theme);
  } catch {
    // then it holds until the page is left
  }
  window.dispatchEvent(new Event('assent-theme'));
}
