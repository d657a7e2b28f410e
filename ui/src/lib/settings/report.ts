import type { Diagnosis } from '../bindings';

/**
 * A diagnosis as plain text, to be sent to whoever helps. In English whatever the window speaks,
 * since that is who reads it; numbers are bytes as the system gave them.
 */
export function diagnosisAsText(diagnosis: Diagnosis): string {
  const lines = [`Quartet ${diagnosis.version}`, diagnosis.machine, `data: ${diagnosis.data}`, `settings: ${diagnosis.settings}`];
  for (const folder of diagnosis.model_folders) lines.push(`models: ${folder}`);
  lines.push('', 'devices');
  if ('Ok' in diagnosis.devices) {
    for (const { name, description, memory_free, memory_total } of diagnosis.devices.Ok) {
      const memory = memory_total > 0 ? `, ${memory_free} of ${memory_total} bytes free` : '';
      lines.push(`  ${name}: ${description}${memory}`);
    }
    if (diagnosis.devices.Ok.length === 0) lines.push('  none');
  } else {
    lines.push(`  unknown: ${diagnosis.devices.Err.message}`);
  }
  const base = diagnosis.base ? `${diagnosis.base.base} (${diagnosis.base.reason})` : 'not measured yet';
  lines.push('', `base: ${base}`);
  const fingerprints = Object.entries(diagnosis.fingerprints).sort(([one], [other]) => (one < other ? -1 : 1));
  if (fingerprints.length > 0) {
    lines.push('', 'collections');
    for (const [name, digest] of fingerprints) lines.push(`  ${name}: ${digest}`);
  }
  lines.push('', diagnosis.problems.length === 0 ? 'no problems' : 'problems');
  for (const { code, message, subject, hint } of diagnosis.problems) {
    lines.push(`  ${code}: ${message}${subject === null ? '' : ` (${subject})`}`);
    if (hint !== null) lines.push(`    ${hint}`);
  }
  return `${lines.join('\n')}\n`;
}
