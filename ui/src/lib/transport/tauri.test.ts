import { clearMocks, mockIPC } from '@tauri-apps/api/mocks';
import { afterEach, describe, expect, it } from 'vitest';
import { tauriTransport } from './tauri';

const sources = import.meta.glob<string>(['../../**/*.svelte', '../../**/*.ts'], { eager: true, query: '?raw', import: 'default' });

afterEach(() => clearMocks());

describe('the window', () => {
  it('sends a request as the whole payload of its command', async () => {
    const seen: unknown[] = [];
    mockIPC((command, payload) => {
      seen.push([command, payload]);
      return command === 'document_bytes' ? new ArrayBuffer(3) : null;
    });
    const transport = tauriTransport();
    await transport.call('create_collection', { name: 'Research' });
    await transport.pick('folder');
    await transport.saveExport(4, 'html');
    expect((await transport.documentBytes(7)).byteLength).toBe(3);
    expect(seen).toEqual([
      ['create_collection', { name: 'Research' }],
      ['pick', { kind: 'folder' }],
      ['save_export', { chat: 4, format: 'html' }],
      ['document_bytes', { document: 7 }],
    ]);
  });

  it('rejects with an error that can be shown, whatever was thrown', async () => {
    const error = { code: 'busy', message: 'busy', hint: 'Wait.', subject: 'x' };
    mockIPC((command) => {
      throw command === 'hello' ? error : 'privacy not allowed by ACL';
    });
    const transport = tauriTransport();
    await expect(transport.call('hello', {})).rejects.toEqual(error);
    await expect(transport.call('privacy', {})).rejects.toMatchObject({ code: 'internal', message: 'privacy not allowed by ACL' });
  });

  it('is the only one to know Tauri', () => {
    const others = Object.entries(sources).filter(([path, source]) => /from '@tauri-apps\//.test(source) && !/tauri(\.test)?\.ts$/.test(path));
    expect(others.map(([path]) => path)).toEqual([]);
  });
});
