import { render } from 'preact';
import { App } from './app.tsx';

const theme = localStorage.getItem('pilothouse-theme');
if (theme !== null) document.documentElement.dataset['theme'] = theme;
const root = document.getElementById('app');
if (root !== null) render(<App />, root);
