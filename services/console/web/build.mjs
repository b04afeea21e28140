// Builds the page into ../dist/web: one script, one style sheet, names that change with their content. `npm run build:console`; the console
// runs this by itself when the page is missing or older than its sources.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));
const target = path.join(here, '..', 'dist', 'web');

const result = await build({
  entryPoints: [path.join(here, 'src', 'main.tsx'), path.join(here, 'src', 'style.css')],
  outdir: target,
  entryNames: '[name]-[hash]',
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['chrome120', 'firefox121', 'safari17.5'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'eof',
  metafile: true,
  write: false,
  logLevel: 'silent',
});
const nameOf = (extension) =>
  path.basename(result.outputFiles.find((file) => file.path.endsWith(extension)).path);

mkdirSync(target, { recursive: true });
const wanted = new Set(['index.html', ...result.outputFiles.map((file) => path.basename(file.path))]);
for (const file of result.outputFiles) writeFileSync(file.path, file.contents);
for (const name of readdirSync(target)) if (!wanted.has(name)) rmSync(path.join(target, name));
writeFileSync(
  path.join(target, 'index.html'),
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Pilothouse</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Ccircle cx='16' cy='16' r='9' fill='none' stroke='%233566b0' stroke-width='3'/%3E%3Cpath d='M16 1v30M1 16h30M5.4 5.4l21.2 21.2M26.6 5.4 5.4 26.6' stroke='%233566b0' stroke-width='2'/%3E%3C/svg%3E">
<link rel="stylesheet" href="/${nameOf('.css')}">
<script type="module" src="/${nameOf('.js')}"></script>
</head>
<body>
<div id="app"></div>
<noscript>The console needs JavaScript.</noscript>
</body>
</html>
`,
);
