import { afterEach, describe, expect, it, vi } from 'vitest';
import { httpTransport, readLines, takeToken } from './http';

afterEach(() => {
  vi.unstubAllGlobals();
  sessionStorage.clear();
  location.hash = '';
});

function stream(...pieces: string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
      controller.close();
    },
  });
}

describe('the token', () => {
  it('is taken out of the address and kept', () => {
    location.hash = '#token=abc%2B1';
    expect(takeToken()).toBe('abc+1');
    expect(location.hash).toBe('');
    expect(takeToken()).toBe('abc+1');
  });
});

describe('commands', () => {
  it('carry the token and reply with what the core says', async () => {
    const asked = vi.fn(async () => new Response('[{"id":1}]'));
    vi.stubGlobal('fetch', asked);
    expect(await httpTransport('abc').call('list_collections', {})).toEqual([{ id: 1 }]);
    expect(asked).toHaveBeenCalledWith('api/call/list_collections', {
      method: 'POST',
      body: '{}',
      headers: { 'Content-Type': 'application/json', Authorization: 'Bearer abc' },
    });
  });

  it('reject with the error of the core', async () => {
    const error = { code: 'busy', message: 'busy', hint: 'Wait.', subject: 'x' };
    vi.stubGlobal('fetch', async () => new Response(JSON.stringify(error), { status: 409 }));
    await expect(httpTransport('abc').call('hello', {})).rejects.toEqual(error);
  });

  it('say what to do when the token is wrong or nobody answers', async () => {
    vi.stubGlobal('fetch', async () => new Response('no', { status: 401 }));
    await expect(httpTransport('').call('hello', {})).rejects.toMatchObject({ hint: expect.stringContaining('token') });
    vi.stubGlobal('fetch', async () => {
      throw new TypeError('network');
    });
    await expect(httpTransport('').call('hello', {})).rejects.toMatchObject({ code: 'io', hint: expect.stringContaining('serve') });
  });
});

describe('events', () => {
  it('are read line by line, however they are cut', async () => {
    const seen: unknown[] = [];
    await readLines(stream('{"kind":"lib', 'rary"}\n\n{"kind":"models"}\n{"kind":"dr', 'ag","over":true}\n'), (event) => seen.push(event));
    expect(seen).toEqual([{ kind: 'library' }, { kind: 'models' }, { kind: 'drag', over: true }]);
  });
});
