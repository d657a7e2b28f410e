import type { DocumentStatus } from '../bindings';
import type { IconName } from '../components/icons/paths';

/** Statuses in the order in which they are offered. */
export const statuses: DocumentStatus[] = ['ready', 'queued', 'extracted', 'failed', 'protected', 'no_text', 'missing'];

/** How a status is shown, beside its word. */
export const looks: Record<DocumentStatus, { icon: IconName; kind: 'neutral' | 'accent' | 'good' | 'warn' | 'bad' }> = {
  queued: { icon: 'clock', kind: 'neutral' },
  extracted: { icon: 'redo', kind: 'accent' },
  ready: { icon: 'check', kind: 'good' },
  failed: { icon: 'alert', kind: 'bad' },
  protected: { icon: 'lock', kind: 'warn' },
  no_text: { icon: 'scan', kind: 'warn' },
  missing: { icon: 'missing', kind: 'warn' },
};

/** Statuses that trying again may change. */
export const retriable: DocumentStatus[] = ['failed', 'protected', 'no_text', 'missing'];
