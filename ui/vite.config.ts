import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig, type Plugin } from 'vitest/config';

/// Character maps, substitute fonts and image decoders that pdf.js fetches by name when a page
/// needs them. They are served from `pdfjs/<folder>/` beside the page, so nothing comes from outside.
function pdfjsFiles(): Plugin {
  const root = join(import.meta.dirname, 'node_modules/pdfjs-dist');
  const folders = ['cmaps', 'standard_fonts', 'wasm'];
  return {
    name: 'pdfjs-files',
    generateBundle() {
      for (const folder of folders) {
        for (const name of readdirSync(join(root, folder))) {
          this.emitFile({
            type: 'asset',
            fileName: `pdfjs/${folder}/${name}`,
            source: readFileSync(join(root, folder, name)),
          });
        }
      }
    },
    configureServer(server) {
      server.middlewares.use('/pdfjs', (request, response, next) => {
        const [, folder, name] = (request.url ?? '').split('/');
        if (folder && name && folders.includes(folder) && readdirSync(join(root, folder)).includes(name)) {
          createReadStream(join(root, folder, name)).pipe(response);
        } else {
          next();
        }
      });
    },
  };
}

export default defineConfig({
  // Relative addresses: the same pages are served by the window and by `quartet serve`.
  base: './',
  plugins: [svelte(), svelteTesting(), pdfjsFiles()],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    // The content security policy allows neither inline scripts nor inline styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 2000,
  },
  worker: { format: 'es' },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.ts'],
    setupFiles: ['src/test-setup.ts'],
    // Nothing here depends on time; a busy machine may take long all the same.
    testTimeout: 60_000,
    maxWorkers: 1,
    // The colours are read from the style sheet.
    css: true,
    env: { DEBUG_PRINT_LIMIT: '0' },
  },
});
