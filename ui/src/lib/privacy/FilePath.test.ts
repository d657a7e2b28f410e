import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { expect, it } from 'vitest';
import FilePath from './FilePath.svelte';

it.each([
  ['/home/someone/a very long folder name/papers/2024/valve.pdf', '/valve.pdf'],
  ['C:\\Users\\someone\\papers\\valve.pdf', '\\valve.pdf'],
  ['valve.pdf', 'valve.pdf'],
  ['/a/' + 'x'.repeat(60) + '.pdf', 'xxxxxxxxxxxxxxxxxxxx.pdf'],
  ['/srv/models/', '/models/'],
])('%s keeps its end %s', (path, tail) => {
  const { container } = render(FilePath, { path });
  expect(container.querySelector('.tail')?.textContent).toBe(tail);
  expect(container.textContent?.trim()).toBe(path);
});

it('shows the whole path on hover, and in full when pressed', async () => {
  const path = '/home/someone/papers/valve.pdf';
  render(FilePath, { path });
  const button = screen.getByRole('button', { name: path });
  expect(button.title).toBe(path);
  await userEvent.setup().click(button);
  expect(button.getAttribute('aria-expanded')).toBe('true');
  expect(button.textContent).toBe(path);
});
