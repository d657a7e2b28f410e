import type { JobProgress } from '../bindings';
import { duration, hasMessage, number, t } from '../i18n';

/** The name of a job's stage; stages without a word of ours are shown as the core names them. */
export function stageName(stage: string): string {
  if (stage === '') return t('frame.job.state.running');
  const key = `frame.stage.${stage}`;
  return hasMessage(key) ? t(key) : stage;
}

/** How far, how fast and how long still, such as `120 of 400 pages · 6 pages/s · 45 sec left`. */
export function progressLine(progress: JobProgress): string {
  const unit = t(`frame.unit.${progress.unit}`);
  const parts: string[] = [];
  if (progress.total !== null) parts.push(t('frame.job.of', { done: progress.done, total: progress.total, unit }));
  else if (progress.done > 0) parts.push(t('frame.job.done', { done: progress.done, unit }));
  if (progress.rate !== null && progress.rate > 0) {
    parts.push(t('frame.job.rate', { rate: number(progress.rate, progress.rate < 10 ? 1 : 0), unit }));
  }
  if (progress.eta_seconds !== null) parts.push(t('frame.job.eta', { time: duration(progress.eta_seconds) }));
  return parts.join(' · ');
}
