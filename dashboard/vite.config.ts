import { defineConfig } from 'vite';

// Paths are relative, so that a proxy may put the dashboard under a prefix. Nothing is inlined: the page is served with
// Content-Security-Policy default-src 'self', which forbids inline scripts, inline styles and data: urls.
export default defineConfig({
  base: './',
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  build: {
    outDir: 'dist',
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: false,
  },
});
