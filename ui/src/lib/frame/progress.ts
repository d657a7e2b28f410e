import type { JobKind, JobProgress } from '../bindings';
import { duration, hasMessage, number, t } from '../i18n';

/**
 * The name of a job's stage; stages without a word of ours are shown as the core names them.
 * What `reading` means depends on what the job does: files to an import, a collection to a training.
 */
export function stageName(stage: string, kind: JobKind = 'import'): string {
  if (stage === '') return t('frame.job.state.running');
  const area = kind === 'train' ? 'experts' : 'frame';
  const keys = [`${area}.stage.${stage.replaceAll(' ', '_')}`, `frame.stage.${stage}`];
  const key = keys.find(hasMessage);
  return key === undefined ? stage : t(key);
}

/** How far, how fast and how long still, each in words of its own. */
export function progressFacts(progress: JobProgress): string[] {
  const unit = t(`frame.unit.${progress.unit}`);
  const facts: string[] = [];
  if (progress.total !== null) facts.push(t('frame.job.of', { done: progress.done, total: progress.total, unit }));
  else if (progress.done > 0) facts.push(t('frame.job.done', { done: progress.done, unit }));
  if (progress.rate !== null && progress.rate > 0) {
    facts.push(t('frame.job.rate', { rate: number(progress.rate, progress.rate < 10 ? 1 : 0), unit }));
  }
  if (progress.eta_seconds !== null) facts.push(t('frame.job.eta', { time: duration(progress.eta_seconds) }));
  return facts;
}

/** The same in one line, such as `120 of 400 pages · 6 pages/s · 45 sec left`. */
export const progressLine = (progress: JobProgress): string => progressFacts(progress).join(' · ');
