import { mount } from 'svelte';
import './styles/tokens.css';
import './styles/base.css';
import App from './App.svelte';
import { Desk } from './lib/state/desk.svelte';
import type { Transport } from './lib/transport/transport';
import { setLanguage } from './lib/i18n';

/** The desktop window never loads the browser's transport, nor the other way round. */
async function transport(): Promise<Transport> {
  // Only in development and in `vite build --mode fake`: the pages with made-up documents.
  const options = new URLSearchParams(location.search);
  if (import.meta.env.MODE !== 'production' && options.has('fake')) {
    const documents = Number(options.get('documents') ?? 240);
    return (await import('./lib/transport/fake')).fakeTransport({ documents });
  }
  if ('isTauri' in globalThis) return (await import('./lib/transport/tauri')).tauriTransport();
  return (await import('./lib/transport/http')).httpTransport();
}

setLanguage('auto');
const target = document.getElementById('app');
if (target) mount(App, { target, props: { desk: new Desk(await transport()) } });
