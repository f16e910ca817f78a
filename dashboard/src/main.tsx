import { render } from 'preact';
import { take_token } from './token.js';
import { App } from './app.js';
import './style.css';

const hash = take_token(location.hash);
if (hash !== location.hash) history.replaceState(null, '', hash);
const root = document.getElementById('app');
if (root !== null) {
  root.textContent = '';
  render(<App />, root);
}
